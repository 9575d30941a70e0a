// Everything that is drawn before a world begins: its size, its config, its releases' qualities and its faults.
import { type Limits, NO_LIMITS } from '../../src/domain/limits.ts';
import type { Policy, StepPolicy } from '../../src/domain/policy.ts';
import type { Calendar, ProductRules } from '../../src/domain/snapshot.ts';
import { DAYS, type Freeze, type WeeklyWindow } from '../../src/domain/window.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Dual, drawDual, NO_DUAL } from './draw-dual.ts';
import { drawMetrics, drawWay, NO_WAY } from './draw-ways.ts';
import type { Random } from './random.ts';
import { agentsOf, bend, regionsOf, scalesOf, type Theme, twoProductsOf } from './themes.ts';

export interface Settings {
  products: ProductRules[];
  calendars: Calendar[];
  freezes: Freeze[];
  limits: Limits;
}

export interface Faults {
  /** Percent of messages, each way. */
  loss: number;
  duplicates: number;
  /** Percent of messages that take up to `longestDelayMs`; the others take a little. */
  delays: number;
  longestDelayMs: number;
  /** Percent of effects on a host at which its power goes. */
  powerLoss: number;
  /** Percent of effects on a host that its disk refuses. */
  fullDisk: number;
  /** Weights of what goes wrong once in a while. */
  events: Record<FaultEvent, number>;
}

export const FAULT_EVENTS = [
  'partition_region',
  'partition_agent',
  'crash_now',
  'crash_at_query',
  'crash_at_mark',
  'restart',
  'reload',
  'pause',
  'clock_step',
  'vanish',
  'kill_agent',
  'lie',
  'clone',
  'go_dark',
  'lose_offers',
] as const;
export type FaultEvent = (typeof FAULT_EVENTS)[number];

/** `faulty`: everything may go wrong, then nothing does and a fix appears; the others are of L2 and L4. */
export type Story = 'faulty' | 'undisturbed' | 'a_fifth_gone';

export interface SeedPlan {
  regions: string[];
  platforms: string[];
  productNames: string[];
  startAt: number;
  /** So many virtual milliseconds are one of an agent: slow agents make long days of few messages. */
  scale: number;
  pollMs: number;
  tickMs: number;
  /** When the faults end. */
  calmAt: number;
  agents: number;
  settings: Settings;
  faults: Faults;
  overHttp: boolean;
  story: Story;
  theme: Theme;
  dual: Dual;
  /** Mean time between what operators do; the same for GitHub and for faults. */
  operatorEveryMs: number;
  githubEveryMs: number;
  faultEveryMs: number;
}

const MINUTE = 60_000;
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata'];
/** An ordinary day, and days around which clocks are changed somewhere, or the calendar is odd. */
const STARTS = [
  '2026-01-05T08:00Z',
  '2026-03-07T20:00Z',
  '2026-03-28T18:00Z',
  '2026-04-04T06:00Z',
  '2026-10-03T12:00Z',
  '2026-10-24T18:00Z',
  '2026-10-31T22:00Z',
  '2028-02-28T20:00Z',
  '2026-12-31T12:00Z',
];

/** `overHttp`: what is signed cannot be slowed down, so such a world has the pace of a real one. */
export function drawSeed(random: Random, overHttp: boolean, story: Story, theme: Theme): SeedPlan {
  const scale = overHttp ? 1 : random.pick(scalesOf(theme));
  const unit = scale * 1000;
  const regions = ['eu', 'us', 'ap'].slice(0, random.between(1, regionsOf(theme)));
  const productNames = random.chance(twoProductsOf(theme)) ? ['agentd', 'collector'] : ['agentd'];
  const calmAt = random.between(25, 45) * 60 * unit;
  const plan = { regions, productNames, scale, unit, theme };
  const drawn = drawSettings(random.fork('settings'), plan);
  return {
    ...plan,
    platforms: random.chance(70) ? ['linux-x64'] : ['linux-x64', 'linux-arm64'],
    startAt: Date.parse(random.pick(STARTS)),
    pollMs: MINUTE,
    tickMs: random.between(90, 200) * unit,
    calmAt,
    agents: story === 'a_fifth_gone' ? random.between(5, 8) : random.between(...agentsOf(theme)),
    settings: story === 'faulty' ? drawn : openToAll(drawn),
    faults: drawFaults(random.fork('faults'), unit),
    overHttp,
    story,
    dual: story === 'faulty' ? drawDual(random.fork('dual'), calmAt) : NO_DUAL,
    operatorEveryMs: calmAt / random.pick([4, 10, 24]),
    githubEveryMs: calmAt / random.pick([3, 7, 12]),
    faultEveryMs: calmAt / random.pick([2, 5, 10]),
  };
}

interface Names {
  regions: readonly string[];
  productNames: readonly string[];
  scale: number;
  /** Virtual milliseconds of one second of an agent. */
  unit: number;
  theme: Theme;
}

export function drawSettings(random: Random, names: Names): Settings {
  return bend(names.theme, drawFreely(random, names), random, names.unit);
}

function drawFreely(random: Random, names: Names): Settings {
  const { regions, productNames, scale } = names;
  const supersede = random.chance(60) ? random.pick(['finish', 'replace-unstarted', 'replace'] as const) : undefined;
  return {
    products: productNames.map((name) => {
      const policies = {
        ...(random.chance(40) ? { patch: drawPolicy(random, 'patch', names, supersede) } : {}),
        ...(random.chance(25) ? { minor: drawPolicy(random, 'minor', names, supersede) } : {}),
      };
      return rules(drawPolicy(random, 'standard', names, supersede), {
        name,
        policies,
        accept: random.chance(10) ? '<3' : null,
        ...drawWay(random),
      });
    }),
    calendars: regions.map((region) => ({
      region,
      timeZone: random.pick(ZONES),
      // A short world would see no window open.
      windows: scale < 20 || random.chance(60) ? { allow: [], deny: [] } : drawWindows(random),
    })),
    freezes: [],
    limits: random.chance(60)
      ? NO_LIMITS
      : {
          downloads: {
            fleet: random.chance(30) ? random.between(1, 3) : null,
            region: random.chance(30) ? random.between(1, 2) : null,
          },
          // Of the clock's hours: in a short world they would stop everything.
          perHour: scale >= 20 && random.chance(70) ? random.between(1, 3) : null,
          perDay: scale >= 20 && random.chance(20) ? random.between(6, 20) : null,
          fleet: random.chance(50) ? random.between(1, 3) : null,
          region: random.chance(50) ? random.between(1, 2) : null,
          site: random.chance(50) ? { label: 'rack', max: 1 } : null,
        },
  };
}

/** What a policy cannot know when it is made, and what only time or another release would end, is left out. */
function openToAll(settings: Settings): Settings {
  return {
    ...settings,
    products: settings.products.map((product) => ({
      ...beginningAlone(product),
      lag: 0,
      from: null,
      requirements: [],
    })),
    calendars: settings.calendars.map((calendar) => {
      const everyDay = (window: WeeklyWindow) => ({ ...window, days: [...DAYS] });
      const { allow, deny } = calendar.windows;
      return { ...calendar, windows: { allow: allow.map(everyDay), deny: deny.map(everyDay) } };
    }),
  };
}

/**
 * At the end: nothing keeps an ordinary release from an ordinary host. `isSound`: whether a floor can still be had by
 * everybody.
 */
export function unhindered(settings: Settings, isSound: (product: string, version: string) => boolean): Settings {
  return {
    ...settings,
    freezes: [],
    limits: { ...settings.limits, perHour: null, perDay: null },
    calendars: settings.calendars.map((one) => ({ ...one, windows: { allow: [], deny: [] } })),
    products: settings.products.map((product) => ({
      ...eachPolicy(beginningAlone(product), (policy) => ({ ...policy, schedule: null })),
      ...NO_WAY,
      floors: product.floors.filter(({ version }) => isSound(product.name, version)),
      accept: null,
    })),
  };
}

/** No rollout waits for a person to begin it. */
function beginningAlone(product: ProductRules): ProductRules {
  return eachPolicy(product, (policy) => ({ ...policy, begin: 'auto' }));
}

function eachPolicy(product: ProductRules, change: (policy: Policy) => Policy): ProductRules {
  const policies = Object.entries(product.policies).map(([jump, policy]) => [jump, change(policy)]);
  return { ...product, policy: change(product.policy), policies: Object.fromEntries(policies) };
}

function drawWindows(random: Random): Calendar['windows'] {
  const window = (from: number, hours: number): WeeklyWindow => ({
    days: random.chance(50) ? [...DAYS] : [...DAYS].filter(() => random.chance(70)),
    from: from * 60,
    to: ((from + hours) % 24) * 60,
  });
  const allow = [window(random.pick([0, 1, 2, 6, 20, 22]), random.between(8, 14))];
  if (allow[0]?.days.length === 0) allow[0].days = [...DAYS];
  return { allow, deny: random.chance(30) ? [window(random.pick([1, 2, 3, 12]), 1)] : [] };
}

function drawPolicy(
  random: Random,
  name: string,
  { regions, unit }: Names,
  supersede: Policy['supersede'] | undefined,
): Policy {
  const waves: string[][] = [];
  for (const region of random.shuffle(regions)) {
    if (waves.length === 0 || random.chance(55)) waves.push([region]);
    else waves.at(-1)?.push(region);
  }
  const minute = 60 * unit;
  const step = (reach: Partial<StepPolicy>): StepPolicy =>
    stepPolicy({
      soakMs: random.pick([0, 0, minute, 5 * minute]),
      manual: random.chance(15),
      min: random.pick([1, 1, 2, 3]),
      budget: random.pick(['strict', 'strict', 'loose']),
      ...reach,
    });
  const steps = [
    ...(random.chance(30) ? [step({ percent: null, labels: { ring: 'canary' } })] : []),
    ...(random.chance(25) ? [step({ percent: null, count: random.between(1, 2) })] : []),
    ...(random.chance(35) ? [step({ percent: random.between(10, 70) })] : []),
    step({ percent: 100 }),
  ];
  return testPolicy({
    name,
    waves,
    steps,
    doneRatio: random.pick([5000, 9000, 10_000]),
    badRatio: random.pick([200, 2000]),
    minSample: random.pick([1, 5, 20]),
    badCount: random.pick([null, null, 2, 3]),
    maxHot: random.pick([1, 2, 10]),
    attemptsPerAgent: random.pick([1, 2, 3]),
    unhealthy: random.pick(['hold', 'update', 'first']),
    approvals: { approvers: random.pick([1, 1, 2]), expireMs: random.pick([3 * minute, 7 * 24 * 60 * MINUTE]) },
    supersede: supersede ?? random.pick(['finish', 'replace-unstarted', 'replace'] as const),
    maxSkips: random.pick([1, 2, 3]),
    minAgeMs: random.chance(20) ? 3 * minute : 0,
    metrics: drawMetrics(random, unit),
    onHalt: random.pick(['hold', 'hold', 'rollback']),
    begin: random.fork(`${name} by hand`).chance(12) ? 'manual' : 'auto',
    schedule: random.chance(10) ? { cron: '0 */6 * * *', timeZone: random.pick(ZONES) } : null,
    staleAfterMs: Math.max(600_000, 3 * minute),
    stageWithinMs: 10 * minute,
    activateWithinMs: 2 * minute,
    proveWithinMs: 2 * minute,
    // Longer than a version that crashes at its start lives.
    stableForMs: random.pick([5 * unit, 20 * unit]),
    baseline: {
      maxHot: random.pick([1, 2]),
      badCount: random.pick([1, 2, 3]),
      windowMs: random.pick([30 * minute, 24 * 60 * MINUTE]),
    },
  });
}

function drawFaults(random: Random, unit: number): Faults {
  // A quiet world in every seventh seed: what then goes wrong does so without any fault.
  const quiet = random.chance(14);
  const some = (values: readonly number[]) => (quiet ? 0 : random.pick(values));
  const events = Object.fromEntries(
    FAULT_EVENTS.map((name) => [name, quiet ? 0 : random.pick([0, 0, 1, 1, 4])]),
  ) as Record<FaultEvent, number>;
  return {
    loss: some([0, 0, 2, 10, 30]),
    duplicates: some([0, 0, 3, 10]),
    delays: some([0, 0, 5, 20]),
    longestDelayMs: random.pick([30, 120, 600]) * unit,
    powerLoss: some([0, 0, 1, 4]),
    fullDisk: some([0, 0, 0, 2]),
    events,
  };
}
