// Ids of version 7 that are the same in every run: ranks come from ids, and no test may depend on luck.
import { createHash } from 'node:crypto';
import { START } from './fixtures.ts';

export function createIds(): () => string {
  let made = 0;
  return () => {
    made += 1;
    const time = (START + made).toString(16).padStart(12, '0');
    const drawn = createHash('sha256').update(`id ${made}`).digest('hex');
    return `${time.slice(0, 8)}-${time.slice(8)}-7${drawn.slice(0, 3)}-8${drawn.slice(3, 6)}-${drawn.slice(6, 18)}`;
  };
}
