// Quarantines that people have cleared: of an agent at a release, up to which of the agent's attempts.
import type { RawBuilder } from 'kysely';
import type { Clearance } from '../domain/quarantine.ts';
import { textsOf, toJson } from './batch.ts';
import { prepared } from './prepared.ts';
import type { Db, Tx } from './schema.ts';

export type ClearanceOfAgent = Clearance & { agentId: string };

/** All of them, or those of some agents. */
export async function listClearances(db: Db | Tx, agentIds?: readonly string[]): Promise<ClearanceOfAgent[]> {
  return (agentIds === undefined ? await ALL(db) : await OF_AGENTS(db, toJson(agentIds))).rows;
}

const ALL = prepared((db) => inOrder(db).compile());
const OF_AGENTS = prepared((db, ids: RawBuilder<string>) =>
  inOrder(db).where('agent_id', 'in', textsOf(db, ids)).compile(),
);

function inOrder(db: Db | Tx) {
  return db
    .selectFrom('clearances')
    .select(['agent_id as agentId', 'rollout_id as rolloutId', 'sequence'])
    .orderBy('agent_id')
    .orderBy('rollout_id');
}

/** The last one counts: it covers what those before it did. */
export async function putClearance(
  tx: Tx,
  { agentId, rolloutId, ...word }: ClearanceOfAgent & { actor: string; reason: string; at: number },
): Promise<void> {
  await tx
    .insertInto('clearances')
    .values({ agent_id: agentId, rollout_id: rolloutId, ...word })
    .onConflict((conflict) => conflict.columns(['agent_id', 'rollout_id']).doUpdateSet(word))
    .execute();
}
