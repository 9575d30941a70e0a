// Laws of directives on random snapshots: which lanes give, whom a step admits, what is a published build.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  admittingStep,
  brakeFor,
  buildsOf,
  carries,
  compileDirective,
  type Directive,
  type DirectiveInput,
  stepOf,
  vetoFor,
  wayOf,
  withLaneReason,
} from '../../src/domain/directives.ts';
import { countOccupied, NO_LIMITS } from '../../src/domain/limits.ts';
import { hash32, rank } from '../../src/domain/rank.ts';
import { isUsable, type Release, troubleOf } from '../../src/domain/release.ts';
import type { Lane, Rollout } from '../../src/domain/rollout.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import { budgetOf, NO_SILENCE } from '../../src/domain/verdict.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import fc, { drawsFixed } from '../support/fast-check.ts';
import { START } from '../support/fixtures.ts';
import { lawsOver } from '../support/laws.ts';
import { openedStep, vetoOf } from '../support/snapshots.ts';

const { cases, law } = lawsOver(150);

/** For every lane that has a release: with a floor, and as the region's baseline as well. */
function inputsOf(snapshot: Snapshot): (DirectiveInput & { lane: Lane; rollout: Rollout; release: Release })[] {
  return snapshot.rollouts.flatMap((rollout, index) => {
    const { product, policy } = rollout;
    const releaseOf = (version: string) =>
      snapshot.releases.find((one) => one.product === product && one.version === version);
    const release = releaseOf(rollout.version);
    const rules = snapshot.products.find((one) => one.name === product);
    if (release === undefined || rules === undefined) return [];
    return rollout.lanes.map((lane) => ({
      product,
      region: lane.region,
      rules: { ...rules, floors: [{ version: '1.0.0', reason: 'its state' }] },
      releaseOf,
      lane,
      rollout,
      release,
      backTo: lane.state.name === 'rolling_back' ? (releaseOf(lane.state.to.version) ?? null) : null,
      builds: buildsOf(snapshot.releases, product),
      brakes: snapshot.brakes,
      vetoes: snapshot.vetoes,
      silence: () => NO_SILENCE,
      availability: snapshot.availability,
      baseline: {
        lane: { ...lane, state: { name: 'open', step: 0, since: START }, steps: [openedStep()] },
        rollout,
        release,
        recentBad: index % 4,
        takesBack: ['1.0.0', '1.2.0', '1.3.0'],
        outdated: index % 5 === 4,
      },
      window: { open: true, closesAt: null },
      clock: snapshot.clock,
      limits: NO_LIMITS,
      occupied: countOccupied([], NO_LIMITS),
      ...(policy.supersede === 'replace' && index % 2 === 0 ? { givesWayTo: '9.9.9' } : {}),
    }));
  });
}

law('compileDirective: the same rows give the same directive, and each part stands for its rows', ({ snapshot }) => {
  for (const input of inputsOf(snapshot)) {
    const { lane, rollout, product, region } = input;
    const directive = compileDirective(input);
    const copy: DirectiveInput = { ...input, lane: structuredClone(lane), rollout: structuredClone(rollout) };
    assert.equal(JSON.stringify(compileDirective(copy)), JSON.stringify(directive));
    assert.deepEqual([directive.product, directive.region, directive.clock], [product, region, snapshot.clock]);
    assert.equal(directive.brake?.scope, brakeFor(snapshot.brakes, product, region)?.scope);
    const without = compileDirective({ ...input, lane: null, baseline: null });
    assert.deepEqual([without.lane, without.baseline], [null, null]);
    assert.deepEqual({ ...without, lane: directive.lane, baseline: directive.baseline }, directive);
  }
});

law(
  'compileDirective: a lane forward gives exactly while it is open, unspent, usable, unvetoed and in nobody’s way',
  ({ snapshot }) => {
    for (const input of inputsOf(snapshot)) {
      const { lane, rollout, release, product } = input;
      if (lane.state.name === 'rolling_back') continue;
      const compiled = compileDirective(input).lane;
      assert(compiled !== null);
      const { policy } = rollout;
      const isSpent = lane.steps.some(({ size, counters }) => counters.bad >= budgetOf(size, policy, lane.allowance));
      const gives =
        ['open', 'soaking', 'approval'].includes(lane.state.name) &&
        !isSpent &&
        isUsable(release) &&
        vetoFor(snapshot.vetoes, product, release.version) === undefined &&
        input.givesWayTo === undefined;
      assert.equal(compiled.hold === null, gives, `${lane.state.name}: ${compiled.hold?.detail}`);
      const vetoed = compileDirective({ ...input, vetoes: [...input.vetoes, vetoOf(release.version, { product })] });
      assert(['vetoed', 'halted'].includes(vetoed.lane?.hold?.reason ?? ''));
      assert.deepEqual([compiled.version, compiled.raises, compiled.takesBack], [rollout.version, true, []]);
      assert.deepEqual(
        compiled.steps.map(({ step, size, budget, strict }) => [step, size, budget, strict]),
        lane.steps.map(({ step, size }) => {
          return [step, size, budgetOf(size, policy, lane.allowance), policy.steps[step]?.budget === 'strict'];
        }),
      );
    }
  },
);

law(
  'compileDirective: a way back has one loose step, raises nobody, and what still goes forward takes of its limit',
  ({ snapshot }) => {
    for (const input of inputsOf(snapshot)) {
      const { lane, rollout, backTo } = input;
      if (lane.state.name !== 'rolling_back' || !backTo) continue;
      const compiled = compileDirective(input).lane;
      assert(compiled !== null);
      assert.deepEqual(
        [compiled.version, compiled.raises, compiled.takesBack],
        [backTo.version, false, [rollout.version]],
      );
      assert.deepEqual(
        compiled.steps.map(({ step, strict }) => [step, strict]),
        [[-lane.back.length, false]],
      );
      const forward = lane.steps.reduce((sum, { counters }) => sum + counters.hot, 0);
      assert.equal(compiled.maxHot, Math.max(0, rollout.policy.maxHot - forward));
      const stands = vetoFor(snapshot.vetoes, rollout.product, backTo.version) === undefined;
      assert.equal(compiled.hold === null, stands && troubleOf(backTo) === undefined);
    }
  },
);

law(
  'compileDirective: a baseline gives while it is open, current and nothing speaks against it, and takes back only what is higher',
  ({ snapshot }) => {
    const { compare } = schemeOf('semver');
    for (const input of inputsOf(snapshot)) {
      const { release, rollout, product, baseline } = input;
      const compiled = compileDirective(input).baseline;
      assert(compiled !== null && baseline !== null);
      const stands =
        vetoFor(snapshot.vetoes, product, release.version) === undefined && troubleOf(release) === undefined;
      assert.equal(compiled.hold === null, stands && !baseline.outdated, compiled.hold?.detail);
      assert.equal(compiled.maxHot, rollout.policy.baseline.maxHot);
      for (const { budget, strict, labels, counters } of compiled.steps)
        assert.deepEqual(
          [budget, strict, labels, counters.bad],
          [rollout.policy.baseline.badCount, true, null, baseline.recentBad],
        );
      for (const one of compiled.takesBack) assert(compare(one, rollout.version) > 0);
      assert.equal(compiled.takesBack.includes('1.3.0'), compare('1.3.0', rollout.version) > 0);
    }
  },
);

law(
  'compileDirective: a platform is absent, unknown or can be had, one of them; the way leads over the floors to the release',
  ({ snapshot }) => {
    for (const input of inputsOf(snapshot)) {
      const directive: Directive = compileDirective(input);
      const compiled = directive.lane;
      assert(compiled !== null);
      const { version } = compiled;
      const row = snapshot.availability.find(
        (one) => one.product === input.product && one.region === input.region && one.version === version,
      );
      const platforms = compiled.artifacts.map(({ platform }) => platform);
      for (const held of [...compiled.absent, ...compiled.unknown]) assert(platforms.includes(held));
      assert(compiled.absent.every((one) => !compiled.unknown.includes(one)));
      if (compiled.steps.length > 0) {
        assert.equal(compiled.absent.length > 0, row?.status === 'absent');
        if (row?.status === 'available') assert.deepEqual(compiled.unknown, []);
        if (row === undefined) assert.deepEqual(compiled.unknown, platforms);
      }
      const { stops, scheme } = wayOf(directive, compiled);
      assert.equal(stops.at(-1)?.version, version);
      for (const stop of stops.slice(0, -1)) assert(schemeOf(scheme).compare(stop.version, version) < 0);
    }
  },
);

law('withLaneReason: only of a lane that has not opened, and only its words', ({ snapshot }) => {
  for (const input of inputsOf(snapshot)) {
    const directive = compileDirective(input);
    const told = withLaneReason(directive, 'an earlier wave');
    const detail = directive.lane?.hold?.detail;
    const isUnopened = input.lane.state.name === 'waiting' && directive.lane?.hold?.reason === 'not_in_step';
    if (!isUnopened) assert.equal(told, directive);
    else {
      assert.equal(told.lane?.hold?.detail, `${detail}: an earlier wave`);
      assert.deepEqual({ ...told, lane: { ...told.lane, hold: directive.lane?.hold } }, directive);
    }
    assert.equal(withLaneReason(directive, undefined), directive);
  }
});

law(
  'buildsOf: every artifact of the product leads to its versions, and nothing of another product is known',
  ({ snapshot }) => {
    for (const { name } of snapshot.products) {
      const builds = buildsOf(snapshot.releases, name);
      const own = snapshot.releases.filter((one) => one.product === name);
      const files = own.flatMap((one) => one.artifacts.map(({ sha256 }) => ({ sha256, version: one.version })));
      const versions = Map.groupBy(files, ({ sha256 }) => sha256);
      const expected = [...versions].map(([sha256, those]) => [sha256, [...new Set(those.map((one) => one.version))]]);
      assert.deepEqual(builds, Object.fromEntries(expected));
    }
    assert.deepEqual(buildsOf(snapshot.releases, 'nothing'), {});
  },
);

const labels = fc.dictionary(fc.constantFrom('ring', 'site'), fc.constantFrom('a', 'b'));
const agents = fc.record({ id: fc.stringMatching(/^[a-f]{1,3}$/), labels });
const drawnSteps = fc.array(
  fc.record({
    wanted: fc.option(labels),
    threshold: fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom('a', 'b', 'cc')),
    thresholdId: fc.constantFrom('', 'b', 'cc', '~'),
  }),
  { maxLength: 4 },
);

test('stepOf and admittingStep: the first step that the agent is inside of, its seat before all; later and wider steps only add', () => {
  const [first] = cases().flatMap(({ snapshot }) => inputsOf(snapshot));
  assert(first !== undefined);
  const lane = compileDirective(first).lane;
  assert(lane !== null);
  let inside = 0;
  fc.assert(
    fc.property(agents, drawnSteps, fc.nat(), fc.option(fc.nat(4)), (agent, drawn, seed, seated) => {
      const place = rank(hash32(agent.id), seed);
      const steps = drawn.map(({ wanted, threshold, thresholdId }, step) => ({
        step,
        labels: wanted,
        // That of an agent that lies just there, too.
        threshold: typeof threshold === 'string' ? rank(hash32(threshold), seed) : threshold,
        thresholdId,
        size: 1,
        budget: 1,
        strict: true,
        counters: openedStep().counters,
      }));
      const isInside = (step: (typeof steps)[number]) =>
        step.labels === null
          ? place < step.threshold || (place === step.threshold && agent.id <= step.thresholdId)
          : Object.entries(step.labels).every(([key, value]) => agent.labels[key] === value);
      const compiled = { ...lane, seed, steps };
      const found = stepOf(compiled, agent);
      assert.equal(found, steps.find(isInside));
      if (found !== undefined) inside += 1;
      const seats = seated === null ? [] : [{ laneId: lane.laneId, step: seated }];
      assert.equal(admittingStep(compiled, { ...agent, seats }), steps[seated ?? -1] ?? found);
      assert.equal(admittingStep(compiled, { ...agent, seats: [{ laneId: 'other', step: 0 }] }), found);
      const wider = steps.map((step) => ({ ...step, threshold: Math.min(0xffffffff, step.threshold + 1) }));
      if (found !== undefined) assert((stepOf({ seed, steps: wider }, agent)?.step ?? 9) <= found.step, 'S3');
      for (const step of steps)
        if (step.labels !== null) assert.equal(carries(agent.labels, step.labels), isInside(step));
    }),
    { numRuns: 300 },
  );
  assert(inside > 60 || !drawsFixed, String(inside));
});
