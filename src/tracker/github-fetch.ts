// The fetch that octokit uses: undici's own, with time limits, and bodies that are read to their end or not at all.
import { Agent, fetch as undiciFetch } from 'undici';
import { AppError } from '../errors.ts';

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

/**
 * octokit reads a body that breaks off as an empty one, without an error. So the body is read here, and octokit gets it
 * whole; only the bytes of an asset (2xx to a request for octet-stream) pass through as a stream. The errors are
 * AppErrors of `github_bad_response` (cut off, too large) and `github_unavailable` (everything else).
 */
export function openBoundedFetch(limits: FetchLimits): BoundedFetch {
  const dispatcher = new Agent({
    connect: { timeout: limits.connectMs },
    headersTimeout: limits.headersMs,
    bodyTimeout: limits.idleMs,
    connections: 8,
  });
  async function boundedFetch(url: string, init: RequestInit & { headers: Record<string, string> }): Promise<Response> {
    const isAsset = init.headers['accept'] === 'application/octet-stream';
    const timeout = AbortSignal.timeout(limits.totalMs);
    const response = await open(url, init, isAsset ? AbortSignal.any([]) : timeout);
    if (isAsset && response.ok) return response;
    const bytes = await readWhole(response, limits.maxBodyBytes, url);
    const empty = response.status === 204 || response.status === 205 || response.status === 304;
    const whole = new Response(empty ? null : bytes, { status: response.status, headers: response.headers });
    // Where redirects have led to; a Response made by hand has none.
    return Object.defineProperty(whole, 'url', { value: response.url });
  }
  async function open(url: string, init: RequestInit, timeout: AbortSignal): Promise<Response> {
    const signal = AbortSignal.any(init.signal ? [init.signal, timeout] : [timeout]);
    try {
      return (await undiciFetch(url, { ...(init as object), signal, dispatcher })) as unknown as Response;
    } catch (error) {
      throw unavailable(url, error);
    }
  }
  return { fetch: boundedFetch as unknown as typeof globalThis.fetch, close: () => dispatcher.destroy() };
}

async function readWhole(response: Response, maxBytes: number, url: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    // Leaving the loop cancels the body, which ends the connection.
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > maxBytes) {
        throw new AppError('github_bad_response', `the answer is larger than ${maxBytes} bytes`, { where: url });
      }
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (isTimeout(error)) throw unavailable(url, error);
    throw new AppError('github_bad_response', 'the answer broke off in the middle', { cause: error, where: url });
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function unavailable(url: string, error: unknown): AppError {
  const reason = isTimeout(error) ? 'no answer in time' : reasonOf(error);
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
