// Agents that a person has pinned at a product.
import type { RawBuilder } from 'kysely';
import type { Pin } from '../domain/pin.ts';
import { textsOf, toJson } from './batch.ts';
import { prepared } from './prepared.ts';
import type { Db, Tx } from './schema.ts';

export type PinOfAgent = Pin & { agentId: string };

/** All of them, or those of some agents; in the order of agents and products. */
export async function listPins(db: Db | Tx, agentIds?: readonly string[]): Promise<PinOfAgent[]> {
  const { rows } = agentIds === undefined ? await ALL(db) : await OF_AGENTS(db, toJson(agentIds));
  return rows.map(({ agent_id: agentId, ...pin }) => ({ agentId, ...pin }));
}

const ALL = prepared((db) => inOrder(db).compile());
const OF_AGENTS = prepared((db, ids: RawBuilder<string>) =>
  inOrder(db).where('agent_id', 'in', textsOf(db, ids)).compile(),
);

function inOrder(db: Db | Tx) {
  return db.selectFrom('pins').selectAll().orderBy('agent_id').orderBy('product');
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
