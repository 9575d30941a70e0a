// The server's cache of artifacts: bytes by digest, downloaded once, verified while they arrive, kept under their digest.
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { AppError } from '../errors.ts';
import type { Database } from '../store/database.ts';
import { artifactByDigest, type KnownArtifact } from '../store/releases.ts';
import type { ReleaseSource } from './source.ts';

export interface ArtifactCacheOptions {
  /** Made where it is missing; nothing else may write there. */
  dir: string;
  database: Database;
  source: ReleaseSource;
  /** `owner/name` of a product; undefined when the config does not name it any more. */
  repositoryOf: (product: string) => string | undefined;
  /** Milliseconds since the epoch. */
  now: () => number;
  logger: Logger;
  /** Longest that one download may take; default 30 minutes. */
  downloadMs?: number;
}

export interface ArtifactCache {
  /**
   * Path of the verified file and its size in bytes; waits for the download where it is not there yet. Throws `not_found`
   * for a digest of no release, `artifact_unavailable` (with retryAfterMs; cause `digest_mismatch` for wrong bytes).
   */
  open(sha256: string): Promise<{ path: string; size: number }>;
  /** The same without a caller to tell: a failure is logged. */
  prefetch(sha256: string): Promise<void>;
  /** Ends the downloads under way. */
  close(): Promise<void>;
}

interface Failure {
  times: number;
  until: number;
  error: AppError;
}

interface Cache {
  options: ArtifactCacheOptions;
  limit: ReturnType<typeof pLimit>;
  running: Map<string, Promise<{ path: string; size: number }>>;
  failures: Map<string, Failure>;
  stop: AbortController;
}

const CONCURRENT_DOWNLOADS = 2;
const MAX_WAITING = 100;
const MAX_FAILURES = 1000;
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;
const DOWNLOAD_MS = 30 * 60_000;
const PART = '.part';

export async function openArtifactCache(options: ArtifactCacheOptions): Promise<ArtifactCache> {
  await mkdir(options.dir, { recursive: true });
  await removeParts(options.dir);
  const cache: Cache = {
    options,
    limit: pLimit(CONCURRENT_DOWNLOADS),
    running: new Map(),
    failures: new Map(),
    stop: new AbortController(),
  };
  return {
    open: (sha256) => openArtifact(cache, sha256),
    async prefetch(sha256) {
      await openArtifact(cache, sha256).catch((error: unknown) =>
        options.logger.debug({ err: error, sha256 }, 'artifact was not fetched ahead'),
      );
    },
    async close() {
      cache.stop.abort();
      await Promise.allSettled(cache.running.values());
    },
  };
}

async function openArtifact(cache: Cache, sha256: string): Promise<{ path: string; size: number }> {
  // The digest becomes a file name.
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new AppError('not_found', 'not a SHA-256 in lower-case hex');
  const artifact = await artifactByDigest(cache.options.database.db, sha256);
  if (artifact === undefined) throw new AppError('not_found', `no release has an artifact ${sha256}`);
  const path = join(cache.options.dir, sha256);
  // A file gets its name only after it was verified and is on disk.
  if ((await sizeOf(path)) === artifact.size) return { path, size: artifact.size };
  const running = cache.running.get(sha256);
  if (running !== undefined) return running;
  const failure = cache.failures.get(sha256);
  if (failure !== undefined && cache.options.now() < failure.until) throw again(failure, cache.options.now());
  if (cache.limit.pendingCount >= MAX_WAITING) {
    throw new AppError('artifact_unavailable', 'too many downloads wait', { retryAfterMs: FIRST_PAUSE_MS });
  }
  const work = cache
    .limit(() => fetchArtifact(cache, artifact, path))
    .finally(() => {
      cache.running.delete(sha256);
    });
  cache.running.set(sha256, work);
  return work;
}

async function fetchArtifact(cache: Cache, artifact: KnownArtifact, path: string) {
  const { logger, now } = cache.options;
  const part = `${path}.${randomUUID()}${PART}`;
  try {
    await downloadTo(cache, artifact, part);
    await rename(part, path);
    await syncDirectory(cache.options.dir);
    cache.failures.delete(artifact.sha256);
    logger.info({ product: artifact.product, name: artifact.name, size: artifact.size }, 'artifact verified and kept');
    return { path, size: artifact.size };
  } catch (error) {
    await rm(part, { force: true });
    const failure = remember(cache, artifact, error);
    const { product, name, sha256 } = artifact;
    if (!cache.stop.signal.aborted) logger.warn({ err: error, product, name, sha256 }, 'artifact could not be got');
    throw again(failure, now());
  }
}

/** Verifies size and digest of what is written, and forces it to disk. */
async function downloadTo(cache: Cache, artifact: KnownArtifact, part: string): Promise<void> {
  const { source, repositoryOf, downloadMs } = cache.options;
  const repository = repositoryOf(artifact.product);
  if (repository === undefined) throw new AppError('not_found', `the config has no product ${artifact.product}`);
  const signal = AbortSignal.any([cache.stop.signal, AbortSignal.timeout(downloadMs ?? DOWNLOAD_MS)]);
  const { stream, size } = await source.download(repository, artifact.assetId, signal);
  if (size !== null && size !== artifact.size) {
    stream.on('error', () => {}).destroy();
    throw mismatch(artifact, `${size} bytes are offered, ${artifact.size} were published`);
  }
  const hash = createHash('sha256');
  let received = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      received += chunk.length;
      hash.update(chunk);
      if (received > artifact.size)
        done(mismatch(artifact, `more than the ${artifact.size} bytes that were published`));
      else done(null, chunk);
    },
  });
  await pipeline(stream, check, createWriteStream(part, { flags: 'wx', mode: 0o600, flush: true }), { signal });
  if (received !== artifact.size) throw mismatch(artifact, `${received} bytes, ${artifact.size} were published`);
  const digest = hash.digest('hex');
  if (digest !== artifact.sha256) throw mismatch(artifact, `SHA-256 ${digest}, ${artifact.sha256} was published`);
}

/** The pause doubles with every failure in a row, 1 to 60 minutes, or is what GitHub asks for. */
function remember(cache: Cache, artifact: KnownArtifact, error: unknown): Failure {
  const times = (cache.failures.get(artifact.sha256)?.times ?? 0) + 1;
  const asked = error instanceof AppError ? error.retryAfterMs : undefined;
  const pauseMs = asked ?? Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(times - 1, 10));
  const cause = error instanceof Error ? error.message : String(error);
  const failure: Failure = {
    times,
    until: cache.options.now() + pauseMs,
    error: new AppError('artifact_unavailable', `${artifact.name} could not be got: ${cause}`, { cause: error }),
  };
  // The oldest goes first: a forgotten failure costs one more try.
  const oldest = cache.failures.keys().next();
  if (cache.failures.size >= MAX_FAILURES && !oldest.done) cache.failures.delete(oldest.value);
  cache.failures.set(artifact.sha256, failure);
  return failure;
}

/** A fresh error for each caller: what remains to wait differs. */
function again(failure: Failure, now: number): AppError {
  return new AppError('artifact_unavailable', failure.error.message, {
    cause: failure.error.cause,
    retryAfterMs: Math.max(1000, failure.until - now),
  });
}

function mismatch(artifact: KnownArtifact, what: string): AppError {
  return new AppError('digest_mismatch', `${artifact.name}: ${what}`);
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The name is on disk only when the directory is. */
async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What a crash left in the middle of a download. */
async function removeParts(dir: string): Promise<void> {
  for (const name of await readdir(dir)) if (name.endsWith(PART)) await rm(join(dir, name), { force: true });
}
