// The picture of `status --watch`: swim lanes by region in so many columns and rows, what matters most first. Pure.
import type { BrakeView, ProductView, RolloutView, StatusReply } from '../protocol/operator.ts';
import { fitRows, type Ranked } from './fit-rows.ts';
import { laneRows, type Row, type RowKind } from './lane-rows.ts';
import { laneTable, remarkOf, tally, when } from './lane-table.ts';
import { age, clean, count, duration, fit, instant, wrap } from './render.ts';
import { colourOf, sayDoubted, scopeName, troubleOf } from './status-page.ts';
import type { Colour, Size, Terminal } from './terminal.ts';
import { toDo } from './to-do.ts';

/** At most `size.rows` lines, none wider than `size.width` columns. */
export function swimLanes(status: StatusReply, size: Size, paint: Terminal['paint']): string[] {
  const sections = sectionsOf(status, size.width);
  const lines = [
    ...headLines(status, sections, size.width),
    ...sections.flatMap(({ lines }) => lines),
    ...idleLines(status, size.width),
    ...endedLines(status),
  ];
  return fitRows(lines, size.rows, noteOf).map(({ text, colour }) => {
    const indent = /^ */.exec(text)?.[0] ?? '';
    const cut = fit(indent + clean(text), size.width);
    return colour === null ? cut : paint(colour, cut);
  });
}

/** Lines of a low rank stay when there is no room for all. */
const RANK = {
  head: 0,
  alarm: 1,
  title: 2,
  toDo: 2,
  trouble: 3,
  going: 4,
  heading: 5,
  remark: 6,
  behind: 7,
  waiting: 8,
  more: 9,
  release: 10,
  idleProduct: 11,
  done: 12,
  idle: 13,
  ended: 14,
  blank: 15,
};

interface Line extends Ranked<Row> {
  text: string;
  colour: Colour | null;
}

function line(text: string, rank: number, colour: Colour | null = null): Line {
  return { text, rank, colour };
}

/** Three lines at most: the first at this rank, the others give way before it. */
function paragraph(text: string, indent: string, width: number, rank: number, colour: Colour | null): Line[] {
  const lines = wrap(text, width - indent.length, '  ');
  const kept = lines.length <= 3 ? lines : [...lines.slice(0, 2), `${lines[2]} ...`];
  return kept.map((part, index) => line(indent + part, index === 0 ? rank : Math.max(rank, RANK.remark), colour));
}

const MOST_BRAKES = 3;

function headLines({ agents, now, brakes, clock }: StatusReply, sections: readonly Section[], width: number): Line[] {
  const troubled = sections.flatMap(({ rows }) => rows).filter(({ kind }) => kind === 'trouble').length;
  const look = troubled === 0 ? '' : `; ${troubled === 1 ? '1 lane needs' : `${troubled} lanes need`} a look`;
  const { enrolled, present } = agents;
  const heads = [
    `${count(enrolled, 'agent')} enrolled, ${present} present at ${instant(now)}${look}`,
    `${count(enrolled, 'agent')}, ${present} present at ${instant(now)}${look}`,
    `${instant(now).slice(11)} ${present}/${enrolled} there${look}`,
  ];
  const more = brakes.length - MOST_BRAKES;
  return [
    line(heads.find((one) => one.length <= width) ?? heads.at(-1) ?? '', RANK.head),
    ...(clock == null ? [] : paragraph(`CLOCK doubted: ${sayDoubted(clock)}`, '', width, RANK.alarm, 'red')),
    ...brakes.slice(0, MOST_BRAKES).flatMap((brake) => brakeLines(brake, now, width)),
    ...(more > 0 ? [line(`and ${count(more, 'more brake')}: tidegate status`, RANK.alarm, 'red')] : []),
  ];
}

function brakeLines({ scope, actor, at, reason }: BrakeView, now: number, width: number): Line[] {
  const text = `BRAKE on ${scopeName(scope)}, set by ${actor} ${age(at, now)}: ${reason}`;
  return paragraph(text, '', width, RANK.alarm, 'red');
}

interface Section {
  rows: Row[];
  lines: Line[];
}

function sectionsOf(status: StatusReply, width: number): Section[] {
  const going = Map.groupBy(
    status.rollouts.filter((rollout) => rollout.endedAt === null),
    (rollout) => rollout.product,
  );
  return [...going].map(([name, rollouts]) => {
    const product = status.products.find((one) => one.name === name) ?? unknownProduct(name);
    return section(product, rollouts, status.now, width);
  });
}

/** A rollout of a product that the config does not name any more. */
function unknownProduct(name: string): ProductView {
  const source = { lastSuccessAt: null, nextPollAt: null, errorCode: null, error: null };
  const none = { newest: null, releases: 0, rejectedTags: 0, pending: [], rejected: [], versions: [], hold: null };
  return { name, repository: '', source, ...none };
}

function section(product: ProductView, rollouts: readonly RolloutView[], now: number, width: number): Section {
  const rows = laneRows(product, rollouts);
  const [heading = '', ...texts] = laneTable(rows, now, width);
  const lines = [
    line('', RANK.blank),
    line(titleOf(product.name, rollouts, now), RANK.title, 'bold'),
    ...productTrouble(product, now, width),
    // Whole: half a command is of no use.
    ...toDo(rollouts).flatMap((text) =>
      wrap(`do: ${text}`, width - 2, '  ').map((part) => line(`  ${part}`, RANK.toDo, 'yellow')),
    ),
    line(heading, RANK.heading, 'dim'),
    ...rows.flatMap((row, index) => [
      { ...rowLine(texts[index] ?? '', row), group: product.name, row },
      ...remarkLines(row, rows[index + 1], now, width).map((one) => ({ ...one, group: product.name })),
    ]),
    ...behindLines(rows, width),
  ];
  return { rows, lines };
}

function titleOf(product: string, rollouts: readonly RolloutView[], now: number): string {
  const [only, ...others] = rollouts;
  if (only !== undefined && others.length === 0) {
    return `${product} ${only.version}: ${only.state}, policy ${only.policy}, begun ${age(only.createdAt, now)}`;
  }
  return `${product}: ${rollouts.map(({ version, state }) => `${version} ${state}`).join(', ')}`;
}

/** The source cannot be read, newcomers are not brought to the baseline, a newer release cannot go out. */
function productTrouble({ source, baselines, pending }: ProductView, now: number, width: number): Line[] {
  const next = source.nextPollAt === null ? '' : `; next poll ${age(source.nextPollAt, now)}`;
  const polling = source.errorCode === null ? [] : [`polling fails: ${source.error ?? source.errorCode}${next}`];
  const stopped = (baselines ?? []).filter(({ state }) => state === 'halted');
  const regions = stopped.map(({ region, version }) => `${region} (${version})`).join(', ');
  const [release] = pending;
  return [
    ...polling.flatMap((text) => paragraph(text, '  ', width, RANK.alarm, 'yellow')),
    ...(stopped.length === 0
      ? []
      : paragraph(
          `newcomers are not brought to the baseline, it is halted: ${regions}`,
          '  ',
          width,
          RANK.trouble,
          'red',
        )),
    ...(release === undefined ? [] : paragraph(troubleOf(release), '  ', width, RANK.release, 'yellow')),
  ];
}

function rowLine(text: string, { kind, shown }: Row): Line {
  const colour = colourOf(shown?.lane.state ?? '');
  return line(text, RANK[kind], kind === 'trouble' && colour !== 'red' ? 'yellow' : colour);
}

const REMARK_RANK: Record<RowKind, number> = {
  trouble: RANK.trouble,
  going: RANK.remark,
  waiting: RANK.more,
  done: RANK.done,
  idle: RANK.idle,
};

/** Neighbours that are held for the same share one remark, below the last of them. */
function remarkLines({ shown, kind }: Row, next: Row | undefined, now: number, width: number): Line[] {
  if (shown === null) return [];
  const remark = remarkOf(shown.lane, now);
  if (remark === '' || (next?.shown && next.kind === kind && remarkOf(next.shown.lane, now) === remark)) return [];
  const stopped = kind === 'trouble' && colourOf(shown.lane.state) === 'red';
  return paragraph(remark, '      ', width, REMARK_RANK[kind], stopped ? 'red' : kind === 'trouble' ? 'yellow' : 'dim');
}

/** One line for each rollout and state that is hidden behind what the rows show. */
function behindLines(rows: readonly Row[], width: number): Line[] {
  const entries = rows.flatMap(({ behind }) => behind);
  const groups = Map.groupBy(entries, ({ rollout, lane }) => `${rollout.version} is ${lane.state}`);
  return [...groups].flatMap(([what, list]) => {
    const regions = list.map(({ lane }) => lane.region).join(', ');
    const halted = list[0]?.lane.state === 'halted';
    const [first = ''] = wrap(`behind: ${what} in ${regions}`, width - 2);
    const text = first.endsWith(regions) ? first : `behind: ${what} in ${count(list.length, 'region')}`;
    return [line(`  ${text}`, halted ? RANK.trouble : RANK.behind, halted ? 'red' : 'dim')];
  });
}

function idleLines({ products, rollouts, now }: StatusReply, width: number): Line[] {
  const going = new Set(rollouts.filter((rollout) => rollout.endedAt === null).map((rollout) => rollout.product));
  return products
    .filter((product) => !going.has(product.name))
    .flatMap((product, index) => [
      ...(index === 0 ? [line('', RANK.blank)] : []),
      line(`${product.name}: nothing goes on, ${standing(product)}`, RANK.idleProduct),
      ...productTrouble(product, now, width),
      ...holdLines(product, now, width),
    ]);
}

function holdLines({ hold }: ProductView, now: number, width: number): Line[] {
  if (hold === null) return [];
  const until = hold.until === null ? '' : `, ${when(hold.until, now)}`;
  return paragraph(
    `held ${duration(now - hold.since)}${until}: ${hold.sentence}`,
    '  ',
    width,
    RANK.idleProduct,
    'dim',
  );
}

/** `baseline 1.1.0 (eu, us), 1.0.0 (ap)`; without one, how many agents run what. */
function standing({ baselines, versions, newest }: ProductView): string {
  const byVersion = Map.groupBy(baselines ?? [], ({ version }) => version);
  const parts = [...byVersion].map(([version, list]) => `${version} (${list.map(({ region }) => region).join(', ')})`);
  if (parts.length > 0) return `baseline ${parts.join(', ')}`;
  const agents = versions.reduce((sum, one) => sum + one.agents, 0);
  return `no baseline, ${count(agents, 'agent')}, newest release ${newest ?? 'none'}`;
}

const ENDED_SHOWN = 3;

function endedLines({ rollouts, now }: StatusReply): Line[] {
  const ended = rollouts.filter((rollout) => rollout.endedAt !== null);
  const last = ended.toSorted((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0)).slice(0, ENDED_SHOWN);
  return last.flatMap(({ product, version, state, endedAt }, index) => [
    ...(index === 0 ? [line('', RANK.blank)] : []),
    line(`${product} ${version}: ${state}, ended ${age(endedAt, now)}`, RANK.ended, 'dim'),
  ]);
}

function noteOf(product: string, left: readonly Row[]): Line {
  return line(`  and ${tally(left)} (${product})`, RANK.trouble, 'dim');
}
