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

/**
 * `build` is called once for each kind of database, with a stand-in for each value; so what it looks at besides must
 * never change. The result runs the query with these values, in the transaction that it is given.
 */
export function prepared<Values extends readonly unknown[], Row>(
  build: (db: Db | Tx, ...slots: Slots<Values>) => CompiledQuery<Row>,
): (db: Db | Tx, ...values: Values) => Promise<QueryResult<Row>> {
  const compiled: { sqlite?: CompiledQuery<Row>; postgres?: CompiledQuery<Row> } = {};
  return async (db, ...values) => {
    const query = (compiled[isPostgres(db) ? 'postgres' : 'sqlite'] ??= compile(db, build));
    const parameters = query.parameters.map((one) => (one instanceof Slot ? values[one.at] : one));
    const bound = { ...query, parameters };
    const { adapter } = db.getExecutor();
    return adapter instanceof DirectAdapter && db.isTransaction ? adapter.run(bound) : await db.executeQuery(bound);
  };
}

export function isPostgres(db: Db | Tx): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

function compile<Values extends readonly unknown[], Row>(
  db: Db | Tx,
  build: (db: Db | Tx, ...slots: Slots<Values>) => CompiledQuery<Row>,
): CompiledQuery<Row> {
  const slots = Array.from({ length: build.length - 1 }, (_, at) => new Slot(at));
  const query = build(db, ...(slots.map((slot) => sql`${slot}`) as unknown as Slots<Values>));
  for (const slot of slots) assert(query.parameters.includes(slot), `value ${slot.at + 1} stands in the query`);
  return query;
}
