// What a lane's rows are compiled to: the hold of the lane, budgets, who is inside a step.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Availability } from '../../src/domain/availability.ts';
import {
  brakeFor,
  carries,
  compileDirective,
  type DirectiveInput,
  type LaneDirective,
  stepOf,
  vetoFor,
} from '../../src/domain/directives.ts';
import { countOccupied, NO_LIMITS } from '../../src/domain/limits.ts';
import { hash32, rank } from '../../src/domain/rank.ts';
import type { Release } from '../../src/domain/release.ts';
import type { Lane, LaneStateName } from '../../src/domain/rollout.ts';
import { NO_SILENCE } from '../../src/domain/verdict.ts';
import { rules, START, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import {
  availabilityOf,
  brakeOf,
  counts,
  laneIn,
  openedStep,
  rolloutOf,
  stateNamed,
  vetoOf,
} from '../support/snapshots.ts';

const RELEASE = testRelease('1.1.0');

function inputOf(lane: Lane, overrides: Partial<DirectiveInput> = {}): DirectiveInput {
  const rollout = rolloutOf('1.1.0', [lane]);
  return {
    product: 'agentd',
    region: 'eu',
    rules: rules(testPolicy()),
    releaseOf: () => undefined,
    lane: rollout.lanes[0] as Lane,
    rollout,
    release: RELEASE,
    builds: {},
    brakes: [],
    vetoes: [],
    silence: () => NO_SILENCE,
    availability: [availabilityOf(RELEASE, 'eu')],
    baseline: null,
    window: { open: true, closesAt: null },
    clock: null,
    limits: NO_LIMITS,
    occupied: countOccupied([], NO_LIMITS),
    ...overrides,
  };
}

function holdOf(lane: Lane, overrides: Partial<DirectiveInput> = {}): string {
  const hold = compileDirective(inputOf(lane, overrides)).lane?.hold;
  return hold === null || hold === undefined ? 'gives' : hold.reason;
}

describe('compileDirective: which lanes give', () => {
  const states: Record<LaneStateName, string> = {
    waiting: 'not_in_step',
    open: 'gives',
    soaking: 'gives',
    approval: 'gives',
    paused: 'paused',
    halted: 'halted',
    rolling_back: 'not_in_step',
    rolled_back: 'not_in_step',
    completed: 'not_in_step',
    superseded: 'not_in_step',
    cancelled: 'not_in_step',
  };
  for (const [name, expected] of Object.entries(states) as [LaneStateName, string][]) {
    test(`a lane that is ${name}: ${expected}`, () => {
      assert.equal(holdOf(laneIn('eu', stateNamed(name), { steps: [openedStep()] })), expected);
    });
  }

  const open = laneIn('eu', stateNamed('open'), { steps: [openedStep()] });
  const rows: [title: string, lane: Lane, overrides: Partial<DirectiveInput>, expected: string][] = [
    ['vetoed', open, { vetoes: [vetoOf('1.1.0')] }, 'vetoed'],
    ['another version vetoed', open, { vetoes: [vetoOf('1.2.0')] }, 'gives'],
    ['withdrawn', open, { release: { ...RELEASE, state: 'withdrawn' } }, 'not_available'],
    ['altered', open, { release: { ...RELEASE, state: 'altered' } }, 'not_available'],
    ['refused', open, { release: { ...RELEASE, state: 'refused' } }, 'not_available'],
    ['complete for some platforms', open, { release: { ...RELEASE, state: 'pending' } }, 'gives'],
    ['giving way', open, { givesWayTo: '1.2.0' }, 'not_in_step'],
    [
      'halted and vetoed: halted comes first',
      laneIn('eu', stateNamed('halted')),
      { vetoes: [vetoOf('1.1.0')] },
      'halted',
    ],
    [
      'paused and vetoed: the veto comes first',
      laneIn('eu', stateNamed('paused')),
      { vetoes: [vetoOf('1.1.0')] },
      'vetoed',
    ],
    [
      'a spent budget that is not booked as a halt yet',
      laneIn('eu', stateNamed('open'), { steps: [openedStep({ counters: counts({ bad: 1 }) })] }),
      {},
      'halted',
    ],
    [
      'a spent budget in an earlier step',
      laneIn('eu', stateNamed('open', 1), {
        steps: [openedStep({ done: true, counters: counts({ bad: 1 }) }), openedStep({ step: 1 })],
      }),
      {},
      'halted',
    ],
    [
      'a verdict that holds: passing stops, granting goes on',
      laneIn('eu', stateNamed('open'), { steps: [openedStep()] }),
      { silence: () => ({ gone: 3, ineligible: 0, replaceable: 0 }) },
      'gives',
    ],
  ];
  for (const [title, lane, overrides, expected] of rows) {
    test(`${title}: ${expected}`, () => assert.equal(holdOf(lane, overrides), expected));
  }

  test('without a lane nothing goes out, and a brake still shows', () => {
    const input = { ...inputOf(open), lane: null, rollout: null, release: null, brakes: [brakeOf('region:eu')] };
    const directive = compileDirective(input);
    assert.deepEqual([directive.lane, directive.brake], [null, { scope: 'region:eu', reason: 'careful' }]);
  });

  test('steps carry their budget with the allowance, and whether it is strict', () => {
    const policy = testPolicy({ steps: [stepPolicy({ percent: 50 }), stepPolicy({ budget: 'loose' })] });
    const lane = laneIn('eu', stateNamed('open', 1), {
      allowance: 2,
      steps: [openedStep({ done: true, size: 100 }), openedStep({ step: 1, size: 3 })],
    });
    const directive = compileDirective(inputOf(lane, { rollout: rolloutOf('1.1.0', [lane], { policy }) }));
    assert.deepEqual(
      directive.lane?.steps.map(({ step, budget, strict }) => [step, budget, strict]),
      [
        [0, 4, true],
        [1, 3, false],
      ],
    );
  });

  const platforms = ['a', 'b', 'c', 'd', 'e', 'f'];
  const [artifact] = RELEASE.artifacts as [Release['artifacts'][number]];
  const wide = { ...RELEASE, artifacts: platforms.map((platform) => ({ ...artifact, platform })) };
  const known: Availability[] = [
    { ...availabilityOf(RELEASE, 'eu', 'available'), platform: 'a' },
    { ...availabilityOf(RELEASE, 'eu', 'absent'), platform: 'b' },
    { ...availabilityOf(RELEASE, 'eu', 'unknown'), platform: 'c', wasAbsent: true },
    { ...availabilityOf(RELEASE, 'eu', 'unknown'), platform: 'd' },
    { ...availabilityOf(RELEASE, 'eu', 'unknown'), platform: 'e', since: START + 1 },
    // Of another region, and of another release.
    { ...availabilityOf(RELEASE, 'us', 'available'), platform: 'f' },
    { ...availabilityOf(testRelease('1.0.0'), 'eu', 'absent'), platform: 'a' },
  ];

  test('platforms that cannot be had, and those of which nobody has known since the lane opened', () => {
    const { lane } = compileDirective(inputOf(open, { release: wide, availability: known }));
    assert.deepEqual([lane?.absent, lane?.unknown], [['b'], ['c', 'd', 'f']]);
  });

  test('the same of a baseline', () => {
    const lane = laneIn('eu', stateNamed('open'), { kind: 'baseline', steps: [openedStep({ size: 0 })] });
    const baseline = { lane, rollout: rolloutOf('1.1.0', [open]), release: wide, recentBad: 0, outdated: false };
    const found = compileDirective(inputOf(open, { lane: null, availability: known, baseline })).baseline;
    assert.deepEqual([found?.absent, found?.unknown], [['b'], ['c', 'd', 'f']]);
  });
});

test('a baseline takes back what is higher, but nobody below a floor that has been passed', () => {
  const lane = laneIn('eu', stateNamed('open'), { kind: 'baseline', steps: [openedStep({ size: 0 })] });
  const takesBack = ['1.0.0', '1.2.0', '2.0.0', '2.1.0'];
  const baseline = { lane, rollout: rolloutOf('1.1.0', [lane]), release: RELEASE, recentBad: 0, outdated: false };
  const takenBy = (floors: { version: string; reason: string }[]) => {
    const overrides = { rules: rules(testPolicy(), { floors }), baseline: { ...baseline, takesBack } };
    return compileDirective(inputOf(lane, { lane: null, ...overrides })).baseline?.takesBack;
  };
  assert.deepEqual(takenBy([]), ['1.2.0', '2.0.0', '2.1.0']);
  assert.deepEqual(takenBy([{ version: '2.0.0', reason: 'state' }]), ['1.2.0']);
  assert.deepEqual(takenBy([{ version: '1.1.0', reason: 'state' }]), ['1.2.0', '2.0.0', '2.1.0']);
});

describe('brakeFor and vetoFor', () => {
  const rows: [scope: string, expected: boolean][] = [
    ['fleet', true],
    ['product:agentd', true],
    ['region:eu', true],
    ['product:eu', false],
    ['region:agentd', false],
    ['product:proxyd', false],
    ['region:us', false],
  ];
  for (const [scope, expected] of rows) {
    test(`brakeFor(${scope}, agentd, eu) ${expected ? 'brakes' : 'does not'}`, () => {
      assert.equal(brakeFor([brakeOf(scope)], 'agentd', 'eu') !== undefined, expected);
    });
  }
  test('a veto is of one version of one product', () => {
    assert.equal(vetoFor([vetoOf('1.1.0')], 'agentd', '1.1.0')?.reason, 'harmful');
    assert.equal(vetoFor([vetoOf('1.1.0')], 'agentd', '1.1.1'), undefined);
    assert.equal(vetoFor([vetoOf('1.1.0')], 'proxyd', '1.1.0'), undefined);
  });
});

describe('stepOf', () => {
  const agent = { id: 'agent', labels: { ring: 'canary' } };
  const place = rank(hash32('agent'), 1);
  const step = (threshold: number, thresholdId: string, labels: Record<string, string> | null = null, name = 0) => ({
    step: name,
    labels,
    threshold,
    thresholdId,
    size: 1,
    budget: 1,
    strict: true,
    counters: counts(),
  });
  const rows: [title: string, steps: LaneDirective['steps'], expected: number | undefined][] = [
    ['no step', [], undefined],
    ['rank below the threshold', [step(place + 1, '')], 0],
    ['rank above it', [step(place - 1, 'zzz')], undefined],
    ['equal rank, its own id', [step(place, 'agent')], 0],
    ['equal rank, a later id', [step(place, 'b')], 0],
    ['equal rank, an earlier id', [step(place, 'a')], undefined],
    ['labels, whatever the rank', [step(0, '', { ring: 'canary' })], 0],
    ['labels that it does not carry', [step(0xffffffff, '~', { ring: 'late' })], undefined],
    ['the first of two', [step(place, 'agent'), step(0xffffffff, '~', null, 1)], 0],
    ['only the second', [step(0, ''), step(0xffffffff, '~', null, 1)], 1],
  ];
  for (const [title, steps, expected] of rows) {
    test(`${title}: ${expected}`, () => assert.equal(stepOf({ seed: 1, steps }, agent)?.step, expected));
  }
});

test('carries: every wanted label, and no label wanted is carried by all', () => {
  assert.equal(carries({ ring: 'canary', site: 'a' }, { ring: 'canary' }), true);
  assert.equal(carries({ ring: 'canary' }, { ring: 'canary', site: 'a' }), false);
  assert.equal(carries({}, {}), true);
});
