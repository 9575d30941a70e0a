// Contract: rollouts, lanes, steps and holds.
import assert from 'node:assert/strict';
import type { Lane, LaneState } from '../../src/domain/rollout.ts';
import { type Database, transaction } from '../../src/store/database.ts';
import { changeHold, holdDurations, openHolds } from '../../src/store/holds.ts';
import { baselinesInForce } from '../../src/store/operator-views.ts';
import { saveRelease } from '../../src/store/releases.ts';
import {
  endRollout,
  insertLane,
  insertRollout,
  insertStep,
  listRollouts,
  loadLanes,
  loadMembers,
  loadRollout,
  saveLane,
  saveStep,
} from '../../src/store/rollouts.ts';
import { type Cases, refuses } from './contract.ts';
import { makeRelease, makeRollout, makeStep, makeWorld, T0 } from './fixtures.ts';

const soaking: LaneState = { name: 'soaking', step: 1, since: T0, observedMs: 5000 };

const EVERY_STATE: LaneState[] = [
  { name: 'waiting', since: T0 },
  { name: 'open', step: 0, since: T0 },
  soaking,
  { name: 'approval', step: 1, since: T0 },
  { name: 'paused', since: T0, by: 'anna', reason: 'a "look"', resume: soaking, soakedMs: 12 },
  { name: 'halted', since: T0, by: 'system', reason: 'bad', step: null },
  { name: 'rolling_back', since: T0, by: 'anna', reason: 'bad', to: { version: '1.0.0', releaseId: 'r' } },
  { name: 'rolled_back', since: T0, to: '1.0.0' },
  { name: 'completed', since: T0, evidence: false },
  { name: 'superseded', since: T0, by: '1.3.0' },
  { name: 'cancelled', since: T0, by: 'anna', reason: 'wrong release' },
];

export const rolloutCases: Cases = {
  'baselinesInForce: the release of each baseline lane that has not ended, by product and region': async (database) => {
    const release = makeRelease();
    const rollout = makeRollout(release, { north: { name: 'completed', since: T0, evidence: true } });
    const [done] = rollout.lanes as [Lane];
    const lane = (region: string, state: LaneState): Lane => ({
      ...done,
      id: `b-${region}`,
      kind: 'baseline',
      region,
      state,
    });
    await transaction(database, async (tx) => {
      await saveRelease(tx, release);
      await insertRollout(tx, rollout);
      await insertLane(tx, lane('south', { name: 'halted', since: T0, by: 'system', reason: 'bad', step: 0 }));
      await insertLane(tx, lane('north', { name: 'open', step: 0, since: T0 }));
      await insertLane(tx, lane('west', { name: 'superseded', since: T0, by: rollout.id }));
    });
    const { product, version } = rollout;
    assert.deepEqual(
      await baselinesInForce(database.db),
      new Map([
        [
          product,
          [
            { region: 'north', version, state: 'open' },
            { region: 'south', version, state: 'halted' },
          ],
        ],
      ]),
    );
  },

  'insertRollout: gives back every lane state as it was given': async (database) => {
    const release = makeRelease();
    const states = Object.fromEntries(EVERY_STATE.map((state, index) => [`region-${index}`, state]));
    const rollout = makeRollout(release, states);
    await transaction(database, async (tx) => {
      await saveRelease(tx, release);
      await insertRollout(tx, rollout);
    });
    assert.deepEqual(await loadRollout(database.db, rollout.id), rollout);
    assert.equal(await loadRollout(database.db, release.id), undefined);
  },

  'listRollouts: newest first, by product, live only, limited': async (database) => {
    const release = makeRelease();
    const rollouts = ['1.0.0', '1.1.0', '1.2.0'].map((version, index) =>
      makeRollout({ ...release, version }, { eu: { name: 'waiting', since: T0 } }, { createdAt: T0 + index }),
    );
    await transaction(database, async (tx) => {
      await saveRelease(tx, release);
      for (const rollout of rollouts) await insertRollout(tx, rollout);
      await endRollout(tx, rollouts[0]!.id, T0 + 50);
      await endRollout(tx, rollouts[0]!.id, T0 + 60);
    });
    const [oldest, middle, newest] = rollouts;
    const ended = { ...oldest!, endedAt: T0 + 50 };
    assert.deepEqual(await listRollouts(database.db), [newest, middle, ended]);
    assert.deepEqual(await listRollouts(database.db, { liveOnly: true, product: 'probe' }), [newest, middle]);
    assert.deepEqual(await listRollouts(database.db, { limit: 1 }), [newest]);
    assert.deepEqual(await listRollouts(database.db, { product: 'relay' }), []);
  },

  'insertRollout: a release goes out once': async (database) => {
    const { release } = await makeWorld(database, 0);
    assert.ok(await refuses(() => transaction(database, (tx) => insertRollout(tx, makeRollout(release, {})))));
  },

  'lanes: one live lane for each product and region, in any live state': async (database) => {
    const { release } = await makeWorld(database, 0);
    const insert = (version: string, region: string, state: LaneState) =>
      transaction(database, (tx) => insertRollout(tx, makeRollout({ ...release, version }, { [region]: state })));
    const paused = EVERY_STATE[4] as LaneState;
    assert.ok(await refuses(() => insert('2.0.0', 'eu', paused)));
    await insert('2.0.0', 'us', paused);
    await insert('2.1.0', 'eu', { name: 'halted', since: T0, by: 'anna', reason: 'x', step: 0 });
  },

  'saveLane: writes where the revision is the expected one, and nowhere else': async (database) => {
    const { lane } = await makeWorld(database, 0);
    const moved: Lane = { ...lane, state: soaking, budgetEpoch: 1, allowance: 2, revision: 1 };
    const save = (expected: number, revision: number) =>
      transaction(database, (tx) => saveLane(tx, { ...moved, revision }, expected));
    assert.equal(await save(0, 1), true);
    assert.deepEqual(await loadLanes(database.db, [lane.id]), [moved]);
    assert.equal(await save(0, 1), false);
    await assert.rejects(save(1, 1), /new revision/);
    assert.deepEqual(await loadLanes(database.db, [lane.id]), [moved]);
  },

  'saveLane: of two who read the same revision, one wins': async (database) => {
    const { lane } = await makeWorld(database, 0);
    const results = await Promise.all(
      [1, 2].map((allowance) =>
        transaction(database, async (tx) => {
          const [read] = await loadLanes(tx, [lane.id], { forUpdate: true });
          if (read!.revision !== 0) return false;
          return await saveLane(tx, { ...read!, allowance, revision: 1 }, 0);
        }),
      ),
    );
    assert.deepEqual(results.sort(), [false, true]);
  },

  'insertStep, saveStep, loadMembers: the members stay, counters and done change': async (database) => {
    const { lane } = await makeWorld(database, 0);
    const members = new Uint8Array(20_000).map((_, index) => index % 251);
    const first = makeStep();
    const second = makeStep({ step: 1, openedAt: T0 + 1, size: 40, threshold: 0, thresholdId: '' });
    await transaction(database, async (tx) => {
      await insertStep(tx, lane.id, second, new Uint8Array());
      await insertStep(tx, lane.id, first, members);
    });
    assert.deepEqual(await loadLanes(database.db, [lane.id, 'unknown']), [{ ...lane, steps: [first, second] }]);
    assert.deepEqual(await loadMembers(database.db, lane.id, 0), members);
    assert.deepEqual(await loadMembers(database.db, lane.id, 1), new Uint8Array());
    const counters = {
      pending: 1,
      downloading: 1,
      hot: 2,
      hotMembers: 3,
      succeeded: 4,
      bad: 5,
      badMembers: 6,
      badHops: 3,
      declined: 7,
      failedBeforeGrant: 8,
      inconclusive: 9,
      exhausted: 10,
    };
    await transaction(database, (tx) => saveStep(tx, lane.id, { ...first, size: 99, done: true, counters }));
    const [loaded] = await loadLanes(database.db, [lane.id]);
    assert.deepEqual(loaded!.steps, [{ ...first, done: true, counters }, second]);
    await assert.rejects(loadMembers(database.db, lane.id, 7), /has been opened/);
  },

  'changeHold: one open hold, the same reason goes on, durations add up': async (database) => {
    const { lane } = await makeWorld(database, 0);
    const soak = (until: number) => ({ reason: 'soaking' as const, sentence: `until ${until}`, until });
    const brake = { reason: 'braked' as const, sentence: 'a person has set the brake', until: null };
    const open = async () => (await openHolds(database.db)).map((hold) => [hold.reason, hold.since, hold.until]);
    await set(database, lane, null, T0);
    assert.deepEqual(await open(), []);
    await set(database, lane, soak(T0 + 100), T0);
    await set(database, lane, { ...soak(T0 + 100), sentence: 'other words' }, T0 + 10);
    assert.equal((await openHolds(database.db))[0]!.sentence, 'other words');
    await set(database, lane, soak(T0 + 200), T0 + 20);
    assert.deepEqual(await open(), [['soaking', T0, T0 + 200]]);
    await set(database, lane, brake, T0 + 30);
    assert.deepEqual(await open(), [['braked', T0 + 30, null]]);
    await set(database, lane, soak(T0 + 300), T0 + 35);
    await set(database, lane, null, T0 + 45);
    assert.deepEqual(await open(), []);
    await set(database, lane, brake, T0 + 50);
    const durations = await holdDurations(database.db, [lane.id, 'unknown'], T0 + 150);
    assert.deepEqual(
      [...durations],
      [
        [
          lane.id,
          [
            { reason: 'braked', ms: 105 },
            { reason: 'soaking', ms: 40 },
          ],
        ],
      ],
    );
  },

  'changeHold: survives changes within one millisecond and a clock that goes back': async (database) => {
    const { lane } = await makeWorld(database, 0);
    const paused = { reason: 'paused' as const, sentence: 'x', until: null };
    const brake = { reason: 'braked' as const, sentence: 'x', until: null };
    for (const hold of [paused, brake, paused, null, paused]) await set(database, lane, hold, T0);
    assert.deepEqual(
      (await openHolds(database.db)).map((hold) => hold.reason),
      ['paused'],
    );
    await set(database, lane, brake, T0 - 1000);
    const durations = await holdDurations(database.db, [lane.id], T0 - 5000);
    assert.deepEqual(durations.get(lane.id), [
      { reason: 'braked', ms: 0 },
      { reason: 'paused', ms: 0 },
    ]);
  },
};

async function set(database: Database, lane: Lane, hold: Parameters<typeof changeHold>[2], at: number): Promise<void> {
  await transaction(database, (tx) => changeHold(tx, lane.id, hold, at));
}
