// Whether something may start in a region now, by its windows and the freezes that cover it.
import type { Calendar } from './snapshot.ts';
import { type Freeze, type WindowSpan, type WindowStatus, windowSpan } from './window.ts';

type Rules = { calendars: readonly Calendar[]; freezes: readonly Freeze[] };

/** A region that the config does not name is never opened. `now` in milliseconds since the epoch. */
export function regionStatus(rules: Rules, region: string, now: number): WindowStatus {
  return regionSpan(rules, region, now).status;
}

/** From `fromMs` until before `untilMs` the status holds word for word. */
export interface RegionSpan {
  status: WindowStatus;
  fromMs: number;
  untilMs: number;
}

/** The status with the time for which it need not be asked for again. */
export function regionSpan({ calendars, freezes }: Rules, region: string, now: number): RegionSpan {
  const known = remembered(calendars, freezes);
  const found = known.get(region);
  if (found !== undefined && found.fromMs <= now && now < found.untilMs) return found;
  const { status, untilMs } = reckon({ calendars, freezes }, region, now);
  // None means that none is near.
  const span = { status, fromMs: now, untilMs: untilMs ?? now + HOUR_MS };
  known.set(region, span);
  return span;
}

const opensAgain = new WeakMap<WindowStatus, number | null>();

/** When something may start again once the window that is open now has closed; null where that is not known. */
export function opensAgainAt(rules: Rules, region: string, status: WindowStatus): number | null {
  if (!status.open) return status.opensAt;
  if (status.closesAt === null) return null;
  const known = opensAgain.get(status);
  if (known !== undefined) return known;
  // Beside what is remembered of now.
  const next = reckon(rules, region, status.closesAt).status;
  const at = next.open ? status.closesAt : next.opensAt;
  opensAgain.set(status, at);
  return at;
}

const HOUR_MS = 3_600_000;

interface Remembered {
  freezes: readonly Freeze[];
  byRegion: Map<string, RegionSpan>;
}

const last = new WeakMap<readonly Calendar[], Remembered>();

/** All lanes of a region ask the same again and again, and the answer is dear. The lists are never changed. */
function remembered(calendars: readonly Calendar[], freezes: readonly Freeze[]): Remembered['byRegion'] {
  const found = last.get(calendars);
  if (found !== undefined && found.freezes === freezes) return found.byRegion;
  const byRegion: Remembered['byRegion'] = new Map();
  last.set(calendars, { freezes, byRegion });
  return byRegion;
}

function reckon({ calendars, freezes }: Rules, region: string, now: number): WindowSpan {
  const calendar = calendars.find((one) => one.region === region);
  if (calendar === undefined) {
    const detail = `the config does not name ${region}`;
    return { status: { open: false, reason: 'outside_window', detail, opensAt: null }, untilMs: null };
  }
  const here = freezes.filter((one) => one.regions === null || one.regions.includes(region));
  return windowSpan(calendar.windows, here, calendar.timeZone, now);
}
