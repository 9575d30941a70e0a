// Agents that have not reported since the database was restored: all of them at the restore, one less with each report.
import { sql } from 'kysely';
import { textsIn } from './batch.ts';
import type { Db, Tx } from './schema.ts';

/** All of them, or those among some agents; ids in order. */
export async function listStale(db: Db | Tx, agentIds?: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom('stale_agents')
    .select('agent_id')
    .$if(agentIds !== undefined, (query) => query.where('agent_id', 'in', textsIn(db, agentIds ?? [])))
    .orderBy('agent_id')
    .execute();
  return rows.map((row) => row.agent_id);
}

/** Returns how many agents there are. */
export async function markAllStale(tx: Tx): Promise<number> {
  await sql`insert into stale_agents (agent_id) select id from agents where true on conflict (agent_id) do nothing`.execute(
    tx,
  );
  const { count } = await tx
    .selectFrom('stale_agents')
    .select((select) => select.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}

export async function forgetStale(tx: Tx, agentIds: readonly string[]): Promise<void> {
  if (agentIds.length === 0) return;
  await tx.deleteFrom('stale_agents').where('agent_id', 'in', textsIn(tx, agentIds)).execute();
}
