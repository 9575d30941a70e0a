// Contract: transactions, what the fleet remembers, and the audit chain.
import assert from 'node:assert/strict';
import { appendAudit, appendAudits, listAudit, verifyAudit } from '../../src/store/audit.ts';
import { type Database, transaction } from '../../src/store/database.ts';
import { ensureFleet, getMeta, loadEpoch, loadObserved, saveObserved, setMeta } from '../../src/store/meta.ts';
import type { Tx } from '../../src/store/schema.ts';
import type { Cases } from './contract.ts';
import { T0 } from './fixtures.ts';

export const transactionCases: Cases = {
  'transaction: commits what it did and returns what it was given': async (database) => {
    const result = await transaction(database, async (tx) => {
      await setMeta(tx, 'colour', 'green');
      return 7;
    });
    assert.equal(result, 7);
    assert.equal(await getMeta(database.db, 'colour'), 'green');
  },

  'transaction: leaves nothing behind when the function throws, and throws the same error, once': async (database) => {
    const failure = new Error('no');
    let runs = 0;
    const running = transaction(database, async (tx) => {
      runs += 1;
      await setMeta(tx, 'colour', 'red');
      throw failure;
    });
    await assert.rejects(running, failure);
    assert.equal(runs, 1);
    assert.equal(await getMeta(database.db, 'colour'), undefined);
  },

  'transaction: loses no update when eight read and write the same row': async (database) => {
    await transaction(database, (tx) => setMeta(tx, 'count', '0'));
    await atOnce(8, () =>
      transaction(database, async (tx) => {
        await setMeta(tx, 'count', String(Number(await getMeta(tx, 'count')) + 1));
        await appendAudit(tx, event('count'));
      }),
    );
    assert.equal(await getMeta(database.db, 'count'), '8');
  },

  'ensureFleet: creates once, then keeps': async (database) => {
    const first = await transaction(database, (tx) => ensureFleet(tx, T0));
    assert.match(first.fleetId, /^[0-9a-f-]{36}$/);
    assert.deepEqual([first.epoch, first.observedMs], [1, 0]);
    await transaction(database, (tx) => setMeta(tx, 'epoch', '2'));
    assert.deepEqual(await transaction(database, (tx) => ensureFleet(tx, T0 + 1)), { ...first, epoch: 2 });
    assert.equal(await loadEpoch(database.db), 2);
  },

  'saveObserved: only grows': async (database) => {
    await transaction(database, (tx) => ensureFleet(tx, T0));
    for (const [given, expected] of [
      [900.5, 900],
      [10_000, 10_000],
      [9_999, 10_000],
    ] as const) {
      await transaction(database, (tx) => saveObserved(tx, given));
      assert.equal(await loadObserved(database.db), expected);
    }
  },

  'audit: an empty chain is right': async (database) => {
    assert.deepEqual(await verifyAudit(database.db), { ok: true, count: 0 });
  },

  'audit: lists newest first and keeps the data': async (database) => {
    await appendAll(database, 3);
    const entries = await listAudit(database.db, { limit: 2 });
    assert.deepEqual(
      entries.map(({ hash: _, ...entry }) => entry),
      [
        { ...event('act-2'), seq: 3 },
        { ...event('act-1'), seq: 2 },
      ],
    );
  },

  'audit: goes back with the transaction that it belongs to': async (database) => {
    await appendAll(database, 1);
    const failing = transaction(database, async (tx) => {
      await appendAudit(tx, event('never'));
      throw new Error('no');
    });
    await assert.rejects(failing);
    await appendAll(database, 1);
    assert.deepEqual(await verifyAudit(database.db), { ok: true, count: 2 });
  },

  'audit: appenders at once make one chain': async (database) => {
    await atOnce(12, (index) => transaction(database, (tx) => appendAudit(tx, event(`act-${index}`))));
    assert.deepEqual(await verifyAudit(database.db), { ok: true, count: 12 });
  },

  'verifyAudit: finds a changed, a missing and a cut-off row': async (database) => {
    await appendAll(database, 5);
    const damages: [(tx: Tx) => Promise<unknown>, number][] = [
      [(tx) => tx.updateTable('audit').set({ actor: 'mallory' }).where('seq', '=', 3).execute(), 3],
      [(tx) => tx.updateTable('audit').set({ data: '{}' }).where('seq', '=', 1).execute(), 1],
      [(tx) => tx.deleteFrom('audit').where('seq', '=', 2).execute(), 2],
      [(tx) => tx.deleteFrom('audit').where('seq', '=', 5).execute(), 5],
      [(tx) => tx.deleteFrom('audit').execute(), 1],
    ];
    for (const [damage, seq] of damages) {
      const look = transaction(database, async (tx) => {
        await damage(tx);
        throw new Found(await verifyAudit(tx));
      });
      await assert.rejects(look, (error) => {
        assert.deepEqual((error as Found).result, { ok: false, seq });
        return true;
      });
    }
    assert.deepEqual(await verifyAudit(database.db), { ok: true, count: 5 });
  },
};

/** Carries a result out of a transaction that is to be undone. */
class Found extends Error {
  readonly result: unknown;
  constructor(result: unknown) {
    super('found');
    this.result = result;
  }
}

function event(action: string) {
  return { at: T0, actor: 'anna', action, subject: 'rollout-1', data: { text: 'ß "quoted"', list: [1, null] } };
}

async function appendAll(database: Database, count: number): Promise<void> {
  const events = Array.from({ length: count }, (_, index) => event(`act-${index}`));
  await transaction(database, (tx) => appendAudits(tx, events));
}

async function atOnce(count: number, run: (index: number) => Promise<unknown>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => run(index)));
}
