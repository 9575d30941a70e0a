// The texts by which a config speaks of time: times of day, days of the week, dates, and when a schedule runs.
import { Temporal } from 'temporal-polyfill';
import { nextRun } from '../domain/schedule.ts';
import { DAYS } from '../domain/window.ts';
import { wrongCronField } from './formats.ts';
import { oneOf, type Parsed, pattern, type Textual, textual } from './spec.ts';

export const WEEKDAY = oneOf(DAYS);

/** Minutes since midnight, 0 … 1439. */
export const OPENS = timeOfDay({
  expected: 'a time of day from 00:00 to 23:59',
  example: '"09:00"',
  blank: 0,
  pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$',
});

/** Minutes since midnight, 0 … 1440. */
export const CLOSES = timeOfDay({
  expected: 'a time of day from 00:00 to 24:00',
  example: '"16:00"',
  blank: 1440,
  pattern: '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$',
});

function timeOfDay(rule: { expected: string; example: string; blank: number; pattern: string }): Textual<number> {
  const regex = new RegExp(rule.pattern);
  return textual<number>({
    expected: rule.expected,
    example: rule.example,
    blank: rule.blank,
    schema: { pattern: rule.pattern },
    parse(text) {
      if (!regex.test(text))
        return { ok: false, mend: `write hours and minutes with two digits each, e.g. ${rule.example}` };
      const [hours, minutes] = text.split(':').map(Number) as [number, number];
      return { ok: true, value: hours * 60 + minutes };
    },
  });
}

const DATE_PATTERN = '^2[0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9])?$';

/** A day of the calendar, or a minute of it; such texts sort like the days, and within one like the minutes. */
export const DATE_OR_TIME = textual<string>({
  expected: 'a date as YYYY-MM-DD, or a time as YYYY-MM-DDTHH:MM',
  example: '2026-12-20',
  blank: '',
  schema: { pattern: DATE_PATTERN },
  parse(text) {
    if (!new RegExp(DATE_PATTERN).test(text)) return { ok: false, mend: 'write e.g. 2026-12-20' };
    const [year, month, day] = text.slice(0, 10).split('-').map(Number) as [number, number, number];
    const { daysInMonth } = Temporal.PlainYearMonth.from({ year, month });
    if (day <= daysInMonth) return { ok: true, value: text };
    return { ok: false, what: `there is no day ${text.slice(0, 10)}`, mend: `that month has ${daysInMonth} days` };
  },
});

/** What a person is told who asks why nothing happens: one line. */
export const REASON = pattern({
  expected: 'a reason in one line (1 to 200 characters)',
  example: '"year end"',
  pattern: '^(?! )[^\\u0000-\\u001f\\u007f-\\u009f]{1,200}$',
});

/** Which instant it is asked from does not matter: five fields name no year. */
const SOME_TIME_MS = Date.UTC(2026, 0, 1);

export const SCHEDULE_CRON = textual<string>({
  expected: 'a cron expression of five fields',
  example: '"0 9 * * tue"',
  blank: '* * * * *',
  schema: { pattern: '^\\s*\\S+(\\s+\\S+){4}\\s*$' },
  parse: parseCron,
});

/** The zone moves the runs, it does not decide whether there are any. Throws for what is no cron expression. */
function runsEver(cron: string): boolean {
  return nextRun({ cron, timeZone: 'UTC' }, SOME_TIME_MS) !== null;
}

function isReadable(cron: string): boolean {
  try {
    runsEver(cron);
    return true;
  } catch {
    return false;
  }
}

/** The expression with single blanks. One that never runs would hold every release for ever. */
function parseCron(text: string): Parsed<string> {
  const fields = text.trim().split(/\s+/);
  const mend = 'write minute, hour, day of month, month, day of week, e.g. "0 9 * * tue"';
  if (text.length > 128 || fields.length !== 5) return { ok: false, mend };
  const cron = fields.join(' ');
  try {
    if (runsEver(cron)) return { ok: true, value: cron };
  } catch {
    return { ok: false, ...(wrongCronField(fields, isReadable) ?? { mend }) };
  }
  return { ok: false, what: `"${cron}" never runs`, mend: 'name a day that its month has' };
}
