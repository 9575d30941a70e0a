// Laws of single lanes on random snapshots: what lifts a halt, where a way back leads, who gives way, and what is said of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyActions, lastStep, withdrawn } from '../../src/domain/apply.ts';
import { violations } from '../../src/domain/check.ts';
import { baselineOf, policyFor } from '../../src/domain/choose.ts';
import { vetoFor } from '../../src/domain/directives.ts';
import { explainLane } from '../../src/domain/explain-lane.ts';
import { isMarked, lifted, liftFor, liftOf } from '../../src/domain/lift.ts';
import { baselineFor } from '../../src/domain/plan-baseline.ts';
import { type LaneInput, planAlarm } from '../../src/domain/plan-lane.ts';
import type { Policy } from '../../src/domain/policy.ts';
import { isUsable, troubleOf } from '../../src/domain/release.ts';
import { backTargetOf, newerIn, planRollBack, takenBack, whyNotRolledBack } from '../../src/domain/roll-back.ts';
import { rollBackByHand } from '../../src/domain/roll-back-by-hand.ts';
import {
  isLiveLane,
  isTerminalLane,
  type Lane,
  moveLane,
  NO_COUNTS,
  type Rollout,
  type Step,
} from '../../src/domain/rollout.ts';
import type { Action, Baseline, Snapshot } from '../../src/domain/snapshot.ts';
import { givesWayTo, goesFirst, successorOf, undisplaced } from '../../src/domain/supersede.ts';
import { effectOf } from '../../src/domain/verbs.ts';
import { budgetOf } from '../../src/domain/verdict.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import { allSteps, hotIn, wayBackOf } from '../../src/domain/way-back.ts';
import { AppError } from '../../src/errors.ts';
import fc, { drawsFixed } from '../support/fast-check.ts';
import { START, testRelease } from '../support/fixtures.ts';
import { lawsOver } from '../support/laws.ts';
import { NOW } from '../support/plans.ts';
import { anySnapshot, laneIn, rolloutOf, snapshotOf, stateNamed, vetoOf } from '../support/snapshots.ts';

const { compare, jump } = schemeOf('semver');

/** Regions that have completed releases before, and a floor here and there; often with what the laws below are about. */
const lanesToJudge: fc.Arbitrary<Snapshot> = fc
  .gen()
  .map((gen) => {
    const drawn = gen(anySnapshot);
    const row = fc.record({ release: fc.nat(9), region: fc.nat(2), at: fc.nat(4) });
    const completed = gen(() => fc.array(row, { minLength: 1, maxLength: 5 }));
    const floor = gen(() => fc.constantFrom(null, null, '1.1.0'));
    const mood = gen(() => fc.constantFrom('as it is', 'calm', 'going back'));
    // Without fast-check's own mark on what it has drawn, which a spread would carry along.
    const plain = structuredClone(drawn);
    const snapshot = mood === 'calm' ? calmed(plain) : mood === 'going back' ? goingBack(plain) : plain;
    const floors = floor === null ? [] : [{ version: floor, reason: 'its state' }];
    const baselines = completed.flatMap(({ release, region, at }): Baseline[] => {
      const known = snapshot.releases[release];
      const where = snapshot.regions[region];
      if (known === undefined || where === undefined) return [];
      const { product, version, id } = known;
      return [{ product, region: where, version, releaseId: id, at: START - at }];
    });
    return { ...snapshot, products: snapshot.products.map((one) => ({ ...one, floors })), baselines };
  })
  .filter((snapshot) => violations(snapshot).length === 0);

/** The newest rollout of each product alone, halted by the absence of its release, which is back. */
function calmed(snapshot: Snapshot): Snapshot {
  const rollouts = newestOf(snapshot).map((rollout) => ({ ...rollout, lanes: rollout.lanes.map(haltedByAbsence) }));
  const releases = snapshot.releases.map((one) => ({ ...one, state: 'complete' as const }));
  return { ...snapshot, rollouts, releases, vetoes: [], clock: null };
}

function newestOf({ rollouts }: Snapshot): Rollout[] {
  return rollouts.filter(({ product }, index) => !rollouts.slice(index + 1).some((one) => one.product === product));
}

function haltedByAbsence(lane: Lane): Lane {
  if (!isLiveLane(lane.state.name) || lane.state.name === 'rolling_back') return lane;
  const why = { by: 'tidegate', reason: 'gone', step: lastStep(lane), lift: liftFor(lane) };
  return withdrawn(moveLane(lane, { name: 'halted', since: START, ...why }));
}

/** Policies that take back, releases that their lanes’ halts have vetoed, and lanes that were taken back. */
function goingBack(snapshot: Snapshot): Snapshot {
  const rollouts = newestOf(snapshot).map((rollout) => ({
    ...rollout,
    policy: { ...rollout.policy, onHalt: 'rollback' as const },
    lanes: rollout.lanes.map((lane): Lane => {
      const { name } = lane.state;
      if (name === 'cancelled' || name === 'superseded')
        return { ...lane, state: { name: 'rolled_back', since: START, to: '1.0.0' } };
      if (name !== 'halted' && name !== 'soaking' && name !== 'open') return lane;
      const state = { name: 'halted', since: START, by: 'tidegate', reason: 'bad', step: lastStep(lane) } as const;
      return withdrawn({
        ...lane,
        state,
        steps: lane.steps.map((step) => spent(step, rollout.policy, lane.allowance)),
      });
    }),
  }));
  const vetoes = rollouts
    .filter(({ lanes }) => lanes.some(({ state }) => state.name === 'halted' || state.name === 'rolled_back'))
    .map(({ product, version }) => vetoOf(version, { product, automatic: true }));
  return { ...snapshot, rollouts, vetoes };
}

/** With as many bad ones as halt it, or one less and one at risk. */
function spent(step: Step, policy: Policy, allowance: number): Step {
  const hot = step.size % 3 === 0 ? 1 : 0;
  const bad = budgetOf(step.size, policy, allowance) - hot;
  return { ...step, counters: { ...NO_COUNTS, bad, badMembers: Math.min(bad, step.size), hot } };
}

const { cases, law } = lawsOver(250, lanesToJudge);

function inputsOf(snapshot: Snapshot): LaneInput[] {
  return snapshot.rollouts.flatMap((rollout) => {
    const rollouts = snapshot.rollouts.filter((one) => one.product === rollout.product);
    return rollout.lanes.map((lane) => ({ snapshot, rollouts, rollout, lane, now: NOW }));
  });
}

function applied(snapshot: Snapshot, actions: readonly Action[]): Snapshot {
  return applyActions(snapshot, actions, { now: NOW, newId: () => 'new' });
}

function laneAfter({ rollouts }: Snapshot, id: string): Lane {
  const found = rollouts.flatMap((rollout) => rollout.lanes).find((lane) => lane.id === id);
  assert(found !== undefined);
  return found;
}

/** With another veto of a person. */
function vetoing(snapshot: Snapshot, product: string, version: string): Snapshot {
  return { ...snapshot, vetoes: [...snapshot.vetoes, vetoOf(version, { product })] };
}

law(
  'liftOf: only of a lane that its release’s absence halted, to the step and the counters that it had',
  ({ snapshot }) => {
    for (const input of inputsOf(snapshot)) {
      const { lane, rollout } = input;
      // The alarm is asked first.
      const lift = planAlarm(input) === undefined ? liftOf(input) : undefined;
      if (lift === undefined) continue;
      assert(isMarked(lane.state) && snapshot.clock === null);
      const release = snapshot.releases.find((one) => one.id === rollout.releaseId);
      assert.equal(troubleOf(release), undefined);
      assert(isTerminalOrOff(input), 'nothing else is live there');
      for (const other of rollout.lanes.filter(({ wave }) => wave < lane.wave))
        assert(isTerminalLane(other.state.name), 'its wave has its turn');
      const after = laneAfter(applied(snapshot, [lift]), lane.id);
      assert.deepEqual(violations(applied(snapshot, [lift])), []);
      const { state, steps, revision, ...rest } = after;
      assert.deepEqual({ ...rest, state: lane.state, steps: lane.steps, revision: lane.revision }, lane);
      assert.deepEqual([revision, state.name], [lane.revision + 1, liftedName(lane)]);
      assert.deepEqual(
        steps.map((step, index) => (index === steps.length - 1 ? { ...step, done: lane.steps[index]?.done } : step)),
        lane.steps,
      );
      // What speaks against the release keeps it halted.
      assert.equal(liftOf({ ...input, snapshot: vetoing(snapshot, rollout.product, rollout.version) }), undefined);
      const gone = snapshot.releases.map((one) => (one === release ? { ...one, state: 'withdrawn' as const } : one));
      assert.equal(liftOf({ ...input, snapshot: { ...snapshot, releases: gone } }), undefined);
    }
  },
);

function liftedName({ state, steps }: Lane): string {
  if (steps.length === 0) return 'waiting';
  return state.name === 'halted' && state.lift?.paused != null ? 'paused' : 'open';
}

function isTerminalOrOff({ rollouts, lane }: LaneInput): boolean {
  const there = rollouts.flatMap((one) => one.lanes).filter((one) => one.region === lane.region);
  return there.every((one) => !isLiveLane(one.state.name));
}

law(
  'liftFor and lifted: a lane that halts and is lifted at once is as it was, but has its step to pass again',
  ({ snapshot }) => {
    for (const { lane } of inputsOf(snapshot)) {
      const { state } = lane;
      if (!['open', 'soaking', 'approval', 'paused'].includes(state.name)) continue;
      const lift = liftFor(lane);
      const halted = moveLane(lane, { name: 'halted', since: NOW, by: 'tidegate', reason: 'gone', step: 0, lift });
      assert(isMarked(halted.state));
      const back = lifted(halted, NOW);
      assert.equal(back.state.name, state.name === 'paused' ? 'paused' : 'open');
      if (state.name === 'paused' && back.state.name === 'paused')
        assert.deepEqual([back.state.by, back.state.reason], [state.by, state.reason]);
      assert.deepEqual(back.steps.slice(0, -1), lane.steps.slice(0, -1));
      assert.deepEqual(back.steps.at(-1), { ...lane.steps.at(-1), done: false });
      assert.deepEqual(
        [back.approvals, back.allowance, back.budgetEpoch],
        [lane.approvals, lane.allowance, lane.budgetEpoch],
      );
    }
  },
);

law(
  'backTargetOf: lower, known, usable, not vetoed, above no floor that was passed; vetoed, it is another or none',
  ({ snapshot }) => {
    for (const { rollout, lane } of inputsOf(snapshot)) {
      const found = backTargetOf(snapshot, rollout, lane);
      const rules = snapshot.products.find((one) => one.name === rollout.product);
      const completed = snapshot.baselines
        .filter(({ product, region }) => product === rollout.product && region === lane.region)
        .toSorted((a, b) => b.at - a.at)
        .map(({ version }) => version);
      const candidates = [...completed, ...(snapshot.cameFrom?.[lane.id] ?? [])];
      if ('why' in found) {
        assert(found.why.length > 0);
        continue;
      }
      const { version, releaseId } = found.to;
      assert(compare(version, rollout.version) < 0 && candidates.includes(version));
      const release = snapshot.releases.find((one) => one.id === releaseId);
      assert(release?.version === version && release.product === rollout.product && isUsable(release));
      assert.equal(vetoFor(snapshot.vetoes, rollout.product, version), undefined);
      for (const floor of rules?.floors ?? [])
        assert(!(compare(version, floor.version) < 0 && compare(floor.version, rollout.version) <= 0), 'below a floor');
      const other = backTargetOf(vetoing(snapshot, rollout.product, version), rollout, lane);
      if ('why' in other) continue;
      assert(candidates.indexOf(other.to.version) > candidates.indexOf(version), 'the newest that it had completed');
    }
  },
);

law(
  'planRollBack: what a policy takes back is halted by its budget, at rest, and is taken back once',
  ({ snapshot }) => {
    for (const input of inputsOf(snapshot)) {
      const { lane, rollout } = input;
      const step = planRollBack(input);
      const why = whyNotRolledBack(input);
      if (step !== undefined) assert.equal(why, undefined);
      if (rollout.policy.onHalt === 'hold' || lane.state.name !== 'halted')
        assert.deepEqual([step, why], [undefined, undefined]);
      if (step === undefined) continue;
      assert(
        lane.state.name === 'halted' && lane.state.by === 'tidegate' && lane.back.length === 0 && hotIn(lane) === 0,
      );
      assert.equal(vetoFor(snapshot.vetoes, rollout.product, rollout.version)?.automatic, true);
      const { policy } = rollout;
      const isSpent = lane.steps.some(({ size, counters }) => counters.bad >= budgetOf(size, policy, lane.allowance));
      assert(isSpent || (policy.metrics ?? []).length > 0, 'what failed elsewhere takes nobody back here');
      assert('action' in step && step.action.kind === 'roll_back');
      const after = applied(snapshot, [step.action]);
      assert.deepEqual(violations(after), []);
      const back = laneAfter(after, lane.id);
      assert.equal(back.state.name, 'rolling_back');
      assert.deepEqual([wayBackOf(back)?.step, back.steps], [-1, lane.steps]);
      assert.equal(allSteps(back).length, lane.steps.length + 1);
    }
  },
);

law(
  'rollBackByHand: refused with a code, or every lane that it takes goes down and nothing is broken',
  ({ snapshot }) => {
    for (const rollout of snapshot.rollouts) {
      for (const region of [null, ...rollout.lanes.slice(0, 1).map((lane) => lane.region)]) {
        const actions = tryRollBack(snapshot, rollout, region);
        const after = applied(snapshot, actions);
        assert.deepEqual(violations(after), []);
        for (const action of actions) {
          assert('laneId' in action);
          const [before, now] = [laneAfter(snapshot, action.laneId), laneAfter(after, action.laneId)];
          assert(region === null || before.region === region);
          if (now.state.name === 'cancelled') {
            // Beside one that goes back, and where nobody took it.
            const { product, version } = rollout;
            const runs = (row: Snapshot['census'][number]) =>
              row.product === product && row.version === version && row.region === before.region;
            const untaken = hotIn(before) === 0 && !snapshot.census.some(runs);
            assert(before.state.name === 'waiting' || (untaken && actions.some(({ kind }) => kind === 'roll_back')));
            assert.equal(region, null);
          } else assert(now.state.name === 'rolling_back' && compare(now.state.to.version, rollout.version) < 0);
          if (now.state.name === 'rolling_back')
            assert.equal(
              newerIn(
                snapshot,
                snapshot.rollouts.filter((one) => one.product === rollout.product),
                rollout,
                before,
              ),
              undefined,
            );
        }
        // A second time there is nothing left to do where it has begun.
        if (actions.length > 0 && region !== null)
          assert.deepEqual(tryRollBack(after, rolloutAfter(after, rollout), region), []);
      }
    }
  },
);

function tryRollBack(snapshot: Snapshot, rollout: Rollout, region: string | null): Action[] {
  try {
    return rollBackByHand(snapshot, rollout, {
      region,
      actor: 'me',
      reason: 'no good',
      expectedStep: null,
      vetoRelease: false,
      verb: 'rollback',
    });
  } catch (error) {
    assert(
      error instanceof AppError && ['illegal_transition', 'conflict', 'not_found'].includes(error.code),
      String(error),
    );
    const named = rollout.lanes.filter((lane) => region === null || lane.region === region);
    if (error.code === 'illegal_transition')
      assert(named.every(({ state }) => state.name === 'cancelled' || effectOf('rollback', state.name) === undefined));
    return [];
  }
}

function rolloutAfter({ rollouts }: Snapshot, { id }: Rollout): Rollout {
  const found = rollouts.find((one) => one.id === id);
  assert(found !== undefined);
  return found;
}

law('takenBack: what was rolled back in a region and is still vetoed, and nothing else', ({ after: snapshot }) => {
  const found = takenBack(snapshot);
  const all = inputsOf(snapshot).filter(
    ({ rollout, lane }) =>
      lane.state.name === 'rolled_back' && vetoFor(snapshot.vetoes, rollout.product, rollout.version) !== undefined,
  );
  assert.equal([...found.values()].flat().length, all.length);
  for (const { rollout, lane } of all)
    assert(found.get(`${rollout.product} ${lane.region}`)?.includes(rollout.version));
  assert.equal(takenBack({ ...snapshot, vetoes: [] }).size, 0);
});

law(
  'givesWayTo and goesFirst: only a live lane of a `replace` policy gives way, to a successor; who goes first is on its way',
  ({ snapshot }) => {
    const first = undisplaced(snapshot, NOW);
    for (const input of inputsOf(snapshot)) {
      const { rollout, lane } = input;
      const newer = givesWayTo(snapshot, rollout, lane);
      const isLive = isLiveLane(lane.state.name) && lane.state.name !== 'rolling_back';
      const successor =
        rollout.policy.supersede === 'replace' && isLive ? successorOf(snapshot, rollout, lane.region) : undefined;
      assert.equal(newer, successor?.version);
      const owed = goesFirst(input);
      const counts = rollout.endedAt === null && rollout.policy.supersede === 'replace';
      assert.equal(first.has(lane.id), counts && owed !== undefined);
      if (owed === undefined) continue;
      assert(owed.skips >= rollout.policy.maxSkips);
      assert(['waiting', 'open', 'soaking', 'approval', 'paused'].includes(lane.state.name), lane.state.name);
      assert(rollout.lanes.some((one) => one.region === owed.region && (one.id === lane.id || one.wave > lane.wave)));
    }
  },
);

law('explainLane: says of every lane what the plan says of it, and why a gate does not pass', ({ planned, after }) => {
  const holds = new Map(planned.report.flatMap((one) => ('laneId' in one.subject ? [[one.subject.laneId, one]] : [])));
  for (const input of inputsOf(after)) {
    if (input.rollout.endedAt !== null) continue;
    const { sentence, gates } = explainLane(input);
    assert(sentence.length > 0 && gates.length > 0, input.lane.id);
    for (const gate of gates) assert(gate.sentence.length > 0 && (gate.result !== 'pass' || gate.reason === null));
    const hold = holds.get(input.lane.id);
    if (hold !== undefined) assert(sentence.startsWith(hold.sentence), `${sentence} / ${hold.sentence}`);
  }
});

law(
  'baselineOf and baselineFor: the newest that stands, and of another region only what the region has passed',
  ({ snapshot }) => {
    for (const { name: product } of snapshot.products) {
      for (const region of snapshot.regions) {
        const standing = snapshot.baselines.filter(
          (one) =>
            one.product === product &&
            one.region === region &&
            vetoFor(snapshot.vetoes, product, one.version) === undefined &&
            troubleOf(snapshot.releases.find(({ id }) => id === one.releaseId)) === undefined,
        );
        const own = baselineOf(snapshot, product, region);
        assert.equal(own?.at, standing.length === 0 ? undefined : Math.max(...standing.map(({ at }) => at)));
        const found = baselineFor(snapshot, product, region);
        if (own !== undefined) assert.equal(found, own);
        else if (found !== undefined) {
          const passed = snapshot.rollouts.find((one) => one.product === product && one.version === found.version);
          assert(passed?.lanes.some((lane) => lane.region === region && lane.state.name === 'completed'));
        }
      }
    }
  },
);

law(
  'policyFor: that of the largest jump over the regions’ baselines, the product’s own where there is none',
  ({ snapshot }) => {
    const order = ['patch', 'prerelease', 'minor', 'major'] as const;
    for (const product of snapshot.products) {
      for (const { version } of snapshot.releases.filter((one) => one.product === product.name)) {
        const from = snapshot.regions.flatMap((region) => baselineOf(snapshot, product.name, region) ?? []);
        const jumps = from.map((one) => jump(one.version, version));
        const largest = order.findLast((one) => jumps.includes(one));
        const wanted = largest === undefined ? undefined : product.policies[largest];
        assert.equal(policyFor(snapshot, product, version), wanted ?? product.policy);
      }
    }
  },
);

test('the cases reach what the laws are about', { skip: !drawsFixed }, () => {
  const found = { lifts: 0, targets: 0, back: 0, byHand: 0, taken: 0, first: 0, gives: 0, baselines: 0 };
  for (const { snapshot, after } of cases()) {
    found.taken += takenBack(after).size;
    for (const product of snapshot.products)
      for (const region of snapshot.regions) if (baselineFor(snapshot, product.name, region)) found.baselines += 1;
    for (const rollout of snapshot.rollouts) found.byHand += tryRollBack(snapshot, rollout, null).length;
    for (const input of inputsOf(snapshot)) {
      if (liftOf(input)) found.lifts += 1;
      if ('to' in backTargetOf(snapshot, input.rollout, input.lane)) found.targets += 1;
      if (planRollBack(input)) found.back += 1;
      if (goesFirst(input)) found.first += 1;
      if (givesWayTo(snapshot, input.rollout, input.lane)) found.gives += 1;
    }
  }
  assert(
    Object.values(found).every((count) => count >= 5),
    JSON.stringify(found),
  );
});

test('explainLane: while the clock is doubted, a halted lane is not said to give way to a newer release', () => {
  const older = rolloutOf('1.1.0', [laneIn('eu', stateNamed('halted'))]);
  const newer = rolloutOf('1.2.0', [laneIn('eu', stateNamed('waiting'))], { createdAt: START + 1 });
  const releases = [testRelease('1.1.0'), testRelease('1.2.0')];
  const clock = { since: START, why: 'it went 2 h forward', until: START + 300_000 };
  const snapshot = snapshotOf({ releases, rollouts: [older, newer], regions: ['eu'] });
  const said = (one: Snapshot) => explainLane(inputsOf(one)[0] as LaneInput).sentence;
  assert.equal(said(snapshot), '1.2.0 takes its place now');
  assert.match(said({ ...snapshot, clock }), /^the rollout is halted in this region: because; /);
});
