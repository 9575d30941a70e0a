// A poll from GitHub's answer to the rows in the database: octokit over HTTP, a real SQLite.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../../src/demo/recorded-faults.ts';
import { listAudit } from '../../src/store/audit.ts';
import { transaction } from '../../src/store/database.ts';
import { listAvailability, listReleases, loadSource, saveAvailability } from '../../src/store/releases.ts';
import type { TrackedProduct } from '../../src/tracker/assets.ts';
import { type SyncDeps, syncAll, syncProduct } from '../../src/tracker/sync.ts';
import {
  assetName,
  bytesOf,
  type LogLine,
  memoryDatabase,
  NOW,
  openWorld,
  PRODUCT,
  publish,
  REPOSITORY,
  readableLogger,
  type World,
} from './world.ts';

const REGIONS = ['eu', 'us'];
const MINUTE = 60_000;

interface Setup extends AsyncDisposable {
  world: World;
  deps: SyncDeps;
  lines: LogLine[];
  /** Polls `minutes` after NOW. */
  poll(
    minutes: number,
    options?: { force?: boolean; product?: TrackedProduct; regions?: string[] },
  ): ReturnType<typeof syncProduct>;
  /** What the rows say, in short. */
  states(): Promise<string[]>;
  available(): Promise<string[]>;
  source(): ReturnType<typeof loadSource>;
}

async function setUp(options: Parameters<typeof openWorld>[0] = {}): Promise<Setup> {
  const world = await openWorld(options);
  const { database, ...store } = await memoryDatabase();
  const { logger, lines } = readableLogger();
  const stop = new AbortController();
  let lastId = 0;
  const newId = () => `id-${(lastId += 1)}`;
  const deps: SyncDeps = { database, source: world.source, logger, newId, signal: stop.signal };
  return {
    world,
    deps,
    lines,
    poll(minutes, { product = PRODUCT, regions = REGIONS, ...rest } = {}) {
      world.clock.now = NOW + minutes * MINUTE;
      return syncProduct(deps, product, regions, world.clock.now, rest);
    },
    async states() {
      return (await listReleases(database.db, 'agent')).map((release) => `${release.version} ${release.state}`);
    },
    async available() {
      const rows = await listAvailability(database.db, 'agent');
      return rows.map((row) => `${row.version} ${row.region} ${row.platform} ${row.status}`);
    },
    source: () => loadSource(database.db, 'agent'),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await world[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

test('syncProduct writes releases, artifacts, availability and the source, and nothing but the time when unchanged', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await publish(setup.world, '1.1.0');
  assert.deepEqual(await setup.poll(0), { changed: true, outcome: 'listed' });
  assert.deepEqual(await setup.states(), ['1.1.0 complete', '1.0.0 complete']);
  const rows = await listAvailability(setup.deps.database.db, 'agent');
  assert.equal(rows.length, 8);
  assert.ok(
    rows.every((row) => row.status === 'available' && row.why === 'uploaded on GitHub' && row.checkedAt === NOW),
  );
  const first = await setup.source();
  assert.equal(first?.lastSuccessAt, NOW);
  assert.equal(first?.failures, 0);
  assert.deepEqual(await setup.poll(5), { changed: false, outcome: 'unchanged' });
  assert.deepEqual(await setup.source(), {
    ...first,
    lastAttemptAt: NOW + 5 * MINUTE,
    lastSuccessAt: NOW + 5 * MINUTE,
  });
});

test('syncProduct lists again although nothing has changed upstream: after an hour, and with another config', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await setup.poll(0);
  assert.equal((await setup.poll(59)).outcome, 'unchanged');
  assert.deepEqual(await setup.poll(61), { changed: false, outcome: 'listed' });
  assert.equal((await setup.poll(62)).outcome, 'unchanged');
  assert.deepEqual(await setup.poll(63, { regions: ['eu', 'us', 'ap'] }), { changed: true, outcome: 'listed' });
  assert.equal((await setup.available()).filter((row) => row.includes(' ap ')).length, 2);
});

test('syncProduct leaves to a mirror what is available, and says beside it what is absent', async () => {
  await using setup = await setUp();
  const { repositories } = setup.world.github;
  await publish(setup.world, '1.0.0');
  await setup.poll(0);
  // The region us gets a mirror.
  const mirrored = { ...setup.deps, mirrored: new Set(['us']) };
  const poll = (minutes: number) => syncProduct(mirrored, PRODUCT, REGIONS, NOW + minutes * MINUTE);
  const rowsOf = async (region: string) =>
    (await listAvailability(setup.deps.database.db, 'agent'))
      .filter((row) => row.region === region && row.platform === 'linux-x64')
      .map((row) => `${row.version} ${row.status} ${row.why}`);
  assert.deepEqual(await poll(1), { changed: true, outcome: 'listed' });
  assert.deepEqual(await rowsOf('us'), ['1.0.0 unknown the region’s mirror has not been asked yet']);
  assert.equal((await poll(2)).outcome, 'unchanged');
  // The mirror's word stays, and is not made up.
  const [row] = (await listAvailability(setup.deps.database.db, 'agent')).filter((one) => one.region === 'us');
  assert.ok(row);
  const word = { ...row, platform: 'linux-x64', status: 'available' as const, why: 'https://m.example/x: there' };
  await transaction(setup.deps.database, (tx) => saveAvailability(tx, [word]));
  await repositories.publish(REPOSITORY, { tag: 'v1.1.0' });
  await publish(setup.world, '1.2.0');
  await poll(3);
  const expected = [
    '1.0.0 available https://m.example/x: there',
    '1.1.0 absent pending: no_assets: the release has no assets yet',
  ];
  assert.deepEqual(await rowsOf('us'), expected);
  assert.equal((await rowsOf('eu')).at(-1), '1.2.0 available uploaded on GitHub');
  repositories.removeRelease(REPOSITORY, 'v1.0.0');
  await poll(4);
  assert.match((await rowsOf('us'))[0] ?? '', /^1\.0\.0 absent withdrawn: /);
});

test('syncProduct of a release whose second platform arrives later', async () => {
  await using setup = await setUp();
  const { repositories } = setup.world.github;
  await repositories.publish(REPOSITORY, { tag: 'v1.0.0' });
  await setup.poll(0);
  assert.deepEqual(await setup.states(), ['1.0.0 pending']);
  await repositories.alterAsset(REPOSITORY, 'v1.0.0', assetName('1.0.0'), { bytes: bytesOf('x') });
  await repositories.alterAsset(REPOSITORY, 'v1.0.0', assetName('1.0.0', 'linux-arm64'), {
    bytes: bytesOf('y'),
    digest: null,
  });
  assert.equal((await setup.poll(5)).changed, true);
  assert.deepEqual(await setup.states(), ['1.0.0 pending']);
  const rows = await listAvailability(setup.deps.database.db, 'agent');
  assert.deepEqual(
    rows.filter((row) => row.region === 'eu').map((row) => [row.platform, row.status, row.why, row.since]),
    [
      ['linux-arm64', 'absent', 'GitHub gives no SHA-256 for the asset', NOW],
      ['linux-x64', 'available', 'uploaded on GitHub', NOW + 5 * MINUTE],
    ],
  );
  await repositories.alterAsset(REPOSITORY, 'v1.0.0', assetName('1.0.0', 'linux-arm64'), { bytes: bytesOf('y') });
  await setup.poll(10);
  assert.deepEqual(await setup.states(), ['1.0.0 complete']);
});

test('syncProduct never takes a draft, with the token that may see it', async () => {
  await using setup = await setUp({ pushToken: 'push', token: 'push' });
  await setup.world.github.repositories.publish(REPOSITORY, { tag: 'v2.0.0', draft: true });
  await publish(setup.world, '1.0.0');
  await setup.poll(0);
  assert.deepEqual(await setup.states(), ['1.0.0 complete']);
  const seen = await setup.world.source.listReleases(REPOSITORY, null, setup.deps.signal);
  assert.equal(seen.kind === 'listed' && seen.releases.some((release) => release.draft), true);
});

test('syncProduct of an altered and of a withdrawn release: absent, audited, logged as warnings', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await publish(setup.world, '1.1.0');
  await setup.poll(0);
  const { repositories } = setup.world.github;
  await repositories.alterAsset(REPOSITORY, 'v1.0.0', assetName('1.0.0'), { bytes: bytesOf('other') });
  repositories.removeRelease(REPOSITORY, 'v1.1.0');
  assert.deepEqual(await setup.poll(5), { changed: true, outcome: 'listed' });
  assert.deepEqual(await setup.states(), ['1.1.0 withdrawn', '1.0.0 altered']);
  assert.ok((await setup.available()).every((row) => row.endsWith(' absent')));
  const audit = await listAudit(setup.deps.database.db, { limit: 10 });
  assert.deepEqual(audit.map((entry) => `${entry.action} ${entry.subject}`).sort(), [
    'release.altered agent 1.0.0',
    'release.withdrawn agent 1.1.0',
  ]);
  assert.equal(setup.lines.filter((line) => line.level === 40).length, 2);
});

test('syncProduct believes that a release is gone only when a second listing misses it, too', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await setup.poll(0);
  // A source whose first listing misses everything, as when pages shift while they are read.
  let calls = 0;
  const { source } = setup.world;
  const deps: SyncDeps = {
    ...setup.deps,
    source: {
      ...source,
      async listReleases(...args) {
        const listing = await source.listReleases(args[0], null, args[2]);
        calls += 1;
        return calls === 1 && listing.kind === 'listed' ? { ...listing, releases: [] } : listing;
      },
    },
  };
  await syncProduct(deps, PRODUCT, REGIONS, NOW + 5 * MINUTE);
  assert.equal(calls, 2);
  assert.deepEqual(await setup.states(), ['1.0.0 complete']);
});

const VERSIONS = ['1.0.0', '1.1.0', '1.2.0', '1.3.0'];

/** A source that answers well, but lists only `shown` versions of what there is. */
function hiding(setup: Setup, shown: () => readonly string[] | null): SyncDeps {
  const { source } = setup.world;
  return {
    ...setup.deps,
    source: {
      ...source,
      async listReleases(repository, seen, signal) {
        const listing = await source.listReleases(repository, shown() === null ? seen : null, signal);
        if (listing.kind === 'unchanged') return listing;
        const releases = listing.releases.filter(({ tag }) => shown()?.includes(tag.slice(1)) ?? true);
        return { ...listing, releases };
      },
    },
  };
}

const LOSSES: [title: string, known: string[], shown: string[], isOdd: boolean][] = [
  ['everything', VERSIONS, [], true],
  ['the only one', ['1.0.0'], [], true],
  ['three of four', VERSIONS, ['1.0.0'], true],
  ['half of four', VERSIONS, ['1.0.0', '1.1.0'], false],
  ['two of three', ['1.0.0', '1.1.0', '1.2.0'], ['1.0.0'], false],
];

for (const [title, known, shown, isOdd] of LOSSES) {
  test(`syncProduct of a listing without ${title} ${isOdd ? 'doubts it for a minute' : 'believes it'}`, async () => {
    await using setup = await setUp();
    for (const version of known) await publish(setup.world, version);
    await setup.poll(0);
    const before = await setup.states();
    const deps = hiding(setup, () => shown);
    const poll = (minutes: number) => syncProduct(deps, PRODUCT, REGIONS, NOW + minutes * MINUTE, { force: true });
    const withdrawn = async () => (await setup.states()).filter((state) => state.endsWith(' withdrawn')).length;
    await poll(5);
    const gone = known.length - shown.length;
    if (!isOdd) {
      assert.equal(await withdrawn(), gone);
      assert.equal((await setup.source())?.notice, null);
      return;
    }
    assert.deepEqual(await setup.states(), before);
    assert.ok((await setup.available()).every((row) => row.endsWith(' available')));
    const notice = `${gone} of ${known.length} known releases cannot be had all at once; `;
    assert.ok((await setup.source())?.notice?.startsWith(notice));
    await poll(5.5);
    assert.deepEqual(await setup.states(), before, 'the same incident says nothing new');
    assert.equal(setup.lines.filter((line) => line.level === 40 && line.msg === 'listing is odd').length, 1);
    await poll(6);
    assert.equal(await withdrawn(), gone);
    assert.equal((await setup.source())?.notice, null);
    assert.equal((await setup.source())?.doubted, undefined);
  });
}

test('syncProduct forgets its doubt when the releases are listed again, and counts each loss from when it was seen', async () => {
  await using setup = await setUp();
  for (const version of VERSIONS) await publish(setup.world, version);
  await setup.poll(0);
  const before = await setup.states();
  let shown: string[] | null = ['1.0.0'];
  const deps = hiding(setup, () => shown);
  const poll = (minutes: number) => syncProduct(deps, PRODUCT, REGIONS, NOW + minutes * MINUTE);
  await poll(5);
  shown = null;
  assert.equal((await poll(10)).outcome, 'listed', 'a doubted list is read again, whatever its ETag');
  assert.equal((await setup.source())?.notice, null);
  shown = [];
  await poll(15);
  assert.deepEqual(await setup.states(), before);
  shown = ['1.3.0'];
  await poll(15.9);
  shown = [];
  await poll(16);
  assert.deepEqual(await setup.states(), ['1.3.0 complete', '1.2.0 withdrawn', '1.1.0 withdrawn', '1.0.0 withdrawn']);
});

test('syncProduct tells of a history that it meets for the first time in one line, and of what comes later one by one', async () => {
  await using setup = await setUp();
  for (const version of VERSIONS) await publish(setup.world, version);
  await setup.world.github.repositories.publish(REPOSITORY, { tag: 'nightly' });
  await setup.poll(0);
  const told = () => setup.lines.splice(0).filter((line) => line.level === 30);
  const [line, ...more] = told();
  assert.equal(more.length, 0);
  assert.deepEqual(
    [line?.msg, line?.['releases'], line?.['complete'], line?.['rejectedTags']],
    ['first listing read', 4, 4, 1],
  );
  await publish(setup.world, '1.4.0');
  await setup.poll(5);
  assert.deepEqual(
    told().map(({ msg, version }) => `${msg} ${version}`),
    ['release read 1.4.0'],
  );
});

test('syncProduct of an asset whose digest GitHub has ceased to give keeps the release, and says so in the log', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await setup.poll(0);
  const { source } = setup.world;
  const deps: SyncDeps = {
    ...setup.deps,
    source: {
      ...source,
      async listReleases(repository, _, signal) {
        const listing = await source.listReleases(repository, null, signal);
        if (listing.kind === 'unchanged') return listing;
        const undigested = (release: (typeof listing.releases)[number]) =>
          release.assets.map((asset) => ({ ...asset, digest: null }));
        return { ...listing, releases: listing.releases.map((one) => ({ ...one, assets: undigested(one) })) };
      },
    },
  };
  await syncProduct(deps, PRODUCT, REGIONS, NOW + 5 * MINUTE);
  assert.deepEqual(await setup.states(), ['1.0.0 complete']);
  const line = setup.lines.find(({ msg }) => msg.startsWith('GitHub gives no digest'));
  assert.equal(line?.['count'], 2);
});

const FAULTS: { fault: Fault; code: string; waitMs: number }[] = [
  { fault: { kind: 'status', status: 401 }, code: 'github_auth', waitMs: MINUTE },
  { fault: { kind: 'status', status: 404 }, code: 'github_not_found', waitMs: MINUTE },
  { fault: { kind: 'status', status: 500 }, code: 'github_unavailable', waitMs: MINUTE },
  {
    fault: { kind: 'primary_rate_limit', resetAt: NOW + 45 * MINUTE },
    code: 'github_rate_limited',
    waitMs: 40 * MINUTE,
  },
  {
    fault: { kind: 'secondary_rate_limit', status: 429, retryAfterS: 90 },
    code: 'github_rate_limited',
    waitMs: 90_000,
  },
  { fault: { kind: 'truncated', framed: true }, code: 'github_bad_response', waitMs: MINUTE },
  { fault: { kind: 'truncated', framed: false }, code: 'github_bad_response', waitMs: MINUTE },
  { fault: { kind: 'html' }, code: 'github_bad_response', waitMs: MINUTE },
  { fault: { kind: 'wrong_types' }, code: 'github_bad_response', waitMs: MINUTE },
  { fault: { kind: 'slow', everyMs: 50, bytes: 1000 }, code: 'github_unavailable', waitMs: MINUTE },
];

for (const { fault, code, waitMs } of FAULTS) {
  test(`syncProduct when GitHub does ${JSON.stringify(fault)} records ${code} and keeps what is known`, async () => {
    await using setup = await setUp({ limits: { totalMs: 300 } });
    await publish(setup.world, '1.0.0');
    await setup.poll(0);
    const before = { states: await setup.states(), available: await setup.available(), source: await setup.source() };
    await publish(setup.world, '1.1.0');
    setup.world.github.faults.add({ ...fault, on: 'releases' });
    assert.deepEqual(await setup.poll(5), { changed: false, outcome: 'failed' });
    assert.deepEqual(await setup.states(), before.states);
    assert.deepEqual(await setup.available(), before.available);
    const source = await setup.source();
    assert.ok(source?.error);
    assert.deepEqual(
      { ...source, error: null },
      {
        ...before.source,
        lastAttemptAt: NOW + 5 * MINUTE,
        nextPollAt: NOW + 5 * MINUTE + waitMs,
        failures: 1,
        errorCode: code,
      },
    );
    assert.deepEqual(
      setup.lines.filter((line) => line.level >= 40).map((line) => [line.level, line['code']]),
      [[40, code]],
    );
    assert.equal((await setup.poll(5 + waitMs / MINUTE)).changed, true);
    assert.deepEqual((await setup.source())?.errorCode, null);
    assert.deepEqual(await setup.states(), ['1.1.0 complete', '1.0.0 complete']);
  });
}

test('syncProduct waits 1, 2, 4 … 60 minutes, does not ask before, unless forced, and warns once', async () => {
  await using setup = await setUp();
  setup.world.github.faults.add({ kind: 'status', status: 500, times: 1000 });
  const waits: number[] = [];
  let minutes = 0;
  for (let failures = 1; failures <= 8; failures += 1) {
    assert.equal((await setup.poll(minutes)).outcome, 'failed');
    const source = await setup.source();
    assert.equal(source?.failures, failures);
    const wait = ((source?.nextPollAt ?? 0) - NOW) / MINUTE - minutes;
    waits.push(wait);
    const asked = setup.world.github.log.length;
    assert.equal((await setup.poll(minutes + wait - 0.5)).outcome, 'skipped');
    assert.equal(setup.world.github.log.length, asked);
    minutes += wait;
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
  assert.equal(setup.lines.filter((line) => line.level === 40).length, 1);
  assert.equal(setup.lines.filter((line) => line.level > 40).length, 0);
  setup.world.github.faults.clear();
  assert.equal((await setup.poll(minutes - 1, { force: true })).outcome, 'listed');
});

test('syncProduct with endless pages takes what it reads and withdraws nothing', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await setup.poll(0);
  setup.world.github.repositories.removeRelease(REPOSITORY, 'v1.0.0');
  await publish(setup.world, '1.1.0');
  setup.world.github.faults.add({ kind: 'endless', on: 'releases', times: 1000 });
  await setup.poll(5);
  assert.deepEqual(await setup.states(), ['1.1.0 complete', '1.0.0 complete']);
});

test('syncProduct of one version under two tags refuses both and says so', async () => {
  await using setup = await setUp();
  const product: TrackedProduct = { ...PRODUCT, scheme: 'numeric', tags: ['{version}'] };
  await setup.world.github.repositories.publish(REPOSITORY, { tag: '3.3' });
  await setup.world.github.repositories.publish(REPOSITORY, { tag: '3.3.0' });
  await setup.world.github.repositories.publish(REPOSITORY, { tag: 'nightly' });
  await setup.poll(0, { product });
  const releases = await listReleases(setup.deps.database.db, 'agent');
  assert.deepEqual(
    releases.map((release) => release.state),
    ['refused', 'refused'],
  );
  assert.match(releases[0]?.why ?? '', /3\.3 and 3\.3\.0|3\.3\.0 and 3\.3/);
  assert.deepEqual(
    (await setup.source())?.rejectedTags.map((rejected) => rejected.tag),
    ['nightly'],
  );
});

test('syncProduct refuses a repository that took the old name, across a restart', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await setup.poll(0);
  setup.world.github.repositories.remove(REPOSITORY);
  setup.world.github.repositories.create(REPOSITORY);
  await publish(setup.world, '6.6.6');
  assert.equal((await setup.poll(5)).outcome, 'failed');
  assert.equal((await setup.source())?.errorCode, 'github_bad_response');
  assert.deepEqual(await setup.states(), ['1.0.0 complete']);
});

test('syncProduct on a database that fails does not throw', async () => {
  await using setup = await setUp();
  await setup.deps.database.close();
  assert.deepEqual(await setup.poll(0), { changed: false, outcome: 'failed' });
  assert.equal(setup.lines.at(-1)?.level, 50);
});

test('syncProduct twice at a time writes each release once', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  await Promise.all([setup.poll(0), setup.poll(0)]);
  assert.deepEqual(await setup.states(), ['1.0.0 complete']);
});

test('syncAll polls each product, whatever happens to the others', async () => {
  await using setup = await setUp();
  await publish(setup.world, '1.0.0');
  const missing = { ...PRODUCT, name: 'missing', repository: 'acme/missing' };
  assert.deepEqual(await syncAll(setup.deps, [missing, PRODUCT], REGIONS, NOW), { changed: true });
  assert.deepEqual(await setup.states(), ['1.0.0 complete']);
  assert.equal((await loadSource(setup.deps.database.db, 'missing'))?.errorCode, 'github_not_found');
});
