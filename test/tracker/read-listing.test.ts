// Tags, asset names, and the reconciliation of a listing with what is known: pure, in tables.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Release } from '../../src/domain/release.ts';
import { matchAssets, readTag, type TrackedProduct } from '../../src/tracker/assets.ts';
import { readListing } from '../../src/tracker/read-listing.ts';
import type { SourceAsset, SourceRelease } from '../../src/tracker/source.ts';
import { NOW, PRODUCT } from './world.ts';

const X64 = 'agent-1.2.0-linux-x64.tar.gz';
const ARM = 'agent-1.2.0-linux-arm64.tar.gz';

function asset(name: string, changes: Partial<SourceAsset> = {}): SourceAsset {
  return { id: `id of ${name}`, name, size: 100, state: 'uploaded', digest: 'a'.repeat(64), ...changes };
}

function upstream(tag: string, assets: SourceAsset[], changes: Partial<SourceRelease> = {}): SourceRelease {
  return {
    id: `id of ${tag}`,
    tag,
    draft: false,
    prerelease: false,
    publishedAt: NOW,
    targetCommitish: 'main',
    assets,
    ...changes,
  };
}

const BOTH = upstream('v1.2.0', [asset(X64), asset(ARM)]);

let lastId = 0;
function newId(): string {
  lastId += 1;
  return `release-${lastId}`;
}

function read(releases: SourceRelease[], known: Release[] = [], complete = true, product = PRODUCT) {
  return readListing(product, { releases, complete }, known, NOW + 1000, newId);
}

/** Reads one listing after the other; what the last one comes to. */
function after(...listings: SourceRelease[][]): Release[] {
  return listings.reduce<Release[]>((known, releases) => read(releases, known).releases, []);
}

const TAGS: [product: Partial<TrackedProduct>, tag: string, version: string | RegExp][] = [
  [{}, 'v1.2.0', '1.2.0'],
  [{}, '1.2.0', /^the tag does not fit “v\{version\}”$/],
  [{}, 'v1.2', /not a version of the scheme semver/],
  [{}, 'vv1.2.0', /not a version/],
  [{ tags: ['{version}'] }, '1.2.0', '1.2.0'],
  [{ tags: ['agent/v{version}'] }, 'agent/v1.2.0', '1.2.0'],
  [{ tags: ['agent/v{version}'] }, 'cli/v1.2.0', /does not fit/],
  [{ scheme: 'numeric', tags: ['{version}'] }, '3.3.1611.0', '3.3.1611.0'],
  [{ scheme: 'numeric', tags: ['{version}'] }, 'latest', /not a version of the scheme numeric/],
  [{ tags: ['v{version}', '{version}'] }, 'v1.2.0', '1.2.0'],
  [{ tags: ['v{version}', '{version}'] }, '1.2.0', '1.2.0'],
  [{ tags: ['v{version}', '{version}'] }, 'v1.2', /^“1\.2” is not a version of the scheme semver$/],
  [
    { tags: ['v{version}', 'helm-chart/{version}'] },
    'help',
    /does not fit “v\{version\}” or “helm-chart\/\{version\}”$/,
  ],
  [{ tags: ['v{version}', 'v{version}-lts'] }, 'v1.2.0-lts', '1.2.0-lts'],
  [{ tags: ['v{version}-lts', 'v{version}'] }, 'v1.2.0-lts', '1.2.0'],
  [{ tags: ['x{version}x'] }, 'x', /does not fit/],
  [{ tags: ['x{version}'] }, 'x', /^“” is not a version/],
];

for (const [change, tag, expected] of TAGS) {
  test(`readTag(${JSON.stringify(change)}, ${tag}) is ${expected}`, () => {
    const reading = readTag({ ...PRODUCT, ...change }, tag);
    if (typeof expected === 'string') assert.equal('version' in reading && reading.version.text, expected);
    else assert.match('why' in reading ? reading.why : '', expected);
  });
}

const ASSETS: [title: string, assets: SourceAsset[], expected: string][] = [
  ['none', [], 'no_assets'],
  ['others', [asset('README.md')], 'asset_missing'],
  ['the same name in other case', [asset(X64.toUpperCase())], 'asset_missing'],
  ['one that is being uploaded', [asset(X64, { state: 'open' })], 'asset_not_uploaded'],
  ['one with a broken upload', [asset(X64, { state: 'starter' })], 'asset_not_uploaded'],
  ['one of no bytes', [asset(X64, { size: 0 })], 'asset_empty'],
  ['one without a digest', [asset(X64, { digest: null })], 'asset_without_digest'],
  ['two of the name', [asset(X64), asset(X64, { id: '2' })], 'asset_ambiguous'],
  ['one of the name', [asset(ARM), asset(X64)], X64],
];

for (const [title, assets, expected] of ASSETS) {
  test(`matchAssets with ${title} is ${expected} for the platform`, () => {
    const reading = readTag(PRODUCT, 'v1.2.0');
    assert.ok('version' in reading);
    const { artifacts, missing } = matchAssets(PRODUCT, 'v1.2.0', reading, assets);
    const found = artifacts.find(({ platform }) => platform === 'linux-x64')?.name;
    assert.equal(found ?? missing.find(({ platform }) => platform === 'linux-x64')?.reason, expected);
  });
}

test('matchAssets puts tag and version into the name, a $ in them included', () => {
  const product = {
    ...PRODUCT,
    tags: ['r$&{version}'],
    artifacts: [{ platform: 'p', asset: '{tag}/{version}/{version}' }],
  };
  const reading = readTag(product, 'r$&1.2.0');
  assert.ok('version' in reading);
  const { artifacts } = matchAssets(product, 'r$&1.2.0', reading, [asset('r$&1.2.0/1.2.0/1.2.0')]);
  assert.equal(artifacts.length, 1);
});

test('readListing of a release with all assets is complete', () => {
  const [release] = read([BOTH]).releases;
  assert.ok(release);
  assert.deepEqual(
    { ...release, id: '', sortKey: '' },
    {
      id: '',
      product: 'agent',
      sourceId: 'id of v1.2.0',
      tag: 'v1.2.0',
      version: '1.2.0',
      sortKey: '',
      prerelease: false,
      state: 'complete',
      why: null,
      publishedAt: NOW,
      firstSeenAt: NOW + 1000,
      artifacts: [
        { platform: 'linux-x64', name: X64, size: 100, sha256: 'a'.repeat(64), assetId: `id of ${X64}` },
        { platform: 'linux-arm64', name: ARM, size: 100, sha256: 'a'.repeat(64), assetId: `id of ${ARM}` },
      ],
      missing: [],
    },
  );
});

test('readListing never reads drafts, and names the tags that are no versions', () => {
  const result = read([upstream('v9.0.0', [], { draft: true }), upstream('nightly', []), BOTH]);
  assert.deepEqual(
    result.releases.map((release) => release.version),
    ['1.2.0'],
  );
  assert.deepEqual(
    result.rejectedTags.map((rejected) => rejected.tag),
    ['nightly'],
  );
});

test('readListing counts a release without a time as published when it was first seen, later listings included', () => {
  const timeless = upstream('v1.2.0', [asset(X64)], { publishedAt: null });
  assert.equal(after([timeless])[0]?.publishedAt, NOW + 1000);
  assert.equal(
    readListing(PRODUCT, { releases: [timeless], complete: true }, after([timeless]), NOW + 9000, newId).releases[0]
      ?.publishedAt,
    NOW + 1000,
  );
});

const HISTORIES: [title: string, listings: SourceRelease[][], state: string, why: RegExp | null][] = [
  ['no assets', [[upstream('v1.2.0', [])]], 'pending', /^no_assets: the release has no assets yet$/],
  ['one of two platforms', [[upstream('v1.2.0', [asset(X64)])]], 'pending', /linux-arm64: .*no asset/],
  [
    'no assets, then one, then both',
    [[upstream('v1.2.0', [])], [upstream('v1.2.0', [asset(X64)])], [BOTH]],
    'complete',
    null,
  ],
  ['the same twice', [[BOTH], [BOTH]], 'complete', null],
  [
    'another digest',
    [[BOTH], [upstream('v1.2.0', [asset(X64, { digest: 'b'.repeat(64) }), asset(ARM)])]],
    'altered',
    /linux-x64: .*had SHA-256 a+, has b+/,
  ],
  [
    'another size',
    [[BOTH], [upstream('v1.2.0', [asset(X64), asset(ARM, { size: 99 })])]],
    'altered',
    /linux-arm64: .*had 100 bytes, has 99/,
  ],
  [
    'another digest of the one platform that was complete',
    [[upstream('v1.2.0', [asset(X64)])], [upstream('v1.2.0', [asset(X64, { digest: 'b'.repeat(64) }), asset(ARM)])]],
    'altered',
    /linux-x64/,
  ],
  ['another tag', [[BOTH], [{ ...BOTH, tag: 'v1.2.1' }]], 'altered', /tag was v1\.2\.0, is v1\.2\.1/],
  ['a tag that is no version', [[BOTH], [{ ...BOTH, tag: 'gone' }]], 'altered', /tag was v1\.2\.0, is gone/],
  [
    'another tag before anything was complete',
    [[upstream('v1.2.0', [])], [{ ...BOTH, id: 'id of v1.2.0' }]],
    'complete',
    null,
  ],
  [
    'altered, then as it was',
    [[BOTH], [upstream('v1.2.0', [asset(X64, { digest: 'b'.repeat(64) }), asset(ARM)])], [BOTH]],
    'altered',
    /linux-x64/,
  ],
  ['altered, then gone', [[BOTH], [{ ...BOTH, tag: 'v1.2.1' }], []], 'altered', /tag was/],
  ['gone', [[BOTH], []], 'withdrawn', /not list/],
  ['made a draft', [[BOTH], [{ ...BOTH, draft: true }]], 'withdrawn', /not list/],
  ['gone and back', [[BOTH], [], [BOTH]], 'complete', null],
  [
    'gone and back with another digest',
    [[BOTH], [], [upstream('v1.2.0', [asset(X64, { digest: 'b'.repeat(64) }), asset(ARM)])]],
    'altered',
    /linux-x64/,
  ],
  ['made anew with the same bytes', [[BOTH], [{ ...BOTH, id: 'new' }]], 'complete', null],
  [
    'made anew with other bytes',
    [[BOTH], [{ ...upstream('v1.2.0', [asset(X64, { digest: 'b'.repeat(64) })]), id: 'new' }]],
    'altered',
    /linux-x64/,
  ],
  [
    'an asset removed',
    [[BOTH], [upstream('v1.2.0', [asset(X64)])]],
    'withdrawn',
    /linux-arm64: .*no asset of that name$/,
  ],
  ['an asset removed and back', [[BOTH], [upstream('v1.2.0', [asset(X64)])], [BOTH]], 'complete', null],
  [
    'an asset uploaded again, with the same bytes',
    [[BOTH], [upstream('v1.2.0', [asset(X64, { id: 'new' }), asset(ARM)])]],
    'complete',
    null,
  ],
  [
    'an asset being uploaded again',
    [[BOTH], [upstream('v1.2.0', [asset(X64, { state: 'open', digest: null }), asset(ARM)])]],
    'withdrawn',
    /linux-x64: .*cannot be had on GitHub any more: its state is open$/,
  ],
  [
    'the digest of the same asset not given any more',
    [[BOTH], [upstream('v1.2.0', [asset(X64, { digest: null }), asset(ARM)])]],
    'complete',
    null,
  ],
  [
    'another asset without a digest',
    [[BOTH], [upstream('v1.2.0', [asset(X64, { id: 'new', digest: null }), asset(ARM)])]],
    'withdrawn',
    /cannot be had on GitHub any more: it was uploaded again, and GitHub gives no SHA-256 for it$/,
  ],
  [
    'another size of the same asset without a digest',
    [[BOTH], [upstream('v1.2.0', [asset(X64, { size: 99, digest: null }), asset(ARM)])]],
    'altered',
    /linux-x64: .*had 100 bytes, has 99/,
  ],
  [
    'another size of another asset without a digest',
    [[BOTH], [upstream('v1.2.0', [asset(X64, { id: 'new', size: 99, digest: null }), asset(ARM)])]],
    'altered',
    /had 100 bytes, has 99/,
  ],
  [
    'an asset that is empty now',
    [[BOTH], [upstream('v1.2.0', [asset(X64, { size: 0 }), asset(ARM)])]],
    'withdrawn',
    /any more: it is empty$/,
  ],
];

test('readListing names the assets whose digest is known and is not given any more', () => {
  const { undigested, releases } = read(
    [upstream('v1.2.0', [asset(X64, { digest: null }), asset(ARM)])],
    after([BOTH]),
  );
  assert.deepEqual(undigested, [`v1.2.0: ${X64}`]);
  assert.equal(releases[0]?.artifacts.find(({ name }) => name === X64)?.sha256, 'a'.repeat(64));
  assert.deepEqual(read([BOTH], after([BOTH])).undigested, []);
});

for (const [title, listings, state, why] of HISTORIES) {
  test(`readListing after ${title} is ${state}`, () => {
    const [release, ...others] = after(...listings);
    assert.equal(others.length, 0);
    assert.equal(release?.state, state);
    if (why === null) assert.equal(release?.why, null);
    else assert.match(release?.why ?? '', why);
    const [again] = read(listings.at(-1) ?? [], release === undefined ? [] : [release]).releases;
    assert.deepEqual(again, release, 'reading the same again changes nothing');
  });
}

test('readListing of an altered release keeps the first artifacts and the first tag', () => {
  const [first] = after([BOTH]);
  const [altered] = after([BOTH], [upstream('v1.2.1', [asset(X64, { digest: 'b'.repeat(64) })], { id: BOTH.id })]);
  assert.deepEqual(altered?.artifacts, first?.artifacts);
  assert.equal(altered?.tag, 'v1.2.0');
  assert.equal(altered?.version, '1.2.0');
});

test('readListing that is not complete withdraws nothing', () => {
  const known = after([BOTH]);
  assert.deepEqual(read([], known, false).releases, known);
});

test('readListing of an asset uploaded again takes its new id, to download by', () => {
  const [release] = after([BOTH], [upstream('v1.2.0', [asset(X64, { id: 'new' }), asset(ARM)])]);
  assert.equal(release?.artifacts[0]?.assetId, 'new');
});

test('readListing with a new asset name in the config keeps what was complete', () => {
  const product = { ...PRODUCT, artifacts: [{ platform: 'linux-x64', asset: 'other-{version}' }] };
  const other = asset('other-1.2.0', { digest: 'b'.repeat(64) });
  const [release] = read([{ ...BOTH, assets: [...BOTH.assets, other] }], after([BOTH]), true, product).releases;
  assert.equal(release?.state, 'complete');
  assert.equal(release?.artifacts.find((artifact) => artifact.platform === 'linux-x64')?.name, X64);
});

test('readListing with a new platform in the config looks for its file', () => {
  const product = {
    ...PRODUCT,
    artifacts: [...PRODUCT.artifacts, { platform: 'linux-riscv64', asset: 'r-{version}' }],
  };
  const [release] = read([BOTH], after([BOTH]), true, product).releases;
  assert.equal(release?.state, 'pending');
  assert.equal(release?.artifacts.length, 2);
  assert.deepEqual(release?.missing, [{ platform: 'linux-riscv64', reason: 'asset_missing' }]);
});

test('readListing with a prefix that the tag lacks withdraws, and brings back with the old prefix', () => {
  const product = { ...PRODUCT, tags: ['agent-v{version}'] };
  const withdrawn = read([BOTH], after([BOTH]), true, product).releases;
  assert.equal(withdrawn[0]?.state, 'withdrawn');
  assert.match(withdrawn[0]?.why ?? '', /v1\.2\.0: .*agent-v/);
  assert.equal(read([BOTH], withdrawn).releases[0]?.state, 'complete');
});

test('readListing follows a release that becomes a prerelease', () => {
  assert.equal(after([BOTH], [{ ...BOTH, prerelease: true }])[0]?.prerelease, true);
  assert.equal(after([{ ...BOTH, prerelease: true }], [BOTH])[0]?.prerelease, false);
  assert.equal(after([upstream('v1.2.0-rc.1', [])])[0]?.prerelease, true);
});

const NUMERIC: TrackedProduct = { ...PRODUCT, scheme: 'numeric', tags: ['{version}'] };

test('readListing of one version under two tags refuses both, not the others, until one is gone', () => {
  const one = upstream('3.3', []);
  const two = upstream('3.3.0', []);
  const other = upstream('3.2', []);
  const { releases } = read([one, two, other], [], true, NUMERIC);
  assert.deepEqual(
    releases.map((release) => release.state),
    ['refused', 'refused', 'pending'],
  );
  for (const release of releases.slice(0, 2)) assert.match(release.why ?? '', /under the tags 3\.3 and 3\.3\.0$/);
  const later = read([two, other], releases, true, NUMERIC).releases;
  assert.deepEqual(
    later.map((release) => release.state),
    ['withdrawn', 'pending', 'pending'],
  );
});

test('readListing refuses a version that was complete under a tag that is gone', () => {
  const one = upstream('3.3', [asset('agent-3.3-linux-x64.tar.gz')]);
  const known = read([one], [], true, NUMERIC).releases;
  const { releases } = read([upstream('3.3.0', [])], known, true, NUMERIC);
  assert.deepEqual(
    releases.map((release) => release.state),
    ['withdrawn', 'refused'],
  );
});
