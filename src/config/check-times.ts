// What windows and freezes must be, to themselves, to each other and to the policies that send releases into them.
import { attemptMs } from '../domain/policy.ts';
import { shortestMinutes, type WeeklyWindow } from '../domain/window.ts';
import { printDuration } from './formats.ts';
import { hasTime } from './freezes.ts';
import type { Path, Report } from './report.ts';
import type { RawConfig, RawRegion } from './shape.ts';
import { didYouMean } from './suggest.ts';
import { isWithin, longestOpenMinutes } from './week.ts';

const MINUTE_MS = 60_000;

/** The longest that an agent of a region may take from the grant to the outcome, and the policy that says so. */
interface LongestAttempt {
  policy: string;
  ms: number;
}

/** Notes windows that no attempt fits into, or that never open: a lane would be held there for ever. */
export function checkWindows(raw: RawConfig, report: Report): void {
  const attempts = longestAttempts(raw);
  for (const [index, region] of raw.regions.entries()) {
    const path = ['regions', index, 'windows'];
    for (const kind of ['allow', 'deny'] as const) {
      for (const [at, window] of region.windows[kind].entries()) checkWindow(window, [...path, kind, at], report);
    }
    const attempt = attempts.get(region.name);
    checkAllowed(region, attempt, path, report);
    checkWeek(region, attempt, path, report);
  }
}

/** Notes freezes that end before they begin, or that name regions that are not there. */
export function checkFreezes(raw: RawConfig, report: Report): void {
  const regions = raw.regions.map((region) => region.name);
  // An empty name is one that was refused: which names there are is not known then.
  const known = regions.length > 0 && !regions.includes('');
  for (const [index, freeze] of raw.freezes.entries()) {
    const path = ['freezes', index];
    if (!('calendar' in freeze)) checkOrder(freeze, path, report);
    const seen = new Set<string>();
    for (const [at, name] of (freeze.regions ?? []).entries()) {
      const place = [...path, 'regions', at];
      if (known && !regions.includes(name))
        report.add(place, `there is no region "${name}"`, didYouMean(name, regions));
      else if (seen.has(name)) report.add(place, `the region "${name}" stands twice`, 'remove one');
      seen.add(name);
    }
  }
}

/** A day ends with its last minute. */
function checkOrder({ from, to }: { from: string; to: string }, path: Path, report: Report): void {
  if (report.touches([...path, 'from']) || report.touches([...path, 'to'])) return;
  const ends = hasTime(to) ? to : `${to}T24:00`;
  const begins = hasTime(from) ? from : `${from}T00:00`;
  if (begins < ends) return;
  const what = hasTime(to) ? `${to} is not after ${from}` : `${to} is before ${from}, the first day`;
  report.add([...path, 'to'], what, hasTime(to) ? 'write the time at which it ends' : 'write the last day here');
}

/** By region. Policies that no product has send no release anywhere. */
function longestAttempts(raw: RawConfig): Map<string, LongestAttempt> {
  const used = new Set(
    raw.products.flatMap(({ policy }) => (typeof policy === 'string' ? policy : Object.values(policy))),
  );
  const longest = new Map<string, LongestAttempt>();
  for (const [name, policy] of Object.entries(raw.policies)) {
    if (!used.has(name)) continue;
    const ms = attemptMs({
      activateWithinMs: policy.activateWithin,
      proveWithinMs: policy.proveWithin,
      stableForMs: policy.stableFor,
    });
    for (const region of policy.waves?.flat() ?? raw.regions.map((one) => one.name)) {
      if (ms > (longest.get(region)?.ms ?? 0)) longest.set(region, { policy: name, ms });
    }
  }
  return longest;
}

function checkWindow(window: WeeklyWindow, path: Path, report: Report): void {
  const twin = window.days.findIndex((day, index) => window.days.indexOf(day) < index);
  if (twin !== -1 && !report.touches([...path, 'days'])) {
    report.add([...path, 'days', twin], `"${window.days[twin]}" stands twice`, 'remove one');
  }
  if (window.from !== window.to || report.touches([...path, 'from'])) return;
  const mend = 'for whole days write from: "00:00", to: "24:00"';
  report.add([...path, 'to'], 'it ends when it begins', mend);
}

function checkAllowed(region: RawRegion, attempt: LongestAttempt | undefined, path: Path, report: Report): void {
  const { allow, deny } = region.windows;
  for (const [index, window] of allow.entries()) {
    const at = [...path, 'allow', index];
    if (report.touches(at)) continue;
    const minutes = shortestMinutes([window]) as number;
    if (attempt !== undefined && minutes * MINUTE_MS < attempt.ms) {
      report.add(at, `open for ${tooShort(minutes, attempt)}`, MEND_SHORT);
    }
    const denied = deny.findIndex((one, k) => isWithin(window, one) && !report.touches([...path, 'deny', k]));
    if (denied !== -1) {
      const line = report.lineOf([...path, 'deny', denied]);
      report.add(at, `all of it is denied in line ${line}`, 'remove this window, or shorten the other');
    }
  }
}

/** What is left of all windows together. */
function checkWeek(region: RawRegion, attempt: LongestAttempt | undefined, path: Path, report: Report): void {
  if (report.touches(path)) return;
  const minutes = longestOpenMinutes(region.windows);
  if (minutes === 0) report.add(path, 'together they leave no minute of the week open', 'deny less');
  else if (attempt !== undefined && minutes * MINUTE_MS < attempt.ms) {
    report.add(path, `together they leave open at most ${tooShort(minutes, attempt)}`, MEND_SHORT);
  }
}

const MEND_SHORT = 'open it for longer, or shorten activateWithin, proveWithin or stableFor of the policy';

function tooShort(minutes: number, { policy, ms }: LongestAttempt): string {
  return `${printDuration(minutes * MINUTE_MS)}, but an attempt under the policy "${policy}" may take ${printDuration(ms)}`;
}
