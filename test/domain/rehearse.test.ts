// Rehearsals on the virtual clock: a timeline worked out by hand, and what holds for every model.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Limits, NO_LIMITS } from '../../src/domain/limits.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { FleetGroup, ModelInput } from '../../src/domain/rehearse/model.ts';
import { modelRelease, withOffline } from '../../src/domain/rehearse/question.ts';
import { type RehearsalQuestion, rehearse } from '../../src/domain/rehearse/rehearse.ts';
import { simulate } from '../../src/domain/rehearse/simulate.ts';
import { DAYS, type WindowRules } from '../../src/domain/window.ts';
import fc from '../support/fast-check.ts';
import { rules, START, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const ALWAYS: WindowRules = { allow: [], deny: [] };
const OFFICE: WindowRules = { allow: [{ days: [...DAYS], from: 9 * 60, to: 17 * 60 }], deny: [] };

function group(region: string, agents: number, overrides: Partial<FleetGroup> = {}): FleetGroup {
  return { region, platform: 'linux-x64', version: '1.0.0', labels: {}, agents, present: agents, ...overrides };
}

interface Asked extends Partial<RehearsalQuestion> {
  policy?: Partial<Policy>;
  windows?: WindowRules;
}

function question({ policy = {}, windows = ALWAYS, fleet = [group('eu', 10)], ...rest }: Asked): RehearsalQuestion {
  const regions = [...new Set(fleet.map((one) => one.region))];
  return {
    product: rules(testPolicy({ waves: regions.map((region) => [region]), ...policy })),
    regions,
    calendars: regions.map((region) => ({ region, timeZone: 'UTC', windows })),
    freezes: [],
    limits: NO_LIMITS,
    brakes: [],
    vetoes: [],
    baselines: [],
    seed: 1,
    approveAfterMs: 0,
    availabilityDelayMs: 0,
    pollMs: 0,
    stageMs: MINUTE,
    activateMs: MINUTE,
    version: '1.1.0',
    release: testRelease('1.1.0'),
    floors: [],
    passedOver: [],
    platforms: ['linux-x64'],
    fleet,
    offline: null,
    failureRate: 0.5,
    now: START,
    horizonMs: 30 * DAY,
    ...rest,
  };
}

/** `open 1 0s`: state, step from 1, seconds since the start. */
function told(asked: Asked, lane = 0): string[] {
  const { lanes } = rehearse(question(asked));
  return (lanes[lane]?.spans ?? []).map(({ state, step, from }) =>
    [state, ...(step === null ? [] : [step + 1]), `${(from - START) / SECOND}s`].join(' '),
  );
}

describe('rehearse: the timeline', () => {
  // Five agents one by one, since the strict budget of a small step is one; then five, two at a time.
  const halves = {
    maxHot: 2,
    steps: [
      stepPolicy({ percent: 50, soakMs: HOUR }),
      stepPolicy({ percent: 100, soakMs: HOUR, budget: 'loose' as const }),
    ],
  };
  const rows: [what: string, asked: Asked, spans: string[]][] = [
    [
      'two halves, each with a soak',
      { policy: halves },
      ['waiting 0s', 'open 1 0s', 'soaking 1 360s', 'open 2 3960s', 'soaking 2 4200s', 'completed 7800s'].slice(1),
    ],
    [
      'a person promotes after two hours',
      {
        policy: { ...halves, steps: [stepPolicy({ percent: 100, soakMs: HOUR, manual: true })] },
        approveAfterMs: 2 * HOUR,
      },
      ['open 1 0s', 'soaking 1 660s', 'approval 1 4260s', 'completed 11460s'],
    ],
    [
      'nothing opens before the window does',
      { policy: halves, windows: OFFICE },
      ['waiting 0s', 'open 1 32400s', 'soaking 1 32760s', 'open 2 36360s', 'soaking 2 36600s', 'completed 40200s'],
    ],
    [
      'younger than the policy wants',
      { policy: { ...halves, minAgeMs: 3 * HOUR } },
      ['open 1 7200s', 'soaking 1 7560s', 'open 2 11160s', 'soaking 2 11400s', 'completed 15000s'],
    ],
    [
      'regions have it two minutes later',
      { policy: { steps: [stepPolicy({ soakMs: 0 })] }, availabilityDelayMs: 2 * MINUTE, fleet: [group('eu', 1)] },
      ['open 1 120s', 'soaking 1 240s', 'completed 240s'].filter((one) => !one.startsWith('soaking')),
    ],
  ];
  rows.push([
    'each agent stops at the floor first, which takes it as long again',
    { policy: { steps: [stepPolicy({ soakMs: 0 })] }, floors: [testRelease('1.0.5')], fleet: [group('eu', 1)] },
    ['open 1 0s', 'completed 240s'],
  ]);
  for (const [what, asked, spans] of rows) it(what, () => assert.deepEqual(told(asked), spans));

  it('the second wave begins when the first has completed', () => {
    const fleet = [group('eu', 2), group('us', 2)];
    assert.deepEqual(told({ fleet }, 1).slice(0, 2), ['waiting 0s', 'open 1 240s']);
  });

  it('says what held it, and for how long', () => {
    const { lanes } = rehearse(question({ policy: halves, windows: OFFICE }));
    const held = lanes[0]?.holds.map(({ who, reason, from, to }) => [who, reason, ((to ?? 0) - from) / SECOND]);
    assert.deepEqual(held, [
      ['lane', 'outside_window', 32_400],
      ['agents', 'budget', 240],
      ['lane', 'soaking', 3600],
      ['agents', 'at_limit', 120],
      ['lane', 'soaking', 3600],
    ]);
  });

  it('a release that is bad is not bad at a stop on the way, nor is anybody exposed to it there', () => {
    const policy = { steps: [stepPolicy({ soakMs: 0 })], attemptsPerAgent: 1 };
    const asked = { policy, floors: [testRelease('1.0.5')], fleet: [group('eu', 1)], failureRate: 1 };
    const { agents, exposure, lanes } = rehearse(question(asked));
    assert.deepEqual([agents.updated, lanes[0]?.steps[0]?.exposed], [1, 1]);
    assert.deepEqual([exposure.halted, exposure.exposed?.most, exposure.broken], [exposure.runs, 1, 1]);
    assert.equal(exposure.haltedAfterMs, 4 * MINUTE);
  });

  it('waits for a canary that the release passes over, and skips the step where nobody carries its labels', () => {
    const canary = { ring: 'canary' };
    const policy = { steps: [stepPolicy({ percent: null, labels: canary }), stepPolicy({ soakMs: 0 })] };
    const lanesOf = (labels: Record<string, string>) =>
      rehearse(question({ policy, passedOver: [{ region: 'eu', labels, agents: 1 }] })).lanes;
    assert.deepEqual(lanesOf({ ring: 'rest' })[0]?.state, 'completed');
    const [held] = lanesOf(canary);
    assert.deepEqual([held?.state, held?.holds.at(-1)?.reason], ['waiting', 'no_agents']);
  });

  it('without anybody who promotes nothing goes on', () => {
    const asked = { policy: { steps: [stepPolicy({ manual: true })] }, approveAfterMs: null };
    const found = rehearse(question(asked));
    assert.deepEqual([found.stoppedBy, found.lanes[0]?.state], ['held', 'approval']);
    assert.equal(found.lanes[0]?.holds.at(-1)?.reason, 'needs_approval');
    assert.equal(found.lanes[0]?.holds.at(-1)?.to, null);
  });

  it('a vetoed release does not go out, and it says why', () => {
    const veto = {
      product: 'agentd',
      version: '1.1.0',
      automatic: false,
      actor: 'anna',
      reason: 'it crashes',
      at: START,
    };
    const found = rehearse(question({ vetoes: [veto] }));
    assert.deepEqual([found.policy, found.hold?.reason, found.agents.waiting], [null, 'vetoed', 10]);
  });

  it('each step says what rate it can detect', () => {
    const { lanes } = rehearse(question({ fleet: [group('eu', 59)] }));
    assert.equal(lanes[0]?.steps[0]?.detects.toFixed(3), '0.050');
  });
});

describe('rehearse: a bad release', () => {
  it('that fails everywhere stops at the budget of a strict step, and is never let go to more', () => {
    const { exposure } = rehearse(question({ failureRate: 1, fleet: [group('eu', 200)], policy: { maxHot: 50 } }));
    // Four bad ones halt two hundred agents, and a strict budget lets no more than these be at risk.
    assert.deepEqual([exposure.halted, exposure.exposed?.most, exposure.broken], [exposure.runs, 4, 4]);
  });

  it('that never fails reaches everybody', () => {
    const { exposure } = rehearse(question({ failureRate: 0 }));
    assert.deepEqual([exposure.halted, exposure.passed, exposure.exposed], [0, exposure.runs, null]);
  });

  it('stops all regions, also those of the same wave', () => {
    const fleet = ['eu', 'us', 'ap'].map((region) => group(region, 50));
    const policy = { waves: [['eu', 'us', 'ap']], maxHot: 50 };
    const { exposure } = rehearse(question({ failureRate: 1, fleet, policy }));
    assert.deepEqual([exposure.exposed?.most, exposure.broken], [3, 1]);
  });
});

describe('rehearse: what holds for every model', () => {
  const models = fc.record({
    agents: fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 3 }),
    shares: fc.constantFrom([100], [10, 100], [1, 50, 100]),
    maxHot: fc.integer({ min: 1, max: 20 }),
    soakMs: fc.constantFrom(0, 90 * SECOND, 5 * HOUR),
    manual: fc.boolean(),
    office: fc.boolean(),
    offline: fc.constantFrom(0, 0.1, 0.5),
    failureRate: fc.constantFrom(0, 0.01, 0.2),
    minAgeMs: fc.constantFrom(0, 2 * HOUR),
    floor: fc.boolean(),
    limits: fc.constantFrom<Partial<Limits>>(
      {},
      { fleet: 3 },
      { region: 2 },
      { downloads: { fleet: 4, region: 2 } },
      { perHour: 10 },
      { site: { label: 'site', max: 1 } },
    ),
    seed: fc.integer({ min: 1, max: 1000 }),
  });

  type Model = typeof models extends fc.Arbitrary<infer T> ? T : never;

  function inputOf(model: Model, extra: ModelInput['releases'] = []): ModelInput {
    const { agents, shares, maxHot, soakMs, manual, office, offline, failureRate, minAgeMs, seed } = model;
    const regions = agents.map((_, index) => `r${index}`);
    const steps = shares.map((percent, index) =>
      stepPolicy({ percent, soakMs, manual: manual && index === 0, budget: index === 0 ? 'strict' : 'loose' }),
    );
    const policy = testPolicy({ waves: [regions.slice(0, 1), regions.slice(1)], maxHot, steps, minAgeMs });
    const fleet = agents.flatMap((number, index) => [
      group(`r${index}`, number, { labels: { site: `s${index}` } }),
      group(`r${index}`, 3, { labels: { site: 'other' } }),
    ]);
    return {
      product: rules(policy),
      regions,
      calendars: regions.map((region) => ({ region, timeZone: 'Europe/Berlin', windows: office ? OFFICE : ALWAYS })),
      freezes: [],
      limits: { ...NO_LIMITS, ...model.limits },
      brakes: [],
      vetoes: [],
      baselines: [],
      passedOver: [],
      floors: model.floor ? [modelRelease(testRelease('1.0.5'), 'semver', ['linux-x64'])] : [],
      releases: [{ release: modelRelease(testRelease('1.1.0'), 'semver', ['linux-x64']), visibleAt: START }, ...extra],
      fleet: withOffline(fleet, offline),
      startMs: START,
      endMs: START + 40 * DAY,
      seed,
      failureRate,
      approveAfterMs: 45 * MINUTE,
      pace: { pollMs: MINUTE, stageMs: 30 * SECOND, activateMs: 100 * SECOND },
      until: 'ended',
    };
  }

  const EARLY_END = {
    agents: [18],
    shares: [100] as const,
    maxHot: 1,
    soakMs: 0,
    manual: true,
    office: false,
    offline: 0 as const,
    failureRate: 0 as const,
    minAgeMs: 0,
    floor: false,
    limits: { perHour: 10 },
    seed: 1,
  };

  const LOOKED_AT_IN_LINE = {
    agents: [27, 0],
    shares: [100] as const,
    maxHot: 1,
    soakMs: 0,
    manual: false,
    office: false,
    offline: 0 as const,
    failureRate: 0.2 as const,
    minAgeMs: 2 * HOUR,
    floor: false,
    limits: { downloads: { fleet: 4, region: 2 } },
    seed: 1,
  };

  const AT_IT_WHEN_HALTED = {
    ...LOOKED_AT_IN_LINE,
    agents: [0, 4, 1],
    failureRate: 0.01 as const,
    minAgeMs: 0,
    limits: {},
    seed: 228,
  };

  it('the same input gives the same run, which leaves nobody uncounted', () => {
    fc.assert(
      fc.property(models, (model) => {
        const [one, other] = [simulate(inputOf(model)), simulate(inputOf(model))];
        assert.deepEqual(one.rollouts, other.rollouts);
        assert.notEqual(one.stoppedBy, 'work');
        const lanes = one.rollouts.flatMap((rollout) => rollout.lanes);
        const steps = lanes.flatMap((lane) => lane.steps);
        const sum = (key: 'exposed' | 'succeeded' | 'bad') => steps.reduce((total, step) => total + step[key], 0);
        assert.ok(sum('exposed') >= sum('succeeded') + sum('bad'));
        // Who tries again is nobody else.
        const present = inputOf(model).fleet.reduce((total, group) => total + group.present, 0);
        assert.ok(one.exposed <= present, `${one.exposed} of ${present}`);
        if (lanes.every((lane) => lane.state === 'completed')) {
          // A step is done without its last few members: one of them may be at it while the lane completes.
          const open = steps.reduce((total, step) => total + step.size - step.succeeded - step.bad, 0);
          assert.ok(one.world.occupied.fleet <= open);
          assert.deepEqual(one.world.occupied.downloads.fleet, 0);
        }
        for (const { spans, steps: own } of lanes) {
          for (const [index, span] of spans.entries()) assert.equal(span.to, spans[index + 1]?.from ?? null);
          for (const { openedAt, endedAt, size, succeeded, bad } of own) {
            assert.ok((endedAt ?? openedAt) >= openedAt && succeeded + bad <= size);
          }
        }
      }),
      // The example: one agent of eighteen is at it when a lane of one step without a soak completes.
      { numRuns: 30, examples: [[EARLY_END]] },
    );
  });

  it('looking more often changes nothing: whatever time brings is foreseen', () => {
    fc.assert(
      fc.property(models, fc.integer({ min: 1, max: 600 }), (model, apart) => {
        // A release without files is never the choice; that it appears makes the planner look.
        const looks = Array.from({ length: 100 }, (_, index) => ({
          release: modelRelease({ ...testRelease('0.1.0'), id: `look-${index}` }, 'semver', []),
          visibleAt: START + (index + 1) * apart * MINUTE + 17 * SECOND,
        }));
        const [seldom, often] = [simulate(inputOf(model)), simulate(inputOf(model, looks))];
        const spansOf = ({ rollouts }: typeof seldom) =>
          rollouts.flatMap(({ lanes }) => lanes.map(({ spans, steps }) => ({ spans, steps })));
        assert.deepEqual(spansOf(often), spansOf(seldom));
      }),
      {
        numRuns: 20,
        // Whoever waited for a download lost their place in the line whenever somebody looked; who was at it when
        // another region's failure halted theirs was counted only if somebody looked again.
        examples: [
          [LOOKED_AT_IN_LINE, 1],
          [AT_IT_WHEN_HALTED, 1],
        ],
      },
    );
  });

  it('ceilings hold over every window of an hour', () => {
    const model: Model = {
      agents: [60],
      shares: [100] as const,
      maxHot: 20,
      soakMs: 0,
      manual: false,
      office: false,
      offline: 0,
      failureRate: 0,
      minAgeMs: 0,
      floor: false,
      limits: { perHour: 10 },
      seed: 1,
    };
    const { rollouts } = simulate(inputOf(model));
    // Of 63 agents 57 must succeed: the sixth ten bring them, five hours after the first.
    const [lane] = rollouts[0]?.lanes ?? [];
    const done = (lane?.spans.find((span) => span.state === 'completed')?.from ?? 0) - START;
    assert.ok(done > 5 * HOUR && done < 5 * HOUR + 10 * MINUTE, String(done / MINUTE));
  });
});
