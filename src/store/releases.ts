// Releases with their artifacts, what is known of each product's source, and availability by region.
import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Availability } from '../domain/availability.ts';
import type { Artifact, Release } from '../domain/release.ts';
import { rowsAs, textsIn, textsOf, toJson } from './batch.ts';
import { prepared } from './prepared.ts';
import { remembered } from './remembered.ts';
import type { DB, Db, Tx } from './schema.ts';

/** What the tracker remembers of one product's repository between polls. Times in milliseconds since the epoch. */
export interface SourceState {
  product: string;
  etag: string | null;
  lastAttemptAt: number | null;
  lastSuccessAt: number | null;
  nextPollAt: number | null;
  /** Polls that failed in a row. */
  failures: number;
  errorCode: string | null;
  error: string | null;
  /** Tags that are no versions of the product; of many, the first. */
  rejectedTags: { tag: string; why: string }[];
  /** All of them. */
  rejectedCount: number;
  /** Why the last listing has not been read to its end, one sentence; null: it was. */
  notice: string | null;
  /** Releases whose loss is not believed yet, by id, with when it was seen first. Left out: none. */
  doubted?: Readonly<Record<string, number>>;
}

export interface KnownArtifact {
  releaseId: string;
  product: string;
  platform: string;
  name: string;
  /** Bytes. */
  size: number;
  sha256: string;
  assetId: string;
}

/** Highest version first. */
export async function listReleases(db: Db | Tx, product: string): Promise<Release[]> {
  return await withArtifacts(db, await db.selectFrom('releases').selectAll().where('product', '=', product).execute());
}

/** Product by product in that order, each as by `listReleases`. */
export const listReleasesOf = remembered(
  ['releases', 'artifacts'],
  async (db, products: readonly string[]): Promise<Release[]> => {
    const { rows } = await RELEASES_OF(db, toJson(products));
    const byProduct = Map.groupBy(await withArtifacts(db, rows), (release) => release.product);
    return products.flatMap((product) => byProduct.get(product) ?? []);
  },
);

const RELEASES_OF = prepared((db, products: RawBuilder<string>) =>
  db.selectFrom('releases').selectAll().where('product', 'in', textsOf(db, products)).compile(),
);

/** In the order of `listReleases`; unknown ids are left out. */
export async function releasesById(db: Db | Tx, ids: readonly string[]): Promise<Release[]> {
  if (ids.length === 0) return [];
  return await withArtifacts(db, (await RELEASES(db, toJson(ids))).rows);
}

const RELEASES = prepared((db, ids: RawBuilder<string>) =>
  db.selectFrom('releases').selectAll().where('id', 'in', textsOf(db, ids)).compile(),
);

async function withArtifacts(db: Db | Tx, rows: Selectable<DB['releases']>[]): Promise<Release[]> {
  const artifacts = await ARTIFACTS_OF(db, toJson(rows.map((row) => row.id)));
  const byRelease = Map.groupBy(artifacts.rows, (artifact) => artifact.release_id);
  // Sorted here: the sort key is ordered by bytes, which a collation of PostgreSQL may see otherwise.
  return rows
    .sort((a, b) => compareText(b.sort_key, a.sort_key) || compareText(b.id, a.id))
    .map((row) => toRelease(row, byRelease.get(row.id) ?? []));
}

const ARTIFACTS_OF = prepared((db, ids: RawBuilder<string>) =>
  db.selectFrom('artifacts').selectAll().where('release_id', 'in', textsOf(db, ids)).orderBy('platform').compile(),
);

/** Inserts the release or replaces what is known of it, artifacts included. */
export async function saveRelease(tx: Tx, release: Release): Promise<void> {
  const { id, ...columns } = fromRelease(release);
  await tx
    .insertInto('releases')
    .values({ id, ...columns })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(columns))
    .execute();
  await tx.deleteFrom('artifacts').where('release_id', '=', id).execute();
  if (release.artifacts.length === 0) return;
  await tx
    .insertInto('artifacts')
    .values(
      release.artifacts.map((artifact) => ({
        release_id: id,
        platform: artifact.platform,
        name: artifact.name,
        size: artifact.size,
        sha256: artifact.sha256,
        asset_id: artifact.assetId,
      })),
    )
    .execute();
}

/** The artifact with this digest; of several releases with the same bytes, any of them. */
export async function artifactByDigest(db: Db | Tx, sha256: string): Promise<KnownArtifact | undefined> {
  const row = await db
    .selectFrom('artifacts')
    .innerJoin('releases', 'releases.id', 'artifacts.release_id')
    .select(['release_id', 'product', 'platform', 'name', 'size', 'sha256', 'asset_id'])
    .where('sha256', '=', sha256)
    .orderBy('release_id', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { release_id, asset_id, ...same } = row;
  return { ...same, releaseId: release_id, assetId: asset_id };
}

export async function loadSource(db: Db | Tx, product: string): Promise<SourceState | undefined> {
  const row = await db.selectFrom('sources').selectAll().where('product', '=', product).executeTakeFirst();
  return row === undefined ? undefined : toSource(row);
}

export const listSources = remembered(
  ['sources'],
  async (db): Promise<SourceState[]> => (await SOURCES(db)).rows.map(toSource),
);

const SOURCES = prepared((db) => db.selectFrom('sources').selectAll().orderBy('product').compile());

export async function saveSource(tx: Tx, state: SourceState): Promise<void> {
  const columns = {
    etag: state.etag,
    last_attempt_at: state.lastAttemptAt,
    last_success_at: state.lastSuccessAt,
    next_poll_at: state.nextPollAt,
    failures: state.failures,
    error_code: state.errorCode,
    error: state.error,
    rejected_tags: JSON.stringify(state.rejectedTags),
    rejected_count: state.rejectedCount,
    notice: state.notice,
    doubted: state.doubted === undefined ? null : JSON.stringify(state.doubted),
  };
  await tx
    .insertInto('sources')
    .values({ product: state.product, ...columns })
    .onConflict((conflict) => conflict.column('product').doUpdateSet(columns))
    .execute();
}

/**
 * Each product, version, region and platform at most once. `since` stays while the status does; that it was absent is
 * remembered by the row itself, until it is available.
 */
export async function saveAvailability(tx: Tx, rows: readonly Availability[]): Promise<void> {
  if (rows.length === 0) return;
  const values = rowsAs(
    tx,
    {
      product: 'text',
      version: 'text',
      region: 'text',
      platform: 'text',
      status: 'text',
      why: 'text',
      since: 'bigint',
      checked_at: 'bigint',
    },
    rows.map(({ product, version, region, platform, status, why, since, checkedAt }) => ({
      ...{ product, version, region, platform, status, why, since },
      checked_at: checkedAt,
    })),
  );
  // `where true`: without it SQLite reads `on conflict` as a join condition.
  await sql`insert into availability (product, version, region, platform, status, why, since, checked_at, was_absent)
    select product, version, region, platform, status, why, since, checked_at,
      case when status = 'available' then 0 else 1 end
    from (${values}) as v where true
    on conflict (product, version, region, platform) do update set
      since = case when availability.status = excluded.status then availability.since else excluded.since end,
      was_absent = case when excluded.status = 'unknown' then availability.was_absent else excluded.was_absent end,
      status = excluded.status, why = excluded.why, checked_at = excluded.checked_at`.execute(tx);
}

export async function listAvailability(
  db: Db | Tx,
  product?: string,
  versions?: readonly string[],
): Promise<Availability[]> {
  if (product === undefined && versions === undefined) return await listAllAvailability(db);
  return (await availabilityOf(db, product, versions).execute()).map(toAvailability);
}

export const listAllAvailability = remembered(
  ['availability'],
  async (db): Promise<Availability[]> => (await AVAILABILITY(db)).rows.map(toAvailability),
);

const AVAILABILITY = prepared((db) => availabilityOf(db).compile());

function toAvailability({ checked_at, was_absent, ...same }: Selectable<DB['availability']>): Availability {
  const wasAbsent = same.status === 'unknown' && was_absent === 1;
  return { ...same, checkedAt: checked_at, ...(wasAbsent ? { wasAbsent } : {}) };
}

function availabilityOf(db: Db | Tx, product?: string, versions?: readonly string[]) {
  return db
    .selectFrom('availability')
    .selectAll()
    .$if(product !== undefined, (query) => query.where('product', '=', product as string))
    .$if(versions !== undefined, (query) => query.where('version', 'in', textsIn(db, versions as string[])))
    .orderBy('product')
    .orderBy('version')
    .orderBy('region')
    .orderBy('platform');
}

function toRelease(row: Selectable<DB['releases']>, artifacts: Selectable<DB['artifacts']>[]): Release {
  return {
    id: row.id,
    product: row.product,
    sourceId: row.source_id,
    tag: row.tag,
    version: row.version,
    sortKey: row.sort_key,
    prerelease: row.prerelease === 1,
    state: row.state,
    why: row.why,
    publishedAt: row.published_at,
    firstSeenAt: row.first_seen_at,
    artifacts: artifacts.map(toArtifact),
    missing: JSON.parse(row.missing),
  };
}

function toArtifact(row: Selectable<DB['artifacts']>): Artifact {
  return { platform: row.platform, name: row.name, size: row.size, sha256: row.sha256, assetId: row.asset_id };
}

function fromRelease(release: Release): DB['releases'] {
  return {
    id: release.id,
    product: release.product,
    source_id: release.sourceId,
    tag: release.tag,
    version: release.version,
    sort_key: release.sortKey,
    prerelease: release.prerelease ? 1 : 0,
    state: release.state,
    why: release.why,
    published_at: release.publishedAt,
    first_seen_at: release.firstSeenAt,
    missing: JSON.stringify(release.missing),
  };
}

function toSource(row: Selectable<DB['sources']>): SourceState {
  const rejectedTags: SourceState['rejectedTags'] = JSON.parse(row.rejected_tags);
  return {
    product: row.product,
    etag: row.etag,
    lastAttemptAt: row.last_attempt_at,
    lastSuccessAt: row.last_success_at,
    nextPollAt: row.next_poll_at,
    failures: row.failures,
    errorCode: row.error_code,
    error: row.error,
    rejectedTags,
    // Rows from before there was a count hold none; the next listing writes it.
    rejectedCount: Math.max(row.rejected_count, rejectedTags.length),
    notice: row.notice,
    ...(row.doubted === null ? {} : { doubted: JSON.parse(row.doubted) }),
  };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
