// The demo's products with a history: real public tags that the recorded GitHub serves, and what Tidegate reads in them.
import { join } from 'node:path';
import type { StatusReply } from '../protocol/operator.ts';
import type { Say } from './narrator.ts';
import type { Stage } from './stage.ts';

/** Files of public tags; see config/demo.yaml for how each is read. */
export const HISTORIES_DIR = join(import.meta.dirname, '..', '..', 'config', 'demo', 'releases');

interface Expected {
  name: string;
  highest: string;
  releases: number;
  rejected: number;
  refused: number;
  /** What is worth a look. */
  remark: string;
}

const EXPECTED: readonly Expected[] = [
  {
    name: 'amazon-ssm-agent',
    highest: '3.3.1142.0',
    releases: 182,
    rejected: 1,
    refused: 2,
    remark: 'as text, 3.3.987.0 would be',
  },
  {
    name: 'alloy',
    highest: '1.18.1',
    releases: 115,
    rejected: 93,
    refused: 0,
    remark: '1.19.0-rc.3 is no stable one; rejected are the tags of its chart, build image and library',
  },
  {
    name: 'elastic-agent',
    highest: '9.5.2',
    releases: 152,
    rejected: 0,
    refused: 0,
    remark: 'four of its lines had a release on 2025-08-05; which one goes out, `accept` says',
  },
];

const READ_SECONDS = 30;

/** Waits until all are read, checks what was made of them, and tells it. Throws where that is not as expected. */
export async function tellHistories(stage: Stage, say: Say): Promise<void> {
  const status = await stage.until('the histories are read', READ_SECONDS, ({ products }) =>
    EXPECTED.every(({ name }) => products.some((one) => one.name === name && one.releases > 0)),
  );
  for (const expected of EXPECTED) say(await tellOne(stage, status, expected));
}

async function tellOne({ operator }: Stage, { products }: StatusReply, expected: Expected): Promise<string> {
  const { name, remark } = expected;
  const product = products.find((one) => one.name === name);
  const { rows } = await operator.productHistory(name, { limit: 1000 });
  const refused = rows.filter((row) => row.state === 'refused');
  const seen = {
    highest: product?.highest ?? null,
    releases: product?.releases ?? 0,
    rejected: product?.rejectedTags ?? 0,
    refused: refused.length,
  };
  for (const [what, value] of Object.entries(seen)) {
    const wanted = expected[what as keyof typeof seen];
    if (value !== wanted) throw new Error(`seen otherwise: ${what} of ${name} is ${value}, wanted ${wanted}`);
  }
  if (product?.newest !== null) throw new Error(`seen otherwise: ${name} has nothing to let out, without files`);
  const why = refused[0] === undefined ? '' : `: ${refused[0].why}`;
  return (
    `${name}: ${seen.releases} releases, ${seen.refused} of them refused${why}; tags rejected: ${seen.rejected}; ` +
    `highest: ${seen.highest} (${remark})`
  );
}
