// What plans read again and again is remembered on SQLite for as long as nobody has written to its tables, whoever that is.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import { deleteBrake, listBrakes, listVetoes, putBrake } from '../../src/store/controls.ts';
import { type Database, openDatabase, transaction } from '../../src/store/database.ts';
import { T0 } from './fixtures.ts';

const BRAKE = { scope: 'fleet', actor: 'dana', reason: 'night', at: T0 } as const;

const read = (database: Database) => transaction(database, (tx) => listBrakes(tx));

test('listBrakes: the same list until somebody writes to its table', async (t) => {
  const { database } = await openFile(t);
  const first = await read(database);
  assert.deepEqual(first, []);
  assert.equal(await read(database), first);
  await transaction(database, (tx) => putBrake(tx, BRAKE, 0));
  const second = await read(database);
  assert.deepEqual(second, [BRAKE]);
  await transaction(database, async (tx) => {
    await sql`update "meta" set value = value`.execute(tx);
    assert.equal(await listBrakes(tx), second, 'another table');
    assert.deepEqual(await listVetoes(tx), []);
    await deleteBrake(tx, 'fleet');
    assert.deepEqual(await listBrakes(tx), [], 'what this transaction has written itself');
  });
  assert.deepEqual(await listBrakes(database.db), []);
});

test('listBrakes: what was rolled back was never there', async (t) => {
  const { database } = await openFile(t);
  await read(database);
  const undone = transaction(database, async (tx) => {
    await putBrake(tx, BRAKE, 0);
    assert.deepEqual(await listBrakes(tx), [BRAKE]);
    throw new Error('undo');
  });
  await assert.rejects(undone, /undo/);
  assert.deepEqual(await read(database), []);
});

test('listBrakes: a person writes to the file with another program', async (t) => {
  const { database, path } = await openFile(t);
  assert.deepEqual(await read(database), []);
  const other = new Sqlite(path);
  other
    .prepare("insert into brakes (scope, actor, reason, at, since_observed) values ('fleet', 'dana', 'night', ?, 0)")
    .run(T0);
  other.close();
  assert.deepEqual(await read(database), [BRAKE]);
});

test('listBrakes: whoever is given the list cannot change what the next one reads', async (t) => {
  const { database } = await openFile(t);
  await transaction(database, (tx) => putBrake(tx, BRAKE, 0));
  const list = await read(database);
  assert.throws(() => list.pop(), TypeError);
  assert.throws(() => Object.assign(list[0] ?? {}, { scope: 'us' }), TypeError);
});

const TEXTS: [text: string, revised: string[]][] = [
  ['select * from "brakes"', []],
  ['insert into "brakes" select * from "brakes" where false', ['brakes']],
  ['replace into "brakes" select * from brakes where false', ['brakes']],
  ['UPDATE OR IGNORE Brakes set scope = scope where false', ['brakes']],
  ['with v as (select 1) delete from vetoes where exists (select * from v where false)', ['vetoes']],
  ['update meta set value = value', []],
];
for (const [text, revised] of TEXTS) {
  test(`which lists are read anew after ${text}`, async (t) => {
    const { database } = await openFile(t);
    const lists = () => transaction(database, async (tx) => [await listBrakes(tx), await listVetoes(tx)]);
    const before = await lists();
    await sql.raw(text).execute(database.db);
    const after = await lists();
    const found = ['brakes', 'vetoes'].filter((_, at) => after[at] !== before[at]);
    assert.deepEqual(found, revised);
  });
}

async function openFile(t: TestContext): Promise<{ database: Database; path: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-remembered-'));
  const path = join(directory, 'tidegate.sqlite');
  const database = await openDatabase(`sqlite:${path}`);
  t.after(async () => {
    await database.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { database, path };
}
