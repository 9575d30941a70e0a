// A product's releases with their dates and jumps, what was picked, and what could not be read, as lines of text.
import type { ProductHistoryReply } from '../protocol/operator.ts';
import { age, count, table, wrap } from './render.ts';
import { refusedPart, sourceTrouble, troubleOf } from './status-page.ts';
import type { Terminal } from './terminal.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;
type Row = ProductHistoryReply['rows'][number];

const MAX_REASONS = 10;
const MAX_REJECTED = 5;

export function productHistoryPage(reply: ProductHistoryReply, style: Style): string[] {
  const { rows } = reply;
  return [
    ...headLines(reply, style),
    ...(rows.length === 0 ? [] : ['', ...rowLines(reply, style)]),
    ...spaced(reasonLines(rows, style)),
    ...spaced(rejectedLines(reply, style)),
  ];
}

function headLines(reply: ProductHistoryReply, style: Style): string[] {
  const { product, repository, highest, on, range, scheme, tags, matching, releases, rejectedTags, source, now } =
    reply;
  const picked = highest === null ? 'no release to pick' : `highest ${highest}`;
  const title = `${product}${on === null ? '' : ` on ${on}`}: ${picked}`;
  const within = range === null ? '' : `, in ${range}`;
  const polled = source === undefined ? '' : `; polled ${age(source.lastSuccessAt, now)}`;
  const rejected = rejectedTags === 0 ? '' : `; ${count(rejectedTags, 'tag')} rejected`;
  const facts = [
    `${repository}: ${count(releases, 'release')} known${rejected}${refusedPart(reply.refused, '; ')}; ` +
      `tags are read as ${tags.join(' or ')} (${scheme})${polled}`,
    `${matching} of them: ${channelName(reply.channel)}${within}${on === null ? '' : `, published by ${on}`}`,
  ];
  return [
    ...wrap(title, style.width).map((line) => style.paint('bold', line)),
    ...facts.flatMap((fact) => wrap(fact, style.width - 2, '  ').map((line) => `  ${line}`)),
    ...yellow(nameLines(reply), style),
    ...(source === undefined ? [] : sourceTrouble({ source }, now, style)),
  ];
}

/** What was asked for is read as it is written, and stable releases are always among them. */
function nameLines({ unknownNames }: ProductHistoryReply): string[] {
  if (unknownNames == null) return [];
  const { names, known } = unknownNames;
  const there = known.length === 0 ? 'the product has no prereleases' : `there are: ${known.join(', ')}`;
  const stable = names.includes('stable') ? '; stable releases are among them anyway' : '';
  return [`no prerelease is named ${names.join(' or ')}; ${there}${stable}`];
}

function channelName(channel: string): string {
  if (channel === 'stable') return 'stable releases';
  return `stable releases and ${channel === 'all' ? 'all prereleases' : `prereleases named ${channel}`}`;
}

function rowLines({ rows, highest, matching }: ProductHistoryReply, style: Style): string[] {
  const cells = rows.map((row) => [row.tag, day(row.publishedAt), jumpOf(row), row.state]);
  const [heading = '', ...lines] = table([['TAG', 'PUBLISHED', 'JUMP', 'STATE'], ...cells], style.width);
  const more = matching - rows.length;
  return [
    style.paint('dim', heading),
    ...lines.map((line, index) => (rows[index]?.version === highest ? style.paint('bold', line) : line)),
    ...(more > 0 ? [`  and ${more} lower: --limit ${matching}`] : []),
  ];
}

/** `minor from 1.17.1`. */
function jumpOf({ jump, from }: Row): string {
  return jump === null ? '-' : `${jump} from ${from}`;
}

/** `2025-08-05`, UTC. */
function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** What is said of many releases is said once. */
function reasonLines(rows: readonly Row[], style: Style): string[] {
  const withWhy = rows.filter((row) => row.why !== null);
  const reasons = [...Map.groupBy(withWhy, ({ state, why }) => `${state}\n${why}`).values()];
  const lines = reasons.slice(0, MAX_REASONS).map((group) => {
    const [{ tag, state, why } = { tag: '', state: '', why: '' }] = group;
    if (group.length === 1) return troubleOf({ tag, state, why });
    return `${group.length} shown here are ${state}: ${why}`;
  });
  const more = reasons.length - MAX_REASONS;
  return yellow([...lines, ...(more > 0 ? [`and ${count(more, 'more reason')}: --json`] : [])], style);
}

function rejectedLines({ rejected, rejectedTags }: ProductHistoryReply, style: Style): string[] {
  const shown = rejected.slice(0, MAX_REJECTED);
  const more = rejectedTags - shown.length;
  const hint = rejected.length > shown.length ? `: --json names ${rejected.length}` : '';
  const lines = shown.map(({ tag, why }) => `tag ${tag} is rejected: ${why}`);
  return yellow([...lines, ...(more > 0 ? [`and ${count(more, 'more tag')} rejected${hint}`] : [])], style);
}

function yellow(texts: readonly string[], style: Style): string[] {
  return texts.flatMap((text) => wrap(text, style.width - 2, '  ').map((line) => style.paint('yellow', `  ${line}`)));
}

function spaced(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', ...lines];
}
