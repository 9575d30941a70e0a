// Weekly windows over a week of wall time, in tables and against a count of all its minutes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isWithin, longestOpenMinutes } from '../../src/config/week.ts';
import { DAYS, type Day, type WeeklyWindow, type WindowRules } from '../../src/domain/window.ts';
import fc from '../support/fast-check.ts';

const WEEK = 10_080;
const always = window([...DAYS], 0, 1440);

describe('isWithin', () => {
  const table: [WeeklyWindow, WeeklyWindow, boolean][] = [
    [window(['mon'], 540, 960), window(['mon'], 540, 960), true],
    [window(['mon'], 540, 960), window(['mon', 'tue'], 480, 1020), true],
    [window(['mon', 'tue'], 540, 960), window(['mon'], 480, 1020), false],
    [window(['mon'], 540, 960), window(['mon'], 541, 960), false],
    [window(['mon'], 540, 960), window(['mon'], 540, 959), false],
    // Tuesday until 06:00 belongs to what begins on Monday night.
    [window(['tue'], 60, 300), window(['mon'], 1320, 360), true],
    [window(['mon'], 60, 300), window(['sun'], 1320, 360), true],
    [window(['mon'], 60, 300), window(['mon'], 1320, 360), false],
    // Whole days join at midnight, also from Sunday to Monday.
    [window(['fri'], 1320, 360), always, true],
    [window(['sun'], 1320, 360), always, true],
    [window(['fri'], 1320, 360), window(['fri'], 0, 1440), false],
  ];
  for (const [one, other, expected] of table) {
    test(`isWithin(${print(one)}, ${print(other)}) is ${expected}`, () => {
      assert.equal(isWithin(one, other), expected);
    });
  }
});

describe('longestOpenMinutes', () => {
  const table: [WindowRules, number][] = [
    [{ allow: [], deny: [] }, Number.POSITIVE_INFINITY],
    [{ allow: [always], deny: [] }, Number.POSITIVE_INFINITY],
    [{ allow: [], deny: [always] }, 0],
    [{ allow: [window(['mon'], 540, 960)], deny: [] }, 420],
    [{ allow: [window(['mon'], 540, 960)], deny: [window(['mon'], 600, 900)] }, 60],
    [{ allow: [window(['sun'], 1320, 360)], deny: [] }, 480],
    [{ allow: [window(['sun'], 1320, 1440), window(['mon'], 0, 60)], deny: [] }, 180],
    [{ allow: [], deny: [window(['wed'], 0, 1)] }, WEEK - 1],
  ];
  for (const [rules, expected] of table) {
    test(`longestOpenMinutes(${JSON.stringify(rules)}) is ${expected}`, () => {
      assert.equal(longestOpenMinutes(rules), expected);
    });
  }
});

test('both agree with a count of all minutes of the week', () => {
  const anyWindow = fc
    .record({
      days: fc.subarray([...DAYS], { minLength: 1 }),
      from: fc.nat(1439),
      to: fc.nat(1440),
    })
    .filter(({ from, to }) => from !== to);
  const anyRules = fc.record({
    allow: fc.array(anyWindow, { maxLength: 3 }),
    deny: fc.array(anyWindow, { maxLength: 3 }),
  });
  fc.assert(
    fc.property(anyRules, anyWindow, anyWindow, (rules, one, other) => {
      assert.equal(longestOpenMinutes(rules), countLongest(rules));
      const outside = minutesOf(other);
      assert.equal(
        isWithin(one, other),
        [...minutesOf(one)].every((minute) => outside.has(minute)),
      );
    }),
    { numRuns: 50 },
  );
});

function countLongest({ allow, deny }: WindowRules): number {
  const allowed = new Set(allow.flatMap((one) => [...minutesOf(one)]));
  const denied = new Set(deny.flatMap((one) => [...minutesOf(one)]));
  let longest = 0;
  let current = 0;
  for (let minute = 0; minute < 2 * WEEK; minute += 1) {
    const here = minute % WEEK;
    current = (allow.length === 0 || allowed.has(here)) && !denied.has(here) ? current + 1 : 0;
    longest = Math.max(longest, current);
  }
  return longest === 2 * WEEK ? Number.POSITIVE_INFINITY : longest;
}

function minutesOf({ days, from, to }: WeeklyWindow): Set<number> {
  const minutes = new Set<number>();
  for (const day of days) {
    const length = (to - from + 1440) % 1440 || 1440;
    for (let step = 0; step < length; step += 1) minutes.add((DAYS.indexOf(day) * 1440 + from + step) % WEEK);
  }
  return minutes;
}

function window(days: Day[], from: number, to: number): WeeklyWindow {
  return { days, from, to };
}

function print({ days, from, to }: WeeklyWindow): string {
  return `${days.join(' ')} ${from}–${to}`;
}
