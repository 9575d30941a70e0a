// Queries that are compiled once, and databases in memory that are migrated once: what one run leaves must not reach the next.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawBuilder } from 'kysely';
import { openDatabase, transaction } from '../../src/store/database.ts';
import { getMeta, setMeta } from '../../src/store/meta.ts';
import { prepared } from '../../src/store/prepared.ts';

test('a prepared query is built once, and bound anew for each run and each database', async () => {
  let built = 0;
  const find = prepared((db, value: RawBuilder<string>, key: RawBuilder<string>) => {
    built += 1;
    return db.selectFrom('meta').select('value').where('key', '=', key).where('value', '<>', value).compile();
  });
  for (const own of ['first', 'second']) {
    const database = await openDatabase('sqlite::memory:');
    await transaction(database, async (tx) => {
      await setMeta(tx, 'a', own);
      await setMeta(tx, 'b', 'other');
      assert.deepEqual((await find(tx, 'x', 'a')).rows, [{ value: own }]);
    });
    assert.deepEqual((await find(database.db, 'x', 'b')).rows, [{ value: 'other' }]);
    assert.deepEqual((await find(database.db, own, 'a')).rows, []);
    await database.close();
  }
  assert.equal(built, 1);
});

test('a value that the query does not ask for is a bug', async () => {
  const database = await openDatabase('sqlite::memory:');
  const forgets = prepared((db, _key: RawBuilder<string>) => db.selectFrom('meta').selectAll().compile());
  await assert.rejects(() => forgets(database.db, 'a'), /value 1 stands in the query/);
  await database.close();
});

test('a second database in memory has the schema of the first and none of its rows', async () => {
  const first = await openDatabase('sqlite::memory:');
  await transaction(first, (tx) => setMeta(tx, 'mine', '1'));
  const second = await openDatabase('sqlite::memory:');
  const versions = async ({ db }: typeof first) =>
    (await db.selectFrom('schema_version').select('version').execute()).length;
  assert.ok((await versions(second)) > 0);
  assert.equal(await versions(second), await versions(first));
  assert.equal(await getMeta(second.db, 'mine'), undefined);
  await transaction(second, (tx) => setMeta(tx, 'mine', '2'));
  assert.equal(await getMeta(first.db, 'mine'), '1');
  await Promise.all([first.close(), second.close()]);
});
