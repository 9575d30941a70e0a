// Puts all times of a calendar event into the zone in which it begins: repetitions are reckoned by the clocks there.
import ICAL from 'ical.js';
import { Temporal } from 'temporal-polyfill';
import { TIME_ZONE } from './formats.ts';

/** Whole days, the clocks of whoever reads it, or those of an IANA zone. */
export type EventZone = 'days' | 'local' | { name: string };

/** Half a sentence after the event's name, and how to mend it. */
export class UnreadableEvent extends Error {
  readonly what: string;
  readonly mend: string;

  constructor(what: string, mend: string) {
    super(what);
    this.what = what;
    this.mend = mend;
  }
}

const TIMES = ['dtstart', 'dtend', 'exdate', 'rdate', 'recurrence-id'];

/**
 * Changes the component: its times lose their zones and stand as local times of the event's zone, that of its start
 * unless `zone` is given. The library knows zones only by the definitions of the file, and compares times of an unknown
 * one as if they were UTC; by name they are better known here. Throws `UnreadableEvent`.
 */
export function toEventZone(component: ICAL.Component, zone?: EventZone): EventZone {
  const start = component.getFirstProperty('dtstart');
  if (start === null) throw new UnreadableEvent('has no start', 'give it a DTSTART');
  const target = zone ?? zoneOf(start, timeOf(start.getFirstValue()));
  for (const property of TIMES.flatMap((name) => component.getAllProperties(name))) {
    for (const text of property.toJSON().slice(3)) checkThatItIs(text);
    const values = property.getValues().map((value) => {
      const time = timeOf(value);
      return inZone(time, zoneOf(property, time), target);
    });
    property.removeParameter('tzid');
    if (property.isMultiValue) property.setValues(values);
    else property.setValue(values[0] as ICAL.Time);
  }
  for (const property of component.getAllProperties('rrule')) checkRule(property.getFirstValue(), target);
  return target;
}

/** The library would take the 31st of February for the 3rd of March. */
function checkThatItIs(text: unknown): void {
  try {
    Temporal.PlainDateTime.from(String(text).replace(/Z$/, ''), { overflow: 'reject' });
  } catch {
    const what = `has a time that is none, ${String(text).slice(0, 40)}`;
    throw new UnreadableEvent(what, 'write a date or a time that there is');
  }
}

function timeOf(value: unknown): ICAL.Time {
  if (value instanceof ICAL.Time) return value;
  throw new UnreadableEvent('has a time that cannot be read', 'write a date or a time');
}

function zoneOf(property: ICAL.Property, time: ICAL.Time): EventZone {
  if (time.isDate) return 'days';
  if (time.zone === ICAL.Timezone.utcTimezone) return { name: 'UTC' };
  const named = property.getFirstParameter('tzid');
  if (named === undefined || named === '') return 'local';
  const parsed = TIME_ZONE.parse(named);
  if (parsed.ok) return { name: parsed.value };
  throw new UnreadableEvent(`has the time zone "${named.slice(0, 60)}", which is no IANA time zone`, parsed.mend);
}

/** A day, a local time and a time of the same zone stay as they are written. */
function inZone(time: ICAL.Time, from: EventZone, to: EventZone): ICAL.Time {
  const { year, month, day, hour, minute, second, isDate } = time;
  let local = Temporal.PlainDateTime.from({ year, month, day, hour, minute, second });
  if (typeof from === 'object' && typeof to === 'object') {
    local = local.toZonedDateTime(from.name).withTimeZone(to.name).toPlainDateTime();
  }
  const fields = { year: local.year, month: local.month, day: local.day, isDate };
  const clock = isDate ? {} : { hour: local.hour, minute: local.minute, second: local.second };
  return new ICAL.Time({ ...fields, ...clock }, ICAL.Timezone.localTimezone);
}

/** By frequency, what may narrow it down. Others (the 30th of each February, the 25th hour) let the library search for ever. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  DAILY: ['BYDAY', 'BYMONTH'],
  WEEKLY: ['BYDAY', 'BYMONTH'],
  MONTHLY: ['BYDAY', 'BYMONTHDAY', 'BYMONTH', 'BYSETPOS'],
  YEARLY: ['BYDAY', 'BYMONTHDAY', 'BYMONTH', 'BYSETPOS'],
};

/** What together could fit no day, or one in a lifetime, and which the library would look for year by year. */
function clashOf({ freq, parts }: ICAL.Recur): string | undefined {
  const { BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS = [] } = parts as Record<string, unknown[] | undefined>;
  if (BYDAY !== undefined && BYMONTHDAY !== undefined) return 'BYDAY and BYMONTHDAY';
  if (freq === 'YEARLY' && BYDAY !== undefined && BYMONTH === undefined) return 'BYDAY without BYMONTH';
  if (BYSETPOS.length > 0 && BYDAY === undefined) return 'BYSETPOS without BYDAY';
  return BYSETPOS.some((place) => Math.abs(Number(place)) > 4) ? 'BYSETPOS beyond 4' : undefined;
}

/** Its end becomes a local time of the event's zone; a day is the whole of it. */
function checkRule(rule: unknown, zone: EventZone): void {
  if (!(rule instanceof ICAL.Recur)) throw new UnreadableEvent('has a rule that cannot be read', 'mend its RRULE');
  const allowed = PARTS[rule.freq];
  const mend = 'repeat it by days, weeks, months or years, narrowed down by BYDAY, BYMONTHDAY, BYMONTH or BYSETPOS';
  if (allowed === undefined) throw new UnreadableEvent(`repeats ${rule.freq}, which is not read here`, mend);
  const other = Object.keys(rule.parts).find((part) => !allowed.includes(part));
  if (other !== undefined) throw new UnreadableEvent(`repeats ${rule.freq} by ${other}, which is not read here`, mend);
  const clash = clashOf(rule);
  if (clash !== undefined) throw new UnreadableEvent(`repeats ${rule.freq} by ${clash}, which is not read here`, mend);
  const { until } = rule;
  if (until == null) return;
  const time = timeOf(until);
  if (zone === 'days') {
    rule.until = new ICAL.Time({ ...dateOf(time), isDate: true }, ICAL.Timezone.localTimezone);
  } else if (time.isDate) {
    rule.until = new ICAL.Time({ ...dateOf(time), hour: 23, minute: 59, second: 59 }, ICAL.Timezone.localTimezone);
  } else {
    rule.until = inZone(time, time.zone === ICAL.Timezone.utcTimezone ? { name: 'UTC' } : 'local', zone);
  }
}

function dateOf({ year, month, day }: ICAL.Time): { year: number; month: number; day: number } {
  return { year, month, day };
}
