// The fetch that octokit uses: undici's own, with time limits, and bodies that are read to their end or not at all.
import { Agent, fetch as undiciFetch } from 'undici';
import { AppError } from '../errors.ts';
import { plainText } from './plain-text.ts';

export interface FetchLimits {
  connectMs: number;
  /** From the request to the headers. */
  headersMs: number;
  /** Silence between two pieces of a body. */
  idleMs: number;
  /** From the request to the end of a JSON body. */
  totalMs: number;
  /** Bytes of a JSON body, decompressed. */
  maxBodyBytes: number;
}

export const DEFAULT_LIMITS: FetchLimits = {
  connectMs: 10_000,
  headersMs: 30_000,
  idleMs: 30_000,
  totalMs: 90_000,
  maxBodyBytes: 20 * 1024 * 1024,
};

export interface BoundedFetch {
  fetch: typeof globalThis.fetch;
  close(): Promise<void>;
}

/** The cause of the error for a body over `maxBodyBytes`: a smaller page may still be had. */
export class BodyTooLarge extends Error {}

/** Of a refusal only the message is of use; its status counts whatever its body is. */
const MAX_REFUSAL_BYTES = 64 * 1024;

/**
 * octokit reads a body that breaks off as an empty one, without an error. So the body is read here, and octokit gets it
 * whole; only the bytes of an asset (2xx to a request for octet-stream) pass through as a stream. Of a refusal (4xx,
 * 5xx) it gets the message alone, so that no body, however odd, hides the status. The errors are AppErrors of
 * `github_bad_response` (cut off, too large) and `github_unavailable` (everything else).
 */
export function openBoundedFetch(limits: FetchLimits): BoundedFetch {
  const dispatcher = new Agent({
    connect: { timeout: limits.connectMs },
    headersTimeout: limits.headersMs,
    bodyTimeout: limits.idleMs,
    connections: 8,
  });
  async function boundedFetch(url: string, init: RequestInit & { headers: Record<string, string> }): Promise<Response> {
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(new DOMException('no answer in time', 'TimeoutError')),
      limits.totalMs,
    );
    try {
      const response = await open(url, init, deadline.signal);
      // How long an asset may take is the caller's business.
      if (response.ok && init.headers['accept'] === 'application/octet-stream') return response;
      return await readAnswer(response, limits.maxBodyBytes, url);
    } finally {
      clearTimeout(timer);
    }
  }
  async function open(url: string, init: RequestInit, deadline: AbortSignal): Promise<Response> {
    const signal = AbortSignal.any(init.signal ? [init.signal, deadline] : [deadline]);
    try {
      return (await undiciFetch(url, { ...(init as object), signal, dispatcher })) as unknown as Response;
    } catch (error) {
      throw unavailable(url, error);
    }
  }
  return { fetch: boundedFetch as unknown as typeof globalThis.fetch, close: () => dispatcher.destroy() };
}

async function readAnswer(response: Response, maxBytes: number, url: string): Promise<Response> {
  const { status, headers } = response;
  if (status > 599) {
    await response.body?.cancel();
    throw new AppError('github_bad_response', `the answer has the status ${status}, which does not exist`, {
      where: url,
    });
  }
  const empty = status === 204 || status === 205 || status === 304;
  const body = empty ? null : status >= 400 ? await readRefusal(response) : await readWhole(response, maxBytes, url);
  const whole = new Response(body, { status, headers });
  if (status >= 400) whole.headers.set('content-type', 'application/json; charset=utf-8');
  // Where redirects have led to; a Response made by hand has none.
  return Object.defineProperty(whole, 'url', { value: response.url });
}

/** GitHub's `message` or, where something else answers, the beginning of the text; as JSON again. */
async function readRefusal(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      chunks.push(chunk);
      if (size > MAX_REFUSAL_BYTES) break;
    }
  } catch {
    // What came before it broke off will do.
  }
  const text = Buffer.concat(chunks).subarray(0, MAX_REFUSAL_BYTES).toString('utf8');
  return JSON.stringify({ message: messageIn(text) ?? text.slice(0, 300) });
}

function messageIn(text: string): string | undefined {
  try {
    const message = (JSON.parse(text) as { message?: unknown } | null)?.message;
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

async function readWhole(response: Response, maxBytes: number, url: string): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(response.headers.get('content-length')) > maxBytes) {
    await response.body?.cancel();
    throw tooLarge(maxBytes, url);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    // Leaving the loop cancels the body, which ends the connection.
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > maxBytes) throw tooLarge(maxBytes, url);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (isTimeout(error)) throw unavailable(url, error);
    throw new AppError('github_bad_response', 'the answer broke off in the middle', { cause: error, where: url });
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function tooLarge(maxBytes: number, url: string): AppError {
  const message = `the answer is larger than ${maxBytes} bytes`;
  return new AppError('github_bad_response', message, { where: url, cause: new BodyTooLarge(message) });
}

function unavailable(url: string, error: unknown): AppError {
  const reason = isTimeout(error) ? 'no answer in time' : plainText(reasonOf(error), 200);
  return new AppError('github_unavailable', `GitHub cannot be reached: ${reason}`, { cause: error, where: url });
}

const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT']);

function isTimeout(error: unknown): boolean {
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; inner = inner.cause, depth += 1) {
    if (inner.name === 'TimeoutError' || inner.name === 'AbortError') return true;
    if (TIMEOUTS.has((inner as { code?: string }).code ?? '')) return true;
  }
  return false;
}

/** undici says `fetch failed`; what failed stands in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.cause.name : error.message;
}
