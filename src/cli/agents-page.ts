// The agents as lines of text: a row for each product that an agent runs, what ails it below.
import type { AgentView } from '../protocol/operator.ts';
import { clearCommand } from './quarantine-page.ts';
import { age, count, table, wrap } from './render.ts';
import { colourOf } from './status-page.ts';
import type { Colour, Terminal } from './terminal.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;

export interface AgentsShown {
  region?: string;
  product?: string;
  /** There are others behind the last one. */
  more: boolean;
  now: number;
}

/** By region, then by name. */
export function agentsPage(agents: readonly AgentView[], shown: AgentsShown, style: Style): string[] {
  if (agents.length === 0) return [nobody(shown)];
  const sorted = agents.toSorted((a, b) => order(a.region, b.region) || order(a.name, b.name) || order(a.id, b.id));
  const products = new Set(agents.flatMap((agent) => listed(agent, shown).map(({ product }) => product)));
  // The only product that there is need not be named in each row.
  const named = products.size > 1;
  // Last, where what does not fit is cut; on a narrow terminal they stand below.
  const labelled = style.width >= LABELS_FROM_WIDTH && agents.some((agent) => labelsOf(agent) !== '');
  const head = [
    ...['NAME', 'REGION', ...(named ? ['PRODUCT'] : []), 'VERSION', 'ATTEMPT', 'HEALTH', 'SEEN'],
    ...(labelled ? ['LABELS'] : []),
  ];
  const rows = sorted.map((agent) => rowsOf(agent, shown, { named, labelled }));
  const [first = '', ...lines] = table([head, ...rows.flat().map(({ cells }) => cells)], style.width, '');
  const twice = namedTwice(agents);
  let at = 0;
  return [
    first,
    ...sorted.flatMap((agent, index) => [
      ...(rows[index] ?? []).map(({ colour }) => painted(lines[at++] ?? '', colour, style)),
      ...remarks(agent, twice, { now: shown.now, labels: !labelled }, style),
    ]),
    '',
    ...footer(agents.length, shown, style),
  ];
}

const LABELS_FROM_WIDTH = 100;

interface Row {
  cells: string[];
  colour: Colour | null;
}

function rowsOf(
  agent: AgentView,
  shown: AgentsShown,
  { named, labelled }: { named: boolean; labelled: boolean },
): Row[] {
  const products = listed(agent, shown);
  const seen = age(agent.lastSeenAt, shown.now);
  const rows = products.length === 0 ? [{ product: '', version: '' }] : products;
  return rows.map(({ product, version }, index) => {
    const attempt = agent.attempts.find((one) => one.product === product);
    const tries = attempt === undefined ? '' : `${attempt.state} ${attempt.version}`;
    const first = index === 0;
    const head = first ? [agent.name, agent.region] : ['', ''];
    const tail = first ? [agent.health.status, seen, ...(labelled ? [labelsOf(agent)] : [])] : ['', ''];
    const colour = attempt === undefined ? null : colourOf(attempt.state);
    return { cells: [...head, ...(named ? [product] : []), version || 'nothing', tries, ...tail], colour };
  });
}

function painted(line: string, colour: Colour | null, style: Style): string {
  return colour === null ? line : style.paint(colour, line);
}

function listed(agent: AgentView, { product }: AgentsShown): AgentView['products'] {
  return agent.products
    .filter((one) => product === undefined || one.product === product)
    .toSorted((a, b) => order(a.product, b.product));
}

/** `explain` takes a name only when no other agent has it. */
function namedTwice(agents: readonly AgentView[]): Set<string> {
  const seen = new Set<string>();
  return new Set(agents.flatMap(({ name }) => (seen.size === seen.add(name).size ? [name] : [])));
}

/** `labels`: they have no column. */
function remarks(
  agent: AgentView,
  twice: ReadonlySet<string>,
  { now, labels }: { now: number; labels: boolean },
  style: Style,
): string[] {
  const label = labels ? labelsOf(agent) : '';
  const facts = factsOf(agent);
  const told = [...(label === '' ? [] : [`labels ${label}`]), ...(facts === '' ? [] : [`facts ${facts}`])];
  const about = told
    .flatMap((text) => wrap(text, style.width - 2, '  '))
    .map((line) => style.paint('dim', `  ${line}`));
  const id = twice.has(agent.name) ? [`  ${agent.id}`] : [];
  const { status, reason } = agent.health;
  const ails = [...(reason === null ? [] : [`${status}: ${reason}`]), ...restraintsOf(agent, now)];
  const why = ails.flatMap((text) => wrap(text, style.width - 2, '  '));
  return [...id, ...about, ...why.map((line) => style.paint('yellow', `  ${line}`))];
}

/** What a person, its own failures, or a build that no release has, keep the agent from, a sentence each. */
export function restraintsOf(
  { name, pins = [], quarantined = [], unknownBuilds = [] }: AgentView,
  now: number,
): string[] {
  return [
    ...unknownBuilds.map(
      ({ product, version, digest }) =>
        `held: ${product} ${version} with digest ${digest.slice(0, 12)}… is a build that no release has`,
    ),
    ...pins.map(
      ({ product, version, actor, reason, at }) =>
        `pinned at ${product} ${version} by ${actor} ${age(at, now)}: ${reason}`,
    ),
    ...quarantined.map(
      ({ product, version, attempts, limit }) =>
        `quarantined at ${product} ${version}, ${attempts} of ${limit} attempts: ${clearCommand({ name, product, version })}`,
    ),
  ];
}

/** `kernel 5.10, os debian`, by name; empty where nothing was asked for or reported. */
export function factsOf({ facts }: Pick<AgentView, 'facts'>): string {
  const known = Object.entries(facts ?? {}).sort(([a], [b]) => order(a, b));
  return known.map(([name, value]) => `${name} ${value}`).join(', ');
}

/** `ring=canary, tier=1`. */
export function labelsOf({ labels = {} }: AgentView): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}

function footer(number: number, { more, ...shown }: AgentsShown, style: Style): string[] {
  const what = `${count(number, 'agent')}${whichOf(shown)}`;
  if (!more) return [what];
  const narrower = [
    ...(shown.region === undefined ? ['--region'] : []),
    ...(shown.product === undefined ? ['--product'] : []),
  ];
  const ways = [`--limit ${number * 10}`, ...narrower].join(' or ');
  return wrap(`${what} shown; there are more: see them with ${ways}`, style.width, '  ');
}

function nobody(shown: AgentsShown): string {
  return `no agent${whichOf(shown)}${shown.region === undefined && shown.product === undefined ? ' yet' : ''}`;
}

function whichOf({ region, product }: Pick<AgentsShown, 'region' | 'product'>): string {
  const where = region === undefined ? '' : ` in ${region}`;
  return product === undefined ? where : `${where} with ${product}`;
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
