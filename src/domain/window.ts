// When something may start in a region: weekly windows that allow or deny, and freezes by date or instant, in its own zone.
import { Temporal } from 'temporal-polyfill';

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

/** Local wall time, minutes since midnight; `to` at or before `from` is on the next day, which the day of `from` counts for. */
export interface WeeklyWindow {
  days: Day[];
  /** 0 … 1439. */
  from: number;
  /** 0 … 1440, exclusive. */
  to: number;
}

/** Nothing starts in it. */
export type Freeze = DayFreeze | TimedFreeze;

/** Local dates `YYYY-MM-DD`, both inclusive. */
export interface DayFreeze {
  from: string;
  to: string;
  reason: string;
  /** Null: every region. */
  regions: string[] | null;
}

/** From one instant until before another, milliseconds since the epoch: the same for all regions that it names. */
export interface TimedFreeze {
  fromMs: number;
  toMs: number;
  reason: string;
  regions: string[] | null;
}

export interface WindowRules {
  /** Empty: always, but for `deny`. */
  allow: WeeklyWindow[];
  /** Wins over `allow`. */
  deny: WeeklyWindow[];
}

export type WindowStatus =
  /** `closesAt`: when it ends, milliseconds since the epoch; null: not within the horizon. */
  | { open: true; closesAt: number | null }
  | { open: false; reason: 'outside_window' | 'frozen'; detail: string; opensAt: number | null };

/** A region that stays closed may be so for another reason before it opens. */
export interface WindowSpan {
  status: WindowStatus;
  untilMs: number | null;
}

/** Nothing opens or closes later than this that a person would want to be told. */
const HORIZON_DAYS = 400;
const DAY_MS = 86_400_000;

/**
 * The permitted instants are exactly those whose local wall time lies in an allowed window, in none that denies, and on no
 * frozen date, and not in a freeze between two instants: where the clocks go forward an hour of a window is missing, where
 * they go back it comes twice.
 * `now` in milliseconds since the epoch; `zone` is an IANA name.
 */
export function windowStatus(rules: WindowRules, freezes: readonly Freeze[], zone: string, now: number): WindowStatus {
  return windowSpan(rules, freezes, zone, now).status;
}

/** The same with the instant until which it holds word for word; null: as far as one can see. */
export function windowSpan(rules: WindowRules, freezes: readonly Freeze[], zone: string, now: number): WindowSpan {
  const here = placeOf(now, zone);
  const refused = refusal(rules, freezes, here);
  const left = notOver(freezes, zone, now);
  let untilMs: number | null = null;
  for (const instant of boundaries(rules, left, zone, now)) {
    const there = refusal(rules, left, placeOf(instant, zone));
    if (there?.reason !== refused?.reason || there?.detail !== refused?.detail) untilMs ??= instant;
    if (refused === undefined && there !== undefined) return { status: { open: true, closesAt: instant }, untilMs };
    if (refused !== undefined && there === undefined)
      return { status: { open: false, ...refused, opensAt: instant }, untilMs };
  }
  const status: WindowStatus =
    refused === undefined ? { open: true, closesAt: null } : { open: false, ...refused, opensAt: null };
  return { status, untilMs };
}

/** Those that are over have no say any more; a day more, since a date may come back where clocks go back at midnight. */
function notOver(freezes: readonly Freeze[], zone: string, now: number): Freeze[] {
  const { date } = placeOf(now - 2 * DAY_MS, zone);
  return freezes.filter((one) => ('from' in one ? one.to >= date : one.toMs > now));
}

/** Whether the instant is permitted; what the brute force of the tests asks minute by minute. */
export function isOpen(rules: WindowRules, freezes: readonly Freeze[], zone: string, instant: number): boolean {
  return refusal(rules, freezes, placeOf(instant, zone)) === undefined;
}

/** The shortest time that a window of the list is open, in minutes of wall time; null when the list is empty. */
export function shortestMinutes(windows: readonly WeeklyWindow[]): number | null {
  if (windows.length === 0) return null;
  return Math.min(...windows.map(({ from, to }) => (to > from ? to - from : 1440 - from + to)));
}

interface Place {
  instant: number;
  zone: string;
  /** YYYY-MM-DD. */
  date: string;
  /** 0 = Monday. */
  weekday: number;
  minute: number;
}

function placeOf(instant: number, zone: string): Place {
  const local = Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO(zone);
  const date = local.toPlainDate().toString();
  return { instant, zone, date, weekday: local.dayOfWeek - 1, minute: local.hour * 60 + local.minute };
}

function refusal(
  rules: WindowRules,
  freezes: readonly Freeze[],
  place: Place,
): { reason: 'outside_window' | 'frozen'; detail: string } | undefined {
  const freeze = freezes.find((one) => isFrozen(one, place));
  if (freeze !== undefined) return { reason: 'frozen', detail: `${freeze.reason}, until ${endOf(freeze, place.zone)}` };
  const denying = rules.deny.find((window) => contains(window, place));
  if (denying !== undefined)
    return { reason: 'outside_window', detail: `closed ${sayWindow(denying)} (${place.zone})` };
  if (rules.allow.length > 0 && !rules.allow.some((window) => contains(window, place))) {
    return { reason: 'outside_window', detail: `open only ${sayAllowed(rules.allow)} (${place.zone})` };
  }
  return undefined;
}

const MOST_SAID = 3;
const said = new WeakMap<readonly WeeklyWindow[], string>();

/** Asked for many instants of the same rules, which are never changed. */
function sayAllowed(allow: readonly WeeklyWindow[]): string {
  const known = said.get(allow);
  if (known !== undefined) return known;
  const more = allow.length - MOST_SAID;
  const text = allow.slice(0, MOST_SAID).map(sayWindow).join(', ') + (more > 0 ? ` and ${more} more` : '');
  said.set(allow, text);
  return text;
}

/** `mon–fri 09:00–16:00`, `sat 10:00–12:00`, `daily 22:00–04:00`. */
function sayWindow({ days, from, to }: WeeklyWindow): string {
  const clock = (minute: number) =>
    `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
  return `${sayDays(days)} ${clock(from)}–${clock(to)}`;
}

function sayDays(days: readonly Day[]): string {
  const places = DAYS.flatMap((day, index) => (days.includes(day) ? [index] : []));
  const [first = 0, last = 0] = [places[0], places.at(-1)];
  if (places.length === DAYS.length) return 'daily';
  const isRun = places.length > 2 && last - first === places.length - 1;
  return isRun ? `${DAYS[first]}–${DAYS[last]}` : places.map((place) => DAYS[place]).join(' ');
}

function isFrozen(freeze: Freeze, { instant, date }: Place): boolean {
  if ('from' in freeze) return freeze.from <= date && date <= freeze.to;
  return freeze.fromMs <= instant && instant < freeze.toMs;
}

/** The last day, or the time at which it ends by the region's clocks. */
function endOf(freeze: Freeze, zone: string): string {
  if ('from' in freeze) return freeze.to;
  const local = Temporal.Instant.fromEpochMilliseconds(freeze.toMs).toZonedDateTimeISO(zone);
  return `${local.toPlainDate()} ${local.toPlainTime().toString({ smallestUnit: 'minute' })} (${zone})`;
}

function contains(window: WeeklyWindow, { weekday, minute }: Place): boolean {
  const today = window.days.includes(DAYS[weekday] as Day);
  if (window.to > window.from) return today && minute >= window.from && minute < window.to;
  const yesterday = window.days.includes(DAYS[(weekday + 6) % 7] as Day);
  return (today && minute >= window.from) || (yesterday && minute < window.to);
}

/** The instants after `now` at which the answer may change, ascending: edges of windows and freezes, changes of the clocks. */
function* boundaries(rules: WindowRules, freezes: readonly Freeze[], zone: string, now: number): Generator<number> {
  const minutes = [...new Set([...rules.allow, ...rules.deny].flatMap(({ from, to }) => [from, to % 1440]))];
  const edges = freezes.flatMap((one) => ('from' in one ? [] : [one.fromMs, one.toMs])).sort((a, b) => a - b);
  if (minutes.length === 0 && freezes.length * 2 === edges.length) {
    yield* edges.filter((instant) => instant > now && instant <= now + HORIZON_DAYS * DAY_MS);
    return;
  }
  let edge = 0;
  const first = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(zone).toPlainDate();
  let pending = new Set<number>();
  for (let offset = 0; offset <= HORIZON_DAYS; offset += 1) {
    const date = first.add({ days: offset });
    const end = date.add({ days: 1 }).toZonedDateTime(zone).epochMilliseconds;
    for (const minute of [0, ...minutes]) for (const instant of instantsOf(date, minute, zone)) pending.add(instant);
    const change = changeBefore(date, end, zone);
    if (change !== undefined) pending.add(change);
    for (; edge < edges.length && (edges[edge] as number) < end; edge += 1) pending.add(edges[edge] as number);
    // A time in a gap at midnight stands for instants of both days: what belongs to the next one waits for its turn.
    const due = [...pending].filter((instant) => instant > now && instant < end).sort((a, b) => a - b);
    pending = new Set([...pending].filter((instant) => instant >= end));
    yield* due;
  }
}

/** The one or two real instants of a local time; in a gap, the instants on both sides of it. */
function instantsOf(date: Temporal.PlainDate, minute: number, zone: string): number[] {
  const local = date.toPlainDateTime({ hour: Math.floor(minute / 60), minute: minute % 60 });
  const earlier = local.toZonedDateTime(zone, { disambiguation: 'earlier' }).epochMilliseconds;
  const later = local.toZonedDateTime(zone, { disambiguation: 'later' }).epochMilliseconds;
  return earlier === later ? [earlier] : [earlier, later];
}

/** A change of the clocks on the date; the day may begin with it. */
function changeBefore(date: Temporal.PlainDate, end: number, zone: string): number | undefined {
  const before = date.toZonedDateTime(zone).subtract({ milliseconds: 1 });
  const change = before.getTimeZoneTransition('next')?.epochMilliseconds;
  return change !== undefined && change < end ? change : undefined;
}
