// What one listing leaves behind for the next: kept as one text in the source row.
import { createHash } from 'node:crypto';
import type { TrackedProduct } from './assets.ts';
import type { Seen } from './source.ts';

/**
 * The ETag covers the first page alone, and GitHub sorts by the date of the tagged commit: a release made from an old
 * commit appears on a later page, and an old asset can be replaced there. So after this time all pages are read again.
 */
const RELIST_MS = 3_600_000;

/**
 * The ETag stands for what the listing was read as, too: with another config (a new region, another asset name) the next
 * poll lists again, although nothing has changed upstream. The repository's id outlives that, and counts only for the
 * repository name that it was got for.
 */
export function writeCursor(product: TrackedProduct, regions: readonly string[], seen: Seen, now: number): string {
  const { repositoryId, etag } = seen;
  return [product.repository, repositoryId, configHash(product, regions), now, etag ?? ''].join(' ');
}

/** Null where nothing of it counts any more, or nothing was there. `now`: milliseconds since the epoch. */
export function readCursor(
  text: string | null,
  product: TrackedProduct,
  regions: readonly string[],
  now: number,
): Seen | null {
  const match = /^(\S+) (\S+) (\S+) (\d+) (.*)$/.exec(text ?? '');
  if (match === null || match[1] !== product.repository) return null;
  const ageMs = now - Number(match[4]);
  const counts = match[3] === configHash(product, regions) && ageMs >= 0 && ageMs < RELIST_MS;
  return { repositoryId: match[2] ?? '', etag: counts && match[5] ? match[5] : null };
}

function configHash(product: TrackedProduct, regions: readonly string[]): string {
  const artifacts = product.artifacts.map(({ platform, asset }) => [platform, asset]);
  const read = JSON.stringify([product.scheme, product.tags, artifacts, regions]);
  return createHash('sha256').update(read).digest('hex').slice(0, 16);
}
