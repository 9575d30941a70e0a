// The GitHub source through the real octokit, over HTTP, against the recorded GitHub.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../../src/demo/recorded-faults.ts';
import { AppError } from '../../src/errors.ts';
import type { Listing } from '../../src/tracker/source.ts';
import { assetName, bytesOf, NEVER, NOW, openWorld, publish, REPOSITORY, sha256, type World } from './world.ts';

async function list(world: World, seen: { repositoryId: string; etag: string | null } | null = null): Promise<Listing> {
  const listing = await world.source.listReleases(REPOSITORY, seen, NEVER);
  assert.equal(listing.kind, 'listed');
  return listing as Listing;
}

async function failure(promise: Promise<unknown>): Promise<AppError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof AppError, `an AppError, not ${error}`);
    return error;
  }
  assert.fail('it was to throw');
}

async function publishMany(world: World, count: number): Promise<void> {
  for (let patch = 0; patch < count; patch += 1) {
    await world.github.repositories.publish(REPOSITORY, { tag: `v1.0.${patch}`, publishedAt: NOW - patch * 1000 });
  }
}

/** Numbers of the pages, in the order in which they were asked for. */
function pagesAsked(world: World): number[] {
  const paths = world.github.log.map((entry) => new URL(entry.path, world.github.url));
  return paths.filter((url) => url.searchParams.has('page')).map((url) => Number(url.searchParams.get('page')));
}

test('listReleases reads 250 releases over three pages', async () => {
  await using world = await openWorld();
  await publishMany(world, 250);
  const listing = await list(world);
  assert.equal(listing.releases.length, 250);
  assert.equal(new Set(listing.releases.map((release) => release.tag)).size, 250);
  assert.equal(listing.complete, true);
  const pages = world.github.log.filter((entry) => entry.path.includes('/releases?'));
  assert.deepEqual(
    pages.map((entry) => new URL(entry.path, world.github.url).searchParams.get('page')),
    ['1', '2', '3'],
  );
  assert.match(pages[0]?.userAgent ?? '', /^tidegate\/0\.0\.0-test /);
});

test('listReleases with the ETag before it reads unchanged from one request, and changed after a release', async () => {
  await using world = await openWorld();
  await publishMany(world, 120);
  const first = await list(world);
  const before = world.github.log.length;
  assert.deepEqual(await world.source.listReleases(REPOSITORY, first, NEVER), { kind: 'unchanged' });
  const requests = world.github.log.slice(before);
  assert.deepEqual(
    requests.map((entry) => [entry.status, entry.conditional]),
    [[304, true]],
  );
  await publish(world, '2.0.0', NOW);
  assert.equal((await list(world, first)).releases.length, 121);
  const pages = world.github.log.slice(before + 1).filter((entry) => entry.path.includes('/releases?'));
  assert.deepEqual(
    pages.map((entry) => entry.conditional),
    [true, false],
  );
});

test('listReleases reads what a release says', async () => {
  await using world = await openWorld();
  await world.github.repositories.publish(REPOSITORY, {
    tag: 'v1.2.0-rc.1',
    prerelease: true,
    publishedAt: NOW,
    assets: [
      { name: 'a', bytes: bytesOf('a') },
      { name: 'b', bytes: bytesOf('b'), digest: null },
      { name: 'c', bytes: bytesOf('c'), digest: 'sha512:00' },
    ],
  });
  const [release] = (await list(world)).releases;
  assert.ok(release);
  assert.deepEqual(
    { ...release, id: '', assets: release.assets.map((asset) => ({ ...asset, id: '' })) },
    {
      id: '',
      tag: 'v1.2.0-rc.1',
      draft: false,
      prerelease: true,
      publishedAt: NOW,
      targetCommitish: 'main',
      assets: [
        { id: '', name: 'a', size: bytesOf('a').length, state: 'uploaded', digest: sha256(bytesOf('a')) },
        { id: '', name: 'b', size: bytesOf('b').length, state: 'uploaded', digest: null },
        { id: '', name: 'c', size: bytesOf('c').length, state: 'uploaded', digest: null },
      ],
    },
  );
});

test('listReleases of a repository without releases is a complete listing of none', async () => {
  await using world = await openWorld();
  const listing = await list(world);
  assert.deepEqual(listing.releases, []);
  assert.equal(listing.complete, true);
});

test('listReleases sends the token, and without it a 401 reads as github_auth', async () => {
  await using world = await openWorld({ requireToken: 'secret', token: 'secret' });
  await list(world);
  assert.ok(world.github.log.every((entry) => entry.authorization));
  await using other = await openWorld({ requireToken: 'secret', token: 'wrong' });
  const error = await failure(list(other));
  assert.equal(error.code, 'github_auth');
  assert.ok(!error.message.includes('wrong'));
});

const FAULTS: { fault: Fault; code: string; says?: RegExp; retryAfterMs?: number; requests?: number }[] = [
  { fault: { kind: 'status', status: 401 }, code: 'github_auth', says: /401/ },
  { fault: { kind: 'status', status: 403 }, code: 'github_auth', says: /403/ },
  { fault: { kind: 'status', status: 404 }, code: 'github_not_found', says: /404/ },
  { fault: { kind: 'status', status: 422 }, code: 'github_bad_response', says: /422/ },
  { fault: { kind: 'status', status: 500 }, code: 'github_unavailable', says: /500/ },
  {
    fault: { kind: 'status', status: 503, retryAfterS: 120 },
    code: 'github_unavailable',
    says: /503/,
    retryAfterMs: 120_000,
  },
  {
    fault: { kind: 'primary_rate_limit', resetAt: NOW + 55 * 60_000 },
    code: 'github_rate_limited',
    retryAfterMs: 55 * 60_000,
  },
  {
    fault: { kind: 'primary_rate_limit', resetAt: NOW - 5000 },
    code: 'github_rate_limited',
    retryAfterMs: 1000,
  },
  {
    fault: { kind: 'secondary_rate_limit', status: 403, retryAfterS: 30 },
    code: 'github_rate_limited',
    retryAfterMs: 30_000,
  },
  {
    fault: { kind: 'secondary_rate_limit', status: 429, retryAfterS: 45 },
    code: 'github_rate_limited',
    retryAfterMs: 45_000,
  },
  {
    // The reset time speaks of the primary window, which is not used up.
    fault: { kind: 'secondary_rate_limit', status: 403 },
    code: 'github_rate_limited',
    retryAfterMs: 60_000,
  },
  { fault: { kind: 'truncated', framed: true }, code: 'github_bad_response', says: /page 1.*not JSON/ },
  { fault: { kind: 'truncated', framed: false }, code: 'github_bad_response', says: /broke off/ },
  { fault: { kind: 'html' }, code: 'github_bad_response', says: /not JSON/ },
  { fault: { kind: 'wrong_types' }, code: 'github_bad_response', says: /page 1, release 1: id is/ },
  { fault: { kind: 'reset' }, code: 'github_unavailable' },
  {
    // Once more with fewer releases to the page.
    fault: { kind: 'huge', bytes: 3 * 1024 * 1024, times: 2 },
    code: 'github_bad_response',
    says: /larger than/,
    requests: 2,
  },
  { fault: { kind: 'slow', everyMs: 50, bytes: 1000 }, code: 'github_unavailable', says: /no answer in time/ },
  { fault: { kind: 'foreign_next', url: 'http://127.0.0.1:1/x' }, code: 'github_bad_response', says: /another repo/ },
];

for (const { fault, code, says, retryAfterMs, requests } of FAULTS) {
  test(`listReleases when GitHub does ${JSON.stringify(fault)} throws ${code}`, async () => {
    await using world = await openWorld({ limits: { totalMs: 400, maxBodyBytes: 2 * 1024 * 1024 } });
    await publish(world, '1.0.0');
    world.github.faults.add({ ...fault, on: 'releases' });
    const error = await failure(list(world));
    assert.equal(error.code, code);
    if (says !== undefined) assert.match(error.message, says);
    assert.equal(error.retryAfterMs, retryAfterMs);
    const asked = world.github.log.filter((entry) => entry.path.includes('/releases'));
    assert.equal(asked.length, requests ?? 1, 'nothing retries by itself');
    assert.equal((await list(world)).releases.length, 1, 'the next listing is whole again');
  });
}

test('listReleases when a later page is broken throws and names the page', async () => {
  await using world = await openWorld();
  await publishMany(world, 150);
  const pageTwo = { ...world.source };
  // The first page is asked for before the repository, the second after it.
  world.github.faults.add({ kind: 'status', status: 500, on: 'repository' });
  assert.equal((await failure(list(world))).where, 'GET /repos/acme/agent');
  const first = await list({ ...world, source: pageTwo });
  assert.equal(first.releases.length, 150);
  world.github.faults.add({ kind: 'slow', everyMs: 0, bytes: 0, on: 'releases' });
  world.github.faults.add({ kind: 'truncated', framed: true, on: 'releases' });
  const error = await failure(list(world));
  assert.equal(error.code, 'github_bad_response');
  assert.match(error.where ?? '', /page 2/);
});

test('listReleases of 10,000 releases reads 40 pages and says that it is not complete', async () => {
  await using world = await openWorld();
  await publishMany(world, 10_000);
  const listing = await list(world);
  assert.equal(listing.complete, false);
  assert.match(listing.notice ?? '', /first 40 pages/);
  assert.equal(listing.releases.length, 4000);
  assert.ok(listing.etag, 'the next poll asks for changes alone');
  assert.equal(pagesAsked(world).length, 40);
});

test('listReleases with pages that repeat stops at the first one and says that it is not complete', async () => {
  await using world = await openWorld();
  await publishMany(world, 3);
  world.github.faults.add({ kind: 'endless', on: 'releases', times: 1000 });
  const listing = await list(world);
  assert.equal(listing.complete, false);
  assert.equal(listing.etag, null, 'the next poll reads all again');
  assert.match(listing.notice ?? '', /page 2 repeats/);
  assert.equal(listing.releases.length, 3);
  assert.deepEqual(pagesAsked(world), [1, 2]);
});

test('listReleases of a full page does not believe that there is no next one', async () => {
  await using world = await openWorld();
  await publishMany(world, 250);
  // What stands between removes the Link header.
  world.github.faults.add({ kind: 'headers', headers: { link: '' }, on: 'releases', times: 10 });
  assert.equal((await list(world)).releases.length, 250);
  assert.deepEqual(pagesAsked(world), [1, 2, 3]);
  await using hundred = await openWorld();
  await publishMany(hundred, 100);
  assert.equal((await list(hundred)).complete, true);
  assert.deepEqual(pagesAsked(hundred), [1, 2]);
});

test('listReleases that ends before the page that was announced is not complete', async () => {
  await using world = await openWorld();
  await publishMany(world, 250);
  const { id } = world.github.repositories.get(REPOSITORY);
  const link = (page: number, rel: string) =>
    `<${world.github.url}/repositories/${id}/releases?page=${page}>; rel="${rel}"`;
  const headers = { link: `${link(2, 'next')}, ${link(7, 'last')}` };
  world.github.faults.add({ kind: 'headers', headers, on: 'releases' });
  const listing = await list(world);
  assert.deepEqual([listing.complete, listing.releases.length, listing.etag], [false, 250, null]);
  assert.match(listing.notice ?? '', /ends with page 3, and 7 pages were announced/);
});

test('listReleases with a next link that leads back reads by number, to the end', async () => {
  await using world = await openWorld();
  await publishMany(world, 150);
  const { id } = world.github.repositories.get(REPOSITORY);
  const headers = { link: `<${world.github.url}/repositories/${id}/releases?page=1>; rel="next"` };
  world.github.faults.add({ kind: 'headers', headers, on: 'releases', times: 1000 });
  const listing = await list(world);
  assert.deepEqual([listing.complete, listing.releases.length], [false, 150]);
  assert.deepEqual(pagesAsked(world), [1, 2, 3]);
});

test('listReleases of releases with a thousand assets each asks for fewer to the page', async () => {
  await using world = await openWorld({ limits: { maxBodyBytes: 5 * 1024 * 1024 } });
  const { repositories } = world.github;
  const assets = Array.from({ length: 1000 }, (_, index) => ({ name: `file-${index}`, digest: null }));
  for (let patch = 0; patch < 15; patch += 1) await repositories.publish(REPOSITORY, { tag: `v1.0.${patch}`, assets });
  const listing = await list(world);
  assert.deepEqual([listing.complete, listing.releases.length], [true, 15]);
  assert.equal(listing.releases[0]?.assets.length, 1000);
  const perPage = () => world.github.log.map((entry) => /per_page=(\d+)/.exec(entry.path)?.[1]).filter(Boolean);
  assert.deepEqual(perPage(), ['100', '10', '10']);
  assert.deepEqual(await world.source.listReleases(REPOSITORY, listing, NEVER), { kind: 'unchanged' });
  assert.equal(perPage().at(-1), '10');
});

test('listReleases follows a renamed repository, and refuses another one', async () => {
  await using world = await openWorld();
  await publish(world, '1.0.0');
  const other = world.github.repositories.create('acme/other');
  const before = await list(world);
  // Only the list leads elsewhere: the id differs from that of the repository's own address.
  world.github.faults.add({ kind: 'redirect', to: 'acme/other', on: 'releases' });
  assert.match((await failure(list(world))).message, /another repository/);
  // The whole name leads elsewhere: known by the id of before.
  world.github.faults.add({ kind: 'redirect', to: 'acme/other', on: 'releases' });
  world.github.faults.add({ kind: 'redirect', to: 'acme/other', on: 'repository' });
  const error = await failure(list(world, before));
  assert.equal(error.code, 'github_bad_response');
  assert.match(error.message, new RegExp(`it was ${before.repositoryId}, now ${other.id}`));
  // The name was freed and registered by somebody else.
  world.github.repositories.remove(REPOSITORY);
  world.github.repositories.create(REPOSITORY);
  assert.match((await failure(list(world, before))).message, /another repository/);
  // A rename: the old name leads to the same id.
  const renamed = world.github.repositories.create('acme/renamed');
  world.github.faults.add({ kind: 'redirect', to: 'acme/renamed', on: 'releases' });
  world.github.faults.add({ kind: 'redirect', to: 'acme/renamed', on: 'repository' });
  assert.equal((await list(world, { repositoryId: String(renamed.id), etag: null })).repositoryId, String(renamed.id));
});

test('listReleases ends when its signal aborts', async () => {
  await using world = await openWorld();
  world.github.faults.add({ kind: 'slow', everyMs: 1000, bytes: 1000, on: 'releases' });
  await publish(world, '1.0.0');
  const error = await failure(world.source.listReleases(REPOSITORY, null, AbortSignal.timeout(50)));
  assert.equal(error.code, 'github_unavailable');
});

test('listReleases of a host that nobody listens on throws github_unavailable', async () => {
  const world = await openWorld();
  await world.github.close();
  try {
    assert.equal((await failure(list(world))).code, 'github_unavailable');
  } finally {
    await world.source.close();
  }
});

test('download gives the bytes, and the storage host gets no authorization', async () => {
  await using world = await openWorld({ requireToken: 'secret', token: 'secret' });
  await publish(world, '1.0.0');
  const asset = (await list(world)).releases[0]?.assets.find((candidate) => candidate.name === assetName('1.0.0'));
  assert.ok(asset);
  const { stream, size } = await world.source.download(REPOSITORY, asset.id, NEVER);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  assert.deepEqual(Buffer.concat(chunks), bytesOf('1.0.0'));
  assert.equal(size, bytesOf('1.0.0').length);
  const asked = world.github.log.filter((entry) => entry.path.includes('/assets/'));
  assert.deepEqual(
    asked.map((entry) => [entry.host, entry.status, entry.authorization]),
    [
      ['api', 302, true],
      ['storage', 200, false],
    ],
  );
});

test('download of an asset that is gone throws github_not_found, of a storage host that fails github_unavailable', async () => {
  await using world = await openWorld();
  await publish(world, '1.0.0');
  assert.equal((await failure(world.source.download(REPOSITORY, '1', NEVER))).code, 'github_not_found');
  const asset = (await list(world)).releases[0]?.assets[0];
  world.github.faults.add({ kind: 'status', status: 503, on: 'storage' });
  const error = await failure(world.source.download(REPOSITORY, asset?.id ?? '', NEVER));
  assert.equal(error.code, 'github_unavailable');
});
