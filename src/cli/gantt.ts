// The lanes of a rehearsal as a chart: a row for each region, time from left to right, one letter for what goes on.
import type { RehearsedLane } from '../protocol/rehearsal.ts';
import { columns, duration, fit, pad, wrap } from './render.ts';

const MAX_LABEL = 16;
const MAX_ROWS = 60;
/** Columns from one mark of the axis to the next, at least. */
const LEAST_APART = 8;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MARKS = [1, 5, 15, 30]
  .map((n) => n * MINUTE)
  .concat(
    [1, 2, 3, 6, 12].map((n) => n * HOUR),
    [1, 2, 5, 7, 14, 28, 91, 182].map((n) => n * DAY),
  );

export const LEGEND =
  'a digit: that step is open; ~ it soaks; ? it waits for a person; . its turn has not come; ' +
  '- held by a window, a freeze, a brake or the like; ! halted; x superseded';

/** From the first instant to the last, milliseconds since the epoch; no line is wider than `width`. */
export function gantt(lanes: readonly RehearsedLane[], from: number, to: number, width: number): string[] {
  if (lanes.length === 0) return [];
  const label = Math.min(MAX_LABEL, Math.max(6, ...lanes.map((lane) => columns(lane.region))));
  const cells = Math.max(10, width - label - 4);
  const perCell = Math.max(1, (to - from) / cells);
  const rows = lanes.slice(0, MAX_ROWS).map((lane) => {
    const chart = Array.from({ length: cells }, (_, cell) =>
      letterIn(lane, from + cell * perCell, from + (cell + 1) * perCell, to),
    );
    return `  ${pad(fit(lane.region, label), label)}  ${chart.join('')}`.trimEnd();
  });
  const more = lanes.length - rows.length;
  return [
    `  ${pad('', label)}  ${axis(cells, perCell)}`.trimEnd(),
    ...rows,
    ...(more > 0 ? [`  and ${more} more: --json`] : []),
    ...wrap(LEGEND, width - 2).map((line) => `  ${line}`),
  ];
}

/** `0      12h     1d`: elapsed time, each above the column in which it begins. */
function axis(cells: number, perCell: number): string {
  const mark = MARKS.find((ms) => ms / perCell >= LEAST_APART) ?? (MARKS.at(-1) as number);
  let line = '';
  for (let ms = 0; ms / perCell < cells - 3; ms += mark) {
    const column = Math.round(ms / perCell);
    line = `${line.padEnd(column)}${ms === 0 ? '0' : duration(ms)} `;
  }
  return line.slice(0, cells);
}

/** What matters most of what goes on within the cell. */
const ORDER = ['!', 'x', '9', '8', '7', '6', '5', '4', '3', '2', '1', '-', '?', '~', '.', ' '];

function letterIn({ spans, holds }: RehearsedLane, from: number, to: number, end: number): string {
  let best = ' ';
  for (const span of spans) {
    const start = Math.max(from, span.from);
    const stop = Math.min(to, span.to ?? end);
    // What took no time at all is shown all the same where it began.
    const isHere = start < stop || (span.from >= from && span.from < to);
    if (!isHere) continue;
    const letter = letterOf(span, isHeld(holds, span.from, start, stop));
    if (ORDER.indexOf(letter) < ORDER.indexOf(best)) best = letter;
  }
  return best;
}

const EXPECTED = new Set(['soaking', 'needs_approval', 'previous_wave', 'older_lane']);

/** Held all the time by something that a person would not expect of the state itself. */
function isHeld(holds: RehearsedLane['holds'], begun: number, from: number, to: number): boolean {
  return holds.some(({ who, reason, from: since, to: until }) => {
    if (who !== 'lane' || EXPECTED.has(reason)) return false;
    return since >= begun && since <= from && (until === null || until >= to);
  });
}

function letterOf({ state, step }: RehearsedLane['spans'][number], held: boolean): string {
  switch (state) {
    case 'open':
      return held ? '-' : String(Math.min(9, (step ?? 0) + 1));
    case 'soaking':
      return held ? '-' : '~';
    case 'approval':
      return held ? '-' : '?';
    case 'waiting':
      return held ? '-' : '.';
    case 'halted':
      return '!';
    case 'superseded':
    case 'cancelled':
      return 'x';
    default:
      return ' ';
  }
}
