// Agents that have not reported since the database was restored: all of them at the restore, one less with each report.
import { type RawBuilder, sql } from 'kysely';
import { textsIn, textsOf, toJson } from './batch.ts';
import { prepared } from './prepared.ts';
import type { Db, Tx } from './schema.ts';

/** All of them, or those among some agents; ids in order. */
export async function listStale(db: Db | Tx, agentIds?: readonly string[]): Promise<string[]> {
  const { rows } = agentIds === undefined ? await ALL(db) : await AMONG(db, toJson(agentIds));
  return rows.map((row) => row.agent_id);
}

const ALL = prepared((db) => db.selectFrom('stale_agents').select('agent_id').orderBy('agent_id').compile());
const AMONG = prepared((db, ids: RawBuilder<string>) =>
  db
    .selectFrom('stale_agents')
    .select('agent_id')
    .where('agent_id', 'in', textsOf(db, ids))
    .orderBy('agent_id')
    .compile(),
);

/** Returns how many agents there are. */
export async function markAllStale(tx: Tx): Promise<number> {
  await sql`insert into stale_agents (agent_id) select id from agents
    where id not in (select agent_id from unenrolled_agents) on conflict (agent_id) do nothing`.execute(tx);
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
