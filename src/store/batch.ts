// Many rows or ids as one JSON parameter: no limit on their number, one statement text to prepare, the same for both databases.
import { type RawBuilder, sql } from 'kysely';
import { isPostgres, prepared } from './prepared.ts';
import type { DB, Db, Tx } from './schema.ts';

/** How a column arrives in SQL; flags, times and counts are `bigint`. */
export type ColumnTypes = Record<string, 'text' | 'bigint'>;

/** A query over `rows` with the named columns, to stand in `with v as (…)`. A field that is missing arrives as null. */
export function rowsAs(db: Db | Tx, columns: ColumnTypes, rows: readonly object[]): RawBuilder<unknown> {
  return rowsOf(db, columns, sql`${toJson(rows)}`);
}

/** The same over the JSON of the rows, as `toJson` writes it. */
export function rowsOf(db: Db | Tx, columns: ColumnTypes, json: RawBuilder<string>): RawBuilder<unknown> {
  const names = Object.keys(columns);
  if (isPostgres(db)) {
    const typed = names.map((name) => sql`${sql.id(name)} ${sql.raw(columns[name] ?? 'text')}`);
    return sql`select * from json_to_recordset(cast(${json} as json)) as r(${sql.join(typed)})`;
  }
  const picked = names.map((name) => sql`value->>${sql.lit(name)} as ${sql.id(name)}`);
  return sql`select ${sql.join(picked)} from json_each(${json})`;
}

const inserts = new WeakMap<ColumnTypes, (tx: Tx, json: string) => Promise<unknown>>();

/** Inserts all rows in one statement; their fields carry the names of the columns, a list that belongs to this table alone. */
export async function insertRows(
  tx: Tx,
  table: keyof DB,
  columns: ColumnTypes,
  rows: readonly object[],
): Promise<void> {
  if (rows.length === 0) return;
  let insert = inserts.get(columns);
  if (insert === undefined) {
    const names = sql.join(Object.keys(columns).map((name) => sql.id(name)));
    insert = prepared((db, json: RawBuilder<string>) =>
      sql`insert into ${sql.table(table)} (${names}) select ${names} from (${rowsOf(db, columns, json)}) as v`.compile(
        db,
      ),
    );
    inserts.set(columns, insert);
  }
  await insert(tx, toJson(rows));
}

/** The right side of `where x in …` for any number of texts. */
export function textsIn(db: Db | Tx, values: readonly string[]): RawBuilder<string> {
  return textsOf(db, sql`${toJson(values)}`);
}

/** The same over their JSON, as `toJson` writes it. */
export function textsOf(db: Db | Tx, json: RawBuilder<string>): RawBuilder<string> {
  return isPostgres(db)
    ? sql<string>`(select json_array_elements_text(cast(${json} as json)))`
    : sql<string>`(select value from json_each(${json}))`;
}

/** The right side of `where x in …` for any number of integers. */
export function integersIn(db: Db | Tx, values: readonly number[]): RawBuilder<number> {
  return integersOf(db, sql`${toJson(values)}`);
}

/** The same over their JSON, as `toJson` writes it. */
export function integersOf(db: Db | Tx, json: RawBuilder<string>): RawBuilder<number> {
  return isPostgres(db)
    ? sql<number>`(select cast(json_array_elements_text(cast(${json} as json)) as bigint))`
    : sql<number>`(select value from json_each(${json}))`;
}

/** In pieces of at most `size`. */
export function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

// JSON can spell halves of surrogate pairs and NUL; PostgreSQL refuses both in a text, and one such text would fail
// the whole batch. They come only from hosts that send rubbish, so they become U+FFFD.
const UNSTORABLE = /\\u(?:d[89a-f]|0000)/;

export function toJson(value: unknown): string {
  const json = JSON.stringify(value);
  return UNSTORABLE.test(json) ? JSON.stringify(value, storable) : json;
}

function storable(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\ufffd') : value;
}
