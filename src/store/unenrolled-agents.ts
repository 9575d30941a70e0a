// Agents that a person has taken out of the fleet: what they did stays, and they are nobody any more.
import type { Agent } from '../domain/agent.ts';
import type { Unenrolment } from '../domain/unenrolment.ts';
import type { Db, Tx } from './schema.ts';

/** Their ids, in order. */
export async function listUnenrolled(db: Db | Tx): Promise<string[]> {
  const rows = await db.selectFrom('unenrolled_agents').select('agent_id').orderBy('agent_id').execute();
  return rows.map((row) => row.agent_id);
}

/** With who it was, and the key that it had; undefined for one that is enrolled or not known. */
export async function findUnenrolled(db: Db | Tx, agentId: string): Promise<Unenrolment | undefined> {
  const row = await db
    .selectFrom('unenrolled_agents')
    .innerJoin('agents', 'agents.id', 'unenrolled_agents.agent_id')
    .select(['agents.id', 'handle', 'name', 'region', 'unenrolled_agents.public_key', 'actor', 'reason', 'at'])
    .where('agent_id', '=', agentId)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { public_key: publicKey, ...rest } = row;
  return { ...rest, publicKey };
}

/** The one that was taken out last of those with this name. */
export async function unenrolledIdByName(db: Db | Tx, name: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('unenrolled_agents')
    .innerJoin('agents', 'agents.id', 'unenrolled_agents.agent_id')
    .select('agents.id')
    .where('name', '=', name)
    .orderBy('at', 'desc')
    .orderBy('agents.id', 'desc')
    .executeTakeFirst();
  return row?.id;
}

/** Of an agent that is enrolled. Its key is free for another enrolment; pins, and what it owes after a restore, go with it. */
export async function putUnenrolled(
  tx: Tx,
  { id, publicKey }: Pick<Agent, 'id' | 'publicKey'>,
  said: Pick<Unenrolment, 'actor' | 'reason' | 'at'>,
): Promise<void> {
  await tx
    .insertInto('unenrolled_agents')
    .values({ agent_id: id, public_key: publicKey, ...said })
    .execute();
  // No key looks like this one, so nobody is found by it.
  await tx
    .updateTable('agents')
    .set({ public_key: `unenrolled:${id}` })
    .where('id', '=', id)
    .execute();
  await tx.deleteFrom('pins').where('agent_id', '=', id).execute();
  await tx.deleteFrom('stale_agents').where('agent_id', '=', id).execute();
}
