// The `semver` scheme: versions and, for releases, ranges exactly as npm reads them in strict mode; nothing is coerced.
import semver from 'semver';
import { assert } from '../../errors.ts';
import type { Jump, Range, Scheme, Version } from './scheme.ts';
import { MAX_RANGE_LENGTH, MAX_VERSION_LENGTH, numberKey } from './sort-key.ts';

/**
 * SemVer 2.0.0 by npm's `semver`. Two things are refused that npm takes: text around the version (`v1.2.3`, `=1.2.3`,
 * blanks), because tags are cut before and one version must have one text; and numeric prerelease identifiers above
 * 2^53−1, because npm compares those inexactly.
 */
export const semverScheme: Scheme = { name: 'semver', parse, compare, jump, range };

function parse(text: string): Version | undefined {
  const parsed = read(text);
  if (parsed === undefined) return undefined;
  return { text, prerelease: parsed.prerelease.length > 0, sortKey: sortKey(parsed) };
}

function compare(a: string, b: string): number {
  return semver.compare(must(a), must(b));
}

function jump(from: string, to: string): Jump {
  const [a, b] = [must(from), must(to)];
  const order = semver.compare(a, b);
  if (order > 0) return 'downgrade';
  if (order === 0) return 'none';
  if (b.prerelease.length > 0) return 'prerelease';
  if (a.major !== b.major) return 'major';
  // From a prerelease to its own release the three numbers are equal: nothing is promised beyond a patch.
  return a.minor === b.minor ? 'patch' : 'minor';
}

/**
 * Releases are inside where npm says so. Which prereleases go out says the product's channel, so here they only have
 * their place in the order: as npm reads `includePrerelease`, but `<3.0.0` ends before the prereleases of 3.0.0, as `<3`
 * does, unless the range names one of them: then npm's own reading counts.
 */
function range(text: string): Range | undefined {
  if (text.length > MAX_RANGE_LENGTH || text.trim() === '' || semver.validRange(text) === null) return undefined;
  const named = new semver.Range(text);
  const ordered = new semver.Range(text, { includePrerelease: true });
  const includes = (version: semver.SemVer) => named.test(version) || isBetween(ordered, version);
  if (!canHold(ordered, includes)) return undefined;
  return { text, includes: (version) => includes(must(version)) };
}

function isBetween({ set }: semver.Range, version: semver.SemVer): boolean {
  return set.some((bounds) => bounds.every((bound) => bound.test(version) && !isJustBefore(version, bound)));
}

/** A prerelease of the very release that the range ends before. */
function isJustBefore(version: semver.SemVer, { operator, semver: end }: semver.Comparator): boolean {
  if (operator !== '<' || !(end instanceof semver.SemVer) || end.prerelease.length > 0) return false;
  return version.prerelease.length > 0 && version.compareMain(end) === 0;
}

function read(text: string): semver.SemVer | undefined {
  if (text.length > MAX_VERSION_LENGTH) return undefined;
  const parsed = semver.parse(text);
  if (parsed === null) return undefined;
  const printed = parsed.build.length > 0 ? `${parsed.version}+${parsed.build.join('.')}` : parsed.version;
  if (printed !== text) return undefined;
  return parsed.prerelease.every((part) => !/^\d+$/.test(String(part)) || Number(part) <= Number.MAX_SAFE_INTEGER)
    ? parsed
    : undefined;
}

function must(text: string): semver.SemVer {
  const parsed = read(text);
  assert(parsed !== undefined, `not a semver version: ${JSON.stringify(text.slice(0, MAX_VERSION_LENGTH))}`);
  return parsed;
}

/**
 * Three numbers, then `9` for a release, or for a prerelease its identifiers (`1` number, `2` text in hex closed by `0`)
 * closed by `0`. So a prerelease is below its release, numbers below texts, and fewer identifiers below more.
 */
function sortKey(version: semver.SemVer): string {
  const numbers = [version.major, version.minor, version.patch].map(numberKey).join('');
  if (version.prerelease.length === 0) return `${numbers}9`;
  const identifiers = version.prerelease.map(String).map((part) => {
    return /^\d+$/.test(part) ? `1${numberKey(Number(part))}` : `2${hex(part)}0`;
  });
  return `${numbers}${identifiers.join('')}0`;
}

function hex(ascii: string): string {
  return Array.from(ascii, (char) => char.charCodeAt(0).toString(16)).join('');
}

/**
 * False when no version can be in the range. If any can, then the lowest release or the lowest prerelease of a named
 * tuple above one of the bounds can, and these are all tried. (npm's own `minVersion` gives up on `>=2 <1 || >=5`.)
 */
function canHold({ set }: semver.Range, includes: (version: semver.SemVer) => boolean): boolean {
  const bounds = set.flat().flatMap((one) => (one.semver instanceof semver.SemVer ? [one.semver] : []));
  const candidates = bounds.flatMap(({ version, major, minor, patch, prerelease }) => [
    version,
    `${major}.${minor}.${patch}`,
    `${major}.${minor}.${patch + 1}`,
    `${major}.${minor}.${patch}-0`,
    ...(prerelease.length > 0 ? [`${version}.0`] : []),
  ]);
  return ['0.0.0', ...candidates].some((candidate) => includes(new semver.SemVer(candidate)));
}
