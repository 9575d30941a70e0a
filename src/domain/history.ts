// A product's releases in the order of their versions, the jumps between them, and the highest one at a given time.
import { identifierOf, isInChannel } from './choose.ts';
import { type Release, troubleOf } from './release.ts';
import type { ProductRules } from './snapshot.ts';
import type { Jump, Range } from './version/scheme.ts';
import { schemeOf } from './version/schemes.ts';

/** Stable releases alone (false), with every prerelease (true), or with those of these identifiers. */
export type Channel = ProductRules['prereleases'];

/** What is looked at of a release. */
export type Listed = Pick<Release, 'tag' | 'version' | 'prerelease' | 'publishedAt' | 'state' | 'why'>;

export interface HistoryRow<T extends Listed> {
  release: T;
  /** The next lower version of the channel; null for the lowest. Of a stable release, the next lower stable one. */
  from: string | null;
  /** From there to here; null without `from`. */
  jump: Jump | null;
}

export interface HistoryFilter {
  channel: Channel;
  /** Undefined: every version. */
  range: Range | undefined;
  /** `2025-08-05`: only what was published by the end of that day, UTC; null: until now. */
  day: string | null;
}

type ProductScheme = Pick<ProductRules, 'scheme'>;

/** Highest version first; of equal versions (one under two tags) by tag. Whatever the state is, and however complete. */
export function historyOf<T extends Listed>(
  releases: readonly T[],
  product: ProductScheme,
  filter: HistoryFilter,
): HistoryRow<T>[] {
  const { range } = filter;
  const all = inOrder(releases, product, filter);
  const rows = all.map((release, index) => ({ release, ...jumpTo(release, all.slice(index + 1), product) }));
  // A jump is from what was there before, whether or not the range would pick that.
  return rows.filter(({ release }) => range === undefined || range.includes(release.version));
}

/**
 * The release that the range picks on that day: the highest of the channel that was published by then, complete or not.
 * What is withdrawn, altered or refused today counts as never there, and so do the `vetoed` versions.
 */
export function highestOn<T extends Listed>(
  releases: readonly T[],
  product: ProductScheme,
  filter: HistoryFilter,
  vetoed: readonly string[] = [],
): T | undefined {
  const { range } = filter;
  return inOrder(releases, product, filter).find((release) => {
    if (troubleOf(release) !== undefined || vetoed.includes(release.version)) return false;
    return range === undefined || range.includes(release.version);
  });
}

/**
 * Names of the channel that no prerelease of the product has, and those that there are, without digits at their end;
 * null where all are found.
 */
export function unknownNames(
  releases: readonly Pick<Listed, 'version' | 'prerelease'>[],
  channel: Channel,
): { names: string[]; known: string[] } | null {
  if (typeof channel === 'boolean') return null;
  const prereleases = releases.filter(({ prerelease }) => prerelease);
  const names = channel.filter((name) => !prereleases.some((release) => isInChannel(release, [name])));
  if (names.length === 0) return null;
  const known = prereleases.flatMap(({ version }) => identifierOf(version)?.replace(/(?<=\D)\d+$/, '') ?? []);
  return { names, known: [...new Set(known)].toSorted() };
}

/** What the product itself picks now, by its `prereleases` and `accept`. */
export function ownFilter(product: Pick<ProductRules, 'scheme' | 'accept' | 'prereleases'>): HistoryFilter {
  return { channel: product.prereleases, range: rangeOf(product, product.accept), day: null };
}

/** Undefined for null, and for what is no range of the scheme. */
export function rangeOf({ scheme }: ProductScheme, text: string | null): Range | undefined {
  return text === null ? undefined : schemeOf(scheme).range(text);
}

/** Of the channel, published by then, and of this scheme: a version read before the config changed may be of another. */
function inOrder<T extends Listed>(
  releases: readonly T[],
  { scheme: name }: ProductScheme,
  { channel, day }: HistoryFilter,
): T[] {
  const scheme = schemeOf(name);
  return releases
    .filter((release) => scheme.parse(release.version) !== undefined)
    .filter((release) => isInChannel(release, channel) && isPublishedBy(release, day))
    .sort((a, b) => scheme.compare(b.version, a.version) || (a.tag < b.tag ? -1 : 1));
}

function jumpTo(
  { version, prerelease }: Listed,
  lower: readonly Listed[],
  { scheme: name }: ProductScheme,
): Pick<HistoryRow<Listed>, 'from' | 'jump'> {
  const scheme = schemeOf(name);
  const from = lower.find((one) => (prerelease || !one.prerelease) && scheme.compare(one.version, version) < 0);
  return from === undefined
    ? { from: null, jump: null }
    : { from: from.version, jump: scheme.jump(from.version, version) };
}

const DAY_MS = 86_400_000;

function isPublishedBy({ publishedAt }: Listed, day: string | null): boolean {
  return day === null || publishedAt < Date.parse(`${day}T00:00:00Z`) + DAY_MS;
}
