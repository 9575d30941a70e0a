// The words of the scenario scripts: durations, policies, windows, limits and lists of agents, read into plain values.

import type { ApprovalPolicy } from '../../src/domain/approval.ts';
import { type Limits, NO_LIMITS } from '../../src/domain/limits.ts';
import { type MetricPolicy, parseCondition } from '../../src/domain/metric.ts';
import type { Policy, StepPolicy } from '../../src/domain/policy.ts';
import type { ProductRules } from '../../src/domain/snapshot.ts';
import { DAYS, type WeeklyWindow } from '../../src/domain/window.ts';
import { stepPolicy, testPolicy } from '../support/fixtures.ts';

/** `90s`, `10m`, `2h`, `1d`, `1h30m`: milliseconds. */
export function duration(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smhd])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) throw new Error(`not a duration: ${text}`);
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit as string] as number), 0);
}

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `waves=eu|us,ap steps=label:ring=canary/soak=10m/manual,10%,100% badCount=2 maxHot=3 …`. */
export function policy(name: string, words: readonly string[]): Policy {
  const overrides: Record<string, unknown> = {};
  for (const word of words) {
    const at = word.indexOf('=');
    const [key, value] = [word.slice(0, at), word.slice(at + 1)];
    if (key === 'waves') overrides.waves = value.split('|').map((wave) => wave.split(','));
    else if (key === 'steps') overrides.steps = value.split(',').map(step);
    else if (key === 'supersede') overrides.supersede = value;
    else if (key === 'schedule') overrides.schedule = schedule(value);
    else if (key === 'unhealthy' || key === 'onHalt' || key === 'begin') overrides[key] = value;
    else if (key === 'approvals') overrides.approvals = approvals(value);
    else if (key === 'metric') overrides.metrics = [...((overrides.metrics as MetricPolicy[]) ?? []), metric(value)];
    else if (/Ms$/.test(key)) overrides[key] = duration(value);
    else if (key in testPolicy()) overrides[key] = Number(value);
    else throw new Error(`no such part of a policy: ${key}`);
  }
  return testPolicy({ name, ...overrides });
}

/** `2/expire=1d`: how many people, and how long their word counts. */
function approvals(text: string): ApprovalPolicy {
  const [approvers, expire] = text.split('/expire=');
  return { approvers: Number(approvers), expireMs: duration(expire ?? '7d') };
}

/** `errors/pass<=0.01/fail>0.05/samples=2/failures=2`, then `/hold`, `/dry-run`; read once a minute. */
function metric(text: string): MetricPolicy {
  const [name = '', ...words] = text.split('/');
  const given = (key: string) => words.find((word) => word.startsWith(key))?.slice(key.length);
  const condition = (key: string) => parseCondition(given(key) ?? '') ?? null;
  return {
    ...{ name, query: name, everyMs: 60_000, maxInconclusive: Number(given('unclear=') ?? 0) },
    ...{ passWhen: condition('pass'), failWhen: condition('fail') },
    ...{ samples: Number(given('samples=') ?? 2), failures: Number(given('failures=') ?? 1) },
    ...{ onFail: words.includes('hold') ? 'hold' : 'halt', dryRun: words.includes('dry-run') },
  };
}

/** `lag=1 accept=^1.0.0 floor=1.5.0 requires=kernel>=5.10 from=1.0.0`. */
export function product(words: readonly string[]): Partial<ProductRules> {
  const parts: Partial<ProductRules>[] = words.map((word) => {
    const at = word.indexOf('=');
    const [key, value] = [word.slice(0, at), word.slice(at + 1)];
    switch (key) {
      case 'lag':
        return { lag: Number(value) };
      case 'accept':
      case 'from':
        return { [key]: value };
      case 'floor':
        return { floors: [{ version: value, reason: 'it moves the store' }] };
      case 'unknownBuilds':
        return { unknownBuilds: value as ProductRules['unknownBuilds'] };
      case 'requires': {
        const [fact = '', wanted = ''] = value.split('>=');
        return { requirements: [{ versions: null, fact, rule: 'atLeast', wanted: [wanted], reason: null }] };
      }
      default:
        throw new Error(`no such part of a product: ${word}`);
    }
  });
  return Object.assign({}, ...parts);
}

/** `100%`, `count:2` or `label:ring=canary`, then `/soak=10m`, `/min=3`, `/manual`, `/loose`. */
function step(text: string): StepPolicy {
  const [who = '', ...rest] = text.split('/');
  const label = /^label:([^=]+)=(.+)$/.exec(who);
  const reach = { labels: null, count: null, percent: null };
  const inside =
    label !== null
      ? { ...reach, labels: { [label[1] as string]: label[2] as string } }
      : who.startsWith('count:')
        ? { ...reach, count: Number(who.slice('count:'.length)) }
        : { ...reach, percent: Number(who.replace('%', '')) };
  const overrides: Partial<StepPolicy> = { soakMs: 0 };
  for (const word of rest) {
    if (word.startsWith('soak=')) overrides.soakMs = duration(word.slice('soak='.length));
    else if (word.startsWith('min=')) overrides.min = Number(word.slice('min='.length));
    else if (word === 'manual') overrides.manual = true;
    else if (word === 'loose') overrides.budget = 'loose';
    else throw new Error(`no such part of a step: ${word}`);
  }
  return stepPolicy({ ...inside, ...overrides });
}

/** `0_9_*_*_1@Europe/Berlin`: the fields of cron with underlines between them. */
function schedule(text: string): { cron: string; timeZone: string } {
  const [cron = '', timeZone = 'UTC'] = text.split('@');
  return { cron: cron.replaceAll('_', ' '), timeZone };
}

/** `mon-thu 09:00-16:00`. */
export function weekly(days: string, times: string): WeeklyWindow {
  const [first, last = first] = days.split('-').map((day) => (DAYS as readonly string[]).indexOf(day));
  const [from, to] = times.split('-').map(minutes);
  if (first === undefined || last === undefined || from === undefined || to === undefined)
    throw new Error(`not a window: ${days} ${times}`);
  return { days: DAYS.slice(first, last + 1), from, to };
}

function minutes(time: string): number {
  const [hours = 0, rest = 0] = time.split(':').map(Number);
  return hours * 60 + rest;
}

/** `fleet=5 region=2 site=rack:1 downloads=2 perHour=10 perDay=100`. */
export function limits(words: readonly string[]): Limits {
  const given = new Map(words.map((word) => word.split('=') as [string, string]));
  const number = (key: string) => (given.has(key) ? Number(given.get(key)) : null);
  const [label, max] = given.get('site')?.split(':') ?? [];
  return {
    ...NO_LIMITS,
    fleet: number('fleet'),
    region: number('region'),
    site: label === undefined ? null : { label, max: Number(max) },
    downloads: { fleet: number('downloads'), region: null },
    perHour: number('perHour'),
    perDay: number('perDay'),
  };
}

/** `all`, or a list such as `c1..c3,b2`, in the order in which it names them. */
export function names(text: string, all: readonly string[]): string[] {
  if (text === 'all') return [...all];
  if (text === '') return [];
  return text.split(',').flatMap((part) => {
    const range = /^([a-z-]+)(\d+)\.\.\1(\d+)$/.exec(part);
    if (range === null) return [part];
    const [from, to] = [Number(range[2]), Number(range[3])];
    return Array.from({ length: to - from + 1 }, (_, index) => `${range[1]}${from + index}`);
  });
}
