// Lanes, rollouts and whole snapshots as values, and a generator of random ones that keep every promise.
import fc from 'fast-check';
import type { Attempt } from '../../src/domain/agent.ts';
import { subjectOf } from '../../src/domain/approval.ts';
import type { Availability } from '../../src/domain/availability.ts';
import { violations } from '../../src/domain/check.ts';
import type { Brake, Veto } from '../../src/domain/directives.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Release, ReleaseState } from '../../src/domain/release.ts';
import {
  isLiveLane,
  isTerminalLane,
  type Lane,
  type LaneState,
  type LaneStateName,
  NO_COUNTS,
  type Rollout,
  type RunningState,
  type Step,
  type StepCounters,
} from '../../src/domain/rollout.ts';
import type { LaneCensus, ProductRules, Snapshot } from '../../src/domain/snapshot.ts';
import { budgetOf } from '../../src/domain/verdict.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import { DAYS, type WindowRules } from '../../src/domain/window.ts';
import { digestOf, rules, START, stepPolicy, testPolicy, testRelease } from './fixtures.ts';

/** Where observed time stands in the snapshots here, milliseconds. */
export const OBSERVED = 10_000_000;
export const PLATFORM = 'linux-x64';
/** What a step of 100 % reaches. */
export const EVERYBODY = { threshold: 0xffffffff, thresholdId: '~' };

export function counts(overrides: Partial<StepCounters> = {}): StepCounters {
  return { ...NO_COUNTS, ...overrides };
}

/** A state with plausible data of its own, in the given step where it has one. */
export function stateNamed(name: LaneStateName, step = 0): LaneState {
  const since = START;
  const person = { by: 'me', reason: 'because' };
  switch (name) {
    case 'waiting':
      return { name, since };
    case 'rolled_back':
      return { name, since, to: '1.0.0' };
    case 'open':
      return { name, step, since };
    case 'approval':
      return { name, step, since };
    case 'soaking':
      return { name, step, since, observedMs: OBSERVED };
    case 'paused':
      return { name, since, ...person, resume: { name: 'open', step, since }, soakedMs: 0 };
    case 'halted':
      return { name, since, ...person, step };
    case 'rolling_back':
      return { name, since, ...person, to: { version: '1.0.0', releaseId: 'release-1.0.0' } };
    case 'cancelled':
      return { name, since, ...person };
    case 'completed':
      return { name, since, evidence: true };
    case 'superseded':
      return { name, since, by: 'newer' };
  }
}

/** Opened, with three members of which none has answered, and reaching everybody. */
export function openedStep(overrides: Partial<Step> = {}): Step {
  return { step: 0, openedAt: START, size: 3, ...EVERYBODY, done: false, counters: NO_COUNTS, ...overrides };
}

export function laneIn(region: string, state: LaneState, overrides: Partial<Lane> = {}): Lane {
  return {
    id: `lane-${region}`,
    kind: 'rollout',
    rolloutId: 'rollout',
    product: 'agentd',
    region,
    wave: 0,
    state,
    budgetEpoch: 0,
    allowance: 0,
    approvals: [],
    revision: 0,
    steps: [],
    back: state.name === 'rolling_back' ? [openedStep({ step: -1 })] : [],
    ...overrides,
  };
}

/** Lanes get their rollout's id, product and an id of their own. */
export function rolloutOf(version: string, lanes: Lane[], overrides: Partial<Rollout> = {}): Rollout {
  const { id = `rollout-${version}`, product = 'agentd' } = overrides;
  return {
    id,
    product,
    releaseId: product === 'agentd' ? `release-${version}` : `release-${product}-${version}`,
    version,
    policy: testPolicy(),
    seed: 1,
    createdAt: START,
    endedAt: null,
    ...overrides,
    lanes: lanes.map((lane) => ({ ...lane, id: `${id}/${lane.region}`, rolloutId: id, product })),
  };
}

/** Three present agents, none of them in a step; every step that is not open would take all of them. */
export function censusOf(rollout: Rollout, lane: Lane, overrides: Partial<LaneCensus> = {}): LaneCensus {
  const opened = lane.steps.at(-1)?.step ?? -1;
  return {
    laneId: lane.id,
    eligible: 3,
    agents: 3,
    platforms: [PLATFORM],
    floors: [],
    previews: rollout.policy.steps.flatMap((_, step) => (step > opened ? [{ step, members: 3, eligible: 3 }] : [])),
    steps: lane.steps.map(({ step, counters }) => ({
      step,
      gone: 0,
      ineligible: 0,
      replaceable: 0,
      updated: counters.succeeded,
      updatedPresent: counters.succeeded,
      unheard: 0,
    })),
    ...overrides,
  };
}

/** Every release can be had everywhere, and every lane that has not ended has the census of `censusOf`. */
export function snapshotOf(overrides: Partial<Snapshot> = {}): Snapshot {
  const { releases = [], rollouts = [], regions = ['eu', 'us', 'ap'] } = overrides;
  return {
    observedMs: OBSERVED,
    products: [rules(testPolicy({ waves: [['eu']] }))],
    regions,
    calendars: regions.map((region) => ({ region, timeZone: 'UTC', windows: { allow: [], deny: [] } })),
    freezes: [],
    clock: null,
    ceilings: [],
    considered: [],
    releases,
    availability: releases.flatMap((release) => regions.map((region) => availabilityOf(release, region))),
    vetoes: [],
    brakes: [],
    rollouts,
    baselineLanes: [],
    recentBad: {},
    baselines: [],
    census: [],
    lanes: rollouts.flatMap((rollout) =>
      rollout.lanes.filter((lane) => !isTerminalLane(lane.state.name)).map((lane) => censusOf(rollout, lane)),
    ),
    overdue: [],
    metrics: [],
    ...overrides,
  };
}

export function availabilityOf(
  { product, version }: Release,
  region: string,
  status: Availability['status'] = 'available',
): Availability {
  return { product, version, region, platform: PLATFORM, status, why: 'probed', since: START, checkedAt: START };
}

export function vetoOf(version: string, overrides: Partial<Veto> = {}): Veto {
  return { product: 'agentd', version, automatic: false, actor: 'me', reason: 'harmful', at: START, ...overrides };
}

export function brakeOf(scope: string): Brake {
  return { scope, actor: 'me', reason: 'careful', at: START };
}

export function attemptOf(overrides: Partial<Attempt> = {}): Attempt {
  return {
    id: 'attempt',
    agentId: 'agent',
    rolloutId: 'rollout-1.1.0',
    laneId: 'rollout-1.1.0/eu',
    step: 0,
    member: true,
    budgetEpoch: 0,
    product: 'agentd',
    version: '1.1.0',
    platform: PLATFORM,
    sha256: digestOf('1.1.0'),
    size: 1000,
    fromVersion: '1.0.0',
    fromDigest: digestOf('1.0.0'),
    sequence: 1,
    state: 'offered',
    offeredAt: START,
    grantedAt: null,
    endedAt: null,
    deadlineObserved: OBSERVED + 1,
    cause: null,
    detail: null,
    corrected: false,
    ...overrides,
  };
}

/** Throws on any write to it, however deep. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}

const VERSIONS = ['1.0.0', '1.1.0', '1.2.0', '1.3.0-rc.1', '1.3.0'];
const REGIONS = ['eu', 'us', 'ap'];

type Gen = fc.GeneratorValue;

/** Random snapshots of one or two products, up to three regions and steps, without any violation. */
export function anySnapshot(): fc.Arbitrary<Snapshot> {
  return fc
    .gen()
    .map(generate)
    .filter((snapshot) => violations(snapshot).length === 0);
}

function anyCeilings(gen: Gen): Snapshot['ceilings'] {
  if (!chance(gen, 15)) return [];
  const max = upTo(gen, 1, 3);
  const count = upTo(gen, 0, max);
  return [{ window: 'hour', max, count, leavesAt: count === 0 ? null : START + upTo(gen, -1, 60) * 60_000 }];
}

function generate(gen: Gen): Snapshot {
  const regions = REGIONS.slice(0, upTo(gen, 1, 3));
  const products = ['agentd', 'proxyd'].slice(0, upTo(gen, 1, 2)).map((name) => anyRules(gen, name, regions));
  const releases = products.flatMap((product) => anyReleases(gen, product.name));
  const rollouts = products.flatMap((product) => anyRollouts(gen, product, regions, releases));
  const lanes = rollouts.flatMap((rollout) =>
    rollout.lanes.filter((lane) => isCounted(lane)).map((lane) => anyCensus(gen, rollout, lane)),
  );
  return {
    observedMs: OBSERVED,
    products,
    regions,
    calendars: regions.map((region) => ({ region, timeZone: 'UTC', windows: anyWindows(gen) })),
    freezes: chance(gen, 5) ? [{ from: '2026-01-01', to: '2026-01-02', reason: 'year end', regions: null }] : [],
    considered: products
      .filter(() => chance(gen, 70))
      .map(({ name }) => ({ product: name, at: START - upTo(gen, 0, 3) * 86_400_000 })),
    releases,
    availability: releases.flatMap((release) => regions.flatMap((region) => anyAvailability(gen, release, region))),
    vetoes: releases
      .filter(() => chance(gen, 12))
      .map(({ product, version }) => vetoOf(version, { product, automatic: chance(gen, 50) })),
    brakes: ['fleet', 'product:agentd', 'region:eu'].filter(() => chance(gen, 8)).map(brakeOf),
    rollouts,
    baselineLanes: [],
    metrics: [],
    recentBad: {},
    baselines: [],
    census: products.flatMap(({ name: product }) =>
      regions.map((region) => ({
        product,
        region,
        version: pick(gen, VERSIONS),
        platform: PLATFORM,
        agents: 9,
        present: 9,
      })),
    ),
    lanes,
    overdue: rollouts.flatMap(({ lanes: all }) =>
      all
        .filter(() => chance(gen, 5))
        .map(({ id }) => ({ id: `attempt-${id}`, laneId: id, hot: chance(gen, 50), deadlineObserved: OBSERVED - 1 })),
    ),
    cameFrom: Object.fromEntries(lanes.map(({ laneId }) => [laneId, pick(gen, [[], ['1.0.0'], ['1.1.0', '1.0.0']])])),
    ceilings: anyCeilings(gen),
    // Seldom: nothing else happens then. Small numbers come more often than others.
    clock: upTo(gen, 0, 30) === 17 ? { since: START, why: 'it went 2 h forward', until: START + 300_000 } : null,
  };
}

function anyWindows(gen: Gen): WindowRules {
  const night = { days: [...DAYS], from: 22 * 60, to: 6 * 60 };
  return chance(gen, 85) ? { allow: [], deny: [] } : { allow: [night], deny: [] };
}

function anyRules(gen: Gen, name: string, regions: string[]): ProductRules {
  return {
    name,
    scheme: 'semver',
    accept: pick(gen, [null, null, '>=1.1.0']),
    prereleases: chance(gen, 30),
    lag: pick(gen, [0, 0, 0, 1]),
    from: null,
    floors: [],
    requirements: [],
    unknownBuilds: 'hold',
    policy: anyPolicy(gen, regions),
    policies: chance(gen, 70) ? {} : { patch: anyPolicy(gen, regions), minor: anyPolicy(gen, regions) },
  };
}

function anyPolicy(gen: Gen, regions: string[]): Policy {
  const cut = upTo(gen, 0, regions.length);
  const waves = [regions.slice(0, cut), regions.slice(cut)].filter((wave) => wave.length > 0);
  const shares = pick(gen, [[100], [50, 100], [10, 50, 100]]);
  return testPolicy({
    waves,
    steps: shares.map((percent) =>
      stepPolicy({
        percent,
        soakMs: pick(gen, [0, 60_000]),
        manual: chance(gen, 25),
        budget: pick(gen, ['strict', 'loose']),
      }),
    ),
    doneRatio: pick(gen, [5000, 9000, 10_000]),
    minSample: pick(gen, [1, 20]),
    badCount: pick(gen, [null, 1, 3]),
    supersede: pick(gen, ['finish', 'replace-unstarted', 'replace']),
    onHalt: pick(gen, ['hold', 'hold', 'rollback']),
    maxSkips: pick(gen, [1, 1, 1, 2, 3]),
    minAgeMs: pick(gen, [0, 0, 86_400_000]),
  });
}

function anyReleases(gen: Gen, product: string): Release[] {
  const states: ReleaseState[] = [
    'complete',
    'complete',
    'complete',
    'complete',
    'pending',
    'withdrawn',
    'altered',
    'refused',
  ];
  return VERSIONS.filter(() => chance(gen, 80)).map((version) =>
    testRelease(version, {
      id: product === 'agentd' ? `release-${version}` : `release-${product}-${version}`,
      product,
      state: pick(gen, states),
      why: pick(gen, [null, 'somebody did it']),
    }),
  );
}

function anyRollouts(
  gen: Gen,
  { name: product, policy }: ProductRules,
  regions: string[],
  releases: Release[],
): Rollout[] {
  const taken = new Set<string>();
  const known = releases.filter((release) => release.product === product && chance(gen, 75));
  const skipped = chance(gen, 40) ? regions.filter(() => chance(gen, 50)) : [];
  return known.map((release, index) => {
    const { version } = release;
    const own = chance(gen, 50) ? policy : anyPolicy(gen, regions);
    // Before the present wave everything has completed, behind it nothing has begun.
    const present = upTo(gen, 0, own.waves.length);
    // What older ones never began, so that some regions have been passed by again and again; nor what comes after them.
    const isPast = index + 2 < known.length;
    const passedBy = isPast ? own.waves.findIndex((names) => names.some((name) => skipped.includes(name))) : -1;
    const lanes = own.waves.flatMap((names, wave) =>
      names.map((region) => {
        if (passedBy >= 0 && wave >= passedBy)
          return laneIn(region, { name: 'superseded', since: START + index, by: 'newer' }, { wave });
        const waits = wave > present || (skipped.includes(region) && chance(gen, 50));
        const state = wave < present ? 'completed' : waits ? 'waiting' : anyState(gen);
        // At most one live lane per region.
        const free = !taken.has(region) || !isLiveLane(state);
        const lane = withWayBack(gen, anyLane(gen, own, region, wave, free ? state : 'superseded', release), version);
        if (isLiveLane(lane.state.name)) taken.add(region);
        return lane;
      }),
    );
    const ended = lanes.every((lane) => isTerminalLane(lane.state.name)) && chance(gen, 70);
    return rolloutOf(version, lanes, {
      id: `${product}-${version}`,
      product,
      policy: own,
      createdAt: START + index,
      endedAt: ended ? START + 1000 : null,
    });
  });
}

/** Also a lane in which nobody could take the release: somebody may now. */
function isCounted({ state }: Lane): boolean {
  return !isTerminalLane(state.name) || (state.name === 'completed' && !state.evidence);
}

function anyState(gen: Gen): LaneStateName {
  return pick(gen, [
    'waiting',
    'open',
    'open',
    'open',
    'soaking',
    'soaking',
    'approval',
    'paused',
    'halted',
    'rolling_back',
    'completed',
    'superseded',
    'cancelled',
  ]);
}

function anyLane(gen: Gen, policy: Policy, region: string, wave: number, name: LaneStateName, release: Release): Lane {
  const allowance = chance(gen, 10) ? 2 : 0;
  const last = upTo(gen, 0, policy.steps.length - 1);
  const state = stateNamed(name, last);
  const begun = name === 'halted' ? chance(gen, 80) : isLiveLane(name);
  if (state.name === 'completed') state.evidence = chance(gen, 60);
  if (state.name === 'soaking') state.observedMs = OBSERVED - pick(gen, [0, 30_000, 60_000, 90_000, 120_000, 200_000]);
  if (state.name === 'paused') state.resume = anyResume(gen, last);
  if (state.name === 'halted' && !begun) state.step = null;
  if (state.name === 'halted' && begun && chance(gen, 60))
    state.lift = { paused: chance(gen, 30) ? { by: 'me', reason: 'because' } : null };
  const resumed = state.name === 'paused' ? state.resume.name : state.name;
  const steps = !begun
    ? []
    : Array.from({ length: last + 1 }, (_, step) =>
        anyStep(gen, policy, allowance, step, step < last || resumed === 'soaking' || resumed === 'approval', name),
      );
  const subject = subjectOf(
    { policy, release: chance(gen, 70) ? release : { ...release, tag: 'of-another-commit' } },
    last,
  );
  const expiresAt = START + pick(gen, [1, 86_400_000 * 30]);
  const approvals = begun && chance(gen, 30) ? [{ step: last, by: 'ana', at: START, expiresAt, subject }] : [];
  return laneIn(region, state, { wave, allowance, approvals, steps });
}

/** Halted lanes may have been halted by their budget, or on their way back; those that roll back have one. */
function withWayBack(gen: Gen, lane: Lane, version: string): Lane {
  const { state } = lane;
  if (state.name === 'halted' && chance(gen, 70)) state.by = 'tidegate';
  const isOnce = state.name === 'rolling_back' || (state.name === 'halted' && chance(gen, 20));
  if (state.name === 'rolling_back') {
    const lower = lowerThan(version);
    const to = lower.length === 0 ? '0.9.0' : pick(gen, lower);
    state.to = { version: to, releaseId: `release-${to}` };
  }
  if (!isOnce) return lane;
  const isGoing = state.name === 'rolling_back';
  const counters = counts({
    bad: chance(gen, 70) ? 0 : upTo(gen, 0, 2),
    hot: chance(gen, 60) ? 0 : upTo(gen, 0, 3),
    pending: isGoing ? upTo(gen, 0, 3) : 0,
  });
  return { ...lane, back: [openedStep({ step: -1, size: upTo(gen, 0, 9), counters })] };
}

function lowerThan(version: string): string[] {
  const scheme = schemeOf('semver');
  return VERSIONS.filter((one) => scheme.compare(one, version) < 0);
}

function anyResume(gen: Gen, step: number): RunningState {
  return pick(gen, [
    { name: 'open', step, since: START },
    { name: 'soaking', step, since: START, observedMs: OBSERVED - 1000 },
    { name: 'approval', step, since: START },
  ]);
}

function anyStep(gen: Gen, policy: Policy, allowance: number, step: number, done: boolean, name: LaneStateName): Step {
  const size = upTo(gen, 1, 30);
  const budget = budgetOf(size, policy, allowance);
  const running = name === 'open' || name === 'soaking' || name === 'approval';
  // What has halted has mostly spent its budget, and is at rest by now.
  const spent = name === 'halted' && chance(gen, 60);
  const bad = spent ? budget : chance(gen, 60) ? 0 : upTo(gen, 0, running ? budget - 1 : budget);
  const badMembers = Math.min(bad, size);
  const hot = spent || chance(gen, 50) ? 0 : upTo(gen, 0, Math.max(0, budget - bad));
  const hotMembers = Math.min(hot, size - badMembers);
  const left = size - badMembers - hotMembers;
  const succeeded = pick(gen, [0, left, upTo(gen, 0, left)]);
  const exhausted = upTo(gen, 0, left - succeeded);
  return openedStep({
    step,
    size,
    done,
    threshold: Math.min(EVERYBODY.threshold, (step + 1) * 0x40000000),
    counters: counts({
      pending: name === 'halted' ? 0 : upTo(gen, 0, 3),
      hot,
      hotMembers,
      succeeded,
      bad,
      badMembers,
      declined: exhausted,
      inconclusive: chance(gen, 20) ? 1 : 0,
      exhausted,
    }),
  });
}

function anyCensus(gen: Gen, rollout: Rollout, lane: Lane): LaneCensus {
  const eligible = chance(gen, 20) ? 0 : upTo(gen, 1, 30);
  const nothing = eligible === 0;
  const census = censusOf(rollout, lane);
  return {
    ...census,
    eligible,
    agents: eligible + upTo(gen, 0, 5),
    platforms: nothing ? [] : [PLATFORM],
    previews: census.previews.map(({ step }) => {
      const inside = nothing || chance(gen, 20) ? 0 : eligible;
      return { step, members: chance(gen, 15) ? 0 : inside, eligible: inside };
    }),
    steps: lane.steps.map(({ step, size, counters }) => ({
      step,
      gone: chance(gen, 70) ? 0 : upTo(gen, 0, size - counters.succeeded),
      ineligible: 0,
      replaceable: chance(gen, 80) ? 0 : upTo(gen, 0, 3),
      updated: counters.succeeded,
      updatedPresent: chance(gen, 60) ? counters.succeeded : upTo(gen, 0, counters.succeeded),
      unheard: 0,
    })),
    ...(lane.state.name === 'rolling_back' && chance(gen, 90)
      ? { back: { left: chance(gen, 50) ? 0 : 3, out: upTo(gen, 0, 2), gone: upTo(gen, 0, 2), platforms: [PLATFORM] } }
      : {}),
  };
}

function anyAvailability(gen: Gen, release: Release, region: string): Availability[] {
  const status = pick(gen, ['available', 'available', 'available', 'absent', 'unknown', 'missing'] as const);
  return status === 'missing' ? [] : [availabilityOf(release, region, status)];
}

function upTo(gen: Gen, min: number, max: number): number {
  return gen(fc.integer, { min, max: Math.max(min, max) });
}

function pick<T>(gen: Gen, values: readonly T[]): T {
  return values[upTo(gen, 0, values.length - 1)] as T;
}

function chance(gen: Gen, percent: number): boolean {
  return upTo(gen, 0, 99) < percent;
}
