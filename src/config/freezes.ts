// The freezes of a config as the rules have them: dates as they stand, times as instants of each zone, calendars read from their files.
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Temporal } from 'temporal-polyfill';
import type { Freeze, TimedFreeze } from '../domain/window.ts';
import { instantIn, type Occurrence, readCalendar } from './calendar.ts';
import type { Path, Report } from './report.ts';
import type { RawConfig, RawFreeze } from './shape.ts';

export interface FreezeSources {
  /** Absolute; the calendars' paths are relative to it. */
  directory: string;
  report: Report;
  /** Milliseconds since the epoch: what is over by then is left out of calendars. */
  now: number;
}

/** What was read of an iCalendar file: times that are not over, repetitions counted one by one, two years ahead. */
export interface CalendarRead {
  /** As the config names it. */
  file: string;
  times: number;
  /** When the first begins and the last ends, `2026-12-20` or with a time; null: there is none. */
  first: string | null;
  last: string | null;
}

const MAX_BYTES = 1_048_576;
/** Times without a zone count once for each zone of the regions. */
const MAX_FREEZES = 10_000;

/** Notes what is wrong with a calendar in the report. */
export function resolveFreezes(
  raw: RawConfig,
  sources: FreezeSources,
): { freezes: Freeze[]; calendars: CalendarRead[] } {
  const { report } = sources;
  const calendars: CalendarRead[] = [];
  const freezes = raw.freezes.flatMap((freeze, index) => {
    const path = ['freezes', index];
    if (report.touches(path)) return [];
    const where = regionsByZone(raw, freeze.regions);
    if (!('calendar' in freeze)) return writtenFreeze(freeze, where);
    const events = readEvents(freeze.calendar, [...path, 'calendar'], sources);
    calendars.push(readOf(freeze.calendar, events));
    return events.flatMap((one) => eventFreeze(one, freeze.regions, where));
  });
  if (freezes.length <= MAX_FREEZES) return { freezes, calendars };
  report.add(['freezes'], `they are ${freezes.length} in all, and ${MAX_FREEZES} are read`, 'shorten the calendars');
  return { freezes: [], calendars };
}

function readOf(file: string, events: readonly Occurrence[]): CalendarRead {
  const said = (time: Temporal.PlainDate | Temporal.PlainDateTime | number) =>
    typeof time === 'number' ? `${new Date(time).toISOString().slice(0, 16)}Z` : time.toString().slice(0, 16);
  const [begins, ends] = [
    events.map((one) => said(one.kind === 'instants' ? one.fromMs : one.from)).sort(),
    events.map((one) => said(one.kind === 'instants' ? one.toMs : one.to)).sort(),
  ];
  return { file, times: events.length, first: begins[0] ?? null, last: ends.at(-1) ?? null };
}

type ByZone = ReadonlyMap<string, string[]>;

function regionsByZone(raw: RawConfig, names: readonly string[] | null): ByZone {
  const meant = raw.regions.filter(({ name }) => names === null || names.includes(name));
  const zones = Map.groupBy(meant, (region) => region.timeZone);
  return new Map([...zones].map(([zone, regions]) => [zone, regions.map(({ name }) => name)]));
}

function writtenFreeze(freeze: Exclude<RawFreeze, { calendar: string }>, where: ByZone): Freeze[] {
  const { from, to, reason } = freeze;
  if (!hasTime(from) && !hasTime(to)) return [freeze];
  const end = hasTime(to)
    ? Temporal.PlainDateTime.from(to)
    : Temporal.PlainDate.from(to).add({ days: 1 }).toPlainDateTime();
  return inEachZone(where, Temporal.PlainDateTime.from(from), end, reason);
}

export function hasTime(text: string): boolean {
  return text.includes('T');
}

function eventFreeze(event: Occurrence, regions: string[] | null, where: ByZone): Freeze[] {
  const { reason } = event;
  switch (event.kind) {
    case 'days':
      return [{ from: event.from.toString(), to: event.to.toString(), reason, regions }];
    case 'instants':
      return [{ fromMs: event.fromMs, toMs: event.toMs, reason, regions }];
    case 'local':
      return inEachZone(where, event.from, event.to, reason);
  }
}

function inEachZone(where: ByZone, from: Temporal.PlainDateTime, to: Temporal.PlainDateTime, reason: string) {
  return [...where].map(([zone, regions]): TimedFreeze => {
    return { fromMs: instantIn(from, zone), toMs: instantIn(to, zone), reason, regions };
  });
}

function readEvents(name: string, path: Path, { directory, report, now }: FreezeSources): Occurrence[] {
  let text: string;
  try {
    text = readText(resolve(directory, name));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : message;
    report.add(path, `cannot read ${name}: ${why}`, 'check the path and the rights');
    return [];
  }
  const { occurrences, problems } = readCalendar(text, now);
  const [first] = problems;
  if (first === undefined) return occurrences;
  const place = first.line === null ? `${name} ` : `${name}:${first.line}: `;
  const more = problems.length === 1 ? '' : `, and ${problems.length - 1} more of its events cannot be read`;
  report.add(path, `${place}${first.what}${more}`, first.mend);
  return [];
}

/** Throws plain errors that say why. */
function readText(file: string): string {
  // A named pipe without a writer would be waited for.
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new Error('it is not a file');
    if (stat.size > MAX_BYTES) throw new Error('it is larger than 1 MiB');
    const bytes = readFileSync(descriptor);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      throw new Error('it is not UTF-8 text');
    }
  } finally {
    closeSync(descriptor);
  }
}
