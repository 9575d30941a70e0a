// The two questions that only the operator's screens ask: who has this name, and how many releases there are.
import type { Db, Tx } from './schema.ts';

/** Ids in order, at most `limit`: names are the hosts' own and need not be unique. */
export async function agentIdsByName(db: Db | Tx, name: string, limit: number): Promise<string[]> {
  const rows = await db.selectFrom('agents').select('id').where('name', '=', name).orderBy('id').limit(limit).execute();
  return rows.map((row) => row.id);
}

/** Number of known releases by product, in whatever state. */
export async function countReleases(db: Db | Tx): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('releases')
    .select((select) => ['product', select.fn.countAll<number>().as('count')])
    .groupBy('product')
    .execute();
  return new Map(rows.map((row) => [row.product, row.count]));
}
