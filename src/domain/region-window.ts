// Whether something may start in a region now, by its windows and the freezes that cover it.
import type { Calendar } from './snapshot.ts';
import { type Freeze, type WindowStatus, windowStatus } from './window.ts';

/** A region that the config does not name is never opened. `now` in milliseconds since the epoch. */
export function regionStatus(
  { calendars, freezes }: { calendars: readonly Calendar[]; freezes: readonly Freeze[] },
  region: string,
  now: number,
): WindowStatus {
  const known = remembered(calendars, freezes, now);
  const status = known.get(region) ?? reckon({ calendars, freezes }, region, now);
  known.set(region, status);
  return status;
}

interface Remembered {
  freezes: readonly Freeze[];
  now: number;
  byRegion: Map<string, WindowStatus>;
}

const last = new WeakMap<readonly Calendar[], Remembered>();

/** All lanes of a region ask the same of the same instant, and the answer is dear. The lists are never changed. */
function remembered(calendars: readonly Calendar[], freezes: readonly Freeze[], now: number): Remembered['byRegion'] {
  const found = last.get(calendars);
  if (found !== undefined && found.now === now && found.freezes === freezes) return found.byRegion;
  const byRegion = new Map<string, WindowStatus>();
  last.set(calendars, { freezes, now, byRegion });
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
