// GitHub as a source of releases, over octokit; it reads, and neither retries nor sleeps.
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { Octokit, RequestError } from 'octokit';
import { AppError } from '../errors.ts';
import { githubError } from './github-errors.ts';
import { DEFAULT_LIMITS, type FetchLimits, openBoundedFetch } from './github-fetch.ts';
import { nextLink, readReleasePage, readRepositoryId } from './github-read.ts';
import type { Listing, ReleaseSource, Seen, SourceRelease } from './source.ts';

const PER_PAGE = 100;
const MAX_PAGES = 40;

export interface GitHubOptions {
  /** e.g. https://api.github.com, or https://HOST/api/v3. */
  apiUrl: string;
  token: string | null;
  /** Of Tidegate, for the user agent. */
  version: string;
  /** Milliseconds since the epoch. */
  now: () => number;
  limits?: Partial<FetchLimits>;
}

export interface GitHubSource extends ReleaseSource {
  close(): Promise<void>;
}

interface GitHub {
  octokit: Octokit;
  /** No slash at the end. */
  base: string;
  now: () => number;
}

/** One repository at one moment: which one it is, and how to reach it. */
interface Place {
  owner: string;
  repo: string;
  signal: AbortSignal;
}

interface Page {
  data: unknown;
  /** After redirects. */
  url: string;
  next: string | undefined;
  etag: string | null;
}

export function openGitHubSource(options: GitHubOptions): GitHubSource {
  const bounded = openBoundedFetch({ ...DEFAULT_LIMITS, ...options.limits });
  const base = options.apiUrl.replace(/\/+$/, '');
  // The retry and throttling plugins sleep, for up to an hour; waiting is the poller's business.
  const octokit = new Octokit({
    baseUrl: base,
    ...(options.token === null ? {} : { auth: options.token }),
    userAgent: `tidegate/${options.version}`,
    retry: { enabled: false },
    throttle: { enabled: false },
    request: { fetch: bounded.fetch },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  });
  const github: GitHub = { octokit, base, now: options.now };
  return {
    listReleases: (repository, seen, signal) => listReleases(github, repository, seen, signal),
    download: (repository, assetId, signal) => download(github, repository, assetId, signal),
    close: bounded.close,
  };
}

async function listReleases(github: GitHub, repository: string, seen: Seen | null, signal: AbortSignal) {
  const place = placeOf(repository, signal);
  const first = await getPage(github, place, 1, seen?.etag ?? null);
  if (first === 'unchanged') return { kind: 'unchanged' as const };
  const repositoryId = await getRepositoryId(github, place);
  if (seen !== null && seen.repositoryId !== repositoryId) {
    throw otherRepository(place, `it was ${seen.repositoryId}, now ${repositoryId} has the name ${repository}`);
  }
  checkAddress(github, place, repositoryId, first.url);
  const releases = new Map<string, SourceRelease>();
  let page = first;
  for (let number = 1; ; number += 1) {
    // An entry that moved to the next page while we read stands on both; the first reading counts.
    for (const release of readReleasePage(page.data, whereOf(place, number))) {
      if (!releases.has(release.id)) releases.set(release.id, release);
    }
    if (page.next === undefined) return listed(first, repositoryId, releases, true);
    checkAddress(github, place, repositoryId, page.next);
    if (number === MAX_PAGES) return listed(first, repositoryId, releases, false);
    page = await getFurtherPage(github, place, repositoryId, number + 1);
  }
}

function listed(first: Page, repositoryId: string, releases: Map<string, SourceRelease>, complete: boolean): Listing {
  return {
    kind: 'listed',
    etag: first.etag,
    repositoryId,
    releases: [...releases.values()],
    complete,
    notice: complete
      ? null
      : `only the first ${MAX_PAGES} pages of ${PER_PAGE} releases are read; older ones stay as they are`,
  };
}

async function getFurtherPage(github: GitHub, place: Place, repositoryId: string, number: number): Promise<Page> {
  const page = await getPage(github, place, number, null);
  if (page === 'unchanged') throw otherAnswer(whereOf(place, number), 'it says unchanged though nothing was compared');
  checkAddress(github, place, repositoryId, page.url);
  return page;
}

/** The page is asked for by number: an address that the server names is checked, never followed. */
async function getPage(github: GitHub, place: Place, page: number, etag: string | null): Promise<Page | 'unchanged'> {
  const { owner, repo, signal } = place;
  try {
    const response = await github.octokit.rest.repos.listReleases({
      owner,
      repo,
      per_page: PER_PAGE,
      page,
      headers: etag === null ? {} : { 'if-none-match': etag },
      request: { signal },
    });
    const etagNow = response.headers.etag;
    return {
      data: response.data,
      url: response.url,
      next: nextLink(response.headers.link),
      etag: typeof etagNow === 'string' && etagNow.length <= 512 ? etagNow : null,
    };
  } catch (error) {
    if (error instanceof RequestError && error.status === 304 && etag !== null) return 'unchanged';
    throw githubError(error, whereOf(place, page), github.now());
  }
}

async function getRepositoryId(github: GitHub, place: Place): Promise<string> {
  const where = `GET /repos/${place.owner}/${place.repo}`;
  try {
    const { owner, repo, signal } = place;
    const response = await github.octokit.rest.repos.get({ owner, repo, request: { signal } });
    return readRepositoryId(response.data, where);
  } catch (error) {
    throw githubError(error, where, github.now());
  }
}

async function download(github: GitHub, repository: string, assetId: string, signal: AbortSignal) {
  const place = placeOf(repository, signal);
  const where = `GET /repos/${repository}/releases/assets/${assetId}`;
  try {
    const response = await github.octokit.request('GET /repos/{owner}/{repo}/releases/assets/{asset_id}', {
      owner: place.owner,
      repo: place.repo,
      asset_id: Number(assetId),
      headers: { accept: 'application/octet-stream' },
      request: { signal, parseSuccessResponseBody: false },
    });
    const body = response.data as unknown as ReadableStream | null;
    const length = Number(response.headers['content-length'] ?? Number.NaN);
    // A compressed body has another length than its bytes.
    const plain = response.headers['content-encoding'] === undefined;
    return {
      stream: body === null ? Readable.from([]) : Readable.fromWeb(body),
      size: plain && Number.isSafeInteger(length) ? length : null,
    };
  } catch (error) {
    throw githubError(error, where, github.now());
  }
}

/**
 * Whether an address (where a redirect has led to, or a `next` link) is the release list of this very repository, by
 * its name or, as GitHub's own links have it, by its id. Throws `github_bad_response`.
 */
function checkAddress(github: GitHub, place: Place, repositoryId: string, address: string): void {
  const path = URL.canParse(address) ? `${new URL(address).origin}${new URL(address).pathname}`.toLowerCase() : '';
  const base = `${new URL(github.base).origin}${new URL(github.base).pathname.replace(/\/+$/, '')}`.toLowerCase();
  const byName = `${base}/repos/${place.owner}/${place.repo}/releases`.toLowerCase();
  if (path === byName || path === `${base}/repositories/${repositoryId}/releases`) return;
  throw otherRepository(place, `GitHub leads to ${address.slice(0, 200)}`);
}

function placeOf(repository: string, signal: AbortSignal): Place {
  const [owner, repo, ...rest] = repository.split('/');
  if (!owner || !repo || rest.length > 0) throw new AppError('config_invalid', `not owner/name: ${repository}`);
  return { owner, repo, signal };
}

function whereOf(place: Place, page: number): string {
  return `GET /repos/${place.owner}/${place.repo}/releases page ${page}`;
}

function otherRepository(place: Place, what: string): AppError {
  return new AppError('github_bad_response', `this is another repository: ${what}`, {
    where: `${place.owner}/${place.repo}`,
    hint: 'Set products[].repository to the repository’s present name; if it was made anew on purpose, see that it is yours.',
  });
}

function otherAnswer(where: string, what: string): AppError {
  return new AppError('github_bad_response', `GitHub’s answer cannot be read: ${where}: ${what}`, { where });
}

function ignore(): void {}
