// Where releases can be had, as lines of text: a block for each release, a row for each region and platform.
import type { AvailabilityReply, AvailabilityView } from '../protocol/operator.ts';
import { age, duration, wrap } from './render.ts';
import type { Colour, Terminal } from './terminal.ts';
import { textRows } from './text-rows.ts';

type Style = Pick<Terminal, 'width' | 'paint'>;

const HEAD = { cells: ['REGION', 'PLATFORM', 'STATUS', 'FOR', 'ASKED'], text: 'WHY' };

/** `regions`: those to show, in the order of the config. */
export function availabilityPage(reply: AvailabilityReply, regions: readonly string[], style: Style): string[] {
  const { availability, now, more } = reply;
  if (availability.length === 0) return wrap('nothing is known yet: no release has been looked for there', style.width);
  const releases = [...Map.groupBy(availability, ({ product, version }) => `${product} ${version}`)];
  const blocks = releases.map(([title, rows]) => releaseLines(title, filled(rows, regions), now, style));
  const end = more ? ['', ...wrap('there is more: name a release with --product and --version', style.width)] : [];
  return [...blocks.flatMap((lines, index) => (index === 0 ? lines : ['', ...lines])), ...end];
}

type Row = Omit<AvailabilityView, 'since' | 'checkedAt' | 'askedAt'> & {
  since: number | null;
  checkedAt: number | null;
  askedAt?: number | null;
};

/** Every region with every platform of the release: where no row is, nobody has looked, which is unknown and not absent. */
function filled(rows: readonly AvailabilityView[], regions: readonly string[]): Row[] {
  const platforms = [...new Set(rows.map(({ platform }) => platform))].sort();
  const [{ product = '', version = '' } = {}] = rows;
  const others = [...new Set(rows.map(({ region }) => region))].filter((region) => !regions.includes(region));
  return [...regions, ...others].flatMap((region) =>
    platforms.map(
      (platform): Row =>
        rows.find((row) => row.region === region && row.platform === platform) ?? {
          ...{ product, version, region, platform },
          ...{ status: 'unknown', why: 'not looked for yet', since: null, checkedAt: null },
        },
    ),
  );
}

const COLOURS: Record<string, Colour> = { available: 'green', absent: 'red' };

function releaseLines(title: string, rows: readonly Row[], now: number, style: Style): string[] {
  const lines = rows.map(({ region, platform, status, since, checkedAt, askedAt, why }) => ({
    cells: [
      region,
      platform,
      status,
      since === null ? '' : duration(now - since),
      // A server that does not say when it asked says when it wrote.
      askedAt === undefined && checkedAt !== null ? age(checkedAt, now) : askedAt == null ? '' : age(askedAt, now),
    ],
    text: why + writtenPart(checkedAt, askedAt, now),
  }));
  const [head = [], ...body] = textRows([HEAD, ...lines], style.width);
  return [
    ...wrap(`${title}: ${tally(rows)}`, style.width, '  ').map((line) => style.paint('bold', line)),
    ...head,
    ...body.flatMap((row, index) =>
      row.map((line) => style.paint(COLOURS[rows[index]?.status ?? ''] ?? 'yellow', line)),
    ),
  ];
}

/** When the answer was written down, where that is not when the mirror was asked last. */
function writtenPart(checkedAt: number | null, askedAt: number | null | undefined, now: number): string {
  if (askedAt === undefined || checkedAt === null || (askedAt !== null && askedAt - checkedAt < 1000)) return '';
  return `; written ${age(checkedAt, now)}`;
}

/** `available in 2 of 3 regions`, or of places where a release has several platforms; what is wrong is counted. */
function tally(rows: readonly Row[]): string {
  const of = (status: string) => rows.filter((row) => row.status === status).length;
  const platforms = new Set(rows.map(({ platform }) => platform)).size;
  const places = platforms > 1 ? 'regions and platforms' : rows.length === 1 ? 'region' : 'regions';
  const others = (['absent', 'unknown'] as const).flatMap((status) =>
    of(status) === 0 ? [] : [`${status} in ${of(status)}`],
  );
  return [`available in ${of('available')} of ${rows.length} ${places}`, ...others].join(', ');
}
