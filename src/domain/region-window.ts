// Whether something may start in a region now, by its windows and the freezes that cover it.
import type { Calendar } from './snapshot.ts';
import { type Freeze, type WindowStatus, windowStatus } from './window.ts';

/** A region that the config does not name is never opened. `now` in milliseconds since the epoch. */
export function regionStatus(
  { calendars, freezes }: { calendars: readonly Calendar[]; freezes: readonly Freeze[] },
  region: string,
  now: number,
): WindowStatus {
  const known = remembered(calendars, freezes);
  const found = known.get(region);
  if (found !== undefined && found.fromMs <= now && now < found.untilMs) return found.status;
  const status = reckon({ calendars, freezes }, region, now);
  // It holds until one of its instants; none means that none is near.
  const untilMs = (status.open ? status.closesAt : status.opensAt) ?? now + HOUR_MS;
  known.set(region, { status, fromMs: now, untilMs });
  return status;
}

const HOUR_MS = 3_600_000;

interface Remembered {
  freezes: readonly Freeze[];
  byRegion: Map<string, { status: WindowStatus; fromMs: number; untilMs: number }>;
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

function reckon(
  { calendars, freezes }: { calendars: readonly Calendar[]; freezes: readonly Freeze[] },
  region: string,
  now: number,
): WindowStatus {
  const calendar = calendars.find((one) => one.region === region);
  if (calendar === undefined) {
    return { open: false, reason: 'outside_window', detail: `the config does not name ${region}`, opensAt: null };
  }
  const here = freezes.filter((one) => one.regions === null || one.regions.includes(region));
  return windowStatus(calendar.windows, here, calendar.timeZone, now);
}
