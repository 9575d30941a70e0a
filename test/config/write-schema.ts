// Writes config/tidegate.schema.json from the table of keys: `npx node test/config/write-schema.ts && npm run fix`.
import { writeFileSync } from 'node:fs';
import { configJsonSchema } from '../../src/config/shape.ts';

const file = new URL('../../config/tidegate.schema.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
