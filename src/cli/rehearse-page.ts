// A rehearsal as a page: how it comes out, the chart, the steps, what held each lane, and how far a bad release would come.
import type { RehearsalReply, RehearsedLane } from '../protocol/rehearsal.ts';
import { gantt } from './gantt.ts';
import { holdWords } from './hold-words.ts';
import { count, duration, instant, table, wrap } from './render.ts';
import type { Terminal } from './terminal.ts';
import { textRows } from './text-rows.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;

const MAX_STEPS = 120;
const MAX_HELD = 60;

export function rehearsePage(reply: RehearsalReply, style: Style): string[] {
  const { lanes, to } = reply;
  const begins = beginOf(reply);
  return [
    ...wrap(titleOf(reply), style.width).map((line) => style.paint('bold', line)),
    ...paragraphs([agentsOf(reply)], style),
    ...spaced(gantt(lanes, begins, to, style.width)),
    ...spaced(stepLines(lanes, style)),
    ...spaced(heldLines(lanes, to, style)),
    ...(lanes.length === 0 ? [] : ['', ...wrap(exposureOf(reply), style.width)]),
    '',
    style.paint('dim', 'Taken for granted:'),
    ...reply.assumptions.flatMap((one) => paragraphs([`${one}.`], style)),
  ];
}

function titleOf({ product, version, policy, hold, stoppedBy, from, to, lanes }: RehearsalReply): string {
  const name = `${product} ${version}`;
  if (hold !== null || policy === null) return `${name} would not go out: ${hold?.sentence ?? 'nothing begins'}`;
  const under = `${name} under ${policy}`;
  const time = duration(to - from);
  if (stoppedBy === 'ended') {
    const halted = lanes.filter((lane) => lane.state !== 'completed').length;
    return halted === 0 ? `${under}: over after ${time}` : `${under}: over after ${time}, not everywhere`;
  }
  if (stoppedBy === 'held') return `${under}: nothing goes on by itself after ${time}`;
  if (stoppedBy === 'time') return `${under}: not over after ${time}`;
  return `${under}: played for ${time} of it, which was all that one run may take`;
}

/** When the rollout is there: earlier there is nothing to show. */
function beginOf({ lanes, from }: RehearsalReply): number {
  const starts = lanes.flatMap((lane) => lane.spans.slice(0, 1).map((span) => span.from));
  return starts.length === 0 ? from : Math.min(...starts);
}

function agentsOf(reply: RehearsalReply): string {
  const { agents, from, stoppedBy } = reply;
  const later = beginOf(reply) - from;
  const { total, updated, failed, away, waiting, untouched } = agents;
  const rest = [
    [away, 'away'],
    [failed, 'failed'],
    // Their lanes completed with enough of the others.
    [waiting, stoppedBy === 'ended' ? 'left to the baseline of their region' : 'still waiting'],
    [untouched, 'not concerned'],
  ] as const;
  const others = rest.filter(([number]) => number > 0).map(([number, what]) => `, ${number} ${what}`);
  const when =
    later < 1000 ? `it begins ${minute(from)}Z` : `it begins ${minute(from + later)}Z, ${duration(later)} from now`;
  return `${updated} of ${count(total, 'agent')} updated${others.join('')}; ${when}`;
}

function stepLines(lanes: readonly RehearsedLane[], style: Style): string[] {
  const rows = lanes.flatMap((lane) =>
    lane.steps.map((step) => [
      lane.region,
      String(step.step + 1),
      minute(step.openedAt),
      step.doneAt === null ? '-' : duration(step.doneAt - step.openedAt),
      step.endedAt === null ? '-' : minute(step.endedAt),
      String(step.exposed),
      step.bad > 0 || step.detects > 0.5 ? '-' : rate(step.detects),
    ]),
  );
  if (rows.length === 0) return [];
  const heads = ['REGION', 'STEP', 'OPENS', 'DONE IN', 'ENDS', 'AGENTS', 'DETECTS'];
  const [heading = '', ...lines] = table([heads, ...rows.slice(0, MAX_STEPS)], style.width);
  const more = rows.length - MAX_STEPS;
  return [
    style.paint('dim', heading),
    ...lines,
    ...(more > 0 ? [`  and ${count(more, 'more step')}: --json`] : []),
    ...wrap(
      'DETECTS: the failure rate that so many clean agents rule out at 95 % confidence; -: too few, or not clean',
      style.width - 2,
    ).map((line) => style.paint('dim', `  ${line}`)),
  ];
}

/** `2026-01-05 12:00`, UTC. */
function minute(ms: number): string {
  return instant(ms).slice(0, 16);
}

/** `5 %`, `0.07 %`. */
function rate(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}

function heldLines(lanes: readonly RehearsedLane[], to: number, style: Style): string[] {
  const rows = lanes.flatMap((lane) => {
    const text = heldText(lane, to);
    return text === '' ? [] : [{ cells: [lane.region], text }];
  });
  if (rows.length === 0) return [];
  const more = rows.length - MAX_HELD;
  return [
    style.paint('dim', '  HELD BY'),
    ...textRows(rows.slice(0, MAX_HELD), style.width).flat(),
    ...(more > 0 ? [`  and ${more} more: --json`] : []),
  ];
}

/** `an earlier wave 1d 4h, soaking 3d; agents that lay ready: window closed 2h`. */
function heldText({ holds }: RehearsedLane, end: number): string {
  const of = (who: string) => {
    const times = new Map<string, number>();
    for (const hold of holds) {
      if (hold.who === who) times.set(hold.reason, (times.get(hold.reason) ?? 0) + (hold.to ?? end) - hold.from);
    }
    return [...times].filter(([, ms]) => ms >= 1000).map(([reason, ms]) => `${holdWords(reason)} ${duration(ms)}`);
  };
  const [lane, agents] = [of('lane').join(', '), of('agents').join(', ')];
  return [lane, agents === '' ? '' : `agents that lay ready: ${agents}`].filter((text) => text !== '').join('; ');
}

function exposureOf({ exposure, agents, product, version }: RehearsalReply): string {
  if (agents.total === 0) return `No agent is there that runs ${product} and could be brought to ${version}.`;
  if (agents.untouched === agents.total)
    return `Nobody is concerned: no agent runs a version below ${version} on a platform that it has.`;
  const { failureRate, runs, halted, held, passed, exposed, broken, haltedAfterMs } = exposure;
  const bad = `A release that fails on ${rate(failureRate)} of the hosts`;
  const others = [
    ...(passed > 0 ? [`in ${passed} it reaches everybody`] : []),
    ...(held > 0 ? [`in ${held} it goes no further without a halt`] : []),
  ];
  const rest = others.length === 0 ? '' : `; ${others.join(', ')}`;
  if (exposed === null) return `${bad} halts in none of ${count(runs, 'run')}${rest}.`;
  const many = exposed.least === exposed.most ? `${exposed.most}` : `${exposed.least} to ${exposed.most}`;
  const when = haltedAfterMs === null ? '' : `, at the latest ${duration(haltedAfterMs)} after the first step opened`;
  const middle = halted > 2 && exposed.least !== exposed.most ? ` (median ${exposed.median})` : '';
  return (
    `${bad} halts in ${halted} of ${count(runs, 'run')}, when ${many}${middle} of ${count(agents.total, 'agent')} ` +
    `had been let go, at most ${broken} of them broken${when}${rest}.`
  );
}

function paragraphs(texts: readonly string[], style: Style): string[] {
  return texts.flatMap((text) => wrap(text, style.width - 2, '  ').map((line) => `  ${line}`));
}

function spaced(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', ...lines];
}
