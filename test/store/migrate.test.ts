// The migrator: its contract on SQLite, how it reads a migration's text, and that kill -9 in the middle does no harm.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { openDatabase } from '../../src/store/database.ts';
import { readMigrations, statementsOf } from '../../src/store/migrate.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { migrationContract } from './migration-contract.ts';

test('the migrator on SQLite', async (t) => {
  await migrationContract(t, 'sqlite', async () => openSqlite(':memory:').db);
});

const TEXT = `-- A comment; with 'quotes and integer.
create table a (x integer primary key, y text default 'a;b -- integer''s'); -- and "another";
CREATE TABLE b (z INTEGER, "odd;name" text);
create unique index i on a (y) where x - 1 > 0;
insert into a (y) values ('-')`;

test('statementsOf(…, sqlite): tables are strict, comments are gone', () => {
  assert.deepEqual(statementsOf(TEXT, 'sqlite'), [
    `create table a (x integer primary key, y text default 'a;b -- integer''s') strict`,
    'CREATE TABLE b (z INTEGER, "odd;name" text) strict',
    'create unique index i on a (y) where x - 1 > 0',
    `insert into a (y) values ('-')`,
  ]);
});

test('statementsOf(…, postgres): integers are bigint', () => {
  const [a, b, , last] = statementsOf(TEXT, 'postgres');
  assert.match(a!, /^create table a \(x bigint primary key/);
  assert.equal(b, 'CREATE TABLE b (z bigint, "odd;name" text)');
  assert.equal(last, `insert into a (y) values ('-')`);
});

test('readMigrations: in order, without a gap', (t) => {
  const directory = temporary(t);
  writeFileSync(join(directory, '002-second.sql'), 'select 2;');
  writeFileSync(join(directory, 'notes.md'), '');
  assert.throws(() => readMigrations(directory), /out of order: 002-second.sql/);
  writeFileSync(join(directory, '001-first.sql'), 'select 1;');
  assert.deepEqual(
    readMigrations(directory).map(({ version, name }) => [version, name]),
    [
      [1, 'first'],
      [2, 'second'],
    ],
  );
});

// Before the statements: a look for the table of versions, before and in the transaction, and its creation.
const QUERIES = statementsOf(readMigrations('migrations')[0]!.text, 'sqlite').length + 4;

for (const statement of [3, QUERIES >> 1, QUERIES]) {
  test(`migrate: killed at query ${statement} of ${QUERIES}, the next start finds an empty file`, async (t) => {
    const path = join(temporary(t), 'tidegate.sqlite');
    const result = spawnSync(process.execPath, ['--input-type=module', '-e', killedAt(path, statement)], {
      encoding: 'utf8',
      timeout: 30_000,
    });
    assert.equal(result.signal, 'SIGKILL', result.stderr);
    const raw = new Sqlite(path);
    assert.deepEqual(raw.prepare('select name from sqlite_master').all(), []);
    raw.close();
    const database = await openDatabase(`sqlite:${path}`);
    const applied = await database.db.selectFrom('schema_version').selectAll().execute();
    assert.equal(applied.length, readMigrations('migrations').length);
    await database.close();
  });
}

function killedAt(path: string, statement: number): string {
  const store = join(import.meta.dirname, '../../src/store');
  return `
    const { openSqlite } = await import(${JSON.stringify(join(store, 'sqlite.ts'))});
    const { migrate, readMigrations } = await import(${JSON.stringify(join(store, 'migrate.ts'))});
    let seen = 0;
    const plugin = {
      transformQuery: ({ node }) => {
        if ((seen += 1) === ${statement}) process.kill(process.pid, 'SIGKILL');
        return node;
      },
      transformResult: async ({ result }) => result,
    };
    const { db } = openSqlite(${JSON.stringify(path)});
    await migrate(db.withPlugin(plugin), 'sqlite', readMigrations('migrations'), 0);`;
}

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-migrate-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
