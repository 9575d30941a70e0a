// The real tag histories of three repositories: what is highest, what a range picks on a day, and the kinds of jump.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Channel, highestOn, historyOf } from '../../src/domain/history.ts';
import { isUsable, type Release } from '../../src/domain/release.ts';
import type { Jump } from '../../src/domain/version/scheme.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import type { TrackedProduct } from '../../src/tracker/assets.ts';
import { ALLOY, ELASTIC, readReal, SSM } from '../support/real-releases.ts';

const READ = new Map([SSM, ALLOY, ELASTIC].map((product) => [product, readReal(product).releases]));

function releasesOf(product: TrackedProduct): Release[] {
  return READ.get(product) ?? [];
}

function filterOf(product: TrackedProduct, channel: Channel, range: string | null, day: string | null) {
  return { channel, day, range: range === null ? undefined : schemeOf(product.scheme).range(range) };
}

type Highest = [
  product: TrackedProduct,
  channel: Channel,
  range: string | null,
  day: string | null,
  expected: string | undefined,
];

const HIGHEST: Highest[] = [
  // Text order says 3.3.987.0.
  [SSM, false, null, null, '3.3.1142.0'],
  [SSM, false, '~3.2', null, '3.2.2303.0'],
  [SSM, false, '<3', null, '2.3.1644.0'],
  // Published on one day; a patch of the older line came after the first of the newer.
  [SSM, false, null, '2024-03-04', '3.3.40.0'],
  [SSM, false, null, '2024-03-05', '3.3.131.0'],
  [SSM, false, '^3.0 <3.1', '2021-10-18', '3.0.1390.0'],
  [SSM, false, '^3.0 <3.1', '2021-10-19', '3.0.1479.0'],
  // 2.0.755.0 stands under two tags: that version is refused, the one before it is not.
  [SSM, false, '<=2.0.755.0', null, '2.0.730.0'],
  [SSM, false, '2.0.755.0', null, undefined],
  [SSM, false, null, '2016-04-13', undefined],
  // 13:49 in Los Angeles is 20:49 UTC, still that day.
  [SSM, false, null, '2016-04-14', '1.1.145.0'],
  [ALLOY, false, null, null, '1.18.1'],
  [ALLOY, true, null, null, '1.19.0-rc.3'],
  [ALLOY, ['rc'], null, null, '1.19.0-rc.3'],
  [ALLOY, ['beta'], null, null, '1.18.1'],
  [ALLOY, ['rc'], '>=1.4 <3', null, '1.19.0-rc.3'],
  [ALLOY, ['rc'], '<1.19.0', null, '1.18.1'],
  [ALLOY, false, null, '2024-09-25', '1.4.0'],
  // 1.3.4 came after 1.4.0.
  [ALLOY, false, '~1.3', '2024-09-25', '1.3.3'],
  [ALLOY, false, '~1.3', '2024-09-26', '1.3.4'],
  [ALLOY, ['rc'], null, '2024-09-20', '1.4.0-rc.3'],
  [ALLOY, false, null, '2024-09-20', '1.3.1'],
  [ELASTIC, false, null, null, '9.5.2'],
  [ELASTIC, false, '^8', null, '8.19.20'],
  // Four lines on one day.
  [ELASTIC, false, null, '2025-08-05', '9.1.1'],
  [ELASTIC, false, '^8', '2025-08-05', '8.19.1'],
  [ELASTIC, false, '~8.18', '2025-08-05', '8.18.5'],
  [ELASTIC, false, '~9.0', '2025-08-05', '9.0.5'],
  [ELASTIC, false, '~8.17', '2025-08-05', '8.17.9'],
  [ELASTIC, false, null, '2025-08-04', '9.1.0'],
  [ELASTIC, false, '^8', '2025-08-04', '8.19.0'],
  [ELASTIC, false, '~8.18', '2025-08-04', '8.18.4'],
  [ELASTIC, false, '~9.0', '2025-08-04', '9.0.4'],
  [ELASTIC, false, '>=9.2', '2025-08-05', undefined],
  // Both lines on one day: the major one only where it is let in.
  [ELASTIC, false, null, '2025-04-09', '9.0.0'],
  [ELASTIC, false, '<9', '2025-04-09', '8.18.0'],
  [ELASTIC, true, null, '2025-03-20', '9.0.0-rc1'],
  [ELASTIC, ['rc1'], null, '2025-03-20', '9.0.0-rc1'],
  [ELASTIC, ['rc'], null, '2025-03-20', '9.0.0-rc1'],
  [ELASTIC, ['beta1'], null, '2025-03-20', '9.0.0-beta1'],
  [ELASTIC, false, null, '2025-03-20', '8.17.4'],
];

for (const [product, channel, range, day, expected] of HIGHEST) {
  const asked = JSON.stringify({ channel, range, day });
  test(`highestOn(${product.name}, ${asked}) is ${expected}`, () => {
    assert.equal(highestOn(releasesOf(product), product, filterOf(product, channel, range, day))?.version, expected);
  });
}

test('highestOn passes over what is vetoed, withdrawn or altered', () => {
  const filter = filterOf(ALLOY, false, null, null);
  assert.equal(highestOn(releasesOf(ALLOY), ALLOY, filter, ['1.18.1', '1.18.0'])?.version, '1.17.1');
  for (const state of ['withdrawn', 'altered', 'refused'] as const) {
    const releases = releasesOf(ALLOY).map((one) => (one.version === '1.18.1' ? { ...one, state } : one));
    assert.equal(highestOn(releases, ALLOY, filter)?.version, '1.18.0', state);
  }
});

const JUMPS: [product: TrackedProduct, channel: Channel, version: string, from: string | null, jump: Jump | null][] = [
  [SSM, false, '3.3.1142.0', '3.3.987.0', 'patch'],
  [SSM, false, '3.3.40.0', '3.2.2303.0', 'minor'],
  [SSM, false, '3.0.151.0', '2.3.1644.0', 'major'],
  [SSM, false, '2.0.767.0', '2.0.755.0', 'patch'],
  [SSM, false, '2.0.755.0', '2.0.730.0', 'patch'],
  [SSM, false, '1.1.145.0', null, null],
  [ALLOY, false, '1.18.1', '1.18.0', 'patch'],
  [ALLOY, false, '1.18.0', '1.17.1', 'minor'],
  [ALLOY, true, '1.18.0', '1.17.1', 'minor'],
  [ALLOY, true, '1.18.0-rc.0', '1.17.1', 'prerelease'],
  [ALLOY, true, '1.19.0-rc.3', '1.19.0-rc.2', 'prerelease'],
  [ALLOY, ['rc'], '1.19.0-rc.0', '1.18.1', 'prerelease'],
  [ELASTIC, false, '9.0.0', '8.19.20', 'major'],
  [ELASTIC, false, '9.1.0', '9.0.8', 'minor'],
  [ELASTIC, true, '9.0.0-beta1', '8.19.20', 'prerelease'],
  [ELASTIC, true, '9.0.0', '8.19.20', 'major'],
  [ELASTIC, false, '8.18.5', '8.18.4', 'patch'],
];

for (const [product, channel, version, from, jump] of JUMPS) {
  test(`historyOf(${product.name}, ${JSON.stringify(channel)}): ${version} is ${jump} of ${from}`, () => {
    const rows = historyOf(releasesOf(product), product, filterOf(product, channel, null, null));
    const row = rows.find(({ release }) => release.version === version);
    assert.deepEqual([row?.from, row?.jump], [from, jump]);
  });
}

test('historyOf says the jump from what was there, whether or not the range picks that', () => {
  const rows = historyOf(releasesOf(ELASTIC), ELASTIC, filterOf(ELASTIC, false, '>=9', '2025-04-09'));
  assert.deepEqual(
    rows.map(({ release, from, jump }) => [release.version, from, jump]),
    [['9.0.0', '8.18.0', 'major']],
  );
});

const COUNTS: [product: TrackedProduct, channel: Channel, rows: number][] = [
  [SSM, false, 182],
  [ALLOY, false, 57],
  [ALLOY, ['rc'], 115],
  [ALLOY, true, 115],
  [ELASTIC, false, 150],
  [ELASTIC, true, 152],
];

for (const [product, channel, count] of COUNTS) {
  test(`historyOf(${product.name}, ${JSON.stringify(channel)}) has ${count} rows, highest first`, () => {
    const rows = historyOf(releasesOf(product), product, filterOf(product, channel, null, null));
    assert.equal(rows.length, count);
    const scheme = schemeOf(product.scheme);
    rows.reduce((above, row) => {
      assert.ok(scheme.compare(above.release.version, row.release.version) >= 0, row.release.version);
      return row;
    });
  });
}

test('historyOf leaves out what was read by another scheme', () => {
  const rows = historyOf(releasesOf(ALLOY), { scheme: 'numeric' }, { channel: true, range: undefined, day: null });
  assert.equal(rows.length, 57);
});

test('no release without files is usable', () => {
  for (const product of [SSM, ALLOY, ELASTIC]) {
    for (const release of releasesOf(product)) {
      assert.equal(isUsable(release), false);
      const doubled = release.version === '2.0.755.0' && product === SSM;
      assert.equal(release.state, doubled ? 'refused' : 'pending');
      if (!doubled) assert.equal(release.why, 'no_assets: the release has no assets yet');
    }
  }
});
