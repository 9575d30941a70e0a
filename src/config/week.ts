// What weekly windows amount to over a week of wall time: whether one lies in another, and how long it is open in one go.
import { DAYS, type WeeklyWindow, type WindowRules } from '../domain/window.ts';

const DAY_MINUTES = 1440;
const WEEK_MINUTES = 7 * DAY_MINUTES;

/** Minutes since Monday 00:00, `to` exclusive; never over the end of the week. */
interface Stretch {
  from: number;
  to: number;
}

/** Whether every minute of the window lies in the other one. */
export function isWithin(window: WeeklyWindow, other: WeeklyWindow): boolean {
  const stretches = stretchesOf(other);
  return stretchesOf(window).every(({ from, to }) => {
    for (let minute = from; minute < to; ) {
      const around = stretches.find((one) => contains(one, minute));
      if (around === undefined) return false;
      minute = around.to;
    }
    return true;
  });
}

/** The longest time in one go that the rules leave open in a week, in minutes; Infinity when nothing is ever closed. */
export function longestOpenMinutes(rules: WindowRules): number {
  const allow = rules.allow.flatMap(stretchesOf);
  const deny = rules.deny.flatMap(stretchesOf);
  const edges = [...new Set([0, WEEK_MINUTES, ...[...allow, ...deny].flatMap(({ from, to }) => [from, to])])];
  edges.sort((a, b) => a - b);
  const isOpen = (minute: number) =>
    (allow.length === 0 || allow.some((one) => contains(one, minute))) && !deny.some((one) => contains(one, minute));
  const pieces = edges.slice(1).map((to, index) => {
    const from = edges[index] as number;
    return { minutes: to - from, open: isOpen(from) };
  });
  let longest = 0;
  let current = 0;
  // Twice round, so that what is open over Sunday midnight counts as one.
  for (const { minutes, open } of [...pieces, ...pieces]) {
    current = open ? current + minutes : 0;
    longest = Math.max(longest, current);
  }
  return longest > WEEK_MINUTES ? Number.POSITIVE_INFINITY : longest;
}

function stretchesOf({ days, from, to }: WeeklyWindow): Stretch[] {
  const minutes = to > from ? to - from : DAY_MINUTES - from + to;
  return days.flatMap((day) => {
    const start = DAYS.indexOf(day) * DAY_MINUTES + from;
    const end = start + minutes;
    if (end <= WEEK_MINUTES) return [{ from: start, to: end }];
    return [
      { from: start, to: WEEK_MINUTES },
      { from: 0, to: end - WEEK_MINUTES },
    ];
  });
}

function contains({ from, to }: Stretch, minute: number): boolean {
  return from <= minute && minute < to;
}
