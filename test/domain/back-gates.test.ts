// What a lane that rolls back shows of what holds its agents: the same that `decide` tells them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainLane } from '../../src/domain/explain-lane.ts';
import { plan } from '../../src/domain/plan.ts';
import { backTargetOf } from '../../src/domain/roll-back.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { NOW, RELEASE } from '../support/plans.ts';
import { censusOf, laneIn, openedStep, PLATFORM, rolloutOf, snapshotOf, stateNamed } from '../support/snapshots.ts';

const BACK = { left: 1, out: 0, gone: 0, platforms: [PLATFORM] };

function goingBack(snapshot: Partial<Snapshot>, back = BACK): Snapshot {
  const lane = laneIn('eu', stateNamed('rolling_back'), { back: [openedStep({ step: -1 })] });
  const rollout = rolloutOf('1.1.0', [lane]);
  const lanes = rollout.lanes.map((one) => ({ ...censusOf(rollout, one), back }));
  return snapshotOf({ releases: [testRelease('1.0.0'), RELEASE], rollouts: [rollout], lanes, ...snapshot });
}

function explained(snapshot: Snapshot) {
  const rollout = snapshot.rollouts[0] as Snapshot['rollouts'][number];
  const lane = rollout.lanes[0] as (typeof rollout.lanes)[number];
  return explainLane({ snapshot, rollouts: snapshot.rollouts, rollout, lane, now: NOW });
}

const FULL = [{ window: 'hour' as const, max: 2, count: 2, leavesAt: NOW + 1_000 }];
const DOUBT = { since: START, why: 'it went 2 h back', until: NOW + 300_000 };
const OFF = { scope: 'fleet', actor: 'me', reason: 'no', at: START };

const ROWS: [title: string, snapshot: Partial<Snapshot>, reason: string, until: number | null][] = [
  ['a ceiling that is reached', { ceilings: FULL }, 'ceiling', NOW + 1_000],
  ['a clock that is doubted', { clock: DOUBT }, 'clock_suspect', NOW + 300_000],
  ['a doubted clock before a ceiling', { clock: DOUBT, ceilings: FULL }, 'clock_suspect', NOW + 300_000],
  ['a brake before both', { brakes: [OFF], clock: DOUBT, ceilings: FULL }, 'braked', null],
];

for (const [title, snapshot, reason, until] of ROWS) {
  test(`${title} holds the way back, and explain says so`, () => {
    const found = goingBack(snapshot);
    const hold = plan(found, NOW).report.find(({ subject }) => 'laneId' in subject);
    assert.deepEqual([hold?.reason, hold?.until], [reason, until]);
    const { sentence, gates } = explained(found);
    assert.deepEqual(gates.find((gate) => gate.result !== 'pass')?.reason, reason);
    assert(sentence.startsWith(hold?.sentence ?? 'nothing'), sentence);
  });
}

test('neither holds the end of a way back on which nobody is left', () => {
  const found = goingBack({ clock: DOUBT, ceilings: FULL }, { ...BACK, left: 0, platforms: [] });
  assert.deepEqual(
    plan(found, NOW).actions.map(({ kind }) => kind),
    ['finish_rollback', 'end_rollout'],
  );
});

test('backTargetOf: of a hundred versions that a region cannot go back to, the newest are named', () => {
  const lane = laneIn('eu', stateNamed('halted'));
  const rollout = rolloutOf('2.1.0', [lane]);
  const versions = Array.from({ length: 100 }, (_, index) => `1.${index}.0`);
  const snapshot = snapshotOf({
    products: [rules(testPolicy(), { floors: [{ version: '2.0.0', reason: 'the format changes' }] })],
    releases: [...versions, '2.1.0'].map((version) => testRelease(version)),
    baselines: versions.map((version, at) => ({ product: 'agentd', region: 'eu', version, releaseId: version, at })),
    rollouts: [rollout],
  });
  const below = (version: string) => `${version} lies below 2.0.0, which must not be jumped over`;
  const why = `${below('1.99.0')}; ${below('1.98.0')}; 98 older ones cannot be gone back to either`;
  assert.deepEqual(backTargetOf(snapshot, rollout, lane), { why });
});
