// Asks a Prometheus (or what speaks its HTTP API) for one number; says what was answered, never throws.
import { Agent, request } from 'undici';
import type { Reading } from '../domain/metric.ts';

export interface PrometheusOptions {
  /** Without the path of the API: `http://prometheus.example:9090`. */
  url: string;
  /** Sent as a bearer token. */
  token: string | null;
  timeoutMs: number;
  userAgent: string;
}

export interface Prometheus {
  /** An instant query (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries). */
  ask(query: string): Promise<Reading>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

/** One number needs a few hundred bytes; an error's text may be longer. */
const MAX_BYTES = 65_536;
const MAX_SHOWN = 200;

export function openPrometheus(options: PrometheusOptions): Prometheus {
  const dispatcher = new Agent({ connect: { timeout: options.timeoutMs }, maxResponseSize: MAX_BYTES, pipelining: 1 });
  const stop = new AbortController();
  const url = new URL('api/v1/query', options.url.endsWith('/') ? options.url : `${options.url}/`);
  return {
    async ask(query) {
      try {
        const { statusCode, body } = await request(url, {
          method: 'POST',
          dispatcher,
          signal: AbortSignal.any([stop.signal, AbortSignal.timeout(options.timeoutMs)]),
          headers: {
            'content-type': 'application/x-www-form-urlencoded',
            'user-agent': options.userAgent,
            ...(options.token === null ? {} : { authorization: `Bearer ${options.token}` }),
          },
          body: new URLSearchParams({ query }).toString(),
        });
        return readReply(statusCode, await body.text());
      } catch (error) {
        return { error: describe(error, options.timeoutMs) };
      }
    },
    async close() {
      stop.abort();
      await dispatcher.destroy();
    },
  };
}

/** Anything but exactly one number is an error: which of several counts, nobody has said. */
export function readReply(status: number, text: string): Reading {
  let reply: unknown;
  try {
    reply = JSON.parse(text);
  } catch {
    return { error: `HTTP ${status}, not JSON` };
  }
  const { status: outcome, data, error } = (reply ?? {}) as { status?: unknown; data?: unknown; error?: unknown };
  if (outcome !== 'success') return { error: `HTTP ${status}: ${shorten(error)}` };
  const { resultType, result } = (data ?? {}) as { resultType?: unknown; result?: unknown };
  if (resultType === 'scalar') return numberIn(result);
  if (resultType !== 'vector' || !Array.isArray(result)) return { error: `a ${shorten(resultType)}, not one number` };
  if (result.length !== 1) return { error: result.length === 0 ? 'no data' : `${result.length} series, not one` };
  return numberIn((result[0] as { value?: unknown } | null)?.value);
}

/** `[<seconds>, "<number>"]`. */
function numberIn(sample: unknown): Reading {
  const text = Array.isArray(sample) ? (sample[1] as unknown) : undefined;
  if (typeof text !== 'string') return { error: 'a sample without a value' };
  if (text === 'NaN') return { value: Number.NaN };
  if (text === '+Inf' || text === '-Inf') return { value: text === '+Inf' ? Infinity : -Infinity };
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? { error: `not a number: ${shorten(text)}` } : { value };
}

function shorten(value: unknown): string {
  const text = typeof value === 'string' ? value : 'no reason given';
  return text.replace(/[\s\p{Cc}]+/gu, ' ').slice(0, MAX_SHOWN);
}

function describe(error: unknown, timeoutMs: number): string {
  const name = error instanceof Error ? error.name : '';
  if (name === 'TimeoutError' || name === 'ConnectTimeoutError') return `no answer within ${timeoutMs} ms`;
  const code = (error as { code?: unknown } | null)?.code;
  return `the request fails (${typeof code === 'string' ? code : name || 'no reason given'})`;
}
