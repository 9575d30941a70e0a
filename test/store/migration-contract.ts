// What the migrator must do on every database: all or nothing at each statement, once, and no changed history.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { KyselyPlugin } from 'kysely';
import { AppError } from '../../src/errors.ts';
import { type DatabaseKind, type Migration, migrate, readMigrations, statementsOf } from '../../src/store/migrate.ts';
import type { Db } from '../../src/store/schema.ts';
import { T0 } from './fixtures.ts';

/** `open` gives an empty database, not migrated. */
export async function migrationContract(t: TestContext, kind: DatabaseKind, open: () => Promise<Db>): Promise<void> {
  const real = readMigrations('migrations');

  await t.test('migrate: stopped at any statement, it leaves the old schema; then it goes through', async () => {
    const db = await open();
    const queries = real.map((migration) => statementsOf(migration.text, kind).length + 2);
    const enough = queries.reduce((sum, count) => sum + count, 10);
    let stopped = 0;
    for (let at = 1; at <= enough; at += 1) {
      const before = await schemaOf(db, kind);
      try {
        await migrate(db.withPlugin(stopAt(at)), kind, real.slice(0, 1), T0);
        break;
      } catch (error) {
        assert.match(String(error), /stopped/);
        stopped += 1;
        assert.deepEqual(await schemaOf(db, kind), before, `query ${at}`);
      }
    }
    assert.ok(stopped >= queries[0]!, `${stopped} stops`);
    assert.ok((await schemaOf(db, kind)).includes('attempts'));
    await db.destroy();
  });

  await t.test('migrate: applies what is missing, in order, once', async () => {
    const db = await open();
    const [one, two] = [migration(1, 'create table a (x integer);'), migration(2, 'alter table a add column y text;')];
    assert.deepEqual(await migrate(db, kind, [one], T0), [1]);
    assert.deepEqual(await migrate(db, kind, [one, two], T0 + 1), [2]);
    assert.deepEqual(await migrate(db, kind, [one, two], T0 + 2), []);
    const rows = await db.selectFrom('schema_version').selectAll().orderBy('version').execute();
    assert.deepEqual(
      rows.map((row) => [row.version, row.name, row.sha256, row.applied_at]),
      [
        [1, 'm1', one.sha256, T0],
        [2, 'm2', two.sha256, T0 + 1],
      ],
    );
    await db.destroy();
  });

  await t.test('migrate: a later migration that fails leaves the earlier ones', async () => {
    const db = await open();
    const broken = migration(2, 'create table b (x integer); create table a (x integer);');
    await assert.rejects(migrate(db, kind, [migration(1, 'create table a (x integer);'), broken], T0));
    assert.deepEqual(await schemaOf(db, kind), ['a', 'schema_version']);
    await db.destroy();
  });

  await t.test('migrate: refuses a changed text and a newer schema before it changes anything', async () => {
    const db = await open();
    const [one, two] = [migration(1, 'create table a (x integer);'), migration(2, 'create table b (x integer);')];
    await migrate(db, kind, [one], T0);
    const changed = migration(1, 'create table a (x integer, y integer);');
    await assert.rejects(migrate(db, kind, [changed, two], T0), isCode('database_unusable'));
    await assert.rejects(migrate(db, kind, [], T0), isCode('database_newer'));
    assert.deepEqual(await schemaOf(db, kind), ['a', 'schema_version']);
    await db.destroy();
  });
}

export function migration(version: number, text: string): Migration {
  return { version, name: `m${version}`, text, sha256: createHash('sha256').update(text).digest('hex') };
}

/** Names of the tables. */
async function schemaOf(db: Db, kind: DatabaseKind): Promise<string[]> {
  const tables = await db.introspection.getTables();
  const ours = kind === 'postgres' ? tables.filter((table) => table.schema === 'public') : tables;
  return ours.map((table) => table.name).sort();
}

/** Fails the n-th query that comes through. */
function stopAt(at: number): KyselyPlugin {
  let seen = 0;
  return {
    transformQuery: ({ node }) => {
      seen += 1;
      if (seen === at) throw new Error(`stopped at query ${at}`);
      return node;
    },
    transformResult: async ({ result }) => result,
  };
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.code === code;
}
