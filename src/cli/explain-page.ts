// Why an agent is answered what it is answered: one sentence per product, the rules in their order, then its history.
import type { AgentView, ExplainReply } from '../protocol/operator.ts';
import { factsOf, labelsOf, restraintsOf } from './agents-page.ts';
import { age, clean, duration, instant, pad, table, wrap } from './render.ts';
import { colourOf } from './status-page.ts';
import type { Terminal } from './terminal.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;
type Explained = ExplainReply['products'][number];

export function explainPage(reply: ExplainReply, now: number, style: Style): string[] {
  return [
    ...agentLines(reply.agent, now, style),
    ...factLines(reply.facts ?? {}, style),
    ...(reply.troubles ?? []).flatMap((text) => indented(text, style).map((line) => style.paint('yellow', line))),
    ...reply.products.flatMap((product) => ['', ...productLines(product, now, style)]),
    '',
    ...historyLines(reply.history, now, style),
  ];
}

const ANSWERS: Record<string, string> = {
  none: 'would be asked to do nothing',
  hold: 'would be held',
  stage: 'would be told to stage',
  activate: 'would be told to activate',
  withdraw: 'would be told to drop its attempt',
};

/** What the agent would be answered now, and why, in one sentence. */
export function sentenceOf(product: Explained): string {
  return `${product.product} ${ANSWERS[product.answer] ?? `would be answered ${product.answer}`}: ${product.sentence}`;
}

function agentLines(agent: AgentView, now: number, style: Style): string[] {
  const reason = agent.health.reason === null ? '' : ` (${agent.health.reason})`;
  const facts = `${agent.region}, ${agent.platform}, health ${agent.health.status}${reason}, seen ${age(agent.lastSeenAt, now)}`;
  const labels = labelsOf(agent);
  const products = agent.products.map(({ product, version, digest }) => [product, version, digest.slice(0, 12)]);
  return [
    style.paint('bold', wrap(agent.name, style.width)[0] ?? ''),
    ...indented(agent.id, style),
    ...indented(`${facts}, enrolled ${age(agent.enrolledAt, now)}`, style),
    ...(labels === '' ? [] : indented(`labels ${labels}`, style)),
    ...table(products, style.width),
    ...restraintsOf(agent, now).flatMap((text) => indented(text, style).map((line) => style.paint('yellow', line))),
  ];
}

/** By name, as many in a line as there is room for. */
function factLines(facts: Record<string, string>, style: Style): string[] {
  const text = factsOf({ facts });
  return text === '' ? [] : indented(`facts ${text}`, style);
}

function productLines(product: Explained, now: number, style: Style): string[] {
  const lines = wrap(sentenceOf(product), style.width, '  ').map((line) => style.paint('bold', line));
  const widest = Math.min(16, Math.max(0, ...product.trace.map((line) => line.rule.length)));
  return [
    ...lines,
    ...timeLines(product.hold, now, style),
    ...product.trace.flatMap((line, index) => traceLines(endOf(product, index) ?? line, widest, style)),
  ];
}

/** `held since Mon 2026-01-05 10:00 (3 h), until Tue 2026-01-06 09:00`, as far as it is known. */
function timeLines(hold: Explained['hold'], now: number, style: Style): string[] {
  if (!hold || (hold.since === null && hold.until === null)) return [];
  const since = hold.since === null ? 'held' : `held since ${instant(hold.since)} (${duration(now - hold.since)})`;
  return indented(hold.until === null ? since : `${since}, until ${instant(hold.until)}`, style);
}

/** Where nothing is asked of the agent, the rule that says so last is the end of the way and no refusal. */
function endOf({ answer, trace }: Explained, index: number): Explained['trace'][number] | undefined {
  const line = trace[index];
  const isEnd = answer === 'none' && index === trace.length - 1 && line?.result === 'deny';
  return isEnd ? { ...line, result: 'end' } : undefined;
}

function traceLines(line: Explained['trace'][number], ruleWidth: number, style: Style): string[] {
  const head = `  ${pad(clean(line.result), 4)}  ${pad(clean(line.rule), ruleWidth)}  `;
  const [first = '', ...more] = wrap(line.sentence, style.width - head.length);
  return [style.paint(colourOf(line.result), head) + first, ...more.map((text) => ' '.repeat(head.length) + text)];
}

function historyLines(history: ExplainReply['history'], now: number, style: Style): string[] {
  if (history.length === 0) return ['no attempt yet'];
  const rows = history.map((attempt) => [
    `${attempt.product} ${attempt.version}`,
    attempt.state,
    age(attempt.offeredAt, now),
    attempt.endedAt === null ? '' : `took ${duration(attempt.endedAt - attempt.offeredAt)}`,
  ]);
  const lines = table(rows, style.width);
  return [
    'attempts, newest first',
    ...history.flatMap((attempt, index) => [lines[index] ?? '', ...whyLines(attempt, style)]),
  ];
}

function whyLines({ cause, detail }: ExplainReply['history'][number], style: Style): string[] {
  const why = [cause, detail].filter((part) => part !== null).join(': ');
  return why === '' ? [] : wrap(why, style.width - 4).map((line) => `    ${line}`);
}

function indented(text: string, style: Style): string[] {
  return wrap(text, style.width - 2).map((line) => `  ${line}`);
}
