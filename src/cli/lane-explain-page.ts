// Why the lanes of a rollout go on or do not: for each one sentence, its hold, and its gates in their order.
import type { ExplainRolloutReply } from '../protocol/operator.ts';
import { holdWords } from './hold-words.ts';
import { clean, duration, instant, pad, wrap } from './render.ts';
import { colourOf } from './status-page.ts';
import type { Terminal } from './terminal.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;
type Explained = ExplainRolloutReply['lanes'][number];
type Gate = Explained['gates'][number];

export function laneExplainPage(reply: ExplainRolloutReply, style: Style): string[] {
  const { product, version, state, rollout, policy, now } = reply;
  return [
    ...wrap(`${product} ${version}: ${state}`, style.width).map((line) => style.paint('bold', line)),
    ...wrap(`${rollout}, policy ${policy}`, style.width - 2).map((line) => `  ${line}`),
    ...reply.lanes.flatMap((lane) => ['', ...laneLines(lane, now, style)]),
  ];
}

function laneLines({ lane, sentence, gates }: Explained, now: number, style: Style): string[] {
  const head = `${lane.region}, wave ${lane.wave + 1}: ${lane.state} since ${instant(lane.since)}`;
  const widest = Math.min(16, Math.max(0, ...gates.map((gate) => gate.gate.length)));
  return [
    ...wrap(head, style.width).map((line) => style.paint(colourOf(lane.state), line)),
    ...wrap(sentence, style.width - 2).map((line) => style.paint('bold', `  ${line}`)),
    ...holdLines(lane.hold, now, style),
    ...gates.flatMap((gate) => gateLines(gate, widest, style)),
  ];
}

function holdLines(hold: Explained['lane']['hold'], now: number, style: Style): string[] {
  if (hold === null) return [];
  const until = hold.until === null ? '' : `, until ${instant(hold.until)}`;
  const text = `held (${holdWords(hold.reason)}) since ${instant(hold.since)} (${duration(now - hold.since)})${until}`;
  return wrap(text, style.width - 4).map((line) => style.paint('yellow', `  ${line}`));
}

const COLOURS: Record<string, string> = { pass: 'pass', wait: 'hold', fail: 'deny' };

/** Aligned as the rules of an agent are. */
function gateLines({ gate, result, sentence, until }: Gate, gateWidth: number, style: Style): string[] {
  const head = `  ${pad(clean(result), 4)}  ${pad(clean(gate), gateWidth)}  `;
  const text = until === null ? sentence : `${sentence} (until ${instant(until)})`;
  const [first = '', ...more] = wrap(text, style.width - head.length);
  const colour = colourOf(COLOURS[result] ?? result);
  return [style.paint(colour, head) + first, ...more.map((line) => ' '.repeat(head.length) + line)];
}
