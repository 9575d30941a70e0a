// Real tags through the real way: a recorded GitHub that serves them page by page, octokit, the store.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startRecordedGitHub } from '../../src/demo/recorded-github.ts';
import { loadReleaseHistories } from '../../src/demo/release-histories.ts';
import { listReleases, loadSource } from '../../src/store/releases.ts';
import type { TrackedProduct } from '../../src/tracker/assets.ts';
import { openGitHubSource } from '../../src/tracker/github.ts';
import { syncProduct } from '../../src/tracker/sync.ts';
import { ALLOY, ELASTIC, REAL_DIR, readReal, realHistory, realProduct, SSM } from '../support/real-releases.ts';
import { memoryDatabase, NEVER, readableLogger } from './world.ts';

const NOW = Date.UTC(2026, 8, 1);

const FAMILIES: [title: string, product: TrackedProduct, releases: number, rejected: number][] = [
  ['amazon-ssm-agent, with and without v', SSM, 182, 1],
  ['amazon-ssm-agent, with v alone', { ...SSM, tags: ['v{version}'] }, 9, 174],
  ['amazon-ssm-agent, without v alone', { ...SSM, tags: ['{version}'] }, 173, 10],
  // Four parts are no semver.
  ['amazon-ssm-agent as semver', { ...SSM, scheme: 'semver' }, 0, 183],
  ['alloy', ALLOY, 115, 93],
  ['alloy’s helm chart', { ...ALLOY, tags: ['helm-chart/{version}'] }, 55, 153],
  ['alloy’s build image', { ...ALLOY, tags: ['build-image/v{version}'] }, 36, 172],
  ['alloy’s syntax', { ...ALLOY, tags: ['syntax/v{version}'] }, 2, 206],
  ['elastic-agent', ELASTIC, 152, 0],
];

for (const [title, product, releases, rejected] of FAMILIES) {
  test(`readListing of ${title}: ${releases} releases, ${rejected} rejected tags, each with why`, () => {
    const read = readReal(product);
    assert.deepEqual([read.releases.length, read.rejectedTags.length], [releases, rejected]);
    assert.ok(read.rejectedTags.every(({ why }) => why.length > 0));
  });
}

test('readListing of amazon-ssm-agent refuses one version under two tags, and nothing else', () => {
  const { releases, rejectedTags } = readReal(SSM);
  const refused = releases.filter((release) => release.state === 'refused');
  assert.deepEqual(
    refused.map(({ tag, version, why }) => [tag, version, why]),
    ['2.0.755.0', 'v2.0.755.0'].map((tag) => [
      tag,
      '2.0.755.0',
      'version 2.0.755.0 stands under the tags 2.0.755.0 and v2.0.755.0',
    ]),
  );
  assert.deepEqual(rejectedTags, [{ tag: 'help', why: '“help” is not a version of the scheme numeric' }]);
});

test('a recorded GitHub with real histories is read whole: dates and commits kept, no file invented', async () => {
  const github = await startRecordedGitHub({ now: () => NOW });
  const source = openGitHubSource({ apiUrl: github.url, token: null, version: '0.0.0-test', now: () => NOW });
  const { database, ...store } = await memoryDatabase();
  try {
    const loaded = await loadReleaseHistories(github.repositories, REAL_DIR);
    assert.deepEqual(loaded, [
      { repository: 'grafana/alloy', releases: 208 },
      { repository: 'aws/amazon-ssm-agent', releases: 183 },
      { repository: 'elastic/elastic-agent', releases: 152 },
    ]);
    const listing = await source.listReleases('grafana/alloy', null, NEVER);
    assert(listing.kind === 'listed' && listing.complete);
    const facts = listing.releases.map(({ tag, publishedAt, targetCommitish, assets }) => {
      return { tag, at: publishedAt, commit: targetCommitish, assets: assets.length };
    });
    const expected = realHistory('alloy').tags.map(({ tag, commit, date }) => {
      return { tag, at: Date.parse(date), commit, assets: 0 };
    });
    assert.deepEqual(facts, expected.toReversed(), 'newest first, as GitHub lists them, on three pages');

    const { logger } = readableLogger();
    let lastId = 0;
    const newId = () => `r-${(lastId += 1)}`;
    const deps = { database, source, logger, newId, signal: NEVER };
    // Of the helm chart, so that more tags are rejected than are kept.
    const chart = { ...realProduct('alloy', 'semver', ['helm-chart/{version}']), name: 'chart' };
    for (const product of [SSM, chart]) {
      assert.deepEqual(await syncProduct(deps, product, ['eu'], NOW), { changed: true, outcome: 'listed' });
    }
    const ssm = await listReleases(database.db, SSM.name);
    assert.deepEqual([ssm.length, ssm[0]?.version, ssm[0]?.state], [182, '3.3.1142.0', 'pending']);
    const known = await loadSource(database.db, 'chart');
    assert.deepEqual([known?.rejectedCount, known?.rejectedTags.length], [153, 100]);
    assert.deepEqual(await syncProduct(deps, chart, ['eu'], NOW + 1), { changed: false, outcome: 'unchanged' });
    assert.equal((await loadSource(database.db, 'chart'))?.rejectedCount, 153);
  } finally {
    await source.close();
    await github.close();
    await store[Symbol.asyncDispose]();
  }
});

test('the demo plays the same histories', () => {
  const demo = join(import.meta.dirname, '..', '..', 'config', 'demo', 'releases');
  assert.deepEqual(readdirSync(demo), readdirSync(REAL_DIR));
  for (const file of readdirSync(demo)) {
    assert.equal(readFileSync(join(demo, file), 'utf8'), readFileSync(join(REAL_DIR, file), 'utf8'));
  }
});
