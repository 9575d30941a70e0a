// The artifact cache against the recorded GitHub, with a real directory and a real SQLite.
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Fault } from '../../src/demo/recorded-faults.ts';
import { AppError } from '../../src/errors.ts';
import { type ArtifactCache, openArtifactCache } from '../../src/tracker/artifact-cache.ts';
import { syncProduct } from '../../src/tracker/sync.ts';
import {
  assetName,
  bytesOf,
  memoryDatabase,
  NEVER,
  NOW,
  openWorld,
  PRODUCT,
  publish,
  REPOSITORY,
  readableLogger,
  sha256,
  tempDir,
  type World,
} from './world.ts';

const DIGEST = sha256(bytesOf('1.0.0'));

interface Setup extends AsyncDisposable {
  world: World;
  cache: ArtifactCache;
  dir: string;
  downloads(): number;
  reopen(): Promise<ArtifactCache>;
}

async function setUp(): Promise<Setup> {
  const world = await openWorld({ requireToken: 'secret', token: 'secret' });
  const { database, ...store } = await memoryDatabase();
  const temp = await tempDir();
  const { logger } = readableLogger();
  await publish(world, '1.0.0');
  const deps = { database, source: world.source, logger, newId: () => 'release-1', signal: NEVER };
  assert.equal((await syncProduct(deps, PRODUCT, ['eu'], NOW)).outcome, 'listed');
  const options = {
    dir: join(temp.path, 'artifacts'),
    database,
    source: world.source,
    repositoryOf: (product: string) => (product === 'agent' ? REPOSITORY : undefined),
    now: () => world.clock.now,
    logger,
    downloadMs: 400,
  };
  const cache = await openArtifactCache(options);
  return {
    world,
    cache,
    dir: options.dir,
    downloads: () => world.github.log.filter((entry) => entry.path.includes('/releases/assets/')).length,
    reopen: () => openArtifactCache(options),
    async [Symbol.asyncDispose]() {
      await cache.close();
      await world[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
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

test('open downloads once for all who ask, then serves from disk, after a restart too', async () => {
  await using setup = await setUp();
  const opened = await Promise.all(Array.from({ length: 5 }, () => setup.cache.open(DIGEST)));
  const path = join(setup.dir, DIGEST);
  for (const file of opened) assert.deepEqual(file, { path, size: bytesOf('1.0.0').length });
  assert.deepEqual(await readFile(path), bytesOf('1.0.0'));
  await setup.cache.open(DIGEST);
  assert.deepEqual(await (await setup.reopen()).open(DIGEST), opened[0]);
  assert.equal(setup.downloads(), 1);
  assert.deepEqual(await readdir(setup.dir), [DIGEST]);
});

for (const digest of ['0'.repeat(64), DIGEST.toUpperCase(), '../../etc/passwd', '']) {
  test(`open(${JSON.stringify(digest)}) throws not_found and asks nobody`, async () => {
    await using setup = await setUp();
    assert.equal((await failure(setup.cache.open(digest))).code, 'not_found');
    assert.equal(setup.downloads(), 0);
  });
}

const WRONG: [title: string, bytes: Buffer, claimed: number][] = [
  ['other bytes of the same size', Buffer.from(bytesOf('1.0.0')).reverse(), bytesOf('1.0.0').length],
  ['more bytes', Buffer.concat([bytesOf('1.0.0'), Buffer.from('x')]), bytesOf('1.0.0').length],
  ['fewer bytes', bytesOf('1.0.0').subarray(1), bytesOf('1.0.0').length],
];

for (const [title, bytes, size] of WRONG) {
  test(`open when GitHub sends ${title} keeps nothing and throws artifact_unavailable`, async () => {
    await using setup = await setUp();
    const digest = `sha256:${DIGEST}`;
    for (const { platform } of PRODUCT.artifacts) {
      await setup.world.github.repositories.alterAsset(REPOSITORY, 'v1.0.0', assetName('1.0.0', platform), {
        bytes,
        size,
        digest,
      });
    }
    const error = await failure(setup.cache.open(DIGEST));
    assert.equal(error.code, 'artifact_unavailable');
    assert.equal((error.cause as AppError).code, 'digest_mismatch');
    assert.equal(error.retryAfterMs, 60_000);
    assert.deepEqual(await readdir(setup.dir), []);
  });
}

const FAULTS: Fault[] = [
  { kind: 'truncated', framed: true, on: 'storage' },
  { kind: 'truncated', framed: false, on: 'storage' },
  { kind: 'slow', everyMs: 50, bytes: 1000, on: 'storage' },
  { kind: 'huge', bytes: 100 * 1024 * 1024, on: 'storage' },
  { kind: 'html', on: 'storage' },
  { kind: 'reset', on: 'storage' },
  { kind: 'status', status: 500, on: 'storage' },
  { kind: 'status', status: 404, on: 'asset' },
];

for (const fault of FAULTS) {
  test(`open when GitHub does ${JSON.stringify(fault)} keeps nothing, and gets it when the pause is over`, async () => {
    await using setup = await setUp();
    setup.world.github.faults.add(fault);
    const error = await failure(setup.cache.open(DIGEST));
    assert.equal(error.code, 'artifact_unavailable');
    // Ended at the published size, not after all that the host was willing to send.
    if (fault.kind === 'huge') assert.match(error.message, /more than the/);
    assert.deepEqual(await readdir(setup.dir), []);
    setup.world.clock.now += 60_000;
    await setup.cache.open(DIGEST);
    assert.deepEqual(await readdir(setup.dir), [DIGEST]);
  });
}

test('open after failures waits 1, 2, 4 minutes without asking GitHub', async () => {
  await using setup = await setUp();
  setup.world.github.faults.add({ kind: 'status', status: 500, on: 'asset', times: 3 });
  for (const [index, minutes] of [1, 2, 4].entries()) {
    await failure(setup.cache.open(DIGEST));
    setup.world.clock.now += minutes * 60_000 - 1000;
    assert.equal((await failure(setup.cache.open(DIGEST))).retryAfterMs, 1000);
    assert.equal(setup.downloads(), index + 1);
    setup.world.clock.now += 1000;
  }
  await setup.cache.open(DIGEST);
});

test('open replaces a file of the wrong size, and a restart removes half a download', async () => {
  await using setup = await setUp();
  await writeFile(join(setup.dir, DIGEST), 'too short');
  await writeFile(join(setup.dir, `${DIGEST}.1.part`), 'half');
  const cache = await setup.reopen();
  assert.deepEqual(await readdir(setup.dir), [DIGEST]);
  await cache.open(DIGEST);
  assert.deepEqual(await readFile(join(setup.dir, DIGEST)), bytesOf('1.0.0'));
});

test('prefetch gets the bytes ahead, and tells nobody of a failure', async () => {
  await using setup = await setUp();
  setup.world.github.faults.add({ kind: 'status', status: 500, on: 'asset' });
  await setup.cache.prefetch(DIGEST);
  assert.deepEqual(await readdir(setup.dir), []);
  setup.world.clock.now += 60_000;
  await setup.cache.prefetch(DIGEST);
  assert.deepEqual(await readdir(setup.dir), [DIGEST]);
});

test('close ends a download under way', async () => {
  await using setup = await setUp();
  setup.world.github.faults.add({ kind: 'slow', everyMs: 1000, bytes: 1000, on: 'storage' });
  const opening = failure(setup.cache.open(DIGEST));
  await setup.cache.close();
  assert.equal((await opening).code, 'artifact_unavailable');
  assert.deepEqual(await readdir(setup.dir), []);
});
