// What each action does to the snapshot, and that nothing else changes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allTerminal, applyActions, lastStep } from '../../src/domain/apply.ts';
import { hash32 } from '../../src/domain/rank.ts';
import type { Lane } from '../../src/domain/rollout.ts';
import type { Action, Snapshot } from '../../src/domain/snapshot.ts';
import { START, testPolicy, testRelease } from '../support/fixtures.ts';
import {
  counts,
  deepFreeze,
  laneIn,
  OBSERVED,
  openedStep,
  rolloutOf,
  snapshotOf,
  stateNamed,
} from '../support/snapshots.ts';

const NOW = START + 5;
const ID = 'rollout-1.1.0/eu';

function world(lane: Lane): Snapshot {
  const other = { ...lane, region: 'us' };
  const rollouts = [rolloutOf('1.0.0', [laneIn('eu', stateNamed('completed'))]), rolloutOf('1.1.0', [lane, other])];
  return deepFreeze(snapshotOf({ releases: [testRelease('1.1.0')], rollouts }));
}

function apply(snapshot: Snapshot, ...actions: Action[]): Snapshot {
  let made = 0;
  return applyActions(snapshot, deepFreeze(actions), { now: NOW, newId: () => `id-${(made += 1)}` });
}

/** The lane after the action; the one beside it must be as it was. */
function moved(lane: Lane, action: Action): Lane {
  const before = world(lane);
  const after = apply(before, action);
  assert.deepEqual(after.rollouts[0], before.rollouts[0]);
  assert.deepEqual(after.rollouts[1]?.lanes[1], before.rollouts[1]?.lanes[1]);
  return after.rollouts[1]?.lanes[0] as Lane;
}

const pending = () => [openedStep({ counters: counts({ pending: 2, hot: 1, hotMembers: 1, succeeded: 1 }) })];
const open = laneIn('eu', stateNamed('open'), { steps: pending() });

describe('applyActions', () => {
  test('create_rollout after the wall clock was put back: it still comes after those before it', () => {
    const policy = testPolicy();
    const older = { ...rolloutOf('1.0.0', [laneIn('eu', stateNamed('completed'))]), createdAt: NOW + 86_400_000 };
    const action = { product: 'agentd', releaseId: 'r', version: '1.1.0', policy, lanes: [] };
    const after = apply(snapshotOf({ rollouts: [older] }), { kind: 'create_rollout', ...action });
    assert.equal(after.rollouts[1]?.createdAt, NOW + 86_400_001);
  });

  test('create_rollout: lanes wait, ids are new, the seed is the rollout’s own', () => {
    const policy = testPolicy();
    const lanes = [{ region: 'eu', wave: 0 }];
    const after = apply(snapshotOf(), {
      kind: 'create_rollout',
      product: 'agentd',
      releaseId: 'r',
      version: '1.1.0',
      policy,
      lanes,
    });
    const lane = {
      id: 'id-2',
      kind: 'rollout',
      rolloutId: 'id-1',
      product: 'agentd',
      region: 'eu',
      wave: 0,
      steps: [],
      back: [],
    };
    assert.deepEqual(after.rollouts, [
      {
        id: 'id-1',
        product: 'agentd',
        releaseId: 'r',
        version: '1.1.0',
        policy,
        seed: hash32('id-1'),
        createdAt: NOW,
        endedAt: null,
        lanes: [
          { ...lane, state: { name: 'waiting', since: NOW }, budgetEpoch: 0, allowance: 0, approvals: [], revision: 0 },
        ],
      },
    ]);
  });

  test('open_step: as many members as the census sees, reaching as far as the step before', () => {
    const lane = moved(laneIn('eu', stateNamed('waiting')), { kind: 'open_step', laneId: ID, step: 0 });
    assert.deepEqual(lane.state, { name: 'open', step: 0, since: NOW });
    assert.deepEqual(lane.steps, [openedStep({ openedAt: NOW, threshold: 0, thresholdId: '' })]);
    assert.equal(lane.revision, 1);
  });

  test('start_soak: done, and the soak begins in observed time', () => {
    const lane = moved(open, { kind: 'start_soak', laneId: ID, step: 0 });
    assert.deepEqual(lane.state, { name: 'soaking', step: 0, since: NOW, observedMs: OBSERVED });
    assert.deepEqual(lane.steps, [{ ...pending()[0], done: true }]);
  });

  test('await_approval', () => {
    const soaking = laneIn('eu', stateNamed('soaking'), { steps: pending() });
    const lane = moved(soaking, { kind: 'await_approval', laneId: ID, step: 0 });
    assert.deepEqual(lane.state, { name: 'approval', step: 0, since: NOW });
    assert.deepEqual(lane.steps, soaking.steps);
  });

  const withdrawn = [openedStep({ counters: counts({ hot: 1, hotMembers: 1, succeeded: 1 }) })];
  test('halt_lane: what was offered or staged is withdrawn, what is hot is not', () => {
    const lane = moved(open, { kind: 'halt_lane', laneId: ID, reason: 'bad', veto: false });
    assert.deepEqual(lane.state, { name: 'halted', since: NOW, by: 'tidegate', reason: 'bad', step: 0 });
    assert.deepEqual(lane.steps, withdrawn);
  });
  test('supersede_lane: likewise', () => {
    const lane = moved(open, { kind: 'supersede_lane', laneId: ID, by: 'newer' });
    assert.deepEqual(lane.state, { name: 'superseded', since: NOW, by: 'newer' });
    assert.deepEqual(lane.steps, withdrawn);
  });
  test('complete_lane: likewise, with or without the baseline', () => {
    const soaking = laneIn('eu', stateNamed('soaking'), { steps: pending() });
    const action = { kind: 'complete_lane', laneId: ID, evidence: true } as const;
    const lane = moved(soaking, { ...action, baseline: false });
    assert.deepEqual(lane.state, { name: 'completed', since: NOW, evidence: true });
    assert.deepEqual(lane.steps, withdrawn);
    assert.deepEqual(apply(world(soaking), { ...action, baseline: false }).baselines, []);
    const baseline = { product: 'agentd', region: 'eu', version: '1.1.0', releaseId: 'release-1.1.0', at: NOW };
    const once = apply(world(soaking), { ...action, baseline: true });
    assert.deepEqual(once.baselines, [baseline]);
  });
  test('complete_lane: its baseline is the newest, also where the clock has gone back since the one before', () => {
    const action = { kind: 'complete_lane', laneId: ID, evidence: true, baseline: true } as const;
    const old = { product: 'agentd', region: 'eu', version: '1.0.0', releaseId: 'release-1.0.0', at: NOW + 3_600_000 };
    const soaking = { ...world(laneIn('eu', stateNamed('soaking'), { steps: pending() })), baselines: [old] };
    assert.deepEqual(
      apply(soaking, action).baselines.map(({ version, at }) => [version, at]),
      [
        ['1.0.0', NOW + 3_600_000],
        ['1.1.0', NOW + 3_600_001],
      ],
    );
  });
  test('complete_lane: its baseline is later than one of the same millisecond there, whatever order a database lists them in', () => {
    const action = { kind: 'complete_lane', laneId: ID, evidence: true, baseline: true } as const;
    const old = { product: 'agentd', region: 'eu', version: '1.0.0', releaseId: 'release-1.0.0', at: NOW };
    const soaking = world(laneIn('eu', stateNamed('soaking'), { steps: pending() }));
    const after = (region: string) => apply({ ...soaking, baselines: [{ ...old, region }] }, action).baselines[1]?.at;
    assert.deepEqual([after('eu'), after('us')], [NOW + 1, NOW]);
  });

  test('halt_lane with a veto: once per version', () => {
    const veto = { kind: 'halt_lane', reason: 'bad', veto: true } as const;
    const after = apply(world(open), { ...veto, laneId: ID }, { ...veto, laneId: 'rollout-1.1.0/us' });
    assert.deepEqual(after.vetoes, [
      { product: 'agentd', version: '1.1.0', automatic: true, actor: 'tidegate', reason: 'bad', at: NOW },
    ]);
  });

  test('end_rollout, end_attempt', () => {
    const overdue = ['a', 'b'].map((id) => ({ id, laneId: ID, hot: true, deadlineObserved: 1 }));
    const before = { ...world(open), overdue };
    const after = apply(
      before,
      { kind: 'end_rollout', rolloutId: 'rollout-1.0.0' },
      { kind: 'end_attempt', attemptId: 'a', laneId: ID, state: 'lost' },
    );
    assert.deepEqual(after.rollouts[0]?.endedAt, NOW);
    assert.deepEqual(after.rollouts[1], before.rollouts[1]);
    assert.deepEqual(after.overdue, [overdue[1]]);
  });

  const illegal: [string, Lane, Action][] = [
    ['soak before opening', laneIn('eu', stateNamed('waiting')), { kind: 'start_soak', laneId: ID, step: 0 }],
    ['open the next step without a soak', open, { kind: 'open_step', laneId: ID, step: 0 }],
    ['complete an open lane', open, { kind: 'complete_lane', laneId: ID, evidence: true, baseline: true }],
    [
      'supersede a completed lane',
      laneIn('eu', stateNamed('completed')),
      { kind: 'supersede_lane', laneId: ID, by: 'x' },
    ],
    [
      'halt a halted lane',
      laneIn('eu', stateNamed('halted')),
      { kind: 'halt_lane', laneId: ID, reason: '', veto: true },
    ],
  ];
  for (const [title, lane, action] of illegal) {
    test(`${title}: refused`, () => {
      assert.throws(() => apply(world(lane), action), { code: 'illegal_transition' });
    });
  }

  test('no actions: the same snapshot', () => {
    const before = world(open);
    assert.equal(apply(before), before);
  });
});

test('lastStep and allTerminal', () => {
  assert.equal(lastStep(laneIn('eu', stateNamed('waiting'))), null);
  assert.equal(lastStep(open), 0);
  assert.equal(allTerminal(rolloutOf('1.1.0', [laneIn('eu', stateNamed('completed')), open])), false);
  assert.equal(allTerminal(rolloutOf('1.1.0', [laneIn('eu', stateNamed('completed'))])), true);
});
