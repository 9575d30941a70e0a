// Turns what octokit throws into our error codes, with the time that GitHub asks us to wait.
import { RequestError } from 'octokit';
import { AppError, type ErrorCode } from '../errors.ts';
import { plainText } from './plain-text.ts';

/** Where GitHub limits without saying how long: its guidance is at least a minute. */
const DEFAULT_WAIT_MS = 60_000;
/** GitHub's windows last an hour; whoever names more has a wrong clock. */
const MAX_WAIT_MS = 2 * 3_600_000;

/** `where` names the endpoint; `nowMs` turns GitHub's reset time into a wait. */
export function githubError(error: unknown, where: string, nowMs: number): AppError {
  const own = ownError(error);
  if (own !== undefined) return own;
  // A body that nobody can have sent (no status) is a bug or a broken stream; both are worth another try.
  if (!(error instanceof RequestError)) return fail('github_unavailable', where, messageOf(error), error);
  const status = error.status;
  const said = messageOf(error);
  if (isRateLimit(error, said)) {
    const retryAfterMs = waitOf(error, nowMs);
    return fail('github_rate_limited', where, `GitHub limits the rate (${status}): ${said}`, error, retryAfterMs);
  }
  if (status === 401 || status === 403 || status === 451) {
    return fail('github_auth', where, `GitHub refuses (${status}): ${said}`, error);
  }
  if (status === 404 || status === 410)
    return fail('github_not_found', where, `GitHub has no such thing (${status})`, error);
  if (status >= 500) {
    const wait = headerMs(error, nowMs);
    return fail('github_unavailable', where, `GitHub fails (${status}): ${said}`, error, wait);
  }
  return fail('github_bad_response', where, `GitHub answers ${status}: ${said}`, error);
}

/** What the fetch of ours threw; octokit wraps it. */
function ownError(error: unknown): AppError | undefined {
  if (error instanceof AppError) return error;
  return error instanceof Error && error.cause instanceof AppError ? error.cause : undefined;
}

/** https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: 403 or 429, told apart by headers and words. */
function isRateLimit(error: RequestError, said: string): boolean {
  if (error.status === 429) return true;
  if (error.status !== 403) return false;
  const headers = error.response?.headers;
  return (
    headers?.['retry-after'] !== undefined || headers?.['x-ratelimit-remaining'] === '0' || /rate limit/i.test(said)
  );
}

function waitOf(error: RequestError, nowMs: number): number {
  const named = headerMs(error, nowMs);
  if (named !== undefined) return named;
  const headers = error.response?.headers;
  // With calls remaining it is a secondary limit, and the reset time speaks of another window.
  const resetS = headers?.['x-ratelimit-remaining'] === '0' ? Number(headers['x-ratelimit-reset']) : Number.NaN;
  return Number.isFinite(resetS) ? bounded(resetS * 1000 - nowMs) : DEFAULT_WAIT_MS;
}

/** Retry-After, RFC 9110 §10.2.3: seconds or a date. */
function headerMs(error: RequestError, nowMs: number): number | undefined {
  const value = error.response?.headers['retry-after'];
  if (value === undefined) return undefined;
  const text = String(value).trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? DEFAULT_WAIT_MS : bounded(ms);
}

function bounded(ms: number): number {
  return Math.min(MAX_WAIT_MS, Math.max(1000, ms));
}

function fail(code: ErrorCode, where: string, message: string, cause: unknown, retryAfterMs?: number): AppError {
  return new AppError(code, message, { where, cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

function messageOf(error: unknown): string {
  return plainText(error instanceof Error ? error.message : String(error), 300);
}
