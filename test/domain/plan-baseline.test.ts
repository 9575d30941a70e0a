// When a region gets its baseline lane, when it gives way, and when it halts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plan } from '../../src/domain/plan.ts';
import type { Baseline, Snapshot } from '../../src/domain/snapshot.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { counts, laneIn, openedStep, rolloutOf, snapshotOf, stateNamed, vetoOf } from '../support/snapshots.ts';

const NOW = START + 1000;
const POLICY = testPolicy({ waves: [['eu'], ['us']] });

function baseline(region: string, version = '1.1.0', at = START): Baseline {
  return { product: 'agentd', region, version, releaseId: `release-${version}`, at };
}

/** 1.1.0 has completed in eu and us. */
function settled(overrides: Partial<Snapshot> = {}): Snapshot {
  const lanes = [laneIn('eu', stateNamed('completed')), laneIn('us', stateNamed('completed'), { wave: 1 })];
  return snapshotOf({
    products: [rules(POLICY)],
    regions: ['eu', 'us', 'ap'],
    releases: [testRelease('1.1.0')],
    rollouts: [rolloutOf('1.1.0', lanes, { policy: POLICY, endedAt: START })],
    ...overrides,
  });
}

function lane(hot = 0) {
  const steps = [openedStep({ size: 0, counters: counts({ hot }) })];
  return laneIn('eu', stateNamed('open'), { id: 'base', kind: 'baseline', rolloutId: 'rollout-1.1.0', steps });
}

function shown(snapshot: Snapshot): string[] {
  return plan(snapshot, NOW).actions.map((action) =>
    'region' in action ? `${action.kind} ${action.region}` : action.kind,
  );
}

test('a region that completed with nobody takes the baseline of the others; one that the rollout never had does not', () => {
  assert.deepEqual(shown(settled({ baselines: [baseline('eu')] })), ['open_baseline eu', 'open_baseline us']);
});

test('a lane that is there already is left alone', () => {
  const snapshot = settled({ baselines: [baseline('eu')], baselineLanes: [lane()], regions: ['eu'] });
  assert.deepEqual(shown(snapshot), []);
});

test('a vetoed baseline is none: its lane ends once nothing is hot', () => {
  const vetoed = { baselines: [baseline('eu')], vetoes: [vetoOf('1.1.0')], regions: ['eu'] };
  assert.deepEqual(shown(settled({ ...vetoed, baselineLanes: [lane(1)] })), []);
  assert.deepEqual(shown(settled({ ...vetoed, baselineLanes: [lane(0)] })), ['supersede_lane']);
});

test('a budget that is spent within the window halts the lane and vetoes nothing', () => {
  const spent = settled({
    baselines: [baseline('eu')],
    baselineLanes: [lane()],
    recentBad: { base: 3 },
    regions: ['eu'],
  });
  const { actions, report } = plan(spent, NOW);
  assert.deepEqual(actions, [
    { kind: 'halt_lane', laneId: 'base', reason: 'the baseline: 3 bad of 3 that halt it', veto: false },
  ]);
  assert.equal(report[0]?.reason, 'halted');
  assert.deepEqual(shown({ ...spent, recentBad: { base: 2 } }), []);
});
