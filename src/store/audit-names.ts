// What the subjects of audit rows are called by people: of rollouts, lanes, attempts and agents.
import { agentNames } from './agents.ts';
import { textsIn } from './batch.ts';
import type { Db, Tx } from './schema.ts';

/** By id; what has no name, or none any more, is left out. `ids`: a few hundred. */
export async function subjectNames(db: Db | Tx, ids: readonly string[]): Promise<Map<string, string>> {
  const asked = [...new Set(ids)];
  if (asked.length === 0) return new Map();
  const rollouts = await db
    .selectFrom('rollouts')
    .select(['id', 'product', 'version'])
    .where('id', 'in', textsIn(db, asked))
    .execute();
  const lanes = await db
    .selectFrom('lanes')
    .innerJoin('rollouts', 'rollouts.id', 'lanes.rollout_id')
    .select(['lanes.id', 'lanes.kind', 'lanes.region', 'rollouts.product', 'rollouts.version'])
    .where('lanes.id', 'in', textsIn(db, asked))
    .execute();
  const attempts = await db
    .selectFrom('attempts')
    .innerJoin('agents', 'agents.id', 'attempts.agent_id')
    .select(['attempts.id', 'agents.name', 'attempts.product', 'attempts.version'])
    .where('attempts.id', 'in', textsIn(db, asked))
    .execute();
  const agents = await agentNames(db, asked);
  return new Map([
    ...agents.map(({ id, name }) => [id, name] as const),
    ...attempts.map(({ id, name, product, version }) => [id, `${name} to ${product} ${version}`] as const),
    ...lanes.map(({ id, kind, region, product, version }): [string, string] => [
      id,
      `${kind === 'baseline' ? 'the baseline ' : ''}${product} ${version} in ${region}`,
    ]),
    ...rollouts.map(({ id, product, version }) => [id, `${product} ${version}`] as const),
  ]);
}
