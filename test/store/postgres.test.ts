// The store on PostgreSQL: the contract on a real server, and what holds for a server alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { toAppError } from '../../src/api/http-errors.ts';
import { AppError } from '../../src/errors.ts';
import { type Database, openDatabase, transaction } from '../../src/store/database.ts';
import { getMeta, setMeta } from '../../src/store/meta.ts';
import { readMigrations } from '../../src/store/migrate.ts';
import { isConnectionLost, openPostgres } from '../../src/store/postgres.ts';
import type { Db } from '../../src/store/schema.ts';
import { openLine } from '../support/line.ts';
import { withPostgres } from '../support/postgres.ts';
import { storeContract } from './contract.ts';
import { migrationContract } from './migration-contract.ts';

test('the store on PostgreSQL', async (t) => {
  const url = await withPostgres(t);
  if (url === undefined) return;
  const admin = await openPostgres(url, () => {});
  let count = 0;
  async function emptyUrl(): Promise<string> {
    const name = `test_${(count += 1)}`;
    await sql`create database ${sql.id(name)}`.execute(admin);
    return url!.replace(/postgres$/, name);
  }
  try {
    const shared = await openDatabase(await emptyUrl());
    await storeContract(t, async () => {
      await empty(shared.db);
      return { ...shared, close: async () => {} };
    });
    await shared.close();
    await migrationContract(t, 'postgres', async () => openPostgres(await emptyUrl(), () => {}));

    await t.test('openDatabase: two servers at once migrate once', async () => {
      const fresh = await emptyUrl();
      const both = await Promise.all([openDatabase(fresh), openDatabase(fresh)]);
      assert.equal((await versions(both[0].db)).length, readMigrations('migrations').length);
      for (const database of both) await database.close();
    });

    await t.test('openDatabase: a newer schema is refused', async () => {
      const fresh = await emptyUrl();
      const database = await openDatabase(fresh);
      await database.db
        .insertInto('schema_version')
        .values({ version: 99, name: 'future', sha256: 'f', applied_at: 0 })
        .execute();
      await database.close();
      await assert.rejects(openDatabase(fresh), isCode('database_newer'));
    });

    await t.test('openDatabase: commits wait for the disk, even where the database says otherwise', async () => {
      const fresh = await emptyUrl();
      await sql.raw(`alter database ${fresh.split('/').at(-1)} set synchronous_commit = off`).execute(admin);
      const database = await openDatabase(fresh);
      const { rows } = await sql`show synchronous_commit`.execute(database.db);
      assert.deepEqual(rows, [{ synchronous_commit: 'on' }]);
      await database.close();
    });

    await t.test('openDatabase: times and counts are numbers; one that is too large is an error', async () => {
      const database = await openDatabase(await emptyUrl());
      const { rows } = await sql`select cast(9007199254740991 as bigint) as a, count(*) as b from meta`.execute(
        database.db,
      );
      assert.deepEqual(rows, [{ a: Number.MAX_SAFE_INTEGER, b: 1 }]);
      await assert.rejects(sql`select cast(9007199254740992 as bigint)`.execute(database.db), /out of range/);
      await database.close();
    });

    await t.test('openDatabase: a wrong password is refused without naming it', async () => {
      await assert.rejects(openDatabase(url.replace('password', 'se-cret')), (error) => {
        assert.ok(isCode('database_unusable')(error) && !(error as Error).message.includes('se-cret'));
        return true;
      });
    });

    await t.test('transaction: gives up after five tries and throws what PostgreSQL said', async () => {
      const database: Database = await openDatabase(await emptyUrl());
      let runs = 0;
      const conflict = transaction(database, async (tx) => {
        runs += 1;
        await sql`do $$ begin raise exception 'conflict' using errcode = '40001'; end $$`.execute(tx);
      });
      await assert.rejects(conflict, { code: '40001' });
      assert.equal(runs, 5);
      await database.close();
    });

    await t.test(
      'openPostgres: what waits for a server that has gone without a word fails, and the next one works',
      async () => {
        const line = await openLine(t, await emptyUrl());
        const db = await openPostgres(line.url, () => {}, 200);
        line.goSilent();
        await assert.rejects(sql`select 1`.execute(db), /terminated/);
        line.recover();
        assert.deepEqual((await sql`select 1 as a`.execute(db)).rows, [{ a: 1 }]);
        await db.destroy();
      },
    );

    await t.test('transaction: a connection that breaks in the middle of it, or that PostgreSQL ends', async () => {
      const line = await openLine(t, await emptyUrl());
      const database = await openDatabase(line.url);
      const isAway = (error: unknown) =>
        isCode('not_ready')(error) && /nothing was written/i.test((error as AppError).hint);
      const breaks: ((pid: number) => Promise<void>)[] = [
        async () => line.goDown(),
        async (pid) => void (await sql`select pg_terminate_backend(${pid}::int)`.execute(admin)),
      ];
      for (const end of breaks) {
        const writing = transaction(database, async (tx) => {
          const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
          await setMeta(tx, 'lost', 'yes');
          await end(rows[0]?.pid ?? 0);
          await setMeta(tx, 'lost', 'twice');
        });
        await assert.rejects(writing, isAway);
        line.recover();
        assert.equal(await getMeta(database.db, 'lost'), undefined);
      }
      await database.close();
    });

    await t.test('isConnectionLost: a read whose connection broke, and no other error', async () => {
      const line = await openLine(t, await emptyUrl());
      const database = await openDatabase(line.url);
      const found = await getMeta(database.db, 'epoch')
        .then(() => sql`selec 1`.execute(database.db))
        .catch(isConnectionLost);
      assert.equal(found, false);
      const slow = sql`select pg_sleep(30)`.execute(database.db).catch((error: unknown) => error);
      await sql`select 1`.execute(admin);
      line.goDown();
      const error = await slow;
      assert.equal(isConnectionLost(error), true, String(error));
      assert.equal(toAppError(error).code, 'not_ready');
      line.recover();
      await database.close();
    });

    await t.test('openDatabase: connections that the server ends while idle are replaced', async () => {
      const errors: Error[] = [];
      const database = await openDatabase(await emptyUrl(), { onIdleError: (error) => errors.push(error) });
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${`test_${count}`}`.execute(admin);
      while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve));
      assert.equal((await versions(database.db)).length, readMigrations('migrations').length);
      await database.close();
    });
  } finally {
    await admin.destroy();
  }
});

test('openDatabase: a PostgreSQL that is not there is said to be so, without the password', async () => {
  await assert.rejects(openDatabase('postgres://anna:se-cret@127.0.0.1:1/tidegate'), (error) => {
    assert.ok(isCode('database_unusable')(error));
    assert.match((error as Error).message, /127\.0\.0\.1:1\/tidegate/);
    assert.doesNotMatch((error as Error).message, /se-cret/);
    return true;
  });
});

/** Much quicker than another database for each case. */
async function empty(db: Db): Promise<void> {
  const tables = (await db.introspection.getTables()).filter((table) => table.schema === 'public');
  const names = tables.map((table) => table.name).filter((name) => name !== 'schema_version' && name !== 'meta');
  await sql
    .raw(`begin; set local session_replication_role = replica;
    ${names.map((name) => `delete from ${name};`).join(' ')}
    delete from meta where key <> 'audit_head';
    update meta set value = '{"seq":0,"hash":"${'0'.repeat(64)}"}'; commit`)
    .execute(db);
}

async function versions(db: Db): Promise<number[]> {
  return (await db.selectFrom('schema_version').select('version').execute()).map((row) => row.version);
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, code);
    return true;
  };
}
