// What a floor against which something speaks says of the way out: no newer release is one, for it has the same floor.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { floorGates } from '../../src/domain/floor-gate.ts';
import { plan } from '../../src/domain/plan.ts';
import type { Release } from '../../src/domain/release.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import type { LaneCensus, Snapshot } from '../../src/domain/snapshot.ts';
import { testRelease } from '../support/fixtures.ts';
import { NOW, waiting } from '../support/plans.ts';
import { availabilityOf, censusOf, PLATFORM, rolloutOf, snapshotOf, vetoOf } from '../support/snapshots.ts';

function gateOf(floor: Partial<Release>, snapshot: Partial<Snapshot> = {}) {
  const rollout: Rollout = rolloutOf('1.2.0', [waiting('eu')]);
  const [lane] = rollout.lanes;
  assert(lane !== undefined);
  const lanes = [{ ...censusOf(rollout, lane), floors: [{ version: '1.1.0', platforms: [PLATFORM] }] }];
  const releases = [testRelease('1.1.0', floor), testRelease('1.2.0')];
  const found = snapshotOf({ releases, rollouts: [rollout], lanes, ...snapshot });
  const input = { snapshot: found, rollouts: found.rollouts, rollout, lane, now: NOW };
  return floorGates(input)
    .map((ask) => ask())
    .find(({ result }) => result !== 'pass');
}

const REMOVED = /or the config does not name 1\.1\.0 as a floor of agentd any more$/;

test('a vetoed floor fails, whoever has vetoed it, and names the verb that lifts the veto', () => {
  for (const automatic of [true, false]) {
    const gate = gateOf({}, { vetoes: [vetoOf('1.1.0', { automatic })] });
    assert.deepEqual([gate?.result, gate?.reason], ['fail', 'floor_missing']);
    assert.match(gate?.sentence ?? '', /1\.1\.0 is vetoed: harmful; .*tidegate release unveto agentd@1\.1\.0/);
    assert.match(gate?.sentence ?? '', REMOVED);
  }
});

test('a floor that is absent is missing; of one that nobody could look for that is not said', () => {
  const seenAs = (status: 'available' | 'absent' | 'unknown') => {
    const availability = [availabilityOf(testRelease('1.1.0'), 'eu', status)];
    return gateOf({}, { availability })?.reason;
  };
  assert.equal(seenAs('available'), undefined);
  assert.equal(seenAs('absent'), 'floor_missing');
  assert.equal(seenAs('unknown'), 'availability_unknown');
  assert.equal(gateOf({}, { availability: [] })?.reason, 'availability_unknown');
});

test('a withdrawn floor waits for its return; an altered one does not come back by itself', () => {
  const withdrawn = gateOf({ state: 'withdrawn', why: 'it is gone' });
  assert.equal(withdrawn?.result, 'wait');
  assert.match(withdrawn?.sentence ?? '', /passes when it is published again, or the config/);
  const altered = gateOf({ state: 'altered', why: 'its file changed' });
  assert.equal(altered?.result, 'fail');
  assert.match(altered?.sentence ?? '', /passes when the config does not name 1\.1\.0/);
  assert.equal(gateOf({}), undefined);
});

test('a floor that no release has holds a region in which nobody stands above it, and only that', () => {
  const shownWith = (census: Partial<LaneCensus>) => {
    const rollout = rolloutOf('1.2.0', [waiting('eu')]);
    const [lane] = rollout.lanes;
    assert(lane !== undefined);
    const missingFloors = [{ version: '1.1.0', agents: 3 }];
    const lanes = [{ ...censusOf(rollout, lane), missingFloors, ...census }];
    return plan(snapshotOf({ releases: [testRelease('1.2.0')], rollouts: [rollout], lanes }), NOW);
  };
  const held = shownWith({ eligible: 0, platforms: [], previews: [] });
  assert.deepEqual(held.actions, []);
  assert.equal(held.report[0]?.reason, 'floor_missing');
  assert.match(held.report[0]?.sentence ?? '', /no release has the version 1\.1\.0, and 3 agents must go there first/);
  assert.deepEqual(
    shownWith({}).actions.map(({ kind }) => kind),
    ['open_step'],
  );
});
