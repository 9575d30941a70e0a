// One poll of a product's releases: the network first, then everything that follows from it in one transaction.
import { isDeepStrictEqual } from 'node:util';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import type { Release } from '../domain/release.ts';
import { AppError } from '../errors.ts';
import { appendAudit } from '../store/audit.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import {
  listAvailability,
  listReleases,
  loadSource,
  type SourceState,
  saveAvailability,
  saveRelease,
  saveSource,
} from '../store/releases.ts';
import type { TrackedProduct } from './assets.ts';
import { changedAvailability } from './availability.ts';
import { readCursor, writeCursor } from './cursor.ts';
import { doubtLosses } from './doubt-losses.ts';
import { type ReadListing, readListing } from './read-listing.ts';
import type { Listing, ReleaseSource, Seen } from './source.ts';

export interface SyncDeps {
  database: Database;
  source: ReleaseSource;
  logger: Logger;
  newId: () => string;
  /** Aborts when the process stops. */
  signal: AbortSignal;
  /** Regions whose mirror has the last word on what is available there (probes.ts). */
  mirrored?: ReadonlySet<string>;
}

export interface SyncResult {
  /** Something that the planner looks at has been written. */
  changed: boolean;
  outcome: 'skipped' | 'unchanged' | 'listed' | 'failed';
}

const CONCURRENT_POLLS = 4;
const POLL_MS = 10 * 60_000;
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;
const MAX_REJECTED_TAGS = 100;
const MAX_ERROR_LENGTH = 500;
const MAX_NAMED_ASSETS = 5;

/**
 * Polls one product unless its next poll is due later (`force` polls all the same), and never throws: a failure is
 * recorded in the source row, what was known stays, and the next poll waits as long as GitHub says or else 1 to 60
 * minutes. `now`: milliseconds since the epoch.
 */
export async function syncProduct(
  deps: SyncDeps,
  product: TrackedProduct,
  regions: readonly string[],
  now: number,
  options: { force?: boolean } = {},
): Promise<SyncResult> {
  try {
    const state = (await loadSource(deps.database.db, product.name)) ?? newSource(product.name);
    if (options.force !== true && state.nextPollAt !== null && now < state.nextPollAt) {
      return { changed: false, outcome: 'skipped' };
    }
    return await poll(deps, product, regions, state, now);
  } catch (error) {
    deps.logger.error({ err: error, product: product.name }, 'poll could not be recorded');
    return { changed: false, outcome: 'failed' };
  }
}

/** Polls several products, four at a time. */
export async function syncAll(
  deps: SyncDeps,
  products: readonly TrackedProduct[],
  regions: readonly string[],
  now: number,
  options: { force?: boolean } = {},
): Promise<{ changed: boolean }> {
  const limit = pLimit(CONCURRENT_POLLS);
  const results = await limit.map(products, (product) => syncProduct(deps, product, regions, now, options));
  return { changed: results.some((result) => result.changed) };
}

async function poll(
  deps: SyncDeps,
  product: TrackedProduct,
  regions: readonly string[],
  state: SourceState,
  now: number,
): Promise<SyncResult> {
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(POLL_MS)]);
  let listing: { kind: 'unchanged' } | Listing;
  try {
    listing = await list(deps, product, readCursor(state.etag, product, readAs(deps, regions), now), signal);
  } catch (error) {
    if (!deps.signal.aborted) await recordFailure(deps, state, error, now);
    return { changed: false, outcome: 'failed' };
  }
  if (state.failures > 0) deps.logger.info({ product: product.name, failures: state.failures }, 'GitHub answers again');
  const succeeded: SourceState = { ...state, ...SUCCESS, lastAttemptAt: now, lastSuccessAt: now };
  if (listing.kind === 'unchanged') {
    await transaction(deps.database, (tx) => saveSource(tx, succeeded));
    return { changed: false, outcome: 'unchanged' };
  }
  const changed = await record(deps, product, regions, listing, succeeded, now);
  return { changed, outcome: 'listed' };
}

/** A region that gets or loses its mirror is read as another one, so that the next poll lists again. */
function readAs({ mirrored }: SyncDeps, regions: readonly string[]): string[] {
  return regions.map((region) => (mirrored?.has(region) === true ? `${region} (mirror)` : region));
}

const SUCCESS = { nextPollAt: null, failures: 0, errorCode: null, error: null };

/**
 * A release that is deleted while pages are read shifts the others: one of them can then stand on no page. So what a
 * listing misses counts as gone only when a second listing misses it, too. Both may come from one incident: what they
 * agree upon is doubted once more where it is much (doubt-losses.ts).
 */
async function list(deps: SyncDeps, product: TrackedProduct, seen: Seen | null, signal: AbortSignal) {
  const first = await deps.source.listReleases(product.repository, seen, signal);
  if (first.kind === 'unchanged') return first;
  const known = await listReleases(deps.database.db, product.name);
  const ids = new Set(first.releases.map((release) => release.id));
  const misses = known.some((release) => release.state !== 'withdrawn' && !ids.has(release.sourceId));
  if (!first.complete || !misses) return first;
  const again = { repositoryId: first.repositoryId, etag: null };
  const second = await deps.source.listReleases(product.repository, again, signal);
  if (second.kind === 'unchanged') return first;
  const secondIds = new Set(second.releases.map((release) => release.id));
  // Where both have a release, the later reading counts.
  const onlyFirst = first.releases.filter((release) => !secondIds.has(release.id));
  return { ...second, releases: [...second.releases, ...onlyFirst] };
}

/** Reconciles inside the transaction, so that two polls of one product at a time cannot undo each other. */
async function record(
  deps: SyncDeps,
  product: TrackedProduct,
  regions: readonly string[],
  listing: Listing,
  { doubted, ...state }: SourceState,
  now: number,
): Promise<boolean> {
  const done = await transaction(deps.database, async (tx) => {
    const known = await listReleases(tx, product.name);
    const read = readListing(product, listing, known, now, deps.newId);
    const believed = doubtLosses(known, read.releases, doubted, now);
    const before = new Map(known.map((release) => [release.id, release]));
    const releases = believed.releases.filter((release) => !isDeepStrictEqual(release, before.get(release.id)));
    for (const release of releases) await saveChanged(tx, release, before.get(release.id), now);
    const existing = await listAvailability(tx, product.name);
    const rows = changedAvailability(product, regions, believed.releases, existing, now, deps.mirrored);
    await saveAvailability(tx, rows);
    const notices = [listing.notice, believed.notice].filter((notice) => notice !== null);
    // A list that is doubted is read again, changed or not.
    const seen = believed.doubted === undefined ? listing : { ...listing, etag: null };
    const after: SourceState = {
      ...state,
      ...(believed.doubted === undefined ? {} : { doubted: believed.doubted }),
      etag: writeCursor(product, readAs(deps, regions), seen, now),
      rejectedTags: read.rejectedTags.slice(0, MAX_REJECTED_TAGS),
      rejectedCount: read.rejectedTags.length,
      notice: notices.length === 0 ? null : notices.join('; '),
    };
    await saveSource(tx, after);
    return { releases, read, after, first: known.length === 0, changed: releases.length > 0 || rows.length > 0 };
  });
  const { notice } = done.after;
  if (notice !== null && notice !== state.notice) deps.logger.warn({ product: product.name, notice }, 'listing is odd');
  logReleases(deps.logger, product.name, done);
  return done.changed;
}

/** Into the audit go the states that stop a release; that one has appeared says its own row. */
async function saveChanged(tx: Tx, release: Release, before: Release | undefined, now: number): Promise<void> {
  await saveRelease(tx, release);
  if (!stops(release) || before?.state === release.state) return;
  const { version, tag, why } = release;
  const data = { version, tag, why, was: before?.state ?? null };
  await appendAudit(tx, {
    at: now,
    actor: 'system',
    action: `release.${release.state}`,
    subject: `${release.product} ${version}`,
    data,
  });
}

interface Logged {
  releases: readonly Release[];
  read: ReadListing;
  /** Nothing was known before. */
  first: boolean;
}

/** What is stopped has a line of its own; a history that is met for the first time has one line for all the others. */
function logReleases(logger: Logger, product: string, { releases, read, first }: Logged): void {
  const { rejectedTags, undigested } = read;
  const count = (state: Release['state']) => releases.filter((release) => release.state === state).length;
  for (const release of releases) if (stops(release) || !first) logRelease(logger, release);
  if (first) {
    const counts = { releases: releases.length, complete: count('complete'), pending: count('pending') };
    const other = { refused: count('refused'), rejectedTags: rejectedTags.length };
    logger.info({ product, ...counts, ...other }, 'first listing read');
  }
  if (undigested.length > 0) {
    const assets = undigested.slice(0, MAX_NAMED_ASSETS);
    logger.info({ product, count: undigested.length, assets }, 'GitHub gives no digest where one is known; it stays');
  }
}

function logRelease(logger: Logger, release: Release): void {
  const { product, version, tag, state, why } = release;
  if (stops(release)) logger.warn({ product, version, tag, state, why }, 'release is stopped by what GitHub says');
  else logger.info({ product, version, tag, state, why }, 'release read');
}

function stops(release: Release): boolean {
  return release.state === 'altered' || release.state === 'withdrawn' || release.state === 'refused';
}

/** One warning when it begins or changes; the rest of a long outage is detail. */
async function recordFailure(deps: SyncDeps, state: SourceState, error: unknown, now: number): Promise<void> {
  const code = error instanceof AppError ? error.code : 'internal';
  const failures = state.failures + 1;
  const waitMs = (error instanceof AppError ? error.retryAfterMs : undefined) ?? pauseMs(failures);
  const level = code === 'internal' ? 'error' : code === state.errorCode ? 'debug' : 'warn';
  const message = (error instanceof Error ? error.message : String(error)).slice(0, MAX_ERROR_LENGTH);
  const where = error instanceof AppError ? error.where : undefined;
  deps.logger[level]({ err: error, code, where, product: state.product, failures, waitMs }, 'poll failed');
  await transaction(deps.database, (tx) =>
    saveSource(tx, {
      ...state,
      lastAttemptAt: now,
      nextPollAt: now + waitMs,
      failures,
      errorCode: code,
      error: message,
    }),
  );
}

function pauseMs(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
}

function newSource(product: string): SourceState {
  return {
    product,
    etag: null,
    lastAttemptAt: null,
    lastSuccessAt: null,
    rejectedTags: [],
    rejectedCount: 0,
    notice: null,
    ...SUCCESS,
  };
}
