// The rows of a product's swim lanes as columns: as much in a row as the width takes.
import type { LaneView } from '../protocol/operator.ts';
import type { Row } from './lane-rows.ts';
import { bar, clean, columns, count, duration, instant, table } from './render.ts';

/** The heading, then one line for each row; `now` in milliseconds since the epoch, `width` in columns. */
export function laneTable(rows: readonly Row[], now: number, width: number): string[] {
  let lines: string[] = [];
  for (const layout of LAYOUTS) {
    if (layout.full && width < FULL_FROM_WIDTH) continue;
    const cells = [heading(layout), ...rows.map((row) => cellsOf(row, now, layout))];
    const used = usefulOf(cells, layout);
    lines = table(used, Number.POSITIVE_INFINITY);
    if (lines.every((line) => columns(line) <= width)) return lines;
    lines = table(used, width);
  }
  return lines;
}

/** What holds the lane, or what it needs next, in one sentence; empty when the row says all. */
export function remarkOf({ state, sentence, hold, next }: LaneView, now: number): string {
  if (['halted', 'paused', 'rolling_back', 'cancelled'].includes(state)) return sentence;
  if (hold === null) return next ?? '';
  const then = next === null ? '' : `; ${next}`;
  if (hold.reason === 'soaking' && hold.until !== null) return `${when(hold.until, now)}${then}`;
  const until = hold.until === null ? '' : `, ${when(hold.until, now)}`;
  // That a person must promote it is said by `next` as well.
  const what = hold.reason === 'needs_approval' && next !== null ? next : `${hold.sentence}${then}`;
  return `held ${duration(now - hold.since)}${until}: ${what}`;
}

interface Layout {
  /** Columns inside the bar; 0 for the figure alone. */
  bar: number;
  /** Figures in full. */
  full: boolean;
  /** How many of the columns, from the left. */
  columns: number;
  /** How long the lane has been in its state. */
  age: boolean;
}

/** Below, words in full would come and go with the length of the figures. */
const FULL_FROM_WIDTH = 110;

const LAYOUTS: readonly Layout[] = [
  { bar: 20, full: true, columns: 9, age: true },
  { bar: 10, full: false, columns: 9, age: true },
  { bar: 5, full: false, columns: 9, age: true },
  { bar: 0, full: false, columns: 9, age: true },
  { bar: 5, full: false, columns: 5, age: true },
  { bar: 0, full: false, columns: 5, age: true },
  { bar: 0, full: false, columns: 5, age: false },
];

function heading({ full }: Layout): string[] {
  return full
    ? ['WAVE', 'REGION', 'RELEASE', 'AGENTS THAT RUN IT', 'STATE', 'STEP', 'OK IN STEP', 'BAD OF BUDGET', 'HOT']
    : ['W', 'REGION', 'RELEASE', 'RUN IT', 'STATE', 'STEP', 'OK', 'BAD', 'HOT'];
}

function cellsOf({ region, shown, version, agents }: Row, now: number, layout: Layout): string[] {
  const on = agentsCell(agents, version, layout);
  if (shown === null)
    return ['-', region, version ?? '', on, version === null ? 'no baseline' : 'baseline', '', '', '', ''];
  const { lane } = shown;
  const step = lane.step === null ? undefined : lane.steps.find((one) => one.step === lane.step);
  const place = lane.step === null ? '' : `${lane.step + 1}/${lane.steps.length}`;
  const state = layout.age ? `${stateOf(lane)} ${brief(now - lane.since)}` : stateOf(lane);
  const head = [String(lane.wave + 1), region, version ?? '', on, state, place];
  if (step === undefined || step.size === 0) return [...head, '', '', ''];
  const { succeeded, size, bad, budget, hot } = step;
  return [...head, `${succeeded}/${size}`, `${bad}/${budget}`, hot === 0 ? '' : String(hot)];
}

const RELEASE = 2;

/** Columns that say nothing are left out; where room is short, also the release that is the same in every row. */
function usefulOf(rows: readonly string[][], { full, columns: most }: Layout): string[][] {
  const [, ...body] = rows;
  const useful = (rows[0] ?? []).map((_, index) => {
    if (index >= most) return false;
    if (index === RELEASE && !full) return new Set(body.map((cells) => cells[index])).size > 1;
    return body.some((cells) => cells[index] !== '');
  });
  return rows.map((cells) => cells.filter((_, index) => useful[index]));
}

/** `[####------]  40%`: how much of the region runs the release, and how much another version. */
function agentsCell(agents: Row['agents'], version: string | null, layout: Layout): string {
  const all = agents.reduce((sum, one) => sum + one.agents, 0);
  if (all === 0) return 'no agents';
  const on = agents.find((one) => one.version === version)?.agents ?? 0;
  const percent = `${share(on, all)}%`.padStart(4);
  if (!layout.full) return layout.bar === 0 ? percent : `${bar(on, all, layout.bar)} ${percent}`;
  const [other] = agents.filter((one) => one.version !== version).toSorted((a, b) => b.agents - a.agents);
  const rest = other === undefined ? '' : `, ${other.agents} on ${clean(other.version)}`;
  return `${bar(on, all, layout.bar)} ${percent} ${on} of ${all}${rest}`;
}

/** Percent; only all are 100, and only none are 0. */
function share(part: number, whole: number): number {
  const percent = Math.floor((100 * part) / whole);
  return percent === 0 && part > 0 ? 1 : percent;
}

function stateOf({ state, hold }: LaneView): string {
  if (state === 'approval') return hold?.reason === 'needs_approval' ? 'to promote' : 'promoted';
  return state.replaceAll('_', ' ');
}

/** The larger unit alone: `3h` of `3h 20m`. */
function brief(ms: number): string {
  return duration(ms).split(' ')[0] ?? '';
}

const FAR_MS = 20 * 3_600_000;

/** `until 12:30Z (in 4m)`, with the date when that is not soon. */
export function when(until: number, now: number): string {
  const full = instant(until);
  const left = until - now;
  const clock = left < FAR_MS ? full.slice(11, 16) : full.slice(0, 16);
  return `until ${clock}Z${left > 0 ? ` (in ${duration(left)})` : ''}`;
}

/** `37 regions: 30 waiting, 7 completed`, in the order of the rows. */
export function tally(rows: readonly Row[]): string {
  const byState = Map.groupBy(rows, ({ shown }) => (shown === null ? 'at rest' : stateOf(shown.lane)));
  const parts = [...byState].map(([state, list]) => `${list.length} ${state}`);
  return `${count(rows.length, 'more region')}: ${parts.join(', ')}`;
}
