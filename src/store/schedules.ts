// When the schedules of the products were looked at last.
import type { Consideration } from '../domain/snapshot.ts';
import { prepared } from './prepared.ts';
import { remembered } from './remembered.ts';
import type { Tx } from './schema.ts';

export const listConsidered = remembered(
  ['schedules'],
  async (db): Promise<Consideration[]> => (await CONSIDERED(db)).rows,
);

const CONSIDERED = prepared((db) =>
  db.selectFrom('schedules').select(['product', 'considered_at as at']).orderBy('product').compile(),
);

export async function saveConsidered(tx: Tx, { product, at }: Consideration): Promise<void> {
  await tx
    .insertInto('schedules')
    .values({ product, considered_at: at })
    .onConflict((conflict) => conflict.column('product').doUpdateSet({ considered_at: at }))
    .execute();
}
