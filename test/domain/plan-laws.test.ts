// The laws of plan on random snapshots: determinism, plan again gives nothing, no broken promise, a reason for all that waits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { violations } from '../../src/domain/check.ts';
import { acceptedBy, chooseRelease, objectionTo } from '../../src/domain/choose.ts';
import { vetoFor } from '../../src/domain/directives.ts';
import { HOLD_REASONS } from '../../src/domain/holds.ts';
import { plan } from '../../src/domain/plan.ts';
import { isTerminalLane, type Lane } from '../../src/domain/rollout.ts';
import { successorOf } from '../../src/domain/supersede.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import { drawsFixed } from '../support/fast-check.ts';
import { START } from '../support/fixtures.ts';
import { lawsOver } from '../support/laws.ts';
import { NOW } from '../support/plans.ts';
import { vetoOf } from '../support/snapshots.ts';

const { cases, law } = lawsOver(600);

law('same input, same output, byte for byte, and the input is not changed', ({ snapshot, planned }) => {
  const copy = structuredClone(snapshot);
  assert.equal(JSON.stringify(plan(copy, NOW)), JSON.stringify(planned));
});

law('applying a plan and planning again gives no actions', ({ after }) => {
  assert.deepEqual(plan(after, NOW).actions, []);
});

law('no plan leads to a state with a violation', ({ after }) => {
  assert.deepEqual(violations(after), []);
});

law('every lane that has not ended moved, is in progress, or holds with one reason', ({ snapshot, planned, after }) => {
  const moved = new Set(planned.actions.flatMap((action) => ('laneId' in action ? [action.laneId] : [])));
  const known = new Set(snapshot.rollouts.flatMap((rollout) => rollout.lanes.map((lane) => lane.id)));
  for (const hold of planned.report) assert(HOLD_REASONS.includes(hold.reason) && hold.sentence.length > 0);
  for (const lane of after.rollouts.flatMap((rollout) => rollout.lanes)) {
    const holds = planned.report.filter((hold) => 'laneId' in hold.subject && hold.subject.laneId === lane.id);
    assert(holds.length <= 1, `${lane.id} holds ${holds.length} times`);
    if (holds.length === 1) assert(!isTerminalLane(lane.state.name), `${lane.id} has ended and holds`);
    // The census of a lane that this plan created comes with the next snapshot.
    if (holds.length === 1 || moved.has(lane.id) || !known.has(lane.id)) continue;
    assert(isInProgress(lane), `${lane.id} is ${lane.state.name} without a reason`);
  }
});

function isInProgress(lane: Lane): boolean {
  return isTerminalLane(lane.state.name) || lane.state.name === 'open' || lane.state.name === 'rolling_back';
}

const WHILE_DOUBTED = new Set(['halt_lane', 'end_attempt', 'end_rollout', 'supersede_lane', 'finish_rollback']);

law(
  'while the clock is doubted nothing is begun: lanes halt, end or take turns, and all that could go on holds',
  ({ snapshot: sound }) => {
    const clock = { since: START, why: 'it went 2 h forward', until: START + 300_000 };
    const { actions, report } = plan({ ...sound, clock }, NOW);
    for (const { kind } of actions) assert(WHILE_DOUBTED.has(kind), kind);
    const rollouts = new Set(sound.rollouts.flatMap((rollout) => rollout.lanes.map((lane) => lane.id)));
    for (const action of actions) {
      if (action.kind === 'supersede_lane') assert(!rollouts.has(action.laneId), 'only a baseline lane gives way');
    }
    const halted = new Set(actions.flatMap((action) => (action.kind === 'halt_lane' ? [action.laneId] : [])));
    for (const lane of sound.rollouts.flatMap((rollout) => (rollout.endedAt === null ? rollout.lanes : []))) {
      const isGoing = ['waiting', 'open', 'soaking', 'approval'].includes(lane.state.name);
      if (!isGoing || halted.has(lane.id)) continue;
      const hold = report.find(({ subject }) => 'laneId' in subject && subject.laneId === lane.id);
      assert.equal(hold?.reason, 'clock_suspect', `${lane.id} is ${lane.state.name}`);
    }
  },
);

law(
  'the choice is what nothing stands against; with it vetoed another, lower one is chosen, or none',
  ({ snapshot }) => {
    for (const product of snapshot.products) {
      const chosen = chooseRelease(snapshot, product, NOW).release;
      if (chosen === null) continue;
      assert.equal(objectionTo(snapshot, product, chosen, acceptedBy(product)), undefined);
      const vetoes = [...snapshot.vetoes, { ...vetoOf(chosen.version), product: product.name }];
      const other = chooseRelease({ ...snapshot, vetoes }, product, NOW).release;
      if (other !== null) assert(schemeOf(product.scheme).compare(other.version, chosen.version) < 0);
    }
  },
);

law('what takes a rollout’s place is younger, of the same product, and may itself go out', ({ snapshot }) => {
  const places = snapshot.rollouts.flatMap((rollout, index) =>
    rollout.lanes.map(({ region }) => ({ rollout, index, region })),
  );
  for (const { rollout, index, region } of places) {
    const successor = successorOf(snapshot, rollout, region);
    if (successor === undefined) continue;
    assert(snapshot.rollouts.indexOf(successor) > index);
    assert.equal(successor.product, rollout.product);
    assert.equal(vetoFor(snapshot.vetoes, successor.product, successor.version), undefined);
  }
});

test('the random snapshots reach every kind of action and the reasons that are built', { skip: !drawsFixed }, () => {
  const seen = new Set<string>();
  for (const { planned } of cases()) {
    for (const { kind } of planned.actions) seen.add(kind);
    for (const { reason, sentence } of planned.report) seen.add(sentence.includes('finishes first') ? 'skips' : reason);
  }
  const wanted = [
    'create_rollout',
    'open_step',
    'start_soak',
    'await_approval',
    'complete_lane',
    'halt_lane',
    'lift_halt',
    'roll_back',
    'finish_rollback',
    'supersede_lane',
    'end_rollout',
    'end_attempt',
    'not_available',
    'availability_unknown',
    'too_young',
    'out_of_range',
    'previous_wave',
    'older_lane',
    'skips',
    'braked',
    'soaking',
    'needs_approval',
    'too_few_successes',
    'inconclusive',
    'silent',
    'no_agents',
    'halted',
    'paused',
    'vetoed',
    'ceiling',
    'clock_suspect',
  ];
  assert.deepEqual(
    wanted.filter((one) => !seen.has(one)),
    [],
  );
});
