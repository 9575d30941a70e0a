// Reads an iCalendar file (RFC 5545) by ical.js: when its events are, repetitions expanded within a bound, by their own zones.
import ICAL from 'ical.js';
import { Temporal } from 'temporal-polyfill';
import { type EventZone, toEventZone, UnreadableEvent } from './calendar-zones.ts';
import { findHidden } from './hidden.ts';

/** One time of an event. Days are both inclusive; `local` is by the clocks of whoever reads it. */
export type Occurrence = { reason: string } & (
  | { kind: 'days'; from: Temporal.PlainDate; to: Temporal.PlainDate }
  | { kind: 'instants'; fromMs: number; toMs: number }
  | { kind: 'local'; from: Temporal.PlainDateTime; to: Temporal.PlainDateTime }
);

export interface CalendarProblem {
  /** From 1; null: the file as a whole. */
  line: number | null;
  what: string;
  mend: string;
}

export interface ReadCalendar {
  /** Those that are not over, as far as `HORIZON_DAYS` from now. */
  occurrences: Occurrence[];
  problems: CalendarProblem[];
}

export const MAX_OCCURRENCES = 1000;
const HORIZON_DAYS = 730;
/** Repetitions are counted from the first one on, however long ago that was. */
const MAX_STEPS = 20_000;
const MAX_REASON = 200;
const DAY_MS = 86_400_000;

/** `text` is bounded by whoever has read it; `now` in milliseconds since the epoch. */
export function readCalendar(text: string, now: number): ReadCalendar {
  const calendars = parse(text);
  if (calendars === undefined) {
    const mend = 'export it as iCalendar (.ics), with BEGIN:VCALENDAR in its first line';
    return { occurrences: [], problems: [{ line: null, what: 'is not an iCalendar file', mend }] };
  }
  const lines = linesOfEvents(text);
  const found: ReadCalendar = { occurrences: [], problems: [] };
  const budget = { steps: MAX_STEPS };
  const events = calendars.flatMap((calendar) => calendar.getAllSubcomponents('vevent'));
  const exceptions = Map.groupBy(
    events.filter((one) => one.hasProperty('recurrence-id')),
    (one) => String(one.getFirstPropertyValue('uid')),
  );
  const repeated = new Set(events.filter(isRepeated).map((one) => String(one.getFirstPropertyValue('uid'))));
  for (const [index, event] of events.entries()) {
    const uid = String(event.getFirstPropertyValue('uid'));
    // It is part of the event that it changes.
    if (event.hasProperty('recurrence-id') && repeated.has(uid)) continue;
    try {
      found.occurrences.push(
        ...occurrencesOf(event, isRepeated(event) ? (exceptions.get(uid) ?? []) : [], now, budget),
      );
    } catch (error) {
      const { what, mend } = error instanceof UnreadableEvent ? error : UNREADABLE;
      found.problems.push({ line: lines[index] ?? null, what: `the event "${reasonOf(event)}" ${what}`, mend });
    }
  }
  if (found.occurrences.length > MAX_OCCURRENCES) {
    const what = `has ${found.occurrences.length} times in the next two years, and ${MAX_OCCURRENCES} are read`;
    found.problems.push({ line: null, what, mend: 'keep the freezes in a calendar of their own' });
  }
  return found;
}

const UNREADABLE = { what: 'cannot be read', mend: 'mend its DTSTART, DTEND and RRULE, or remove it' };

function parse(text: string): ICAL.Component[] | undefined {
  try {
    const parsed: unknown[] = ICAL.parse(text);
    // One component, or a list where the file has several.
    const all = (typeof parsed[0] === 'string' ? [parsed] : parsed).map((one) => new ICAL.Component(one as never));
    return all.length > 0 && all.every((one) => one.name === 'vcalendar') ? all : undefined;
  } catch {
    return undefined;
  }
}

/** Line of each event, in the order of the file. */
function linesOfEvents(text: string): number[] {
  return text.split('\n').flatMap((line, index) => (/^BEGIN:VEVENT\s*$/i.test(line) ? [index + 1] : []));
}

function isRepeated(event: ICAL.Component): boolean {
  return !event.hasProperty('recurrence-id') && (event.hasProperty('rrule') || event.hasProperty('rdate'));
}

function occurrencesOf(
  component: ICAL.Component,
  changed: readonly ICAL.Component[],
  now: number,
  budget: { steps: number },
): Occurrence[] {
  const zone = toEventZone(component);
  for (const one of changed) toEventZone(one, zone);
  const event = new ICAL.Event(component, { strictExceptions: true, exceptions: [...changed] });
  const horizonMs = now + HORIZON_DAYS * DAY_MS;
  const lastsMs = event.duration.toSeconds() * 1000;
  const found: Occurrence[] = [];
  const times = event.isRecurring() ? event.iterator() : { next: once(event.startDate) };
  for (let time = times.next(); time; time = times.next()) {
    budget.steps -= 1;
    if (budget.steps < 0) {
      throw new UnreadableEvent(
        'repeats too often, or has for too long',
        `give it a later DTSTART: at most ${MAX_STEPS} repetitions of a file are read`,
      );
    }
    const startMs = Date.UTC(time.year, time.month - 1, time.day, time.hour, time.minute, time.second);
    if (startMs > horizonMs) break;
    // Most of an old event's times are over by far: nothing of the rest is needed to see it.
    if (changed.length === 0 && startMs + lastsMs + 3 * DAY_MS < now) continue;
    const { item, startDate, endDate } = event.getOccurrenceDetails(time);
    const one = occurrenceOf(item.component, startDate, endDate, zone);
    if (one !== undefined && !isOver(one, now)) found.push(one);
  }
  return found;
}

function once(time: ICAL.Time): () => ICAL.Time | null {
  let left: ICAL.Time | null = time;
  return () => {
    const next = left;
    left = null;
    return next;
  };
}

/** Undefined for what was called off, and for what takes no time. */
function occurrenceOf(
  component: ICAL.Component,
  start: ICAL.Time,
  end: ICAL.Time,
  zone: EventZone,
): Occurrence | undefined {
  const [from, to] = [plainOf(start), plainOf(end)];
  const order = Temporal.PlainDateTime.compare(from, to);
  if (order > 0) throw new UnreadableEvent('ends before it begins', 'mend its DTEND');
  const status = String(component.getFirstPropertyValue('status') ?? '').toUpperCase();
  if (order === 0 || status === 'CANCELLED') return undefined;
  const reason = reasonOf(component);
  if (zone === 'days') {
    return { kind: 'days', reason, from: from.toPlainDate(), to: to.toPlainDate().subtract({ days: 1 }) };
  }
  if (zone === 'local') return { kind: 'local', reason, from, to };
  return { kind: 'instants', reason, fromMs: instantIn(from, zone.name), toMs: instantIn(to, zone.name) };
}

/** RFC 5545, 3.3.5: a time that comes twice is the first one, one that is skipped counts by the offset before the gap. */
export function instantIn(local: Temporal.PlainDateTime, zone: string): number {
  return local.toZonedDateTime(zone, { disambiguation: 'compatible' }).epochMilliseconds;
}

/** Of a day or a local time it is certain only a day later: somewhere it is not over yet. */
function isOver(one: Occurrence, now: number): boolean {
  if (one.kind === 'instants') return one.toMs <= now;
  const end = one.kind === 'days' ? one.to.add({ days: 1 }).toPlainDateTime() : one.to;
  return instantIn(end, 'UTC') + DAY_MS <= now;
}

function plainOf({ year, month, day, hour, minute, second }: ICAL.Time): Temporal.PlainDateTime {
  return Temporal.PlainDateTime.from({ year, month, day, hour, minute, second });
}

/** One line that is fit for a terminal. */
function reasonOf(component: ICAL.Component): string {
  const text = String(component.getFirstPropertyValue('summary') ?? '').replaceAll(/\s+/g, ' ');
  const shown =
    findHidden(text, 1).length === 0 ? text.trim() : text.replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '').trim();
  return shown === '' ? 'calendar' : shown.slice(0, MAX_REASON);
}
