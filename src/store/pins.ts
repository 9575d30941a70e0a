// Agents that a person has pinned at a product.
import type { Pin } from '../domain/pin.ts';
import { textsIn } from './batch.ts';
import type { Db, Tx } from './schema.ts';

export type PinOfAgent = Pin & { agentId: string };

/** All of them, or those of some agents; in the order of agents and products. */
export async function listPins(db: Db | Tx, agentIds?: readonly string[]): Promise<PinOfAgent[]> {
  const rows = await db
    .selectFrom('pins')
    .selectAll()
    .$if(agentIds !== undefined, (query) => query.where('agent_id', 'in', textsIn(db, agentIds ?? [])))
    .orderBy('agent_id')
    .orderBy('product')
    .execute();
  return rows.map(({ agent_id: agentId, ...pin }) => ({ agentId, ...pin }));
}

/** False when it was pinned already; then who did it first, and why, stays. */
export async function putPin(tx: Tx, { agentId, ...pin }: PinOfAgent): Promise<boolean> {
  const inserted = await tx
    .insertInto('pins')
    .values({ agent_id: agentId, ...pin })
    .onConflict((conflict) => conflict.columns(['agent_id', 'product']).doNothing())
    .executeTakeFirst();
  return inserted.numInsertedOrUpdatedRows === 1n;
}

/** False when it was not pinned. */
export async function deletePin(tx: Tx, agentId: string, product: string): Promise<boolean> {
  const deleted = await tx
    .deleteFrom('pins')
    .where('agent_id', '=', agentId)
    .where('product', '=', product)
    .executeTakeFirst();
  return deleted.numDeletedRows === 1n;
}
