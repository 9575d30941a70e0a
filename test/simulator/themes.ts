// What a seed is about: each theme bends what was drawn, so that happenings that need one another do meet.

import { NO_LIMITS } from '../../src/domain/limits.ts';
import type { Policy, StepPolicy } from '../../src/domain/policy.ts';
import { DAYS } from '../../src/domain/window.ts';
import { stepPolicy } from '../support/fixtures.ts';
import { NO_WAY } from './draw-ways.ts';
import type { Random } from './random.ts';
import type { Settings, Story } from './seed-plan.ts';

/**
 * `consent`: approvals, and what voids them; `ceilings`: full ones, and a clock put forward; `doubt`: grants due while a
 * clock is doubted; `crashes`: in batches that offer; `stops`: soaks that are paused, braked and stood still; `restarts`:
 * in open steps; `overtaken`: offers that are lost until others have gone ahead of them; `windows`: far from Greenwich, on odd days; `latecomers`: many, in large regions.
 */
export const THEMES = [
  'none',
  'consent',
  'stops',
  'ceilings',
  'none',
  'restarts',
  'doubt',
  'crashes',
  'consent',
  'windows',
  'overtaken',
  'stops',
  'latecomers',
] as const;
export type Theme = (typeof THEMES)[number];

/** In turn, so that every stretch of seeds has all of them; what is signed and the stories have none. */
export function themeOf(seed: number, overHttp: boolean, story: Story): Theme {
  return overHttp || story !== 'faulty' ? 'none' : (THEMES[seed % THEMES.length] as Theme);
}

const SCALES: Partial<Record<Theme, readonly number[]>> = {
  ceilings: [5, 20],
  doubt: [1, 5],
  stops: [1, 5, 20],
  windows: [60],
};

export const ANY_SCALE: readonly number[] = [1, 5, 20, 60];

/** Virtual milliseconds of one of an agent. */
export function scalesOf(theme: Theme): readonly number[] {
  return SCALES[theme] ?? ANY_SCALE;
}

/** Percent of worlds that have two products. */
export function twoProductsOf(theme: Theme): number {
  return theme === 'overtaken' ? 100 : 35;
}

/** How many regions, at most. */
export function regionsOf(theme: Theme): number {
  return ['ceilings', 'restarts', 'latecomers', 'doubt'].includes(theme) ? 1 : 3;
}

/** Fewest and most hosts at the start. */
export function agentsOf(theme: Theme): readonly [number, number] {
  return ['ceilings', 'restarts', 'latecomers', 'doubt'].includes(theme) ? [5, 7] : [2, 6];
}

const MINUTE = 60_000;
/** As far from Greenwich as there are people, and off the hour. */
const FAR_ZONES = ['Pacific/Kiritimati', 'Pacific/Marquesas', 'Asia/Kathmandu', 'America/St_Johns', 'Pacific/Chatham'];

/** `unit`: virtual milliseconds of one second of an agent. */
export function bend(theme: Theme, drawn: Settings, random: Random, unit: number): Settings {
  const minute = 60 * unit;
  const settings = theme === 'none' || theme === 'latecomers' ? drawn : wayIsFree(drawn);
  switch (theme) {
    case 'consent':
      return withPolicies(withoutLimits(settings), (policy) => ({
        ...policy,
        ...PLAIN,
        metrics: [],
        onHalt: 'hold',
        approvals: { approvers: 2, expireMs: random.chance(30) ? 3 * minute : 7 * 24 * 60 * MINUTE },
        steps: policy.steps.map((step) => ({ ...step, manual: true, soakMs: random.pick([3, 6]) * minute })),
      }));
    case 'stops':
      return withPolicies(withoutLimits(settings), (policy) => ({
        ...policy,
        ...PLAIN,
        metrics: [],
        doneRatio: 5000,
        steps: policy.steps.map((step) => ({ ...step, manual: false, soakMs: random.pick([3, 5, 8]) * minute })),
      }));
    case 'ceilings':
      return {
        ...withPolicies(settings, (policy) => ({ ...policy, ...PLAIN, ...AT_ONCE, metrics: [] })),
        limits: { ...NO_LIMITS, perHour: random.pick([1, 1, 2]), perDay: random.chance(30) ? 4 : null },
      };
    case 'doubt':
      return withPolicies(withoutLimits(settings), (policy) => ({
        ...policy,
        ...PLAIN,
        ...AT_ONCE,
        metrics: [],
        steps: inTwo(random),
      }));
    case 'overtaken':
      return withPolicies(withoutLimits(settings), (policy) => ({ ...policy, ...PLAIN, ...AT_ONCE, metrics: [] }));
    case 'restarts':
      return withPolicies(withoutLimits(settings), (policy) => ({
        ...policy,
        ...PLAIN,
        metrics: [],
        maxHot: 1,
        steps: inTwo(random),
      }));
    case 'windows':
      return {
        ...withPolicies(withoutLimits(settings), (policy) => ({ ...policy, ...PLAIN })),
        calendars: settings.calendars.map((calendar) => {
          const from = random.upTo(24) * 60 + random.pick([0, 30]);
          const window = { days: [...DAYS], from, to: (from + random.between(7, 11) * 60) % (24 * 60) };
          return { ...calendar, timeZone: random.pick(FAR_ZONES), windows: { allow: [window], deny: [] } };
        }),
      };
    case 'latecomers':
      return withPolicies(settings, (policy) => ({ ...policy, ...PLAIN, steps: inTwo(random) }));
    default:
      return settings;
  }
}

const PLAIN = { minAgeMs: 0, schedule: null } satisfies Partial<Policy>;
const AT_ONCE = { steps: [stepPolicy({ soakMs: 0 })], maxHot: 10, doneRatio: 5000 } satisfies Partial<Policy>;

function inTwo(random: Random): StepPolicy[] {
  const first = random.chance(50) ? { percent: null, count: 2 } : { percent: random.between(30, 60) };
  return [stepPolicy({ ...first, soakMs: 0, budget: 'loose' }), stepPolicy({ soakMs: 0, budget: 'loose' })];
}

/** Nothing else may keep the release of the theme from going out. */
function wayIsFree(settings: Settings): Settings {
  return {
    ...settings,
    products: settings.products.map((product) => ({ ...product, ...NO_WAY, accept: null })),
    calendars: settings.calendars.map((calendar) => ({ ...calendar, windows: { allow: [], deny: [] } })),
  };
}

function withoutLimits(settings: Settings): Settings {
  return { ...settings, limits: NO_LIMITS };
}

function withPolicies(settings: Settings, change: (policy: Policy) => Policy): Settings {
  return {
    ...settings,
    products: settings.products.map((product) => ({
      ...product,
      policy: change(product.policy),
      policies: Object.fromEntries(Object.entries(product.policies).map(([jump, policy]) => [jump, change(policy)])),
    })),
  };
}
