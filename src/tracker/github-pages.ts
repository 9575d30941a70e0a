// When a listing of pages ends, and whether it is whole then; the addresses in it are checked elsewhere. No requests.
import { AppError } from '../errors.ts';
import type { SourceRelease } from './source.ts';

const MAX_PAGES = 40;
/** In all releases of one listing: what is kept of them while it is read. */
const MAX_ASSETS = 250_000;

export interface PageLinks {
  /** Address of the next page. */
  next: string | undefined;
  /** Number of the last page, where GitHub says it. */
  last: number | undefined;
}

export interface Progress {
  page: PageLinks;
  first: PageLinks;
  /** Releases that were asked for. */
  perPage: number;
  /** Of the page, from 1. */
  number: number;
  /** Releases on it. */
  found: number;
  /** Releases on it that stood on no page before. */
  fresh: number;
  /** In all pages so far. */
  assets: number;
}

export type End =
  | { kind: 'whole' }
  /** There is more than we read. */
  | { kind: 'bound'; what: string }
  /** Something is wrong with the list; the next poll reads it again. */
  | { kind: 'odd'; what: string };

/**
 * How the listing ends with this page; undefined where there is more to read. A page that is full without naming a next
 * one is not believed to be the last: what stands between may have removed the header, and everything older would seem
 * to be gone.
 */
export function endOf({ page, first, perPage, number, found, fresh, assets }: Progress): End | undefined {
  const named = page.next !== undefined;
  if (!named && found < perPage && (fresh > 0 || found === 0)) {
    if (first.last === undefined || number >= first.last) return { kind: 'whole' };
    return { kind: 'odd', what: `the list ends with page ${number}, and ${first.last} pages were announced` };
  }
  if (number > 1 && fresh === 0) return { kind: 'odd', what: `page ${number} repeats what stands before it` };
  if (number === MAX_PAGES) {
    return { kind: 'bound', what: `only the first ${MAX_PAGES} pages of ${perPage} releases are read` };
  }
  if (assets > MAX_ASSETS) return { kind: 'bound', what: `only ${number} pages with ${assets} assets are read` };
  return undefined;
}

/** An entry that moved to the next page while we read stands on both; the first reading counts. The number of new ones. */
export function keep(releases: Map<string, SourceRelease>, found: readonly SourceRelease[], where: string): number {
  const before = releases.size;
  for (const release of found) {
    const known = releases.get(release.id);
    if (known === undefined) releases.set(release.id, release);
    else if (known.tag !== release.tag) throw twice(where, release.id);
  }
  return releases.size - before;
}

function twice(where: string, id: string): AppError {
  const message = `GitHub’s answer cannot be read: ${where}: the id ${id} stands for two releases`;
  return new AppError('github_bad_response', message, { where });
}
