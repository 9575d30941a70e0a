// What the limits over all rollouts read inside the ledger's transaction: who downloads, and what was granted of late.
import { sql } from 'kysely';
import type { Db, Tx } from './schema.ts';

/** Agents with an attempt that is offered, each once. */
export async function downloadingPlaces(db: Db | Tx): Promise<{ agentId: string; region: string }[]> {
  return await db
    .selectFrom('attempts')
    .innerJoin('agents', 'agents.id', 'attempts.agent_id')
    .select(['agents.id as agentId', 'agents.region'])
    .distinct()
    // In the text, not bound: the partial index is used only for a condition that it can see.
    .where(sql<boolean>`attempts.state = 'offered'`)
    .orderBy('agents.id')
    .execute();
}

/** Instants of the newest `most` grants, ascending. */
export async function listGrants(db: Db | Tx, most: number): Promise<number[]> {
  if (most === 0) return [];
  const rows = await db
    .selectFrom('attempts')
    .select('granted_at')
    .where('granted_at', 'is not', null)
    .orderBy('granted_at', 'desc')
    .limit(most)
    .execute();
  return rows.map((row) => row.granted_at as number).reverse();
}
