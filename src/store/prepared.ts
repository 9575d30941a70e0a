// Queries that are built and compiled once in a process, and run with other values each time: to build one costs as much as to run it.
import { type CompiledQuery, PostgresAdapter, type QueryResult, type RawBuilder, sql } from 'kysely';
import { assert } from '../errors.ts';
import type { Db, Tx } from './schema.ts';
import { DirectAdapter } from './sqlite.ts';

/** Stands in a query for a value that is bound when it runs. */
class Slot {
  readonly at: number;
  constructor(at: number) {
    this.at = at;
  }
}

type Slots<Values extends readonly unknown[]> = { [At in keyof Values]: RawBuilder<Values[At]> };
type NamedSlots<Values> = { [Name in keyof Values]: RawBuilder<Values[Name]> };

/**
 * `build` is called once for each kind of database, with a stand-in for each value; so what it looks at besides must
 * never change. The result runs the query with these values, in the transaction that it is given.
 */
export function prepared<Values extends readonly unknown[], Row>(
  build: (db: Db | Tx, ...slots: Slots<Values>) => CompiledQuery<Row>,
): (db: Db | Tx, ...values: Values) => Promise<QueryResult<Row>> {
  const run = preparedWith(build.length - 1, (db, slots) => build(db, ...(slots as Slots<Values>)));
  return (db, ...values) => run(db, values);
}

/** As `prepared`, for many values: by their names, all of which stand in `names`. */
export function preparedByName<Values extends object, Row>(
  names: readonly (keyof Values)[],
  build: (db: Db | Tx, slots: NamedSlots<Values>) => CompiledQuery<Row>,
): (db: Db | Tx, values: Values) => Promise<QueryResult<Row>> {
  const run = preparedWith(names.length, (db, slots) => {
    const entries = names.map((name, at) => [name, slots[at]]);
    return build(db, Object.fromEntries(entries) as NamedSlots<Values>);
  });
  return (db, values) =>
    run(
      db,
      names.map((name) => values[name]),
    );
}

function preparedWith<Row>(
  count: number,
  build: (db: Db | Tx, slots: RawBuilder<unknown>[]) => CompiledQuery<Row>,
): (db: Db | Tx, values: readonly unknown[]) => Promise<QueryResult<Row>> {
  const compiled: { sqlite?: CompiledQuery<Row>; postgres?: CompiledQuery<Row> } = {};
  return async (db, values) => {
    const query = (compiled[isPostgres(db) ? 'postgres' : 'sqlite'] ??= compile(db, count, build));
    const parameters = query.parameters.map((one) => (one instanceof Slot ? values[one.at] : one));
    const bound = { ...query, parameters };
    const { adapter } = db.getExecutor();
    if (adapter instanceof DirectAdapter && (db.isTransaction || adapter.isFree()))
      return adapter.run(bound, db.isTransaction);
    return await db.executeQuery(bound);
  };
}

export function isPostgres(db: Db | Tx): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

function compile<Row>(
  db: Db | Tx,
  count: number,
  build: (db: Db | Tx, slots: RawBuilder<unknown>[]) => CompiledQuery<Row>,
): CompiledQuery<Row> {
  const slots = Array.from({ length: count }, (_, at) => new Slot(at));
  const query = build(
    db,
    slots.map((slot) => sql`${slot}`),
  );
  for (const slot of slots) assert(query.parameters.includes(slot), `value ${slot.at + 1} stands in the query`);
  return query;
}
