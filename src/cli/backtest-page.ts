// A back-test as a page: how the rollouts came out, how far behind each region was, release line by release line.
import type { BacktestReply } from '../protocol/rehearsal.ts';
import { count, duration, table, wrap } from './render.ts';
import type { Terminal } from './terminal.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;
type Rollout = BacktestReply['rollouts'][number];

const MAX_LINES = 25;
const MAX_ROLLOUTS = 15;

export function backtestPage(reply: BacktestReply, style: Style): string[] {
  return [
    ...wrap(titleOf(reply), style.width).map((line) => style.paint('bold', line)),
    ...factsOf(reply).flatMap((fact) => wrap(fact, style.width - 2, '  ').map((line) => `  ${line}`)),
    ...section(regionRows(reply), reply.regions.length, style),
    ...section(lineRows(reply), MAX_LINES, style),
    ...section(rolloutRows(reply), MAX_ROLLOUTS, style),
    '',
    style.paint('dim', 'Taken for granted:'),
    ...reply.assumptions.flatMap((one) => wrap(`${one}.`, style.width - 2, '  ').map((line) => `  ${line}`)),
  ];
}

function titleOf({ product, from, to, first, releases, rollouts }: BacktestReply): string {
  if (first === null) return `${product}: no release of it could have gone out`;
  const time = `${day(from)} to ${day(to)}`;
  return `${product}, ${time}: ${count(releases, 'release')} above ${first}, ${count(rollouts.length, 'rollout')}`;
}

function factsOf({ releases, rollouts, stoppedBy, first }: BacktestReply): string[] {
  if (first === null) return [];
  const number = (outcome: string) => rollouts.filter((one) => one.outcome === outcome).length;
  const approvalMs = rollouts.reduce((sum, one) => sum + one.approvalMs, 0);
  const waiting = rollouts.reduce((sum, one) => sum + one.waitingForApproval, 0);
  const ends = [
    `${number('completed')} completed everywhere`,
    `${number('superseded')} superseded in some region`,
    `${number('starved')} starved (superseded everywhere before a step opened)`,
    `${number('going') + number('halted')} not over at the end`,
  ];
  const never = releases - rollouts.length;
  return [
    `Rollouts: ${ends.join(', ')}.`,
    ...(never > 0 ? [`${count(never, 'release')} never had one: something higher was there first.`] : []),
    approvalMs === 0 && waiting === 0
      ? 'No region waited for a person.'
      : `Regions waited for a person for ${duration(approvalMs)} in all; ${waiting} still ${waiting === 1 ? 'does' : 'do'} at the end.`,
    ...(stoppedBy === 'work' ? ['The history is longer than one run may take: the end of it was not played.'] : []),
  ];
}

function regionRows({ regions }: BacktestReply): string[][] {
  const heads = ['REGION', 'RUNS', 'DONE', 'SKIPPED', 'BEHIND', 'AT MOST', 'AT END', 'LEAD', 'AT MOST'];
  const rows = regions.map(({ region, version, completed, skipped, behind, lead }) => [
    region,
    version,
    String(completed),
    String(skipped),
    days(behind.medianMs),
    days(behind.maxMs),
    days(behind.endMs),
    lead === null ? '-' : days(lead.medianMs),
    lead === null ? '-' : days(lead.maxMs),
  ]);
  return rows.length === 0 ? [] : [heads, ...rows];
}

function lineRows({ lines }: BacktestReply): string[][] {
  const heads = ['LINE', 'RELEASES', 'ROLLOUTS', 'COMPLETED', 'SUPERSEDED', 'STARVED', 'GOING'];
  const rows = lines
    .toReversed()
    .map((one) => [
      one.line,
      ...[one.releases, one.rollouts, one.completed, one.superseded, one.starved, one.going].map(String),
    ]);
  return rows.length === 0 ? [] : [heads, ...rows];
}

function rolloutRows({ rollouts }: BacktestReply): string[][] {
  const heads = ['VERSION', 'PUBLISHED', 'CREATED', 'TOOK', 'REGIONS', 'OUTCOME'];
  const rows = rollouts
    .toReversed()
    .map((one) => [
      one.version,
      day(one.publishedAt),
      day(one.createdAt),
      one.endedAt === null ? '-' : duration(one.endedAt - one.createdAt),
      `${one.regions.completed} of ${regionsOf(one)}`,
      one.waitingForApproval > 0 ? `${one.outcome}, waits for a person` : one.outcome,
    ]);
  return rows.length === 0 ? [] : [heads, ...rows];
}

function regionsOf({ regions }: Rollout): number {
  return regions.completed + regions.superseded + regions.starved + regions.going;
}

function section(rows: readonly string[][], limit: number, style: Style): string[] {
  if (rows.length === 0) return [];
  const [heading = '', ...lines] = table(rows.slice(0, limit + 1), style.width);
  const more = rows.length - 1 - limit;
  return ['', style.paint('dim', heading), ...lines, ...(more > 0 ? [`  and ${more} more: --json`] : [])];
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Hours where it is less than two days. */
function days(ms: number): string {
  if (ms < 1000) return '0';
  return ms < 172_800_000 ? duration(ms) : `${Math.round(ms / 86_400_000)}d`;
}
