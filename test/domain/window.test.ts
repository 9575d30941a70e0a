// Windows against a brute force that asks Intl for the local time of every minute, around every change of the clocks.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import {
  DAYS,
  type Day,
  type Freeze,
  isOpen,
  type WeeklyWindow,
  type WindowRules,
  windowStatus,
} from '../../src/domain/window.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const FROM = Date.UTC(2026, 10, 1);
const UNTIL = Date.UTC(2027, 10, 30);
const NO_RULES: WindowRules = { allow: [], deny: [] };

function window(days: Day[], from: string, to: string): WeeklyWindow {
  return { days, from: minuteOf(from), to: minuteOf(to) };
}

function minuteOf(text: string): number {
  const [hours, minutes] = text.split(':').map(Number) as [number, number];
  return hours * 60 + minutes;
}

const WORKDAYS: Day[] = ['mon', 'tue', 'wed', 'thu'];
const EVERY_DAY: Day[] = [...DAYS];

describe('windowStatus', () => {
  const rows: [string, WindowRules, Freeze[], string, string, unknown][] = [
    ['no rules: always open', NO_RULES, [], 'Europe/Berlin', '2026-11-22T12:00:00Z', 'open'],
    [
      'Sunday before Monday 9:00 in Berlin',
      { allow: [window(WORKDAYS, '09:00', '16:00')], deny: [] },
      [],
      'Europe/Berlin',
      '2026-11-22T12:00:00Z',
      '2026-11-23T08:00:00Z',
    ],
    [
      'inside, closes at 16:00 in Berlin',
      { allow: [window(WORKDAYS, '09:00', '16:00')], deny: [] },
      [],
      'Europe/Berlin',
      '2026-11-23T12:00:00Z',
      'open until 2026-11-23T15:00:00Z',
    ],
    [
      'deny wins over allow',
      { allow: [window(EVERY_DAY, '00:00', '24:00')], deny: [window(['mon'], '08:00', '10:00')] },
      [],
      'Europe/Berlin',
      '2026-11-23T08:30:00Z',
      '2026-11-23T09:00:00Z',
    ],
    [
      'over midnight: the day is that of the beginning',
      { allow: [window(['fri'], '22:00', '02:00')], deny: [] },
      [],
      'Europe/Berlin',
      '2026-11-28T00:30:00Z',
      'open until 2026-11-28T01:00:00Z',
    ],
    [
      'over midnight: Friday at 1:00 belongs to Thursday',
      { allow: [window(['fri'], '22:00', '02:00')], deny: [] },
      [],
      'Europe/Berlin',
      '2026-11-27T00:30:00Z',
      '2026-11-27T21:00:00Z',
    ],
    [
      'a gap swallows 2:00–3:00 in spring',
      { allow: [window(['sun'], '02:00', '03:00')], deny: [] },
      [],
      'Europe/Berlin',
      '2027-03-28T00:00:00Z',
      '2027-04-04T00:00:00Z',
    ],
    [
      '2:00–3:00 lasts two hours in autumn',
      { allow: [window(['sun'], '02:00', '03:00')], deny: [] },
      [],
      'Europe/Berlin',
      '2027-10-31T00:00:00Z',
      'open until 2027-10-31T02:00:00Z',
    ],
    [
      'a window that ends in the gap ends where it begins',
      { allow: [window(['sun'], '01:00', '02:30')], deny: [] },
      [],
      'Europe/Berlin',
      '2027-03-28T00:30:00Z',
      'open until 2027-03-28T01:00:00Z',
    ],
    [
      'frozen until the day after',
      NO_RULES,
      [{ from: '2026-12-20', to: '2027-01-03', reason: 'year end', regions: null }],
      'Europe/Berlin',
      '2026-12-25T12:00:00Z',
      '2027-01-03T23:00:00Z',
    ],
    [
      'a freeze of a year is looked through',
      NO_RULES,
      [{ from: '2026-01-01', to: '2026-12-31', reason: 'audit', regions: null }],
      'Asia/Tokyo',
      '2026-01-05T00:00:00Z',
      '2026-12-31T15:00:00Z',
    ],
    [
      'Lord Howe: half an hour of change',
      { allow: [window(['sun'], '01:30', '02:00')], deny: [] },
      [],
      'Australia/Lord_Howe',
      '2027-04-03T14:30:00Z',
      'open until 2027-04-03T15:30:00Z',
    ],
  ];
  for (const [title, rules, freezes, zone, at, wanted] of rows) {
    test(title, () => {
      const status = windowStatus(rules, freezes, zone, Date.parse(at));
      const iso = (instant: number | null) =>
        instant === null ? 'never' : new Date(instant).toISOString().replace('.000', '');
      const shown = status.open
        ? status.closesAt === null
          ? 'open'
          : `open until ${iso(status.closesAt)}`
        : iso(status.opensAt);
      assert.equal(shown, wanted);
    });
  }
});

test('every minute within 36 h of every change of the clocks, one zone per distinct rule', () => {
  const zones = zonesByRule();
  assert(zones.length >= 15, `${zones.length} distinct rules`);
  let checked = 0;
  for (const [zone, changes] of zones) {
    const local = localReader(zone);
    for (const change of changes) {
      const rules = rulesAround(change, zone);
      const start = change - 36 * HOUR;
      const states = Array.from({ length: 72 * 60 }, (_, minute) => bruteOpen(rules, local(start + minute * MINUTE)));
      // Temporal costs 25 µs a question: every seventh minute, and every minute near the change.
      for (const [minute, state] of states.entries()) {
        if (minute % 7 !== 0 && Math.abs(minute - 36 * 60) > 90) continue;
        assert.equal(
          isOpen(rules, [], zone, start + minute * MINUTE),
          state,
          `${zone} ${new Date(start + minute * MINUTE).toISOString()}`,
        );
        checked += 1;
      }
      for (const minute of [0, 12 * 60, 30 * 60, 35 * 60, 36 * 60 - 1, 36 * 60, 37 * 60, 40 * 60]) {
        const flip = states.findIndex((state, index) => index > minute && state !== states[minute]);
        if (flip < 0) continue;
        const status = windowStatus(rules, [], zone, start + minute * MINUTE);
        assert.equal(
          status.open ? status.closesAt : status.opensAt,
          start + flip * MINUTE,
          `${zone} at ${new Date(start + minute * MINUTE).toISOString()}`,
        );
      }
    }
  }
  assert(checked > 10_000, `${checked} minutes`);
});

test('any rules at any time: the status says what isOpen says, and nothing changes before the instant that it names', () => {
  const days = fc.subarray(EVERY_DAY, { minLength: 1 });
  const weekly = fc
    .record({ days, from: fc.integer({ min: 0, max: 1439 }), to: fc.integer({ min: 0, max: 1440 }) })
    .filter(({ from, to }) => from !== to);
  const rules = fc.record({ allow: fc.array(weekly, { maxLength: 3 }), deny: fc.array(weekly, { maxLength: 2 }) });
  const zone = fc.constantFrom(
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'Asia/Kolkata',
    'Africa/Cairo',
    'UTC',
  );
  fc.assert(
    fc.property(
      rules,
      zone,
      fc.integer({ min: FROM / MINUTE, max: UNTIL / MINUTE }),
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 5, maxLength: 5 }),
      (one, where, minute, places) => {
        const now = minute * MINUTE;
        const status = windowStatus(one, [], where, now);
        assert.equal(status.open, isOpen(one, [], where, now));
        const edge = status.open ? status.closesAt : status.opensAt;
        if (edge === null) return;
        assert(edge > now);
        assert.notEqual(isOpen(one, [], where, edge), status.open);
        for (const place of places) {
          const between: number = now + Math.floor(((edge - now) / MINUTE) * place) * MINUTE;
          assert.equal(isOpen(one, [], where, between), status.open, new Date(between).toISOString());
        }
      },
    ),
    { numRuns: 300, seed: 7 },
  );
});

interface Local {
  weekday: number;
  minute: number;
}

/** Local time by Intl, which shares nothing with the polyfill but the tables of the zones. */
function localReader(zone: string): (instant: number) => Local {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return (instant) => {
    const parts = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, value]));
    return {
      weekday: DAYS.indexOf((parts['weekday'] as string).toLowerCase() as Day),
      minute: Number(parts['hour']) * 60 + Number(parts['minute']),
    };
  };
}

function bruteOpen(rules: WindowRules, { weekday, minute }: Local): boolean {
  const inside = ({ days, from, to }: WeeklyWindow) => {
    const on = (day: number) => days.includes(DAYS[(day + 7) % 7] as Day);
    if (to > from) return on(weekday) && from <= minute && minute < to;
    return minute >= from ? on(weekday) : minute < to && on(weekday - 1);
  };
  return !rules.deny.some(inside) && (rules.allow.length === 0 || rules.allow.some(inside));
}

/** Windows whose edges lie before, in and after the hour of the change, one over midnight, one that denies. */
function rulesAround(change: number, zone: string): WindowRules {
  const local = Temporal.Instant.fromEpochMilliseconds(change).toZonedDateTimeISO(zone);
  const at = local.hour * 60 + local.minute;
  const near = (minutes: number) => (at + minutes + 1440) % 1440;
  return {
    allow: [
      { days: EVERY_DAY, from: near(-75), to: near(-15) },
      { days: EVERY_DAY, from: near(15), to: near(200) },
      { days: ['fri', 'sat'], from: 22 * 60, to: 90 },
    ],
    deny: [{ days: ['sat', 'sun'], from: near(40), to: near(50) }],
  };
}

/** The first zone of each set of zones whose clocks change at the same instants by the same amounts. */
function zonesByRule(): [string, number[]][] {
  const byRule = new Map<string, [string, number[]]>();
  for (const zone of Intl.supportedValuesOf('timeZone')) {
    const changes: number[] = [];
    let rule = '';
    let at = Temporal.Instant.fromEpochMilliseconds(FROM).toZonedDateTimeISO(zone);
    for (;;) {
      const next = at.getTimeZoneTransition('next');
      if (next === null || next.epochMilliseconds > UNTIL) break;
      changes.push(next.epochMilliseconds);
      rule += ` ${next.epochMilliseconds}:${next.offsetNanoseconds}`;
      at = next;
    }
    if (changes.length > 0 && !byRule.has(rule)) byRule.set(rule, [zone, changes]);
  }
  return [...byRule.values()];
}
