// iCalendar files as freezes: all-day, timed, floating and repeated events, zones and changes of the clocks, and refusals.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Temporal } from 'temporal-polyfill';
import { MAX_OCCURRENCES, readCalendar } from '../../src/config/calendar.ts';
import { readConfig } from '../../src/config.ts';
import type { Freeze } from '../../src/domain/window.ts';
import fc from '../support/fast-check.ts';
import { directory, refusal, SMALL, write } from './files.ts';

const NOW = Date.UTC(2026, 10, 22);

/** One event of these lines. */
function event(...lines: string[]): string {
  return ['BEGIN:VEVENT', 'UID:one', ...lines, 'END:VEVENT'].join('\r\n');
}

function calendar(...events: string[]): string {
  return ['BEGIN:VCALENDAR', 'VERSION:2.0', ...events, 'END:VCALENDAR', ''].join('\r\n');
}

/** The freezes of a config whose only freeze is this calendar. */
function freezesOf(text: string, regions = ''): Freeze[] {
  writeFileSync(join(directory, 'freezes.ics'), text);
  const file = write(`freezes: [{ calendar: ./freezes.ics${regions} }]\n${SMALL}`);
  return readConfig({ file, env: {}, now: NOW }).freezes;
}

function shown(freezes: readonly Freeze[]): string[] {
  const iso = (ms: number) => new Date(ms).toISOString().replace(':00.000Z', 'Z');
  return freezes.map((one) => {
    const times = 'from' in one ? `${one.from}..${one.to}` : `${iso(one.fromMs)}..${iso(one.toMs)}`;
    return `${times} ${one.reason}${one.regions === null ? '' : ` in ${one.regions}`}`;
  });
}

describe('an iCalendar file has the freezes', () => {
  const rows: [string, string[], string[]][] = [
    [
      'of whole days: DTEND is the day after the last one, without it it is one day',
      [
        event('SUMMARY:year end', 'DTSTART;VALUE=DATE:20261220', 'DTEND;VALUE=DATE:20270104'),
        event('DTSTART;VALUE=DATE:20261126'),
      ],
      ['2026-12-20..2027-01-03 year end', '2026-11-26..2026-11-26 calendar'],
    ],
    [
      'of times in UTC, in a zone by its name without a definition of it, and by DURATION',
      [
        event('SUMMARY:a', 'DTSTART:20261201T100000Z', 'DTEND:20261201T120000Z'),
        event('SUMMARY:b', 'DTSTART;TZID=America/New_York:20261201T100000', 'DTEND;TZID=Europe/Berlin:20261201T180000'),
        event('SUMMARY:c', 'DTSTART;TZID=Asia/Tokyo:20261201T000000', 'DURATION:PT90M'),
      ],
      [
        '2026-12-01T10:00Z..2026-12-01T12:00Z a',
        '2026-12-01T15:00Z..2026-12-01T17:00Z b',
        '2026-11-30T15:00Z..2026-11-30T16:30Z c',
      ],
    ],
    [
      'of times without a zone: by the clocks of each region',
      [event('SUMMARY:sale', 'DTSTART:20261127T080000', 'DTEND:20261127T200000')],
      ['2026-11-27T07:00Z..2026-11-27T19:00Z sale in eu', '2026-11-27T13:00Z..2026-11-28T01:00Z sale in us'],
    ],
    [
      'of a repetition: the same time by the clocks of its zone, the last one included',
      [
        event(
          'SUMMARY:close',
          'DTSTART;TZID=Europe/Berlin:20270325T220000',
          'DTEND;TZID=Europe/Berlin:20270326T040000',
          'RRULE:FREQ=DAILY;UNTIL=20270328T200000Z',
          'EXDATE;TZID=Europe/Berlin:20270326T220000',
        ),
      ],
      [
        '2027-03-25T21:00Z..2027-03-26T03:00Z close',
        // The clocks go forward in this night.
        '2027-03-27T21:00Z..2027-03-28T02:00Z close',
        '2027-03-28T20:00Z..2027-03-29T02:00Z close',
      ],
    ],
    [
      'of a repetition east of Greenwich, whose end is in UTC and whose zone the file does not define',
      [
        event(
          'DTSTART;TZID=Asia/Tokyo:20261201T090000',
          'DTEND;TZID=Asia/Tokyo:20261201T100000',
          'RRULE:FREQ=WEEKLY;UNTIL=20261208T000000Z',
        ),
      ],
      ['2026-12-01T00:00Z..2026-12-01T01:00Z calendar', '2026-12-08T00:00Z..2026-12-08T01:00Z calendar'],
    ],
    [
      'of a repetition that began long ago: what is over is left out, but for what still lasts',
      [
        event('SUMMARY:month end', 'DTSTART;VALUE=DATE:20200131', 'RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;UNTIL=20270131'),
        event('SUMMARY:long', 'DTSTART:20260901T000000Z', 'DTEND:20261201T000000Z'),
        event('SUMMARY:over', 'DTSTART:20260901T000000Z', 'DTEND:20261101T000000Z'),
      ],
      [
        '2026-11-30..2026-11-30 month end',
        '2026-12-31..2026-12-31 month end',
        '2027-01-31..2027-01-31 month end',
        '2026-09-01T00:00Z..2026-12-01T00:00Z long',
      ],
    ],
    [
      'without what was called off, with what was moved, each by its own event’s id',
      [
        event('SUMMARY:weekly', 'DTSTART:20261201T100000Z', 'DURATION:PT1H', 'RRULE:FREQ=WEEKLY;COUNT=3'),
        event('RECURRENCE-ID:20261208T100000Z', 'STATUS:CANCELLED', 'DTSTART:20261208T100000Z', 'DURATION:PT1H'),
        event('SUMMARY:moved', 'RECURRENCE-ID:20261215T100000Z', 'DTSTART:20261216T100000Z', 'DURATION:PT2H'),
        event('SUMMARY:off', 'STATUS:CANCELLED', 'DTSTART;VALUE=DATE:20261224'),
        event('SUMMARY:reminder', 'DTSTART:20261224T100000Z'),
        'BEGIN:VEVENT\r\nUID:two\r\nSUMMARY:other\r\nDTSTART:20261208T100000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY;COUNT=1\r\nEND:VEVENT',
      ],
      [
        '2026-12-01T10:00Z..2026-12-01T11:00Z weekly',
        '2026-12-16T10:00Z..2026-12-16T12:00Z moved',
        '2026-12-08T10:00Z..2026-12-08T11:00Z other',
      ],
    ],
    ['of no event', [], []],
  ];
  for (const [title, events, expected] of rows) {
    test(title, () => assert.deepEqual(shown(freezesOf(calendar(...events))), expected));
  }

  test('of the regions that the config names', () => {
    const text = calendar(event('DTSTART;VALUE=DATE:20261224'), event('DTSTART:20261224T100000', 'DURATION:PT1H'));
    assert.deepEqual(shown(freezesOf(text, ', regions: [us]')), [
      '2026-12-24..2026-12-24 calendar in us',
      '2026-12-24T15:00Z..2026-12-24T16:00Z calendar in us',
    ]);
  });

  test('two years ahead and not further, however long it goes on', () => {
    const { occurrences, problems } = readCalendar(
      calendar(event('DTSTART;VALUE=DATE:20261201', 'RRULE:FREQ=DAILY')),
      NOW,
    );
    assert.deepEqual([problems, occurrences.length], [[], 730 - 8]);
  });

  test('with reasons that are one line and harmless', () => {
    const long = event(`SUMMARY:a\\nb \u001b[2Jc\u202e${'x'.repeat(300)}`, 'DTSTART;VALUE=DATE:20261201');
    const [freeze] = freezesOf(calendar(long));
    assert.match(freeze?.reason ?? '', /^a b \[2Jcx+$/);
    assert.equal(freeze?.reason.length, 200);
  });
});

test('what was read of a calendar: how many times, when the first begins and the last ends', () => {
  freezesOf(
    calendar(
      event('DTSTART;VALUE=DATE:20261224', 'RRULE:FREQ=DAILY;COUNT=3'),
      event('DTSTART:20261220T100000Z', 'DURATION:PT1H'),
    ),
  );
  const read = () =>
    readConfig({ file: write(`freezes: [{ calendar: ./freezes.ics }]\n${SMALL}`), env: {}, now: NOW }).calendars;
  assert.deepEqual(read(), [{ file: './freezes.ics', times: 4, first: '2026-12-20T10:00Z', last: '2026-12-26' }]);
  writeFileSync(join(directory, 'freezes.ics'), calendar(event('DTSTART;VALUE=DATE:20200101')));
  assert.deepEqual(read(), [{ file: './freezes.ics', times: 0, first: null, last: null }]);
});

describe('an iCalendar file is refused with its line:', () => {
  const rows: [string, string, RegExp][] = [
    [
      'something else',
      '<html></html>',
      /1:23: freezes\[0\]\.calendar: \.\/freezes\.ics is not an iCalendar file; export it/,
    ],
    ['nothing', '', /is not an iCalendar file/],
    ['one that breaks off', 'BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n', /is not an iCalendar file/],
    ['a contact', 'BEGIN:VCARD\r\nFN:a\r\nEND:VCARD\r\n', /is not an iCalendar file/],
    [
      'an event without a start',
      calendar(event('DTSTART;VALUE=DATE:20261201'), event('SUMMARY:b')),
      /freezes\.ics:7: the event "b" has no start; give it a DTSTART/,
    ],
    [
      'events that end before they begin',
      calendar(
        event('SUMMARY:b', 'DTSTART:20261202T100000Z', 'DTEND:20261201T100000Z', 'RRULE:FREQ=DAILY'),
        event('DTSTART:20261202T100000Z', 'DTEND:20261201T100000Z', 'RRULE:FREQ=DAILY'),
      ),
      /freezes\.ics:3: the event "b" ends before it begins, and 1 more of its events cannot be read; mend its DTEND/,
    ],
    [
      'a zone of another maker',
      calendar(event('SUMMARY:b', 'DTSTART;TZID=W. Europe Standard Time:20261202T100000')),
      /freezes\.ics:3: the event "b" has the time zone "W\. Europe Standard Time", which is no IANA time zone/,
    ],
    ['a day that there is not', calendar(event('DTSTART;VALUE=DATE:20260231')), /ics:3: .* is none, 2026-02-31; write/],
    ['no date at all', calendar(event('DTSTART:tomorrow')), /freezes\.ics/],
    [
      'a repetition by the hour',
      calendar(event('DTSTART:20261202T100000Z', 'DURATION:PT1H', 'RRULE:FREQ=HOURLY')),
      /freezes\.ics:3: the event "calendar" repeats HOURLY, which is not read here; repeat it by days, weeks/,
    ],
    [
      'a repetition that no day fits',
      calendar(event('DTSTART;VALUE=DATE:20261202', 'RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30')),
      /repeats DAILY by BYMONTHDAY, which is not read here/,
    ],
    [
      'a repetition of another shape',
      calendar(event('DTSTART;VALUE=DATE:20261202', 'RRULE:FREQ=MONTHLY;BYDAY=9MO')),
      /freezes\.ics/,
    ],
    [
      'a repetition that goes back too far',
      calendar(event('DTSTART;VALUE=DATE:19500101', 'RRULE:FREQ=DAILY')),
      /repeats too often, or has for too long; give it a later DTSTART/,
    ],
    [
      'too many times',
      calendar(
        event('DTSTART;VALUE=DATE:20261201', 'RRULE:FREQ=DAILY'),
        event('DTSTART;VALUE=DATE:20261201', 'RRULE:FREQ=DAILY'),
      ),
      // How many lie within two years depends on the day.
      new RegExp(`has 14\\d\\d times in the next two years, and ${MAX_OCCURRENCES} are read; keep the freezes`),
    ],
    ['more than a megabyte', `BEGIN:VCALENDAR\r\n${'X'.repeat(1_048_577)}`, /cannot read .*: it is larger than 1 MiB/],
  ];
  for (const [title, text, expected] of rows) {
    test(title, () => {
      writeFileSync(join(directory, 'freezes.ics'), text);
      assert.match(refusal(write(`freezes: [{ calendar: ./freezes.ics }]\n${SMALL}`)), expected);
    });
  }

  test('a file that is not there, a directory, a key too many', () => {
    assert.match(
      refusal(write(`freezes: [{ calendar: ./none.ics }]\n${SMALL}`)),
      /1:23: freezes\[0\]\.calendar: cannot read \.\/none\.ics: there is no such file; check the path and the rights/,
    );
    assert.match(refusal(write(`freezes: [{ calendar: . }]\n${SMALL}`)), /cannot read \.: it is not a file/);
    const both = `freezes: [{ calendar: ./a.ics, from: 2026-12-01, regions: [usa] }]\n${SMALL}`;
    assert.match(refusal(write(both)), /freezes\[0\]\.from: unknown key/);
    assert.match(refusal(write(both)), /freezes\[0\]\.regions\[0\]: there is no region "usa"/);
  });
});

test('any daily event in any zone: each occurrence is the same wall time there, and none is missing', () => {
  const zones = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Africa/Cairo', 'Asia/Kolkata', 'UTC'];
  fc.assert(
    fc.property(
      fc.constantFrom(...zones),
      fc.integer({ min: 0, max: 500 }),
      fc.integer({ min: 0, max: 1439 }),
      fc.integer({ min: 1, max: 1439 }),
      fc.integer({ min: 1, max: 40 }),
      (zone, day, minute, minutes, count) => {
        const first = Temporal.PlainDate.from('2026-11-24')
          .add({ days: day })
          .toPlainDateTime()
          .add({ minutes: minute });
        const stamp = first.toString({ smallestUnit: 'second' }).replaceAll(/[-:]/g, '');
        const rule = `RRULE:FREQ=DAILY;COUNT=${count}`;
        const text = calendar(event(`DTSTART;TZID=${zone}:${stamp}`, `DURATION:PT${minutes}M`, rule));
        const { occurrences, problems } = readCalendar(text, NOW);
        const expected = Array.from({ length: count }, (_, index) => {
          const from = first.add({ days: index });
          const to = from.add({ minutes });
          const ms = (local: Temporal.PlainDateTime) => local.toZonedDateTime(zone).epochMilliseconds;
          return { kind: 'instants', reason: 'calendar', fromMs: ms(from), toMs: ms(to) };
        });
        assert.deepEqual([problems, occurrences], [[], expected]);
      },
    ),
    { numRuns: 60 },
  );
});
