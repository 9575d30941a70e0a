// When the schedules of the products were looked at last.
import type { Consideration } from '../domain/snapshot.ts';
import { prepared } from './prepared.ts';
import { remembered } from './remembered.ts';
import type { Tx } from './schema.ts';

export const listConsidered = remembered(
  ['schedules'],
  async (db): Promise<Consideration[]> =>
    (await CONSIDERED(db)).rows.map(({ schedules, ...row }) => ({
      ...row,
      ...(schedules === null ? {} : { schedules: JSON.parse(schedules) as string[] }),
    })),
);

const CONSIDERED = prepared((db) =>
  db.selectFrom('schedules').select(['product', 'considered_at as at', 'schedules']).orderBy('product').compile(),
);

export async function saveConsidered(tx: Tx, { product, at, schedules }: Consideration): Promise<void> {
  const row = { considered_at: at, schedules: schedules === undefined ? null : JSON.stringify(schedules) };
  await tx
    .insertInto('schedules')
    .values({ product, ...row })
    .onConflict((conflict) => conflict.column('product').doUpdateSet(row))
    .execute();
}
