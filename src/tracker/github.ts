// GitHub as a source of releases, over octokit; it reads, and neither retries nor sleeps.
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { Octokit, RequestError } from 'octokit';
import { AppError } from '../errors.ts';
import { githubError } from './github-errors.ts';
import { BodyTooLarge, DEFAULT_LIMITS, type FetchLimits, openBoundedFetch } from './github-fetch.ts';
import { readJson } from './github-json.ts';
import { type End, endOf, keep, type PageLinks } from './github-pages.ts';
import { lastPage, nextLink, readReleasePage, readRepositoryId } from './github-read.ts';
import { plainText } from './plain-text.ts';
import type { Listing, ReleaseSource, Seen, SourceRelease } from './source.ts';

const PER_PAGE = 100;
/** For a repository whose releases have so many assets that a hundred of them are too large an answer. */
const FEW_PER_PAGE = 10;
/** With fewer than this in all, a page of a hundred releases is no larger than an answer may be. */
const FEW_ASSETS = 5000;

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
  /** Repositories that are read with few releases to the page; never more than were asked for. */
  fewPerPage: Set<string>;
}

/** One repository at one moment: which one it is, and how to reach it. */
interface Place {
  owner: string;
  repo: string;
  perPage: number;
  signal: AbortSignal;
}

interface Page extends PageLinks {
  data: unknown;
  /** After redirects. */
  url: string;
  etag: string | null;
}

export function openGitHubSource(options: GitHubOptions): GitHubSource {
  const bounded = openBoundedFetch({ ...DEFAULT_LIMITS, ...options.limits });
  const base = options.apiUrl.replace(/\/+$/, '');
  // The retry and throttling plugins sleep, for up to an hour; waiting is the poller's business.
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const octokit = new Octokit({
    baseUrl: base,
    ...(options.token === null ? {} : { auth: options.token }),
    userAgent: `tidegate/${options.version}`,
    retry: { enabled: false },
    throttle: { enabled: false },
    // The request's own log, too: else a header that speaks of deprecation is printed as it comes.
    request: { fetch: bounded.fetch, log },
    log,
  });
  const github: GitHub = { octokit, base, now: options.now, fewPerPage: new Set() };
  return {
    listReleases: (repository, seen, signal) => listReleases(github, repository, seen, signal),
    download: (repository, assetId, signal) => download(github, repository, assetId, signal),
    close: bounded.close,
  };
}

async function listReleases(github: GitHub, repository: string, seen: Seen | null, signal: AbortSignal) {
  const { fewPerPage } = github;
  if (!fewPerPage.has(repository)) {
    try {
      return await listAll(github, placeOf(repository, PER_PAGE, signal), seen);
    } catch (error) {
      if (!(error instanceof AppError && error.cause instanceof BodyTooLarge)) throw error;
    }
  }
  const listing = await listAll(github, placeOf(repository, FEW_PER_PAGE, signal), seen);
  fewPerPage.add(repository);
  if (listing.kind === 'listed' && assetsOf(listing.releases) < FEW_ASSETS) fewPerPage.delete(repository);
  return listing;
}

async function listAll(github: GitHub, place: Place, seen: Seen | null): Promise<{ kind: 'unchanged' } | Listing> {
  const first = await getPage(github, place, 1, seen?.etag ?? null);
  if (first === 'unchanged') return { kind: 'unchanged' };
  const repositoryId = await getRepositoryId(github, place);
  if (seen !== null && seen.repositoryId !== repositoryId) {
    throw otherRepository(place, `it was ${seen.repositoryId}, now ${repositoryId} has the name ${nameOf(place)}`);
  }
  checkAddress(github, place, `/repositories/${repositoryId}/releases`, first.url);
  const releases = new Map<string, SourceRelease>();
  let assets = 0;
  let page = first;
  for (let number = 1; ; number += 1) {
    const found = readReleasePage(page.data, place.perPage, whereOf(place, number));
    const fresh = keep(releases, found, whereOf(place, number));
    assets += assetsOf(found);
    if (page.next !== undefined) checkAddress(github, place, `/repositories/${repositoryId}/releases`, page.next);
    const end = endOf({ page, first, perPage: place.perPage, number, found: found.length, fresh, assets });
    if (end !== undefined) return listed(first, repositoryId, releases, end);
    page = await getFurtherPage(github, place, repositoryId, number + 1);
  }
}

function listed(first: Page, repositoryId: string, releases: Map<string, SourceRelease>, end: End): Listing {
  return {
    kind: 'listed',
    etag: end.kind === 'odd' ? null : first.etag,
    repositoryId,
    releases: [...releases.values()],
    complete: end.kind === 'whole',
    notice: end.kind === 'whole' ? null : `${end.what}; what is not among them stays as it is`,
  };
}

function assetsOf(releases: readonly SourceRelease[]): number {
  return releases.reduce((sum, release) => sum + release.assets.length, 0);
}

async function getFurtherPage(github: GitHub, place: Place, repositoryId: string, number: number): Promise<Page> {
  const page = await getPage(github, place, number, null);
  if (page === 'unchanged') throw otherAnswer(whereOf(place, number), 'it says unchanged though nothing was compared');
  checkAddress(github, place, `/repositories/${repositoryId}/releases`, page.url);
  return page;
}

/** The page is asked for by number: an address that the server names is checked, never followed. */
async function getPage(github: GitHub, place: Place, page: number, etag: string | null): Promise<Page | 'unchanged'> {
  const { owner, repo, perPage, signal } = place;
  const where = whereOf(place, page);
  try {
    const response = await github.octokit.rest.repos.listReleases({
      owner,
      repo,
      per_page: perPage,
      page,
      headers: etag === null ? {} : { 'if-none-match': etag },
      request: { signal, parseSuccessResponseBody: false },
    });
    const etagNow = response.headers.etag;
    return {
      data: await readBody(response.data, where),
      url: response.url,
      next: nextLink(response.headers.link),
      last: lastPage(response.headers.link),
      etag: typeof etagNow === 'string' && etagNow.length <= 512 ? etagNow : null,
    };
  } catch (error) {
    if (error instanceof RequestError && error.status === 304 && etag !== null) return 'unchanged';
    throw githubError(error, where, github.now());
  }
}

async function getRepositoryId(github: GitHub, place: Place): Promise<string> {
  const where = `GET /repos/${nameOf(place)}`;
  try {
    const { owner, repo, signal } = place;
    const response = await github.octokit.rest.repos.get({
      owner,
      repo,
      request: { signal, parseSuccessResponseBody: false },
    });
    const id = readRepositoryId(await readBody(response.data, where), where);
    checkAddress(github, place, `/repositories/${id}`, response.url);
    return id;
  } catch (error) {
    throw githubError(error, where, github.now());
  }
}

/** octokit leaves the body alone; it was read whole before octokit got it. */
async function readBody(body: unknown, where: string): Promise<unknown> {
  return readJson(await new Response(body as ReadableStream<Uint8Array> | null).text(), where);
}

async function download(github: GitHub, repository: string, assetId: string, signal: AbortSignal) {
  const place = placeOf(repository, PER_PAGE, signal);
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
 * Whether an address (where a redirect has led to, or a `next` link) is this very repository, or its list: by its name
 * or, as GitHub's own links have it, by its id (`byId`, a path). Throws `github_bad_response`.
 */
function checkAddress(github: GitHub, place: Place, byId: string, address: string): void {
  const path = URL.canParse(address) ? `${new URL(address).origin}${new URL(address).pathname}`.toLowerCase() : '';
  const base = `${new URL(github.base).origin}${new URL(github.base).pathname.replace(/\/+$/, '')}`.toLowerCase();
  const below = byId.endsWith('/releases') ? '/releases' : '';
  if (path === `${base}/repos/${nameOf(place)}${below}`.toLowerCase() || path === `${base}${byId}`) return;
  throw otherRepository(place, `GitHub leads to ${plainText(address, 200)}`);
}

function placeOf(repository: string, perPage: number, signal: AbortSignal): Place {
  const [owner, repo, ...rest] = repository.split('/');
  if (!owner || !repo || rest.length > 0) throw new AppError('config_invalid', `not owner/name: ${repository}`);
  return { owner, repo, perPage, signal };
}

function nameOf(place: Place): string {
  return `${place.owner}/${place.repo}`;
}

function whereOf(place: Place, page: number): string {
  return `GET /repos/${nameOf(place)}/releases page ${page}`;
}

function otherRepository(place: Place, what: string): AppError {
  return new AppError('github_bad_response', `this is another repository: ${what}`, {
    where: nameOf(place),
    hint: 'Set products[].repository to the repository’s present name; if it was made anew on purpose, see that it is yours.',
  });
}

function otherAnswer(where: string, what: string): AppError {
  return new AppError('github_bad_response', `GitHub’s answer cannot be read: ${where}: ${what}`, { where });
}

function ignore(): void {}
