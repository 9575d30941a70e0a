// Laws of a product's history on random releases: the order, the jumps, the highest on a day, and doubled versions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInChannel } from '../../src/domain/choose.ts';
import {
  type Channel,
  type HistoryFilter,
  highestOn,
  historyOf,
  ownFilter,
  rangeOf,
  unknownNames,
} from '../../src/domain/history.ts';
import { refusedVersions } from '../../src/domain/refused.ts';
import { type Release, troubleOf } from '../../src/domain/release.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import fc, { drawsFixed } from '../support/fast-check.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';

const RUNS = { numRuns: 300 };
const DAY = 86_400_000;
const PRODUCT = { scheme: 'semver' } as const;
const { compare, jump, parse } = schemeOf('semver');
const MARKS = ['', '', '', '-rc.1', '-rc2', '-beta', '-beta.2'];

const releases: fc.Arbitrary<Release[]> = fc
  .uniqueArray(
    fc.record({
      parts: fc.tuple(fc.nat(1), fc.nat(1), fc.nat(1)),
      mark: fc.constantFrom(...MARKS),
      // One version in two under tags that differ only there.
      tag: fc.constantFrom('v', 'release-'),
      day: fc.nat(4),
      state: fc.constantFrom('complete', 'pending', 'withdrawn', 'altered', 'refused') as fc.Arbitrary<
        Release['state']
      >,
      // Read by another scheme, before the config changed.
      isForeign: fc.nat(9).map((one) => one === 9),
    }),
    { minLength: 1, maxLength: 9, size: 'max', selector: ({ tag, parts, mark }) => `${tag}${parts}${mark}` },
  )
  .map((all) =>
    all.map(({ parts, mark, tag, day, state, isForeign }) => {
      const version = `${parts.join('.')}${mark}`;
      const overrides = { tag: `${tag}${version}`, state, publishedAt: START + day * DAY + 3_600_000 };
      return testRelease(version, isForeign ? { ...overrides, version: `${version.replaceAll('.', '_')}` } : overrides);
    }),
  );
const channels: fc.Arbitrary<Channel> = fc.oneof(
  fc.boolean(),
  fc.subarray(['rc', 'rc2', 'beta', 'nightly']).map((names) => [...names]),
);
const filters: fc.Arbitrary<HistoryFilter> = fc.record({
  channel: channels,
  range: fc.constantFrom(null, null, '>=0.1.0', '~1.1', '<1.2.0-0').map((text) => rangeOf(PRODUCT, text)),
  day: fc
    .option(fc.nat(4))
    .map((day) => (day === null ? null : new Date(START + day * DAY).toISOString().slice(0, 10))),
});

/** Of the channel and the day, in words of its own. */
function isListed({ version, prerelease, publishedAt }: Release, { channel, day }: HistoryFilter): boolean {
  if (parse(version) === undefined) return false;
  if (day !== null && new Date(publishedAt).toISOString().slice(0, 10) > day) return false;
  if (!prerelease || typeof channel === 'boolean') return !prerelease || channel === true;
  const name = version.slice(version.indexOf('-') + 1).split('.')[0] as string;
  return channel.some((one) => one === name || (name.startsWith(one) && /^\d+$/.test(name.slice(one.length))));
}

test('historyOf: each release of the filter once, highest first, and its jump is from the nearest that is lower', () => {
  fc.assert(
    fc.property(releases, filters, (all, filter) => {
      const rows = historyOf(all, PRODUCT, filter);
      const listed = all.filter((one) => isListed(one, filter));
      const wanted = listed.filter(({ version }) => filter.range?.includes(version) ?? true);
      assert.deepEqual(new Set(rows.map(({ release }) => release)), new Set(wanted));
      assert.equal(rows.length, wanted.length);
      for (const [index, { release, from, jump: kind }] of rows.entries()) {
        const below = rows[index + 1]?.release;
        if (below !== undefined) assert(compare(release.version, below.version) >= 0);
        const lower = listed
          .filter((one) => compare(one.version, release.version) < 0 && (release.prerelease || !one.prerelease))
          .map(({ version }) => version);
        const nearest = lower.find((one) => lower.every((other) => compare(one, other) >= 0)) ?? null;
        assert.equal(from === null ? null : compare(from, nearest as string), nearest === null ? null : 0);
        assert.equal(kind, from === null ? null : jump(from, release.version));
      }
      assert.deepEqual(historyOf(all.toReversed(), PRODUCT, filter), rows, 'whatever the order they come in');
    }),
    RUNS,
  );
});

test('highestOn: none of the filter is higher, and without it the next one is not higher', () => {
  let chosen = 0;
  fc.assert(
    fc.property(releases, filters, fc.nat(8), (all, filter, vetoedOne) => {
      const vetoed = all.slice(vetoedOne, vetoedOne + 1).map(({ version }) => version);
      const free = all.filter(
        (one) =>
          isListed(one, filter) &&
          troubleOf(one) === undefined &&
          (filter.range?.includes(one.version) ?? true) &&
          !vetoed.includes(one.version),
      );
      const found = highestOn(all, PRODUCT, filter, vetoed);
      assert.equal(found === undefined, free.length === 0);
      if (found === undefined) return;
      chosen += 1;
      assert(free.includes(found) && free.every(({ version }) => compare(found.version, version) >= 0));
      const next = highestOn(all, PRODUCT, filter, [...vetoed, found.version]);
      if (next !== undefined) assert(compare(next.version, found.version) < 0);
    }),
    RUNS,
  );
  assert(chosen > 100 || !drawsFixed, String(chosen));
});

test('ownFilter and rangeOf: what the product accepts, and everything for what is no range', () => {
  fc.assert(
    fc.property(releases, channels, fc.constantFrom(null, '>=1.0.0', 'no range'), (all, prereleases, accept) => {
      const product = rules(testPolicy(), { prereleases, accept });
      const { channel, day, range } = ownFilter(product);
      assert.deepEqual([channel, day], [prereleases, null]);
      for (const { version } of all.filter((one) => parse(one.version) !== undefined)) {
        const isIn = accept !== '>=1.0.0' || compare(version, '1.0.0') >= 0;
        assert.equal(range?.includes(version) ?? true, isIn, version);
      }
    }),
    RUNS,
  );
});

test('unknownNames: a name is unknown exactly where letting it in lets nothing in, and whatever is known lets something in', () => {
  fc.assert(
    fc.property(releases, channels, (all, channel) => {
      const found = unknownNames(all, channel);
      const names = typeof channel === 'boolean' ? [] : channel;
      const letsIn = (name: string) => all.some((one) => one.prerelease && isInChannel(one, [name]));
      assert.deepEqual(
        found?.names ?? [],
        names.filter((name) => !letsIn(name)),
      );
      for (const name of found?.known ?? []) assert(letsIn(name), name);
      assert.equal(isInChannel(testRelease('1.0.0'), channel), true);
    }),
    RUNS,
  );
});

test('refusedVersions: every refused tag stands in one row, with those of its version and no others', () => {
  fc.assert(
    fc.property(releases, (all) => {
      const rows = refusedVersions(all);
      const refused = all.filter(({ state }) => state === 'refused');
      assert.deepEqual(rows.flatMap(({ tags }) => tags).toSorted(), refused.map(({ tag }) => tag).toSorted());
      const keyOf = (tag: string) => refused.find((one) => one.tag === tag)?.sortKey;
      for (const { version, tags } of rows) {
        assert.equal(new Set(tags.map(keyOf)).size, 1);
        assert(refused.some((one) => one.version === version && tags.includes(one.tag)));
        assert.deepEqual(tags, tags.toSorted());
      }
      assert.equal(new Set(rows.map(({ tags }) => keyOf(tags[0] as string))).size, rows.length);
    }),
    RUNS,
  );
});
