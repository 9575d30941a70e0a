// What a hostile or broken GitHub can answer: each time the poll ends within bounds, keeps what is known, and says why.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../../src/demo/recorded-faults.ts';
import { listAvailability, listReleases, loadSource } from '../../src/store/releases.ts';
import { type SyncDeps, syncAll, syncProduct } from '../../src/tracker/sync.ts';
import { memoryDatabase, NEVER, NOW, openWorld, PRODUCT, publish, REPOSITORY, readableLogger } from './world.ts';

const REGIONS = ['eu'];
const MINUTE = 60_000;
const MIB = 1024 * 1024;
const LONGEST_WAIT_MS = 2 * 60 * MINUTE;
const FIVE_HUNDRED_KB = 'x'.repeat(500_000);
/** Escapes that clear a screen, in 7 and in 8 bits, and marks that turn the direction of writing. */
const UGLY = 'a\u001b[2J\u009b31m\u202eb\u2066\u200b\nc';

async function setUp(options: Parameters<typeof openWorld>[0] = {}) {
  const world = await openWorld(options);
  const { database, ...store } = await memoryDatabase();
  const { logger, lines } = readableLogger();
  let lastId = 0;
  const newId = () => `id-${(lastId += 1)}`;
  const deps: SyncDeps = { database, source: world.source, logger, newId, signal: NEVER };
  return {
    world,
    deps,
    lines,
    poll(minutes: number) {
      world.clock.now = NOW + minutes * MINUTE;
      return syncProduct(deps, PRODUCT, REGIONS, world.clock.now);
    },
    async known() {
      const releases = await listReleases(database.db, 'agent');
      const rows = await listAvailability(database.db, 'agent');
      return [
        ...releases.map((one) => `${one.version} ${one.state}`),
        ...rows.map((row) => `${row.version} ${row.status}`),
      ];
    },
    source: () => loadSource(database.db, 'agent'),
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

// Before everything else, as long as this process is small.
const LARGE: Fault[] = [
  { on: 'releases', kind: 'huge', bytes: 100 * MIB, times: 2 },
  { on: 'releases', kind: 'bomb', bytes: 1024 * MIB, layers: 1, times: 2 },
];

for (const fault of LARGE) {
  test(`listReleases of a ${fault.kind} body holds no more than the bound of 20 MiB allows`, async () => {
    await using world = await openWorld();
    await publish(world, '1.0.0');
    await world.source.listReleases(REPOSITORY, null, NEVER);
    const before = process.memoryUsage.rss();
    let peak = before;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 2);
    world.github.faults.add(fault);
    await assert.rejects(world.source.listReleases(REPOSITORY, null, NEVER), { code: 'github_bad_response' });
    clearInterval(watch);
    // Both tries, their garbage, and the recorded GitHub in the same process; all of the body would be 100 or 1000 MiB.
    assert.ok(peak - before < 128 * MIB, `${Math.round((peak - before) / MIB)} MiB more`);
  });
}

interface Case {
  title: string;
  faults: Fault[];
  code: string;
  says: RegExp;
  waitMs?: number;
}

/** The answer to the list. */
function list(title: string, fault: Fault, says: RegExp, code = 'github_bad_response', waitMs = MINUTE): Case {
  return { title, faults: [{ on: 'releases', ...fault }], code, says, waitMs };
}

function answer(title: string, text: string, says: RegExp, code?: string): Case {
  return list(title, { kind: 'answer', text }, says, code);
}

function edited(where: 'release' | 'asset', set: Record<string, unknown>, says: RegExp): Case {
  const title = `${where} with ${JSON.stringify(set).slice(0, 60)}`;
  return list(title, { kind: 'edited', in: where, set }, says);
}

function limited(title: string, headers: Record<string, string>, waitMs: number): Case {
  const text = '{"message":"API rate limit exceeded"}';
  return list(title, { kind: 'answer', status: 403, text, headers }, /limits the rate/, 'github_rate_limited', waitMs);
}

const SECONDS_NOW = NOW / 1000 + 5 * 60;
const YEAR_S = '31536000';

const CASES: Case[] = [
  list('a body of 100 MB', { kind: 'huge', bytes: 100 * MIB, times: 2 }, /larger than 20971520 bytes/),
  list('a body that says it has 100 MB', { kind: 'huge', bytes: 100 * MIB, framed: true, times: 2 }, /larger than 209/),
  list('a gzip bomb of 1 GB', { kind: 'bomb', bytes: 1024 * MIB, layers: 1, times: 2 }, /larger than 20971520 bytes/),
  list('a gzip bomb in another', { kind: 'bomb', bytes: 1024 * MIB, layers: 2, times: 2 }, /larger than 20971520/),
  list('one byte now and then', { kind: 'slow', everyMs: 20, bytes: 1000 }, /no answer in time/, 'github_unavailable'),
  list('a connection cut after the headers', { kind: 'cut_after_headers' }, /broke off/),
  list('a redirect to itself', { kind: 'redirect_loop', times: 100 }, /redirect count exceeded/, 'github_unavailable'),
  list('204', { kind: 'answer', status: 204 }, /not JSON/),
  list('a redirect without an address', { kind: 'answer', status: 302, text: '{}' }, /a list was expected/),
  list('a status that does not exist', { kind: 'answer', status: 799, text: '[]' }, /status 799/),
  list('a header of 100 kB', { kind: 'headers', headers: { 'x-a': 'a'.repeat(100_000) } }, /./, 'github_unavailable'),
  answer('an empty body', '', /not JSON, .* of 0 characters/),
  answer('half a gzip of nothing', ' ', /not JSON/),
  answer('an object', '{"message":"ok"}', /a list was expected, it is of type object/),
  answer('a number', '1', /a list was expected/),
  answer('null', 'null', /a list was expected, it is null/),
  answer('a list of lists', '[[]]', /release 1: an object was expected, it is a list/),
  answer('five million lists in each other', '['.repeat(5_000_000), /nested more than 32 deep/),
  answer('a text that does not end', `["${'\\"'.repeat(1_000_000)}`, /not JSON/),
  answer('two million numbers', `[${'1,'.repeat(2_000_000)}1]`, /more than 1000000 values/),
  answer('one number of many digits', `[${'1'.repeat(5_000_000)}]`, /release 1: an object was expected/),
  answer('more releases than were asked for', `[${'{},'.repeat(100)}{}]`, /101 releases, where 100 at most/),
  answer('a __proto__ in place of fields', '[{"__proto__":{"id":1,"assets":[]}}]', /assets is not a list/),
  edited('release', { id: '123' }, /release 1: id is text of 3 characters/),
  edited('release', { id: -1 }, /id is not a whole number above 0/),
  edited('release', { id: 1.5 }, /id is not a whole number above 0/),
  edited('release', { id: 2 ** 60 }, /id is not a whole number above 0/),
  edited('release', { tag_name: null }, /tag_name is null/),
  edited('release', { tag_name: '' }, /tag_name has 0 characters/),
  edited('release', { tag_name: 'v'.repeat(10_000) }, /tag_name has 10000 characters/),
  edited('release', { draft: 'no' }, /draft is text of 2 characters/),
  edited('release', { published_at: 'yesterday' }, /published_at is not a time/),
  edited('release', { published_at: 12 }, /published_at is not a time/),
  edited('release', { assets: null }, /assets is not a list/),
  edited('release', { assets: Array(1001).fill({}) }, /assets is not a list of at most 1000/),
  edited('asset', { name: 'n'.repeat(10_000) }, /asset 1: name has 10000 characters/),
  edited('asset', { size: -1 }, /size is not a whole number/),
  edited('asset', { size: '12' }, /size is not a whole number/),
  edited('asset', { digest: 'sha256:abc' }, /digest is not a SHA-256/),
  edited('asset', { digest: `sha256:${'g'.repeat(64)}` }, /digest is not a SHA-256/),
  edited('asset', { digest: 5 }, /digest is of type number/),
  list('a release without an id', { kind: 'edited', in: 'release', drop: ['id'] }, /id is missing/),
  list('an asset without a state', { kind: 'edited', in: 'asset', drop: ['state'] }, /state is missing/),
  list(
    'a next link on another host',
    { kind: 'headers', headers: { link: `<http://evil.example/\u009b2J>; rel="next"` } },
    /another repository: GitHub leads to http:\/\/evil\.example\/ 2J/,
  ),
  {
    title: 'a repository that is read on another host',
    faults: [{ on: 'repository', kind: 'answer', status: 302, headers: { location: 'http://127.0.0.1:1/' } }],
    code: 'github_unavailable',
    says: /cannot be reached/,
  },
  {
    title: 'a repository with an id that is none',
    faults: [{ on: 'repository', kind: 'answer', text: '{"id":"7"}' }],
    code: 'github_bad_response',
    says: /id is text of 1 characters/,
  },
  list(
    'a refusal in ugly words',
    { kind: 'answer', status: 401, text: JSON.stringify({ message: UGLY }) },
    /^GitHub refuses \(401\): a \[2J 31m b c$/,
    'github_auth',
  ),
  list(
    'a refusal whose message is no text',
    { kind: 'answer', status: 401, text: '{"message":{"toString":1},"errors":[12345678901234567890]}' },
    /401/,
    'github_auth',
  ),
  list(
    'a refusal with a huge body of an unknown kind',
    { kind: 'answer', status: 429, text: FIVE_HUNDRED_KB, headers: { 'content-type': ';;=', 'retry-after': '90' } },
    /429/,
    'github_rate_limited',
    90_000,
  ),
  limited('Retry-After of a year', { 'retry-after': YEAR_S }, LONGEST_WAIT_MS),
  limited('Retry-After in the year 9999', { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }, LONGEST_WAIT_MS),
  limited('Retry-After that is no time', { 'retry-after': 'soon' }, MINUTE),
  limited('Retry-After of many digits', { 'retry-after': '9'.repeat(400) }, LONGEST_WAIT_MS),
  limited(
    'a reset by a clock that is a day ahead',
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(SECONDS_NOW + 86_400) },
    LONGEST_WAIT_MS,
  ),
  limited(
    'a reset by a clock that is a day behind',
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(SECONDS_NOW - 86_400) },
    1000,
  ),
  limited('a reset that is no time', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': 'x' }, MINUTE),
  list(
    'a failure with Retry-After of a year',
    { kind: 'answer', status: 503, headers: { 'retry-after': YEAR_S } },
    /503/,
    'github_unavailable',
    LONGEST_WAIT_MS,
  ),
];

for (const { title, faults, code, says, waitMs } of CASES) {
  test(`syncProduct when GitHub answers with ${title}: ${code}, and what is known stays`, async () => {
    await using setup = await setUp({ limits: { totalMs: title.startsWith('one byte') ? 200 : 20_000 } });
    await publish(setup.world, '1.0.0');
    await setup.poll(0);
    const before = await setup.known();
    await publish(setup.world, '1.1.0');
    for (const fault of faults) setup.world.github.faults.add(fault);
    assert.deepEqual(await setup.poll(5), { changed: false, outcome: 'failed' });
    assert.deepEqual(await setup.known(), before);
    const source = await setup.source();
    assert.equal(source?.errorCode, code);
    assert.match(source?.error ?? '', says);
    assert.match(source?.error ?? '', /^[^\p{Cc}\p{Cf}]{1,500}$/u, 'fit for a terminal');
    assert.equal((source?.nextPollAt ?? 0) - setup.world.clock.now, waitMs ?? MINUTE);
    setup.world.github.faults.clear();
    assert.equal((await setup.poll(5 + LONGEST_WAIT_MS / MINUTE)).changed, true, 'it goes on by itself');
    assert.equal((await setup.source())?.errorCode, null);
  });
}

test('syncProduct with 304 to everything keeps what is known, and reads all again after an hour', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await setup.poll(0);
  const before = await setup.known();
  setup.world.github.faults.add({ kind: 'answer', status: 304, times: 100 });
  assert.equal((await setup.poll(5)).outcome, 'unchanged');
  assert.equal((await setup.poll(61)).outcome, 'failed');
  assert.deepEqual(await setup.known(), before);
});

const DATES = ['0000-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '+275760-09-13T00:00:00Z', null];

for (const date of DATES) {
  test(`syncProduct of a release from ${date} counts it as published when it was first seen`, async () => {
    await using setup = await setUp();
    await publish(setup.world, '1.0.0');
    setup.world.github.faults.add({ kind: 'edited', in: 'release', set: { published_at: date }, on: 'releases' });
    await setup.poll(0);
    const [release] = await listReleases(setup.deps.database.db, 'agent');
    assert.equal(release?.publishedAt, NOW);
  });
}

for (const digest of ['sha512:00', 'md5:00', '', null]) {
  test(`syncProduct of an asset with the digest ${JSON.stringify(digest)} waits for one, and says so`, async () => {
    await using setup = await setUp();
    await publish(setup.world, '1.0.0');
    setup.world.github.faults.add({ kind: 'edited', in: 'asset', set: { digest }, on: 'releases' });
    await setup.poll(0);
    const [release] = await listReleases(setup.deps.database.db, 'agent');
    assert.equal(release?.state, 'pending');
    assert.match(release?.why ?? '', /GitHub gives no SHA-256/);
  });
}

test('syncProduct of tags with escapes and marks rejects these, takes the others, and keeps what is known', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await setup.poll(0);
  for (const tag of [`v${UGLY}`, 'v1.2.0\u202e', 'v1.3.0\u0000', 'v../../1.4.0', '__proto__']) {
    await setup.world.github.repositories.publish(REPOSITORY, { tag });
  }
  await publish(setup.world, '1.1.0');
  assert.equal((await setup.poll(5)).outcome, 'listed');
  const known = (await setup.known()).filter((line) => line.endsWith('complete'));
  assert.deepEqual(known, ['1.1.0 complete', '1.0.0 complete']);
  assert.equal((await setup.source())?.rejectedTags.length, 5);
});

const ODD: [title: string, fault: Fault, notice: RegExp][] = [
  ['pages that repeat', { kind: 'endless' }, /page 2 repeats/],
  [
    'an end before the last page',
    { kind: 'headers', headers: { link: '<http://x.example/?page=9>; rel="last"' } },
    /9 pages were announced/,
  ],
];

for (const [title, fault, notice] of ODD) {
  test(`syncProduct of a list with ${title} takes what it reads, says so, and withdraws nothing`, async () => {
    await using setup = await setUp();
    await publish(setup.world, '1.0.0');
    await setup.poll(0);
    setup.world.github.repositories.removeRelease(REPOSITORY, 'v1.0.0');
    await publish(setup.world, '1.1.0');
    setup.world.github.faults.add({ ...fault, on: 'releases', times: 100 });
    await setup.poll(5);
    assert.deepEqual((await setup.known()).slice(0, 2), ['1.1.0 complete', '1.0.0 complete']);
    assert.match(String(setup.lines.find((line) => line['notice'] !== undefined)?.['notice']), notice);
    assert.match((await setup.source())?.notice ?? '', notice);
    setup.world.github.faults.clear();
    await setup.poll(10);
    assert.deepEqual((await setup.known()).slice(0, 2), ['1.1.0 complete', '1.0.0 withdrawn']);
    assert.equal((await setup.source())?.notice, null);
  });
}

test('listReleases prints nothing, whatever headers say', async (t) => {
  const warned = t.mock.method(console, 'warn', () => {});
  await using world = await openWorld();
  await publish(world, '1.0.0');
  const headers = { deprecation: 'true', sunset: '\u009b2J', link: '<http://x.example>; rel="deprecation"' };
  world.github.faults.add({ kind: 'headers', headers, on: 'releases' });
  await world.source.listReleases(REPOSITORY, null, NEVER);
  assert.equal(warned.mock.callCount(), 0);
});

test('download from a storage host that refuses slowly ends in time', async () => {
  await using world = await openWorld({ limits: { totalMs: 200 } });
  await publish(world, '1.0.0');
  const listing = await world.source.listReleases(REPOSITORY, null, NEVER);
  assert.ok(listing.kind === 'listed');
  world.github.faults.add({ kind: 'redirect_loop', on: 'asset', times: 100 });
  const id = listing.releases[0]?.assets[0]?.id ?? '';
  await assert.rejects(world.source.download(REPOSITORY, id, NEVER), { code: 'github_unavailable' });
  world.github.faults.clear();
  world.github.faults.add({ kind: 'answer', on: 'storage', status: 404, text: FIVE_HUNDRED_KB });
  await assert.rejects(world.source.download(REPOSITORY, id, NEVER), { code: 'github_not_found' });
});

test('syncAll with one product whose GitHub is hostile polls the others', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  setup.world.github.repositories.create('acme/hostile');
  await setup.world.github.repositories.publish('acme/hostile', { tag: 'v'.repeat(2000) });
  const hostile = { ...PRODUCT, name: 'hostile', repository: 'acme/hostile' };
  assert.deepEqual(await syncAll(setup.deps, [hostile, PRODUCT], REGIONS, NOW), { changed: true });
  assert.equal((await setup.known())[0], '1.0.0 complete');
  assert.equal((await loadSource(setup.deps.database.db, 'hostile'))?.errorCode, 'github_bad_response');
});
