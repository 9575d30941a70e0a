// The store on SQLite: the contract, and what holds for a file.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { AppError } from '../../src/errors.ts';
import { openDatabase, transaction } from '../../src/store/database.ts';
import { getMeta, setMeta } from '../../src/store/meta.ts';
import { APPLICATION_ID, assertVersion } from '../../src/store/sqlite.ts';
import { storeContract } from './contract.ts';

test('the store on SQLite', async (t) => {
  const directory = temporary(t);
  let count = 0;
  await storeContract(t, () => openDatabase(`sqlite:${join(directory, `${(count += 1)}.sqlite`)}`));
});

test('openDatabase: a new file in a new directory, for its owner alone', async (t) => {
  const directory = join(temporary(t), 'data');
  const path = join(directory, 'tidegate.sqlite');
  const database = await openDatabase(`sqlite:${path}`);
  assert.deepEqual([database.kind, database.path], ['sqlite', path]);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(directory).sort(), [
    'tidegate.sqlite',
    'tidegate.sqlite-shm',
    'tidegate.sqlite-wal',
    'tidegate.sqlite.lock',
  ]);
  for (const name of readdirSync(directory)) {
    assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  }
  await database.close();
  await database.close();
});

test('openDatabase: the settings hold on every open', async (t) => {
  const path = join(temporary(t), 'tidegate.sqlite');
  for (const time of ['first', 'second', 'third']) {
    const database = await openDatabase(`sqlite:${path}`);
    const pragma = async (name: string) => {
      const { rows } = await sql.raw(`pragma ${name}`).execute(database.db);
      return Object.values(rows[0] as object)[0];
    };
    const expected = {
      journal_mode: 'wal',
      synchronous: 2,
      foreign_keys: 1,
      trusted_schema: 0,
      cell_size_check: 1,
      journal_size_limit: 67_108_864,
      application_id: APPLICATION_ID,
    };
    for (const [name, value] of Object.entries(expected))
      assert.equal(await pragma(name), value, `${name}, ${time} open`);
    assert.ok(((await pragma('busy_timeout')) as number) > 0);
    await database.close();
  }
});

test('openDatabase: every table is strict', async () => {
  const database = await openDatabase('sqlite::memory:');
  assert.equal(database.path, null);
  const { rows } = await sql<{ name: string; strict: number }>`
    select name, strict from pragma_table_list where schema = 'main' and name not like 'sqlite_%'`.execute(database.db);
  assert.ok(rows.length > 15);
  assert.deepEqual(
    rows.filter((row) => row.strict !== 1),
    [],
  );
  await database.close();
});

test('openDatabase: what was committed is there after a new open', async (t) => {
  const url = `sqlite:${join(temporary(t), 'tidegate.sqlite')}`;
  const first = await openDatabase(url);
  await transaction(first, (tx) => setMeta(tx, 'colour', 'green'));
  await first.close();
  const second = await openDatabase(url);
  assert.equal(await getMeta(second.db, 'colour'), 'green');
  await second.close();
});

test('openDatabase: a second server in the same process is refused, and let in after close', async (t) => {
  const path = join(temporary(t), 'tidegate.sqlite');
  const first = await openDatabase(`sqlite:${path}`);
  await assert.rejects(openDatabase(`sqlite:${path}`), lockedFor(path));
  symlinkSync(path, `${path}-link`);
  await assert.rejects(openDatabase(`sqlite:${path}-link`), lockedFor(path));
  const other = holdOpen(t, path);
  assert.equal(await lineOf(other), 'database_locked', 'having been refused has not loosened the first lock');
  await first.close();
  await (await openDatabase(`sqlite:${path}`)).close();
});

test('openDatabase: a second server in another process is refused, and let in after kill -9', async (t) => {
  const path = join(temporary(t), 'tidegate.sqlite');
  const other = holdOpen(t, path);
  assert.equal(await lineOf(other), 'open');
  await assert.rejects(openDatabase(`sqlite:${path}`), lockedFor(path));
  other.kill('SIGKILL');
  await once(other, 'exit');
  const database = await openDatabase(`sqlite:${path}`);
  assert.equal(await getMeta(database.db, 'colour'), 'green', 'what the other had committed is there');
  await database.close();
});

test('openDatabase: a newer schema is refused and left as it was', async (t) => {
  const directory = temporary(t);
  const path = join(directory, 'tidegate.sqlite');
  const database = await openDatabase(`sqlite:${path}`);
  await database.db
    .insertInto('schema_version')
    .values({ version: 99, name: 'future', sha256: 'f'.repeat(64), applied_at: 0 })
    .execute();
  await database.close();
  const before = contentOf(directory);
  await assert.rejects(openDatabase(`sqlite:${path}`), isCode('database_newer'));
  assert.deepEqual(contentOf(directory), before);
});

test('openDatabase: the database of another program is refused and left as it was', async (t) => {
  const directory = temporary(t);
  for (const applicationId of [0, 42]) {
    const path = join(directory, `other-${applicationId}.sqlite`);
    const other = new Sqlite(path);
    other.exec(`pragma application_id = ${applicationId}; create table notes (text text)`);
    other.close();
    const before = contentOf(directory);
    await assert.rejects(openDatabase(`sqlite:${path}`), isCode('database_unusable'));
    assert.deepEqual(contentOf(directory), before);
  }
});

test('openDatabase: a file that is no database is refused and left as it was', async (t) => {
  const directory = temporary(t);
  const path = join(directory, 'notes.txt');
  writeFileSync(path, 'buy milk\n'.repeat(1000));
  const before = contentOf(directory);
  await assert.rejects(openDatabase(`sqlite:${path}`), isCode('database_unusable'));
  assert.deepEqual(contentOf(directory), before);
});

test('openDatabase: a damaged file is refused', async (t) => {
  const path = join(temporary(t), 'tidegate.sqlite');
  await (await openDatabase(`sqlite:${path}`)).close();
  const bytes = readFileSync(path);
  assert.ok(bytes.length > 20 * 4096);
  bytes.fill(0xa5, 4096, bytes.length);
  writeFileSync(path, bytes);
  await assert.rejects(openDatabase(`sqlite:${path}`), isCode('database_unusable'));
});

test('openDatabase: a path that cannot be a file is refused', async (t) => {
  const directory = temporary(t);
  await assert.rejects(openDatabase(`sqlite:${directory}`), isCode('database_unusable'));
  writeFileSync(join(directory, 'file'), '');
  await assert.rejects(openDatabase(`sqlite:${join(directory, 'file', 'x.sqlite')}`), isCode('database_unusable'));
  await assert.rejects(openDatabase('mysql://localhost/x'), isCode('config_invalid'));
});

test('transaction: waits for another program that writes, and then goes through', async (t) => {
  const path = join(temporary(t), 'tidegate.sqlite');
  const database = await openDatabase(`sqlite:${path}`);
  const shell = new Sqlite(path);
  shell.exec('begin immediate');
  // Released from this same thread, while `transaction` pauses between two tries.
  setTimeout(() => shell.exec('commit'), 1);
  await transaction(database, (tx) => setMeta(tx, 'colour', 'green'));
  shell.close();
  assert.equal(await getMeta(database.db, 'colour'), 'green');
  await database.close();
});

for (const [version, fine] of [
  ['3.51.2', false],
  ['3.9.9', false],
  ['2.99.99', false],
  ['3.51.3', true],
  ['3.54.1', true],
  ['4.0.0', true],
] as const) {
  test(`assertVersion('${version}') ${fine ? 'passes' : 'refuses'}`, () => {
    if (fine) assertVersion(version);
    else assert.throws(() => assertVersion(version), isCode('database_unusable'));
  });
}

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-store-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Names and bytes of the files in a directory, lock files aside. */
function contentOf(directory: string): Record<string, string> {
  const names = readdirSync(directory).filter((name) => !name.endsWith('.lock'));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, name), 'base64')]));
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, code);
    return true;
  };
}

function lockedFor(path: string): (error: unknown) => boolean {
  return (error) => isCode('database_locked')(error) && (error as AppError).message.includes(path);
}

/** A process that has the database open, or says the code of the error that it met. */
function holdOpen(t: TestContext, path: string): ChildProcess {
  const store = join(import.meta.dirname, '../../src/store');
  const program = `
    const { openDatabase, transaction } = await import(${JSON.stringify(join(store, 'database.ts'))});
    const { setMeta } = await import(${JSON.stringify(join(store, 'meta.ts'))});
    try {
      const database = await openDatabase(${JSON.stringify(`sqlite:${path}`)});
      await transaction(database, (tx) => setMeta(tx, 'colour', 'green'));
      setInterval(() => {}, 1000);
      // The collector gets its chance at what nobody holds any more: a lock is not to be lost that way.
      setImmediate(() => {
        gc();
        setImmediate(() => console.log('open'));
      });
    } catch (error) {
      console.log(error.code);
    }`;
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function lineOf(child: ChildProcess): Promise<string> {
  assert.ok(child.stdout);
  const [data] = await once(child.stdout, 'data');
  return String(data).trim();
}
