// Where a fleet of a test keeps its books: SQLite in memory, or where TEST_POSTGRES names a migrated database a copy of that.
import { sql } from 'kysely';
import { openPostgres } from '../../src/store/postgres.ts';

const TEMPLATE = process.env['TEST_POSTGRES'];

let count = 0;

export async function freshUrl(): Promise<string> {
  if (TEMPLATE === undefined) return 'sqlite::memory:';
  const url = new URL(TEMPLATE);
  const [template, name] = [url.pathname.slice(1), `fleet_${process.pid}_${(count += 1)}`];
  // Nobody may be connected to what is copied.
  url.pathname = '/template1';
  const admin = await openPostgres(url.href, () => {});
  try {
    await sql`create database ${sql.id(name)} template ${sql.id(template)}`.execute(admin);
  } finally {
    await admin.destroy();
  }
  url.pathname = `/${name}`;
  return url.href;
}
