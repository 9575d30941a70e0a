// The status page as lines of text: pure, from the reply to what is printed.
import type { LaneView, ProductView, RolloutView, StatusReply, StepView } from '../protocol/operator.ts';
import { holdWords } from './hold-words.ts';
import { age, bar, columns, count, duration, instant, since, stateWords, table, wrap } from './render.ts';
import type { Colour, Terminal } from './terminal.ts';
import { toDo } from './to-do.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;

export function statusPage(status: StatusReply, style: Style): string[] {
  const { agents, now } = status;
  return [
    `${count(agents.enrolled, 'agent')} enrolled, ${agents.present} present at ${instant(now)}`,
    ...staleLines(agents.stale ?? 0, style),
    ...unnamedLines(status.unnamedRegions ?? [], style),
    ...clockLines(status.clock, style),
    ...brakeLines(status.brakes, now, style),
    ...ceilingLines(status.ceilings, style),
    ...status.products.flatMap((product) => ['', ...productLines(product, status.rollouts, now, style)]),
    ...rolloutSection(status.rollouts, now, style),
  ];
}

function staleLines(stale: number, style: Style): string[] {
  if (stale === 0) return [];
  const text = `${count(stale, 'agent')} not heard since the database was restored: nothing is granted to them before`;
  return wrap(text, style.width, '  ').map((line) => style.paint('yellow', line));
}

/** Taken out of the config, or misspelt there or in an enrolment token: nobody would miss them otherwise. */
function unnamedLines(regions: NonNullable<StatusReply['unnamedRegions']>, style: Style): string[] {
  return regions
    .map(
      ({ region, agents }) =>
        `${count(agents, 'agent')} in ${region}, a region that the config does not name: nothing is let out there`,
    )
    .flatMap((text) => wrap(text, style.width, '  ').map((line) => style.paint('yellow', line)));
}

/** A heading, then one or two lines for each lane; of a rollout that has ended one line. */
export function rolloutLines(rollout: RolloutView, now: number, style: Style): string[] {
  const title = `${rollout.product} ${rollout.version}: ${rollout.state}`;
  if (rollout.endedAt !== null) {
    return [
      ...wrap(`${title}, ended ${age(rollout.endedAt, now)}`, style.width).map((line) => style.paint('dim', line)),
      ...rollout.lanes.flatMap((lane) =>
        passedOverLine(lane, style).map((line) => line.replace('    ', `  ${lane.region} `)),
      ),
    ];
  }
  const facts = `${rollout.id}, policy ${rollout.policy}, begun ${age(rollout.createdAt, now)}`;
  const lanes = laneRows(rollout.lanes, now, style.width);
  return [
    ...wrap(title, style.width).map((line) => style.paint('bold', line)),
    ...wrap(facts, style.width - 2).map((line) => `  ${line}`),
    ...rollout.lanes.flatMap((lane, index) => [
      style.paint(colourOf(lane.state), lanes[index] ?? ''),
      ...laneRemark(lane, now, style),
    ]),
  ];
}

export function brakeLines(brakes: StatusReply['brakes'], now: number, style: Style): string[] {
  return brakes.flatMap(({ scope, actor, at, reason }) =>
    wrap(`BRAKE on ${scopeName(scope)}, set by ${actor} ${age(at, now)}: ${reason}`, style.width, '  ').map((line) =>
      style.paint('red', line),
    ),
  );
}

/** Stands for every hold that it brings about. */
function clockLines(clock: StatusReply['clock'], style: Style): string[] {
  if (clock == null) return [];
  return wrap(`CLOCK doubted: ${sayDoubted(clock)}`, style.width, '  ').map((line) => style.paint('red', line));
}

export function sayDoubted({ why, until }: { why: string; until: number }): string {
  return `${why}; nothing starts until ${instant(until)}, or a person says: tidegate clock trust`;
}

function ceilingLines(ceilings: StatusReply['ceilings'], style: Style): string[] {
  return (ceilings ?? []).map(({ window, max, count: used }) => {
    const line = `${used} of ${max} updates ${window === 'hour' ? 'within an hour' : 'within 24 hours'}`;
    return used < max ? line : style.paint('yellow', line);
  });
}

export function scopeName(scope: string): string {
  return scope === 'fleet' ? 'the whole fleet' : scope.replace(':', ' ');
}

export function colourOf(state: string): Colour {
  if (['halted', 'rolling_back', 'rolled_back', 'failed', 'lost', 'deny'].includes(state)) return 'red';
  if (['completed', 'succeeded', 'passed', 'pass'].includes(state)) return 'green';
  if (['open', 'soaking', 'activating', 'proving', 'granted'].includes(state)) return 'cyan';
  if (['approval', 'paused', 'hold'].includes(state)) return 'yellow';
  return 'dim';
}

const ENDED_SHOWN = 5;

function rolloutSection(rollouts: readonly RolloutView[], now: number, style: Style): string[] {
  if (rollouts.length === 0) return ['', 'no rollout yet'];
  const going = rollouts.filter((rollout) => rollout.endedAt === null);
  const ended = rollouts.filter((rollout) => rollout.endedAt !== null);
  const older = ended.length - ENDED_SHOWN;
  return [
    ...going.flatMap((rollout) => ['', ...rolloutLines(rollout, now, style)]),
    ...(ended.length === 0 ? [] : ['']),
    ...ended.slice(0, ENDED_SHOWN).flatMap((rollout) => rolloutLines(rollout, now, style)),
    ...(older > 0 ? [`and ${older} more: tidegate rollout list`] : []),
  ];
}

function productLines(product: ProductView, rollouts: readonly RolloutView[], now: number, style: Style): string[] {
  const own = rollouts.filter((rollout) => rollout.product === product.name);
  const last = own.find((rollout) => rollout.version === product.newest);
  const newest = product.newest === null ? 'no release to let out' : `newest release ${product.newest}${fateOf(last)}`;
  const rejected = product.rejectedTags === 0 ? '' : `, ${count(product.rejectedTags, 'tag')} rejected`;
  const vetoed = new Set(product.pending.filter(isVetoed).map(({ version }) => version));
  const versions = product.versions.map((row) => [
    row.region,
    row.version,
    `${count(row.agents, 'agent')}, ${row.present} present${vetoed.has(row.version) ? ', vetoed' : ''}`,
  ]);
  return [
    style.paint('bold', wrap(`${product.name}: ${newest}`, style.width)[0] ?? ''),
    ...wrap(
      `${product.repository}: ${count(product.releases, 'release')} known${rejected}${refusedPart(product.refused)}, polled ${age(product.source.lastSuccessAt, now)}`,
      style.width - 2,
    ).map((line) => `  ${line}`),
    ...sourceTrouble(product, now, style),
    ...releaseTrouble(product, style),
    ...holdLines(product.hold, now, style),
    ...table(versions, style.width),
    ...toDo(own.filter((rollout) => rollout.endedAt === null)).flatMap((text) =>
      wrap(`to do: ${text}`, style.width - 2, '  ').map((line) => style.paint('yellow', `  ${line}`)),
    ),
  ];
}

/** A release has one rollout: what was cancelled is the newest, and goes nowhere any more. */
function fateOf(rollout: RolloutView | undefined): string {
  if (rollout?.endedAt == null || (rollout.state !== 'cancelled' && rollout.state !== 'rolled_back')) return '';
  return `, ${stateWords(rollout.state)}: it goes out no more`;
}

const MAX_REFUSED_NAMED = 3;

/** `, 1 version refused (3.3 under 3.3 and 3.3.0)`; empty where none is. */
export function refusedPart(refused: ProductView['refused'], before = ', '): string {
  if (refused === undefined || refused.length === 0) return '';
  const named = refused
    .slice(0, MAX_REFUSED_NAMED)
    .map(({ version, tags }) => `${version} under ${tags.join(' and ')}`);
  const more = refused.length - named.length;
  const all = [...named, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
  return `${before}${count(refused.length, 'version')} refused (${all})`;
}

export function sourceTrouble({ source }: Pick<ProductView, 'source'>, now: number, style: Style): string[] {
  const next = source.nextPollAt === null ? '' : `; next poll ${age(source.nextPollAt, now)}`;
  const { errorCode, error, hint, notice } = source;
  const lines = [
    ...(errorCode === null ? [] : [`polling fails: ${error ?? ''} (${errorCode})${next}`, ...(hint ? [hint] : [])]),
    ...(notice ? [`not the whole list: ${notice}`] : []),
  ];
  return lines.flatMap((line) => wrap(line, style.width - 2, '  ').map((part) => style.paint('yellow', `  ${part}`)));
}

/** Releases that are newer than the one to let out, and tags that are no version: what a publisher looks for. */
function releaseTrouble({ pending, rejected, rejectedTags }: ProductView, style: Style): string[] {
  const more = rejectedTags - rejected.length;
  const lines = [
    ...pending.map(troubleOf),
    ...rejected.map(({ tag, why }) => `tag ${tag} is rejected: ${why}`),
    ...(more > 0 ? [`and ${count(more, 'more tag')} rejected`] : []),
  ];
  return lines.flatMap((line) => wrap(line, style.width - 2, '  ').map((part) => style.paint('yellow', `  ${part}`)));
}

/** A veto does not take from what a release has: it is the whole answer, not a remark on `complete`. */
export function troubleOf({ tag, state, why }: { tag: string; state: string; why: string | null }): string {
  return isVetoed({ why }) ? `${tag} is ${why}` : `${tag} is ${state}: ${why}`;
}

function isVetoed({ why }: { why: string | null }): boolean {
  return why?.startsWith('vetoed: ') === true;
}

/** Figures come before the bar where the line is too short for both. */
const BAR_FROM_WIDTH = 100;

/** The figures say less where they do not fit: a cut one could be taken for another. */
function laneRows(lanes: readonly LaneView[], now: number, width: number): string[] {
  const waves = new Set(lanes.map((lane) => lane.wave)).size > 1;
  const wide = width >= BAR_FROM_WIDTH;
  const written = (figures: (step: StepView) => string) =>
    lanes.map((lane) => laneCells(lane, now, figures, { waves, wide }));
  const full = table(
    written((step) => progress(step, wide ? 10 : 0)),
    Number.MAX_SAFE_INTEGER,
  );
  if (full.every((line) => columns(line) <= width)) return full;
  return table(
    written((step) => `${step.succeeded}/${step.size} ok, bad ${step.bad}/${step.budget}${hotOf(step)}`),
    width,
  );
}

/** A lane that is in no step shows its wave in that place; where there is room it has a column. */
function laneCells(
  lane: LaneView,
  now: number,
  figures: (step: StepView) => string,
  { waves, wide }: { waves: boolean; wide: boolean },
): string[] {
  const wave = waves ? `wave ${lane.wave + 1}` : '';
  const step = lane.step === null ? undefined : lane.steps.find((one) => one.step === lane.step);
  const inStep = lane.step === null ? '' : `step ${lane.step + 1}/${lane.steps.length}`;
  const place = wide || inStep !== '' ? inStep : wave;
  const done = step === undefined ? backOf(lane) : figures(step);
  return [...(wide && waves ? [wave] : []), lane.region, lane.state, place, done, since(lane.since, now)];
}

function backOf({ state, back }: LaneView): string {
  if (state !== 'rolling_back' || back === undefined) return '';
  return `${back.succeeded}/${back.agents} back, bad ${back.bad}${hotOf(back)}`;
}

/** `room`: columns for a bar in front, 0 for none. */
export function progress(step: StepView, room = 10): string {
  const figures = `${step.succeeded}/${step.size} ok, bad ${step.bad} of budget ${step.budget}${hotOf(step)}`;
  return room === 0 ? figures : `${bar(step.succeeded, step.size, room)} ${figures}`;
}

function hotOf({ hot }: Pick<StepView, 'hot'>): string {
  return hot === 0 ? '' : `, ${hot} hot`;
}

function laneRemark(lane: LaneView, now: number, style: Style): string[] {
  return [...stateRemark(lane, now, style), ...passedOverLine(lane, style)];
}

/** `passed over: 2 requirement unmet, 1 pinned`; whose sentences `rollout show` has. */
function passedOverLine({ state, passedOver = [] }: LaneView, style: Style): string[] {
  if (passedOver.length === 0) return [];
  const parts = passedOver.map(({ agents, reason }) => `${count(agents, 'agent')} ${holdWords(reason)}`);
  const what = state === 'completed' ? 'passed over' : 'left out';
  return wrap(`${what}: ${parts.join(', ')}`, style.width - 4, '  ').map((line) =>
    style.paint('yellow', `    ${line}`),
  );
}

function stateRemark(lane: LaneView, now: number, style: Style): string[] {
  if (lane.hold !== null) return [...holdLines(lane.hold, now, style, '    '), ...nextLines(lane, style, '    ')];
  if (!TELLING.has(lane.state)) return nextLines(lane, style, '    ');
  return wrap(lane.sentence, style.width - 4).map((line) => `    ${line}`);
}

/** States whose sentence says more than the row. */
const TELLING = new Set(['halted', 'paused', 'superseded', 'rolling_back']);

/** What a lane that soaks, or that waits for a person, needs to go on. */
export function nextLines({ next }: LaneView, style: Style, indent = '  '): string[] {
  if (next === null) return [];
  return wrap(`next: ${next}`, style.width - indent.length, '  ').map((line) => indent + line);
}

export function holdLines(hold: LaneView['hold'], now: number, style: Style, indent = '  '): string[] {
  if (hold === null) return [];
  const until = hold.until === null ? '' : `, until ${instant(hold.until)}`;
  const text = `held ${duration(now - hold.since)}${until}: ${hold.sentence}`;
  return wrap(text, style.width - indent.length).map((line) => style.paint('yellow', indent + line));
}
