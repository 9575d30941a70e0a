// Asks addresses by HEAD, or for one byte where HEAD is refused, a few per host and a few in all at a time; says what was
// answered, not what it means.
import pLimit, { type LimitFunction } from 'p-limit';
import { Agent, request } from 'undici';
import { isSafeUrl } from '../domain/mirror.ts';

export type HeadAnswer =
  /** `length`: bytes of the whole file; null where the answer does not say. `status` 200 also stands for a part (206). */
  | { kind: 'answered'; status: number; length: number | null }
  /** Half a sentence, the same each time it happens. */
  | { kind: 'failed'; what: string };

export interface HeadClientOptions {
  /** Longest that one question may take, redirects included, without the wait for its turn. */
  timeoutMs: number;
  perHost: number;
  total: number;
  userAgent: string;
}

export interface HeadClient {
  /**
   * Follows up to three redirects, within the scheme; asks a server that does not know HEAD (405, 501) by GET for the
   * first byte instead, and reads no body. Never throws. Undefined where nothing was asked: `until`
   * (of the monotonic clock, ms) had passed when the turn came, or the client was closed.
   */
  ask(url: string, until: number): Promise<HeadAnswer | undefined>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

type Step = HeadAnswer | { kind: 'redirect'; location: string };
type Reply = Awaited<ReturnType<typeof request>>;

interface Client {
  options: HeadClientOptions;
  dispatcher: Agent;
  hosts: Map<string, LimitFunction>;
  total: LimitFunction;
  stop: AbortController;
}

const MAX_REDIRECTS = 3;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MAX_IDLE_HOSTS = 1000;

export function openHeadClient(options: HeadClientOptions): HeadClient {
  const client: Client = {
    options,
    // Without a bound of its own: what waits there would already spend its time.
    dispatcher: new Agent({ connect: { timeout: options.timeoutMs }, pipelining: 1 }),
    hosts: new Map(),
    total: pLimit(options.total),
    stop: new AbortController(),
  };
  return {
    ask: (url, until) => ask(client, url, until),
    async close() {
      client.stop.abort();
      await client.dispatcher.destroy();
    },
  };
}

async function ask(client: Client, url: string, until: number): Promise<HeadAnswer | undefined> {
  let target = new URL(url);
  let leftMs = client.options.timeoutMs;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const step = await inTurn(client, target.host, async () => {
      if (client.stop.signal.aborted || (redirects === 0 && performance.now() >= until)) return undefined;
      const startedAt = performance.now();
      const step = await head(client, target, leftMs);
      leftMs -= performance.now() - startedAt;
      return step;
    });
    // What was cut off by the end of the process says nothing about the mirror.
    if (client.stop.signal.aborted) return undefined;
    if (step?.kind !== 'redirect') return step;
    const next = URL.parse(step.location, target.href);
    if (next === null || next.protocol !== target.protocol || !isSafeUrl(next)) {
      return { kind: 'failed', what: 'redirects to another scheme, or away from this machine over plain http' };
    }
    if (leftMs < 1) return late(client);
    target = next;
  }
  return { kind: 'failed', what: `more than ${MAX_REDIRECTS} redirects` };
}

/** First the host's turn, then the total's: those that wait for a slow host keep no place from the others. */
async function inTurn<T>(client: Client, host: string, work: () => Promise<T>): Promise<T> {
  const limit = client.hosts.get(host) ?? pLimit(client.options.perHost);
  client.hosts.set(host, limit);
  const result = await limit(() => client.total(work));
  forgetIdle(client.hosts);
  return result;
}

/** Redirects can lead to ever new hosts. */
function forgetIdle(hosts: Map<string, LimitFunction>): void {
  if (hosts.size <= MAX_IDLE_HOSTS) return;
  for (const [host, limit] of hosts) if (limit.activeCount + limit.pendingCount === 0) hosts.delete(host);
}

/** One turn: the second question goes to the same host, within the same time. */
async function head(client: Client, url: URL, timeoutMs: number): Promise<Step> {
  const timeout = AbortSignal.timeout(Math.ceil(timeoutMs));
  const signal = AbortSignal.any([client.stop.signal, timeout]);
  try {
    const reply = await send(client, url, 'HEAD', signal);
    await reply.body.dump();
    if (reply.statusCode !== 405 && reply.statusCode !== 501) return stepOf(reply);
    const first = await send(client, url, 'GET', signal);
    // The headers say it all; a server that ignores the range would send the whole file.
    first.body.on('error', () => {}).destroy();
    return stepOf(first);
  } catch (error) {
    return timeout.aborted || isTimeout(error) ? late(client) : { kind: 'failed', what: describe(error) };
  }
}

function send(client: Client, url: URL, method: 'HEAD' | 'GET', signal: AbortSignal): Promise<Reply> {
  return request(url, {
    method,
    dispatcher: client.dispatcher,
    signal,
    headers: {
      'user-agent': client.options.userAgent,
      accept: '*/*',
      // Compressed, the length would be that of other bytes.
      'accept-encoding': 'identity',
      ...(method === 'GET' && { range: 'bytes=0-0' }),
    },
  });
}

function stepOf({ statusCode, headers }: Reply): Step {
  const { location } = headers;
  if (REDIRECTS.has(statusCode) && typeof location === 'string') return { kind: 'redirect', location };
  if (statusCode === 206) return { kind: 'answered', status: 200, length: wholeOf(headers['content-range']) };
  return { kind: 'answered', status: statusCode, length: lengthOf(headers) };
}

/** `bytes 0-0/1234`: RFC 9110, 14.4; the whole length may be unknown (`*`). */
function wholeOf(range: string | string[] | undefined): number | null {
  const found = typeof range === 'string' ? /^bytes \d+-\d+\/(\d{1,15})$/.exec(range) : null;
  return found === null ? null : Number(found[1]);
}

function lengthOf(headers: Record<string, string | string[] | undefined>): number | null {
  const coding = headers['content-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined && coding !== 'identity') return null;
  return typeof length === 'string' && /^\d{1,15}$/.test(length) ? Number(length) : null;
}

function late({ options }: Client): HeadAnswer {
  return { kind: 'failed', what: `no answer within ${options.timeoutMs} ms` };
}

function isTimeout(error: unknown): boolean {
  return /^UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT$|^ETIMEDOUT$/.test(codeOf(error));
}

/** By the code alone: messages hold addresses and ports that differ each time. */
function describe(error: unknown): string {
  const code = codeOf(error);
  if (code === 'ECONNREFUSED') return 'the connection is refused';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the name of the host cannot be resolved (${code})`;
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'UND_ERR_SOCKET') return 'the connection breaks off';
  if (/^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|EPROTO|HOSTNAME_)/.test(code)) {
    return `TLS fails (${code})`;
  }
  return `the request fails (${code || (error instanceof Error ? error.name : 'no reason given')})`;
}

function codeOf(error: unknown): string {
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; inner = inner.cause, depth += 1) {
    const { code } = inner as { code?: unknown };
    if (typeof code === 'string') return code;
  }
  return '';
}
