// The laws of plan on random snapshots: determinism, plan again gives nothing, no broken promise, a reason for all that waits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyActions } from '../../src/domain/apply.ts';
import { violations } from '../../src/domain/check.ts';
import { acceptedBy, chooseRelease, objectionTo } from '../../src/domain/choose.ts';
import { vetoFor } from '../../src/domain/directives.ts';
import { HOLD_REASONS } from '../../src/domain/holds.ts';
import { plan } from '../../src/domain/plan.ts';
import { isTerminalLane, type Lane } from '../../src/domain/rollout.ts';
import type { Plan, Snapshot } from '../../src/domain/snapshot.ts';
import { successorOf } from '../../src/domain/supersede.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import fc, { drawsFixed } from '../support/fast-check.ts';
import { START } from '../support/fixtures.ts';
import { anySnapshot, deepFreeze, vetoOf } from '../support/snapshots.ts';

const NOW = START + 60_000;
const RUNS = { numRuns: 300 };

function apply(snapshot: Snapshot, { actions }: Plan): Snapshot {
  let made = 0;
  return applyActions(snapshot, actions, { now: NOW, newId: () => `new:${(made += 1)}` });
}

test('same input, same output, byte for byte, and the input is not changed', () => {
  fc.assert(
    fc.property(anySnapshot(), (snapshot) => {
      const copy = structuredClone(snapshot);
      const once = JSON.stringify(plan(deepFreeze(snapshot), NOW));
      assert.equal(JSON.stringify(plan(copy, NOW)), once);
    }),
    RUNS,
  );
});

test('applying a plan and planning again gives no actions', () => {
  fc.assert(
    fc.property(anySnapshot(), (snapshot) => {
      assert.deepEqual(plan(apply(snapshot, plan(snapshot, NOW)), NOW).actions, []);
    }),
    RUNS,
  );
});

test('no plan leads to a state with a violation', () => {
  fc.assert(
    fc.property(anySnapshot(), (snapshot) => {
      assert.deepEqual(violations(apply(snapshot, plan(snapshot, NOW))), []);
    }),
    RUNS,
  );
});

test('every lane that has not ended moved, is in progress, or holds with one reason', () => {
  fc.assert(
    fc.property(anySnapshot(), (snapshot) => {
      const planned = plan(snapshot, NOW);
      const moved = new Set(planned.actions.flatMap((action) => ('laneId' in action ? [action.laneId] : [])));
      const known = new Set(snapshot.rollouts.flatMap((rollout) => rollout.lanes.map((lane) => lane.id)));
      for (const hold of planned.report) assert(HOLD_REASONS.includes(hold.reason) && hold.sentence.length > 0);
      for (const lane of apply(snapshot, planned).rollouts.flatMap((rollout) => rollout.lanes)) {
        const holds = planned.report.filter((hold) => 'laneId' in hold.subject && hold.subject.laneId === lane.id);
        assert(holds.length <= 1, `${lane.id} holds ${holds.length} times`);
        if (holds.length === 1) assert(!isTerminalLane(lane.state.name), `${lane.id} has ended and holds`);
        // The census of a lane that this plan created comes with the next snapshot.
        if (holds.length === 1 || moved.has(lane.id) || !known.has(lane.id)) continue;
        assert(isInProgress(lane), `${lane.id} is ${lane.state.name} without a reason`);
      }
    }),
    RUNS,
  );
});

function isInProgress(lane: Lane): boolean {
  return isTerminalLane(lane.state.name) || lane.state.name === 'open' || lane.state.name === 'rolling_back';
}

test('while the clock is doubted nothing is begun: lanes halt, end or take turns, and all that could go on holds', () => {
  const allowed = new Set(['halt_lane', 'end_attempt', 'end_rollout', 'supersede_lane', 'finish_rollback']);
  fc.assert(
    fc.property(anySnapshot(), (sound) => {
      const clock = { since: START, why: 'it went 2 h forward', until: START + 300_000 };
      const { actions, report } = plan({ ...sound, clock }, NOW);
      for (const { kind } of actions) assert(allowed.has(kind), kind);
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
    }),
    RUNS,
  );
});

test('the choice is what nothing stands against; with it vetoed another, lower one is chosen, or none', () => {
  fc.assert(
    fc.property(anySnapshot(), (snapshot) => {
      for (const product of snapshot.products) {
        const chosen = chooseRelease(snapshot, product, NOW).release;
        if (chosen === null) continue;
        assert.equal(objectionTo(snapshot, product, chosen, acceptedBy(product)), undefined);
        const vetoes = [...snapshot.vetoes, { ...vetoOf(chosen.version), product: product.name }];
        const other = chooseRelease({ ...snapshot, vetoes }, product, NOW).release;
        if (other !== null) assert(schemeOf(product.scheme).compare(other.version, chosen.version) < 0);
      }
    }),
    { numRuns: 40 },
  );
});

test('what takes a rollout’s place is younger, of the same product, and may itself go out', () => {
  fc.assert(
    fc.property(anySnapshot(), (snapshot) => {
      for (const [index, rollout] of snapshot.rollouts.entries()) {
        const successor = successorOf(snapshot, rollout);
        if (successor === undefined) continue;
        assert(snapshot.rollouts.indexOf(successor) > index);
        assert.equal(successor.product, rollout.product);
        assert.equal(vetoFor(snapshot.vetoes, successor.product, successor.version), undefined);
      }
    }),
    { numRuns: 40 },
  );
});

test('the random snapshots reach every kind of action and the reasons that are built', { skip: !drawsFixed }, () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(anySnapshot(), (snapshot) => {
      const { actions, report } = plan(snapshot, NOW);
      for (const { kind } of actions) seen.add(kind);
      for (const { reason, sentence } of report) seen.add(sentence.includes('finishes first') ? 'skips' : reason);
    }),
    { numRuns: 600 },
  );
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
