// Lists that change rarely and are read in every plan: kept for as long as nobody writes to their tables, on SQLite.
import type { Db, Tx } from './schema.ts';
import { DirectAdapter } from './sqlite.ts';

/**
 * `read`, asked again only after one of `tables` was written to, or for another `input` (plain JSON). Inside of a
 * transaction on SQLite the same list is returned until then, frozen, so that what was reckoned of it can be kept beside
 * it; everywhere else `read` is asked each time: other servers write to PostgreSQL, too.
 */
export function remembered<Row, Input extends readonly unknown[]>(
  tables: readonly string[],
  read: (db: Db | Tx, ...input: Input) => Promise<Row[]>,
): (db: Db | Tx, ...input: Input) => Promise<Row[]> {
  // By connection: each has a database of its own.
  const kept = new WeakMap<object, { revision: number; input: string; rows: Row[] }>();
  return async (db, ...input) => {
    const { adapter } = db.getExecutor();
    if (!(adapter instanceof DirectAdapter) || !db.isTransaction) return await read(db, ...input);
    const [revision, key] = [adapter.writes.revisionOf(tables), JSON.stringify(input)];
    const known = kept.get(adapter.writes);
    if (known?.revision === revision && known.input === key) return known.rows;
    const rows = await read(db, ...input);
    for (const row of rows) Object.freeze(row);
    Object.freeze(rows);
    kept.set(adapter.writes, { revision, input: key, rows });
    return rows;
  };
}
