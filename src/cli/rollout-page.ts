// One rollout in full, and the list of rollouts, as lines of text.
import type { LaneView, RolloutView, StepView } from '../protocol/operator.ts';
import { holdWords } from './hold-words.ts';
import { age, count, duration, instant, table, wrap } from './render.ts';
import { colourOf, holdLines, nextLines, progress } from './status-page.ts';
import type { Terminal } from './terminal.ts';
import { toDo } from './to-do.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;

export function rolloutPage(rollout: RolloutView, now: number, style: Style): string[] {
  const ended = rollout.endedAt === null ? '' : `, ended ${instant(rollout.endedAt)}`;
  return [
    style.paint('bold', wrap(`${rollout.product} ${rollout.version}: ${rollout.state}`, style.width)[0] ?? ''),
    `  ${rollout.id}`,
    ...wrap(`policy ${rollout.policy}, begun ${instant(rollout.createdAt)}${ended}`, style.width - 2).map(
      (line) => `  ${line}`,
    ),
    ...vetoLines(rollout, now, style),
    ...todoLines(rollout, style),
    ...rollout.lanes.flatMap((lane) => ['', ...laneLines(lane, now, style)]),
    ...baselineLines(rollout, style),
    ...legend(rollout, style),
  ];
}

function vetoLines({ veto }: RolloutView, now: number, style: Style): string[] {
  if (veto == null) return [];
  const by = veto.automatic ? 'an automatic halt' : veto.actor;
  return wrap(`vetoed by ${by} ${age(veto.at, now)}: ${veto.reason}`, style.width - 2, '  ').map((line) =>
    style.paint('red', `  ${line}`),
  );
}

function todoLines(rollout: RolloutView, style: Style): string[] {
  if (rollout.endedAt !== null) return [];
  return toDo([rollout]).flatMap((line) => wrap(`to do: ${line}`, style.width - 2, '  ').map((one) => `  ${one}`));
}

/** Where newcomers are brought to it, and whether they are. */
function baselineLines({ baselines = [] }: RolloutView, style: Style): string[] {
  if (baselines.length === 0) return [];
  const lines = baselines.flatMap(({ region, state, sentence, since }) =>
    wrap(`baseline of ${region}: ${state} since ${instant(since)}: ${sentence}`, style.width, '  '),
  );
  return ['', ...lines];
}

const LEGEND = 'ok: runs it, proven; hot: activates or proves it now; budget: so many bad ones halt the region';
const DETECTS =
  'detects: a release that fails on so many agents would have shown itself in a step of this size, with 95 % confidence';

/** Only where there are such figures. */
function legend(rollout: RolloutView, style: Style): string[] {
  if (!rollout.lanes.some((lane) => lane.steps.some((step) => step.size > 0))) return [];
  const text = rollout.lanes.some((lane) => lane.steps.some(isTelling)) ? `${LEGEND}; ${DETECTS}` : LEGEND;
  return ['', ...wrap(text, style.width).map((line) => style.paint('dim', line))];
}

/** The time in a UUIDv7, in hexadecimal: two rollouts hardly ever begin in the same millisecond. */
const SHORT_ID = 13;

export function rolloutList(rollouts: readonly RolloutView[], now: number, style: Style): string[] {
  if (rollouts.length === 0) return ['no rollout yet'];
  const head = ['ROLLOUT', 'STATE', 'REGIONS DONE', 'BEGUN', 'ID BEGINS WITH'];
  const rows = rollouts.map((rollout) => [
    `${rollout.product}@${rollout.version}`,
    rollout.state,
    `${rollout.lanes.filter((lane) => lane.state === 'completed').length}/${rollout.lanes.length}`,
    age(rollout.createdAt, now),
    rollout.id.slice(0, SHORT_ID),
  ]);
  return table([head, ...rows], style.width, '');
}

function laneLines(lane: LaneView, now: number, style: Style): string[] {
  const steps = lane.steps.map((step) => [`step ${step.step + 1}`, step.state, step.size === 0 ? '' : progress(step)]);
  const rows = table(steps, style.width);
  const attempts = Object.entries(lane.attempts).map(([state, number]) => `${number} ${state}`);
  const holds = lane.holds
    .filter(({ ms }) => ms >= 1000)
    .map(({ reason, ms }) => `${holdWords(reason)} ${duration(ms)}`);
  const revision = lane.revision === undefined ? '' : `, revision ${lane.revision}`;
  const head = `${lane.region}, wave ${lane.wave + 1}: ${lane.state} since ${instant(lane.since)}${revision}`;
  return [
    style.paint(colourOf(lane.state), wrap(head, style.width)[0] ?? ''),
    // A lane that waits says no more than its hold.
    ...(lane.sentence === lane.hold?.sentence ? [] : listed('', [lane.sentence], style)),
    ...holdLines(lane.hold, now, style),
    ...nextLines(lane, style),
    ...lane.steps.flatMap((step, index) => [rows[index] ?? '', ...detects(step)]),
    ...passedOverLines(lane, style),
    ...listed('attempts: ', attempts, style),
    ...listed('time in holds: ', holds, style),
    ...listed('way back: ', wayBack(lane), style),
  ];
}

function detects(step: StepView): string[] {
  if (!isTelling(step)) return [];
  return [`    detects failure rates ≥ ${(step.detects * 100).toFixed(step.detects < 0.1 ? 1 : 0)} %`];
}

/** A step with failures has ruled nothing out, and what fails on half of the hosts is found without figures. */
function isTelling({ size, bad, detects }: StepView): boolean {
  return size > 0 && bad === 0 && detects <= TELLING_RATE;
}

const TELLING_RATE = 0.5;

function wayBack({ back, state }: LaneView): string[] {
  if (back === undefined) return [];
  const { to, agents, succeeded, bad, hot } = back;
  const where = to === null ? 'halted' : `to ${to}`;
  const rest = agents - succeeded;
  const left = state === 'rolled_back' && rest > 0 ? [`${count(rest, 'agent')} could not be, or returned later`] : [];
  return [`${where}: ${succeeded} of ${count(agents, 'agent')} brought back`, `${bad} bad`, `${hot} hot`, ...left];
}

function passedOverLines({ state, passedOver = [] }: LaneView, style: Style): string[] {
  const what = state === 'completed' ? 'passed over' : 'left out';
  return passedOver.flatMap(({ agents, sentence }) =>
    wrap(`${what}: ${count(agents, 'agent')}: ${sentence}`, style.width - 2, '  ').map((line) =>
      style.paint('yellow', `  ${line}`),
    ),
  );
}

function listed(label: string, items: readonly string[], style: Style): string[] {
  if (items.length === 0) return [];
  return wrap(`${label}${items.join(', ')}`, style.width - 2, '  ').map((line) => `  ${line}`);
}
