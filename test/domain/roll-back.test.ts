// What a policy takes back by itself: regions in which the release has failed, and not those that halted for their failures.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MetricPolicy } from '../../src/domain/metric.ts';
import { planRollBack, whyNotRolledBack } from '../../src/domain/roll-back.ts';
import type { Lane } from '../../src/domain/rollout.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import { START, testPolicy, testRelease } from '../support/fixtures.ts';
import { NOW, RELEASE } from '../support/plans.ts';
import { counts, laneIn, openedStep, rolloutOf, snapshotOf, stateNamed, vetoOf } from '../support/snapshots.ts';

const ERRORS: MetricPolicy = {
  name: 'errors',
  query: 'errors',
  everyMs: 60_000,
  passWhen: null,
  failWhen: { op: '>', limit: 0.05 },
  samples: 3,
  failures: 1,
  maxInconclusive: 1,
  onFail: 'halt',
  dryRun: false,
};
const NOT_HERE =
  'the policy takes a region back by itself only where the release has failed in it; by hand: tidegate rollout rollback';

const halted = (bad: number, overrides: Partial<Lane> = {}) =>
  laneIn('us', { ...stateNamed('halted'), by: 'tidegate' } as Lane['state'], {
    steps: [openedStep({ counters: counts({ succeeded: 1, bad, badMembers: bad }) })],
    ...overrides,
  });

/** `eu` has spent its budget; `us` is as given, in a fleet whose regions have completed 1.0.0. */
function inputOf(us: Lane, changes: { metric?: MetricPolicy; vetoes?: Snapshot['vetoes'] } = {}) {
  const metrics = changes.metric === undefined ? [] : [changes.metric];
  const policy = testPolicy({ onHalt: 'rollback', metrics });
  const rollout = rolloutOf('1.1.0', [{ ...halted(1), region: 'eu', id: 'eu' }, us], { policy });
  const snapshot = snapshotOf({
    releases: [testRelease('1.0.0'), RELEASE],
    rollouts: [rollout],
    baselines: ['eu', 'us'].map((region) => ({
      product: 'agentd',
      region,
      version: '1.0.0',
      releaseId: testRelease('1.0.0').id,
      at: START,
    })),
    vetoes: changes.vetoes ?? [vetoOf('1.1.0', { automatic: true })],
  });
  const tally = { step: 0, budgetEpoch: 0, metric: 'errors', good: 0, failed: 1, inconclusive: 0, errors: 0 };
  const lane = rollout.lanes[1] as Lane;
  const known = [{ ...tally, laneId: lane.id, at: START, shown: '0.07' }];
  return { snapshot: { ...snapshot, metrics: known }, rollouts: [rollout], rollout, lane, now: NOW };
}

describe('planRollBack and why not', () => {
  const rows: [title: string, input: ReturnType<typeof inputOf>, back: boolean, why: string | undefined][] = [
    ['its own budget is spent', inputOf(halted(1)), true, undefined],
    ['only that of another region is', inputOf(halted(0)), false, NOT_HERE],
    ['it had been accepted here', inputOf(halted(1, { allowance: 1 })), false, NOT_HERE],
    ['it halted before it opened', inputOf(halted(0, { steps: [] })), false, NOT_HERE],
    ['a metric of its own has failed', inputOf(halted(0), { metric: ERRORS }), true, undefined],
    [
      'a metric that is only tried out has',
      inputOf(halted(0), { metric: { ...ERRORS, dryRun: true } }),
      false,
      NOT_HERE,
    ],
    ['a person has vetoed it', inputOf(halted(1), { vetoes: [vetoOf('1.1.0')] }), false, undefined],
    [
      'a person has halted it',
      inputOf(halted(1, { state: { ...stateNamed('halted'), by: 'ana' } as Lane['state'] })),
      false,
      undefined,
    ],
  ];
  for (const [title, input, back, why] of rows) {
    test(`${title}: ${back ? 'it goes back' : 'it stays'}`, () => {
      assert.deepEqual([planRollBack(input) !== undefined, whyNotRolledBack(input)], [back, why]);
    });
  }
});
