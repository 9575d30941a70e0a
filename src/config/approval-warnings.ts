// Warns where a person's approval would expire before anything may start again in a region: it would have to be given twice.
import type { Config } from '../config.ts';
import { approvalsOf } from '../domain/approval.ts';
import { type Freeze, type WindowRules, windowStatus } from '../domain/window.ts';
import { printDuration } from './formats.ts';

const DAY_MS = 86_400_000;
/** Long enough for every weekly window to have come, and a change of the clocks beside it. */
const WEEKS_MS = 15 * DAY_MS;
/** A week has at most this many edges of windows, twice. */
const MAX_EDGES = 2_000;

type Known = Pick<Config, 'regions' | 'products' | 'policies' | 'freezes'>;

/** One sentence for each policy that asks people, for the first region where it is so. `now` in milliseconds since the epoch. */
export function approvalWarnings(config: Known, now: number): string[] {
  const used = new Set(config.products.flatMap(({ policy, policies }) => [policy, ...Object.values(policies)]));
  const closed = new Map<string, Closed>();
  const closedIn = (region: string): Closed => {
    const found = closed.get(region) ?? longestClosed(config, region, now);
    closed.set(region, found);
    return found;
  };
  return Object.values(config.policies).flatMap((policy) => {
    if (!used.has(policy.name) || !policy.steps.some((step) => step.manual)) return [];
    const { expireMs } = approvalsOf(policy);
    const regions = policy.waves.flat().filter((region) => closedIn(region).ms > expireMs);
    const [first] = regions;
    if (first === undefined) return [];
    const { ms, from } = closedIn(first);
    const closedFor = Number.isFinite(ms) ? `for ${printDuration(ms)}` : 'for good';
    const more = regions.length === 1 ? '' : `, and ${regions.length - 1} more`;
    const since = new Date(from).toISOString().slice(0, 16).replace('T', ' ');
    return [
      `policies.${policy.name}.approvals.expire: an approval lasts ${printDuration(expireMs)}, but in ${first}${more} ` +
        `nothing may start ${closedFor} from ${since}Z on: given then, it expires before anything may start again; ` +
        'let it last longer, or shorten the time that is closed',
    ];
  });
}

interface Closed {
  ms: number;
  /** When it closes, milliseconds since the epoch. */
  from: number;
}

/** The longest time in which nothing may start: in the next two weeks, or around a freeze that is still to come. */
function longestClosed({ regions, freezes }: Known, name: string, now: number): Closed {
  const region = regions.find((one) => one.name === name);
  const none = { ms: 0, from: now };
  if (region === undefined) return none;
  const here = freezes.filter((one) => one.regions === null || one.regions.includes(name));
  const rules = { windows: region.windows, freezes: here, zone: region.timeZone };
  const begins = here.map((one) => ('from' in one ? Date.parse(`${one.from}T00:00:00Z`) : one.fromMs) - 8 * DAY_MS);
  const found = weekApart([now, ...begins.filter((start) => start >= now - 8 * DAY_MS)]).map((start) =>
    closedAfter(rules, Math.max(start, now)),
  );
  return found.reduce((longest, one) => (one.ms > longest.ms ? one : longest), none);
}

/** Each is looked at for two weeks: those of a calendar that lie closer together are seen with the first of them. */
function weekApart(starts: readonly number[]): number[] {
  const kept: number[] = [];
  for (const start of starts.toSorted((a, b) => a - b)) {
    if (start >= (kept.at(-1) ?? Number.NEGATIVE_INFINITY) + 7 * DAY_MS) kept.push(start);
  }
  return kept;
}

function closedAfter(
  { windows, freezes, zone }: { windows: WindowRules; freezes: readonly Freeze[]; zone: string },
  start: number,
): Closed {
  let longest: Closed = { ms: 0, from: start };
  let at = start;
  for (let edge = 0; edge < MAX_EDGES && at < start + WEEKS_MS; edge += 1) {
    const status = windowStatus(windows, freezes, zone, at);
    const next = status.open ? status.closesAt : status.opensAt;
    if (!status.open) {
      const ms = (next ?? Number.POSITIVE_INFINITY) - at;
      if (ms > longest.ms) longest = { ms, from: at };
    }
    if (next === null) break;
    at = next;
  }
  return longest;
}
