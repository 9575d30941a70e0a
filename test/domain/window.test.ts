// Windows against a brute force that asks Intl for the local time of every minute, around every change of the clocks.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  DAYS,
  type Day,
  type Freeze,
  isOpen,
  type WeeklyWindow,
  type WindowRules,
  windowStatus,
} from '../../src/domain/window.ts';
import fc, { seedOf } from '../support/fast-check.ts';

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

describe('why a region is closed, by its own hours', () => {
  const each = ['00', '01', '02', '03'].map((hour) => window(EVERY_DAY, `${hour}:00`, `${hour}:30`));
  const rows: [string, Partial<WindowRules>, string][] = [
    [
      'a run of days',
      { allow: [window(['mon', 'tue', 'wed'], '09:00', '16:00')] },
      'open only mon–wed 09:00–16:00 (UTC)',
    ],
    ['single days', { allow: [window(['mon', 'thu'], '00:00', '01:00')] }, 'open only mon thu 00:00–01:00 (UTC)'],
    ['every day', { allow: [window(EVERY_DAY, '22:00', '04:00')] }, 'open only daily 22:00–04:00 (UTC)'],
    [
      'many windows',
      { allow: each },
      'open only daily 00:00–00:30, daily 01:00–01:30, daily 02:00–02:30 and 1 more (UTC)',
    ],
    ['denied', { deny: [window(EVERY_DAY, '11:30', '13:00')] }, 'closed daily 11:30–13:00 (UTC)'],
  ];
  for (const [title, rules, detail] of rows) {
    test(title, () => {
      const status = windowStatus({ allow: [], deny: [], ...rules }, [], 'UTC', Date.UTC(2026, 0, 10, 12));
      assert.deepEqual(status.open ? null : status.detail, detail);
    });
  }
});

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
      'frozen until an instant',
      NO_RULES,
      [
        {
          fromMs: Date.parse('2026-11-27T17:00:00Z'),
          toMs: Date.parse('2026-11-30T06:00:30Z'),
          reason: 'x',
          regions: null,
        },
      ],
      'Europe/Berlin',
      '2026-11-27T17:00:00Z',
      '2026-11-30T06:00:30Z',
    ],
    [
      'open until a freeze begins, within a window',
      { allow: [window(EVERY_DAY, '09:00', '18:00')], deny: [] },
      [
        {
          fromMs: Date.parse('2026-11-27T10:30:00Z'),
          toMs: Date.parse('2026-11-27T11:00:00Z'),
          reason: 'x',
          regions: null,
        },
      ],
      'Europe/Berlin',
      '2026-11-27T09:00:00Z',
      'open until 2026-11-27T10:30:00Z',
    ],
    [
      'a freeze that ends outside the window',
      { allow: [window(EVERY_DAY, '09:00', '18:00')], deny: [] },
      [
        {
          fromMs: Date.parse('2026-11-27T10:30:00Z'),
          toMs: Date.parse('2026-11-27T23:00:00Z'),
          reason: 'x',
          regions: null,
        },
      ],
      'Europe/Berlin',
      '2026-11-27T12:00:00Z',
      '2026-11-28T08:00:00Z',
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

// Besides the year of the tests: a day that is skipped, a change of half an hour, one at 23:30, a summer of six weeks.
const MORE_CHANGES: [zone: string, change: string][] = [
  ['Pacific/Apia', '2011-12-30T10:00:00Z'],
  ['America/Caracas', '2016-05-01T07:00:00Z'],
  ['Asia/Pyongyang', '2018-05-04T15:00:00Z'],
  ['Africa/Casablanca', '2025-02-23T02:00:00Z'],
  ['Africa/Casablanca', '2025-04-06T02:00:00Z'],
];

describe('any rules within 36 h of every change of the clocks, one zone per distinct rule, are what each minute says', () => {
  const changes = [
    ...zonesByRule().flatMap(([zone, found]) => found.map((change) => [zone, change] as const)),
    ...MORE_CHANGES.map(([zone, change]) => [zone, Date.parse(change)] as const),
  ];

  test('there are changes of both hemispheres, of half hours and of quarters, at midnight and by a whole day', () => {
    const zones = new Set(changes.map(([zone]) => zone));
    assert(zones.size >= 25 && changes.length >= 55, `${zones.size} zones, ${changes.length} changes`);
    const offsets = changes.map(([zone, change]) => [offsetOf(zone, change - MINUTE), offsetOf(zone, change)] as const);
    const shifts = new Set(offsets.map(([before, after]) => after - before));
    for (const shift of [60, -60, 30, -30, 24 * 60]) assert(shifts.has(shift), `by ${shift} minutes`);
    for (const part of [30, 45])
      assert(
        offsets.some(([, after]) => after % 60 === part),
        `${part} minutes past`,
      );
    const inMarch = changes.filter(([, change]) => new Date(change).getUTCMonth() === 2);
    const inSpring = changes.filter(([, change]) => new Date(change).getUTCMonth() === 8);
    assert(inMarch.length > 5 && inSpring.length >= 3, 'north and south');
  });

  for (const [zone, change] of changes) {
    test(`${zone} ${new Date(change).toISOString().slice(0, 16)}`, () => {
      const start = change - 36 * HOUR;
      const locals = localMinutes(zone, start);
      assert.notEqual(offsetOf(zone, change - MINUTE), offsetOf(zone, change), 'the clocks do change there');
      fc.assert(
        fc.property(rulesAround(locals), freezesAround(locals), minutesAround(), (rules, freezes, minutes) => {
          const states = locals.map((local) => bruteOpen(rules, freezes, local));
          for (const minute of minutes) checkMinute(rules, freezes, zone, start, states, minute);
        }),
        { numRuns: 3, seed: seedOf(`${zone} ${change}`) },
      );
    });
  }
});

const MINUTES = 72 * 60;
const AT_CHANGE = 36 * 60;

/** The status of that minute, and the next minute at which it is another one: none within sight means none before its end. */
function checkMinute(
  rules: WindowRules,
  freezes: Freeze[],
  zone: string,
  start: number,
  states: boolean[],
  minute: number,
): void {
  const now = start + minute * MINUTE;
  const title = `${zone} at ${new Date(now).toISOString()}`;
  assert.equal(isOpen(rules, freezes, zone, now), states[minute], title);
  const status = windowStatus(rules, freezes, zone, now);
  assert.equal(status.open, states[minute], title);
  const edge = status.open ? status.closesAt : status.opensAt;
  const flip = states.findIndex((state, index) => index > minute && state !== states[minute]);
  if (flip >= 0) assert.equal(edge, start + flip * MINUTE, title);
  else assert(edge === null || edge >= start + MINUTES * MINUTE, title);
}

/** Anywhere, and always the minutes on both sides of the change. */
function minutesAround(): fc.Arbitrary<number[]> {
  const anywhere = fc.array(fc.nat({ max: MINUTES - 1 }), { minLength: 2, maxLength: 2 });
  const near = fc.array(fc.integer({ min: AT_CHANGE - 130, max: AT_CHANGE + 130 }), { minLength: 1, maxLength: 1 });
  return fc.tuple(anywhere, near).map(([one, two]) => [...one, ...two, AT_CHANGE - 1, AT_CHANGE]);
}

/** Windows with an edge before, in and after what is skipped or repeated, and any others; over midnight, too. */
function rulesAround(locals: readonly Local[]): fc.Arbitrary<WindowRules> {
  const [before, after] = [locals[AT_CHANGE - 1] as Local, locals[AT_CHANGE] as Local];
  const edge = fc.oneof(
    fc.integer({ min: -130, max: 130 }).map((by) => (before.minute + by + 1440) % 1440),
    fc.integer({ min: -70, max: 70 }).map((by) => (after.minute + by + 1440) % 1440),
    fc.constantFrom(before.minute, after.minute, (before.minute + 1) % 1440, 0),
    fc.nat({ max: 1439 }),
  );
  const weekly = fc
    .record({ days: fc.subarray(EVERY_DAY, { minLength: 1 }), from: edge, to: edge })
    .filter(({ from, to }) => from !== to)
    .map((one) => (one.to === 0 ? { ...one, to: 1440 } : one));
  return fc.record({ allow: fc.array(weekly, { maxLength: 3 }), deny: fc.array(weekly, { maxLength: 2 }) });
}

function freezesAround(locals: readonly Local[]): fc.Arbitrary<Freeze[]> {
  const dates = [...new Set(locals.map((local) => local.date))];
  const freeze = fc.tuple(fc.constantFrom(...dates), fc.constantFrom(...dates)).map(([one, other]) => ({
    from: one < other ? one : other,
    to: one < other ? other : one,
    reason: 'quiet',
    regions: null,
  }));
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant<Freeze[]>([]) },
    { weight: 1, arbitrary: fc.array(freeze, { maxLength: 2 }) },
  );
}

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
  // Around now: hours, to the second.
  const timed = fc
    .array(
      fc.record({ before: fc.integer({ min: -400_000, max: 400_000 }), seconds: fc.integer({ min: 1, max: 90_000 }) }),
      {
        maxLength: 3,
      },
    )
    .map((all) => (now: number) => {
      return all.map(({ before, seconds }) => ({ fromMs: now - before * 1000, toMs: now + (seconds - before) * 1000 }));
    });
  fc.assert(
    fc.property(
      rules,
      zone,
      fc.integer({ min: FROM / MINUTE, max: UNTIL / MINUTE }),
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 5, maxLength: 5 }),
      timed,
      (one, where, minute, places, frozenFor) => {
        const now = minute * MINUTE;
        const frozen = frozenFor(now).map(({ fromMs, toMs }) => ({ fromMs, toMs, reason: 'x', regions: null }));
        const status = windowStatus(one, frozen, where, now);
        assert.equal(status.open, isOpen(one, frozen, where, now));
        const edge = status.open ? status.closesAt : status.opensAt;
        if (edge === null) return;
        assert(edge > now);
        assert.notEqual(isOpen(one, frozen, where, edge), status.open);
        for (const place of places) {
          const between: number = now + Math.floor(((edge - now) / MINUTE) * place) * MINUTE;
          assert.equal(isOpen(one, frozen, where, between), status.open, new Date(between).toISOString());
        }
      },
    ),
    { numRuns: 300 },
  );
});

interface Local {
  date: string;
  weekday: number;
  minute: number;
}

/** Local time by Intl, which shares nothing with the polyfill but the tables of the zones. */
function localReader(zone: string): (instant: number) => Local {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return (instant) => {
    // "Fri, 12/30/2011, 23:59"
    const found = /^(\w{3}), (\d\d)\/(\d\d)\/(\d{4}), (\d\d):(\d\d)$/.exec(format.format(instant));
    assert(found !== null, format.format(instant));
    const [, weekday, month, day, year, hour, minute] = found as unknown as string[];
    return {
      date: `${year}-${month}-${day}`,
      weekday: DAYS.indexOf((weekday as string).toLowerCase() as Day),
      minute: Number(hour) * 60 + Number(minute),
    };
  };
}

/** Every minute from `start` on; Intl is slow, so it is asked for all of a quarter only where the clocks change in it. */
function localMinutes(zone: string, start: number): Local[] {
  const read = localReader(zone);
  const locals: Local[] = [];
  for (let quarter = start; quarter < start + MINUTES * MINUTE; quarter += 15 * MINUTE) {
    const first = read(quarter);
    const isEven = wallOf(read(quarter + 14 * MINUTE)) - wallOf(first) === 14 * MINUTE;
    for (let minute = 0; minute < 15; minute += 1) {
      const sameDay = isEven && first.minute + minute < 1440;
      locals.push(sameDay ? { ...first, minute: first.minute + minute } : read(quarter + minute * MINUTE));
    }
  }
  return locals;
}

function wallOf({ date, minute }: Local): number {
  return Date.parse(`${date}T00:00:00Z`) + minute * MINUTE;
}

/** Minutes before UTC's own wall time, by Intl alone. */
function offsetOf(zone: string, instant: number, read = localReader(zone)): number {
  return Math.round((wallOf(read(instant)) - instant) / MINUTE);
}

function bruteOpen(rules: WindowRules, freezes: readonly Freeze[], { date, weekday, minute }: Local): boolean {
  const inside = ({ days, from, to }: WeeklyWindow) => {
    const on = (day: number) => days.includes(DAYS[(day + 7) % 7] as Day);
    if (to > from) return on(weekday) && from <= minute && minute < to;
    return minute >= from ? on(weekday) : minute < to && on(weekday - 1);
  };
  if (freezes.some((one) => 'from' in one && one.from <= date && date <= one.to)) return false;
  return !rules.deny.some(inside) && (rules.allow.length === 0 || rules.allow.some(inside));
}

/**
 * The first zone of each set of zones whose clocks change at the same instants by the same amounts. Found by Intl, week by
 * week and then halved, so that a change that the polyfill does not know is looked at all the same.
 */
function zonesByRule(): [string, number[]][] {
  const byRule = new Map<string, [string, number[]]>();
  for (const zone of Intl.supportedValuesOf('timeZone')) {
    const read = localReader(zone);
    const offset = (instant: number) => offsetOf(zone, instant, read);
    const changes: number[] = [];
    let rule = '';
    let last = offset(FROM);
    for (let week = FROM; week < UNTIL; week += 168 * HOUR) {
      const next = offset(week + 168 * HOUR);
      if (next === last) continue;
      const change = firstWith(week, week + 168 * HOUR, (instant) => offset(instant) === next);
      changes.push(change);
      rule += ` ${change}:${next}`;
      last = next;
    }
    if (changes.length > 0 && !byRule.has(rule)) byRule.set(rule, [zone, changes]);
  }
  return [...byRule.values()];
}

/** The first whole minute after `from` for which the test holds; it holds at `to`. */
function firstWith(from: number, to: number, holds: (instant: number) => boolean): number {
  let [low, high] = [from, to];
  while (high - low > MINUTE) {
    const middle = low + Math.floor((high - low) / 2 / MINUTE) * MINUTE;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}
