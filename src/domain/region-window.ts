// Whether something may start in a region now, by its windows and the freezes that cover it.
import type { Calendar } from './snapshot.ts';
import { type Freeze, type WindowStatus, windowStatus } from './window.ts';

/** A region that the config does not name is never opened. `now` in milliseconds since the epoch. */
export function regionStatus(
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
