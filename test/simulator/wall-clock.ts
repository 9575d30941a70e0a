// Whether a calendar is open at an instant, reckoned by the platform's own formatter: nothing of src is asked.
import type { Calendar } from '../../src/domain/snapshot.ts';
import type { Freeze, WeeklyWindow } from '../../src/domain/window.ts';

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const formats = new Map<string, Intl.DateTimeFormat>();

/** `at`: milliseconds since the epoch. */
export function isLocallyOpen(
  { region, timeZone, windows }: Calendar,
  freezes: readonly Freeze[],
  at: number,
): boolean {
  if (windows.allow.length + windows.deny.length + freezes.length === 0) return true;
  const { date, day, minute } = localOf(at, timeZone);
  const isFrozen = freezes.some(
    (one) =>
      (one.regions === null || one.regions.includes(region)) &&
      ('from' in one ? one.from <= date && date <= one.to : one.fromMs <= at && at < one.toMs),
  );
  if (isFrozen || windows.deny.some((window) => isInside(window, day, minute))) return false;
  return windows.allow.length === 0 || windows.allow.some((window) => isInside(window, day, minute));
}

/** A window whose end is not after its start ends on the next day, and the day of its start counts. */
function isInside({ days, from, to }: WeeklyWindow, day: number, minute: number): boolean {
  const isOn = (index: number) => days.includes(DAYS[(index + 7) % 7] as (typeof DAYS)[number]);
  if (to > from) return isOn(day) && minute >= from && minute < to;
  return (isOn(day) && minute >= from) || (isOn(day - 1) && minute < to);
}

function localOf(at: number, timeZone: string): { date: string; day: number; minute: number } {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-CA', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const date = `${parts.get('year')}-${parts.get('month')}-${parts.get('day')}`;
  const day = new Date(`${date}T00:00:00Z`).getUTCDay();
  return { date, day, minute: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) };
}

export { localOf };
