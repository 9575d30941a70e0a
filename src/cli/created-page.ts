// What `rollout create` says: which rollout there is now, wave by wave, and what happens next.
import type { CreateRolloutReply, LaneView, RolloutView } from '../protocol/operator.ts';
import { age, count, shellWord, wrap } from './render.ts';
import { colourOf } from './status-page.ts';
import type { Terminal } from './terminal.ts';
import { textRows } from './text-rows.ts';
import { toDo } from './to-do.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;

/** `now` in milliseconds since the epoch. */
export function createdPage({ rollout, changed }: CreateRolloutReply, now: number, style: Style): string[] {
  const title = `${rollout.product} ${rollout.version}`;
  const head = changed
    ? `the rollout of ${title} has begun, with the policy ${rollout.policy}`
    : `nothing changed: ${title} has its rollout already; it is ${rollout.state}, begun ${age(rollout.createdAt, now)}`;
  const next = changed || rollout.endedAt === null ? nextOf(rollout) : endOf(rollout);
  return [
    ...wrap(head, style.width, '  '),
    `  ${rollout.id}`,
    ...laneLines(rollout, style),
    ...next.flatMap((line) => wrap(line, style.width, '  ')),
  ];
}

function laneLines({ lanes }: RolloutView, style: Style): string[] {
  const inOrder = lanes.toSorted((a, b) => a.wave - b.wave);
  const rows = inOrder.map((lane) => ({
    cells: [`wave ${lane.wave + 1}`, lane.region, lane.state],
    text: [lane.hold?.sentence ?? lane.sentence, ...passedOverBy(lane)].join('; '),
  }));
  return textRows(rows, style.width).flatMap((lines, index) =>
    lines.map((line) => style.paint(colourOf(inOrder[index]?.state ?? ''), line)),
  );
}

/** Most of them who cannot be brought to it, since a region where nobody can is done at once. */
function passedOverBy({ passedOver = [] }: LaneView): string[] {
  return passedOver.slice(0, 1).map(({ agents, sentence }) => `${count(agents, 'agent')} left out: ${sentence}`);
}

function nextOf(rollout: RolloutView): string[] {
  const todo = toDo([rollout]).map((line) => `to do: ${line}`);
  const follow = `follow it with: tidegate rollout status ${nameOf(rollout)} --wait`;
  const next = todo.length > 0 ? todo : nextSentence(rollout.lanes);
  return [...next, ...(rollout.endedAt === null ? [follow] : [])];
}

/** About the first wave that is not done, and the one behind it. */
function nextSentence(lanes: readonly LaneView[]): string[] {
  const wave = Math.min(...lanes.filter((lane) => !isOver(lane)).map((lane) => lane.wave));
  if (!Number.isFinite(wave)) return ['next: nothing; every region is done with it'];
  const here = lanes.filter((lane) => lane.wave === wave && !isOver(lane));
  const open = here.filter((lane) => lane.state !== 'waiting');
  const first =
    open.length > 0
      ? `agents in ${names(open)} get it as they check in`
      : `${names(here)} ${here.length === 1 ? 'opens' : 'open'} as soon as nothing holds it`;
  const behind = lanes.filter((lane) => lane.wave === wave + 1 && !isOver(lane));
  const then = behind.length === 0 ? '' : `; then wave ${wave + 2} follows: ${names(behind)}`;
  return [`next: ${first}${then}`];
}

function endOf(rollout: RolloutView): string[] {
  if (rollout.state === 'completed') return [];
  return ['a release goes out once: to let it out again, publish it under a new version'];
}

function isOver({ state }: LaneView): boolean {
  return ['completed', 'superseded', 'cancelled', 'rolled_back'].includes(state);
}

const MOST_NAMED = 4;

function names(lanes: readonly LaneView[]): string {
  const named = lanes.slice(0, MOST_NAMED).map((lane) => lane.region);
  const more = lanes.length - named.length;
  return named.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function nameOf({ product, version }: RolloutView): string {
  return shellWord(`${product}@${version}`);
}
