// Laws of what people do, on random snapshots: verbs, rollouts begun by hand, and what a broken promise is told by.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyActions } from '../../src/domain/apply.ts';
import { violations } from '../../src/domain/check.ts';
import { acceptedBy, objectionTo } from '../../src/domain/choose.ts';
import { createByHand } from '../../src/domain/create-by-hand.ts';
import {
  isLiveLane,
  isTerminalLane,
  type Lane,
  mayMoveLane,
  type Rollout,
  rolloutState,
} from '../../src/domain/rollout.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import { applyVerb, effectOf, isLegal, LANE_VERBS, type LaneVerb, type VerbInput } from '../../src/domain/verbs.ts';
import { NO_SILENCE } from '../../src/domain/verdict.ts';
import { AppError } from '../../src/errors.ts';
import { drawsFixed } from '../support/fast-check.ts';
import { lawsOver } from '../support/laws.ts';
import { NOW } from '../support/plans.ts';
import { OBSERVED, vetoOf } from '../support/snapshots.ts';

const { cases, law } = lawsOver(120);

/** Of a rollback the whole snapshot is asked: see lane-laws. */
const VERBS = LANE_VERBS.filter((verb) => verb !== 'rollback');
/** What never needs another lane’s leave. */
const ALWAYS: ReadonlySet<LaneVerb> = new Set(['pause', 'resume', 'halt', 'cancel', 'skip-region']);

interface Tried {
  rollout: Rollout;
  lane: Lane;
  verb: LaneVerb;
  input: VerbInput;
  after: Lane | undefined;
  code: string | undefined;
}

function inputOf(snapshot: Snapshot, rollout: Rollout, lane: Lane): VerbInput {
  return {
    actor: 'ana',
    reason: 'why not',
    now: NOW,
    observedMs: OBSERVED,
    expectedStep: lane.steps.at(-1)?.step ?? null,
    expectedRevision: null,
    count: 1,
    policy: rollout.policy,
    release: snapshot.releases.find(({ id }) => id === rollout.releaseId),
    silence: () => NO_SILENCE,
    presence: () => undefined,
  };
}

function tryAll(snapshot: Snapshot): Tried[] {
  return snapshot.rollouts.flatMap((rollout) =>
    rollout.lanes.flatMap((lane) =>
      VERBS.map((verb) => {
        const input = inputOf(snapshot, rollout, lane);
        try {
          return { rollout, lane, verb, input, after: applyVerb(lane, verb, input), code: undefined };
        } catch (error) {
          assert(error instanceof AppError, String(error));
          return { rollout, lane, verb, input, after: undefined, code: error.code };
        }
      }),
    ),
  );
}

function withLane(snapshot: Snapshot, lane: Lane): Snapshot {
  const rollouts = snapshot.rollouts.map((rollout) => ({
    ...rollout,
    lanes: rollout.lanes.map((one) => (one.id === lane.id ? lane : one)),
  }));
  return { ...snapshot, rollouts };
}

law(
  'applyVerb: illegal exactly where the table says so, else one revision on by a legal move, or nothing to do',
  ({ snapshot }) => {
    for (const { lane, verb, after, code } of tryAll(snapshot)) {
      const what = `${verb} of a lane that is ${lane.state.name}`;
      const isDone = after === undefined && code === undefined;
      // Nobody has counted who is there, so nothing holds as silent.
      const isRefused = !isLegal(verb, lane) || effectOf(verb, lane.state.name) === 'silent';
      if (!isDone) assert.equal(code === 'illegal_transition', isRefused, what);
      if (code !== undefined) assert(['illegal_transition', 'conflict'].includes(code), `${what}: ${code}`);
      if (after === undefined) continue;
      assert.equal(effectOf(verb, lane.state.name) === undefined, false, what);
      assert.equal(after.revision, lane.revision + 1, what);
      const isMove = after.state.name !== lane.state.name;
      if (isMove) assert(mayMoveLane(lane.state.name, after.state.name) || verb === 'skip-region', what);
      assert.deepEqual(
        [after.id, after.back.length, after.steps.length],
        [lane.id, lane.back.length, lane.steps.length],
      );
    }
  },
);

law('applyVerb: what stops or ends a lane breaks no promise, and done twice it does nothing', ({ snapshot }) => {
  for (const { lane, verb, input, after } of tryAll(snapshot)) {
    if (after === undefined || !ALWAYS.has(verb)) continue;
    // What has spent its budget in a pause is halted by the next plan.
    const left = violations(withLane(snapshot, after)).filter(
      ({ subject, promise }) => subject === after.id && !(verb === 'resume' && promise === 'S4'),
    );
    assert.deepEqual(left, [], `${verb} of a lane that is ${lane.state.name}`);
    assert.equal(applyVerb(after, verb, input), undefined, `${verb} again`);
    if (verb !== 'pause') continue;
    const resumed = applyVerb(after, 'resume', input);
    assert.deepEqual({ ...resumed, revision: lane.revision }, lane, 'as if there had been no pause');
  }
});

law(
  'applyVerb: what another has seen since is not overruled: a revision or step that is not the lane’s is refused',
  ({ snapshot }) => {
    for (const { lane, verb, input, after } of tryAll(snapshot)) {
      if (after === undefined) continue;
      const revision = { ...input, expectedRevision: lane.revision + 1 };
      assert.throws(() => applyVerb(lane, verb, revision), { code: 'revision_mismatch' });
      assert.throws(() => applyVerb(lane, verb, { ...input, expectedStep: 7 }), { code: 'conflict' });
    }
  },
);

law(
  'rolloutState: ended exactly when every lane is, whatever their order, and halted above all',
  ({ snapshot, after }) => {
    for (const { lanes } of [...snapshot.rollouts, ...after.rollouts]) {
      const state = rolloutState({ lanes });
      assert.equal(rolloutState({ lanes: lanes.toReversed() }), state);
      const isEnded = lanes.every((lane) => isTerminalLane(lane.state.name));
      assert.equal(['waiting', 'active', 'halted'].includes(state), !isEnded, state);
      const has = (name: string) => lanes.some((lane) => lane.state.name === name);
      assert.equal(state === 'halted', has('halted'));
      if (!has('halted') && lanes.some((lane) => isLiveLane(lane.state.name))) assert.equal(state, 'active');
      if (state === 'completed') assert(lanes.every((lane) => lane.state.name === 'completed'));
    }
  },
);

law(
  'createByHand: the rollout that is there, or one that nothing stands against, which breaks no promise; else a code',
  ({ snapshot }) => {
    for (const product of snapshot.products) {
      for (const release of snapshot.releases.filter((one) => one.product === product.name)) {
        const known = snapshot.rollouts.find((one) => one.product === product.name && one.version === release.version);
        const made = tryCreate(snapshot, product.name, release.version);
        assert.equal(
          tryCreate(snapshot, product.name, release.tag)?.action?.version,
          made?.action?.version,
          'by its tag',
        );
        assert.equal(made?.rollout, known);
        if (made?.action === undefined) continue;
        assert.equal(objectionTo(snapshot, product, release, acceptedBy(product)), undefined);
        assert.deepEqual([made.action.product, made.action.releaseId], [product.name, release.id]);
        const after = applyActions(snapshot, [made.action], { now: NOW, newId: () => 'new' });
        assert.deepEqual(violations(after), []);
        const vetoes = [...snapshot.vetoes, vetoOf(release.version, { product: product.name })];
        assert.equal(tryCreate({ ...snapshot, vetoes }, product.name, release.version), undefined);
      }
      assert.throws(() => createByHand(snapshot, product.name, '77.0.0'), { code: 'not_found' });
    }
    assert.throws(() => createByHand(snapshot, 'nothing', '1.0.0'), { code: 'not_found' });
  },
);

function tryCreate(snapshot: Snapshot, product: string, version: string) {
  try {
    const { rollout, action } = { rollout: undefined, action: undefined, ...createByHand(snapshot, product, version) };
    return { rollout, action };
  } catch (error) {
    assert(error instanceof AppError && error.code === 'conflict', String(error));
    return undefined;
  }
}

/** One promise broken in a lane of its own; undefined where it cannot be in this one. */
const BREAKS: Record<string, (lane: Lane) => Lane | undefined> = {
  D2: (lane) => changed(lane, { bad: -1 }),
  S5: (lane) =>
    isTerminalLane(lane.state.name) || lane.state.name === 'halted' ? changed(lane, { pending: 1 }) : undefined,
  S2: (lane) =>
    lane.steps.length === 0
      ? undefined
      : { ...lane, steps: lane.steps.map((one) => ({ ...one, size: 0, done: true })) },
  S4: (lane) =>
    ['open', 'soaking', 'approval'].includes(lane.state.name) ? changed(lane, { bad: 99, badMembers: 0 }) : undefined,
  S1: (lane) => (['open', 'soaking', 'approval'].includes(lane.state.name) ? { ...lane, steps: [] } : undefined),
};

function changed(lane: Lane, counters: Partial<Lane['steps'][number]['counters']>): Lane | undefined {
  if (lane.steps.length === 0) return undefined;
  return { ...lane, steps: lane.steps.map((one) => ({ ...one, counters: { ...one.counters, ...counters } })) };
}

law('violations: a state in which one promise is broken is told by the name of it, and by the lane', ({ snapshot }) => {
  for (const lane of snapshot.rollouts.flatMap((rollout) => rollout.lanes)) {
    for (const [promise, breakIt] of Object.entries(BREAKS)) {
      const broken = breakIt(lane);
      if (broken === undefined) continue;
      const found = violations(withLane(snapshot, broken));
      assert(
        found.some((one) => one.promise === promise && one.subject === lane.id && one.sentence.length > 0),
        promise,
      );
    }
  }
  for (const rollout of snapshot.rollouts) {
    const ended = snapshot.rollouts.map((one) => (one === rollout ? { ...one, endedAt: NOW } : one));
    const isEnded = rollout.lanes.every((lane) => isTerminalLane(lane.state.name));
    const found = violations({ ...snapshot, rollouts: ended }).some((one) => one.promise === 'L1');
    assert.equal(found, !isEnded);
  }
});

test('the cases reach every verb, and rollouts that people begin', { skip: !drawsFixed }, () => {
  const done = new Set(
    cases().flatMap(({ snapshot }) => tryAll(snapshot).flatMap(({ verb, after }) => (after ? [verb] : []))),
  );
  assert.deepEqual(
    VERBS.filter((verb) => !done.has(verb)),
    [],
  );
  const made = cases().flatMap(({ snapshot }) =>
    snapshot.releases.flatMap((one) => tryCreate(snapshot, one.product, one.version)?.action ?? []),
  );
  assert(made.length > 20, String(made.length));
});
