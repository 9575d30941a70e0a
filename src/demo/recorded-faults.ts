// What the recorded GitHub can be told to do wrong, and the queue that says which request it happens to.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

/** The part of GitHub that a request goes to; `storage` is the host that asset downloads are redirected to. */
export type Target = 'repository' | 'releases' | 'asset' | 'storage';

export type Fault = {
  /** Default: any. */ on?: Target /** Matching requests that it happens to; default 1. */;
  times?: number;
} & (
  | { kind: 'status'; status: number; message?: string; retryAfterS?: number }
  /** 403, nothing remaining until `resetAt` (ms since the epoch). */
  | { kind: 'primary_rate_limit'; resetAt: number }
  | { kind: 'secondary_rate_limit'; status: 403 | 429; retryAfterS?: number }
  /** Half of the body; `framed`: with the length of the half, else the connection is cut. */
  | { kind: 'truncated'; framed: boolean }
  /** A page of HTML with status 200, as a proxy's login page. */
  | { kind: 'html' }
  /** Well-formed JSON in which every `tag_name` and `id` has the wrong type. */
  | { kind: 'wrong_types' }
  /** One byte every `everyMs`, `bytes` of them, then the rest. */
  | { kind: 'slow'; everyMs: number; bytes: number }
  | { kind: 'reset' }
  /** 301 to the same thing of the repository with this name. */
  | { kind: 'redirect'; to: string }
  /** Always says that there is a next page, and shows the first page for every number. */
  | { kind: 'endless' }
  /** The `next` link leads to this address. */
  | { kind: 'foreign_next'; url: string }
  /** So many bytes of white space before the body; `framed`: with their number in the headers. */
  | { kind: 'huge'; bytes: number; framed?: boolean }
  /** A body that unfolds to so many bytes of white space, compressed `layers` times. */
  | { kind: 'bomb'; bytes: number; layers: number }
  /** This answer in place of the proper one; without a text, an empty body. */
  | { kind: 'answer'; status?: number; text?: string; headers?: Record<string, string> }
  /** The proper answer with other headers; `link` empty: without. */
  | { kind: 'headers'; headers: Record<string, string> }
  /** Headers that promise a body, and the connection is cut. */
  | { kind: 'cut_after_headers' }
  /** 302 to the very same address. */
  | { kind: 'redirect_loop' }
  /** Other fields in the first release of the list, or in its first asset; and some that are missing there. */
  | { kind: 'edited'; in: 'release' | 'asset'; set?: Record<string, unknown>; drop?: string[] }
);

export class FaultQueue {
  #faults: { fault: Fault; left: number }[] = [];

  /** Faults happen in the order in which they were added. */
  add(fault: Fault): void {
    if (this.#faults.length >= 1000) throw new Error('too many faults queued');
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#faults = [];
  }

  /** The fault that happens to this request, used up by one. */
  take(target: Target): Fault | undefined {
    const entry = this.#faults.find((candidate) => (candidate.fault.on ?? target) === target);
    if (entry === undefined) return undefined;
    entry.left -= 1;
    if (entry.left <= 0) this.#faults = this.#faults.filter((candidate) => candidate !== entry);
    return entry.fault;
  }
}

/** Answers instead of GitHub where the fault needs no proper answer; false: the proper answer is due. */
export function answerWith(fault: Fault, request: IncomingMessage, response: ServerResponse, nowMs: number): boolean {
  switch (fault.kind) {
    case 'status':
      return sendError(response, fault.status, fault.message ?? STATUS_TEXT[fault.status] ?? 'Error', {
        ...(fault.retryAfterS === undefined ? {} : { 'retry-after': String(fault.retryAfterS) }),
      });
    case 'primary_rate_limit':
      return sendError(response, 403, 'API rate limit exceeded for 127.0.0.1.', {
        'x-ratelimit-limit': '60',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': String(Math.ceil(fault.resetAt / 1000)),
      });
    case 'secondary_rate_limit':
      return sendError(response, fault.status, 'You have exceeded a secondary rate limit. Please wait a few minutes.', {
        'x-ratelimit-reset': String(Math.ceil(nowMs / 1000) + 3600),
        ...(fault.retryAfterS === undefined ? {} : { 'retry-after': String(fault.retryAfterS) }),
      });
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end('<!doctype html><title>Sign in</title><p>Sign in to go on.');
      return true;
    case 'answer': {
      // What is already set belongs to the proper answer.
      for (const name of response.getHeaderNames()) response.removeHeader(name);
      response.writeHead(fault.status ?? 200, { 'content-type': 'application/json', ...fault.headers });
      response.end(fault.text ?? '');
      return true;
    }
    case 'redirect_loop':
      response.writeHead(302, { location: request.url ?? '/' });
      response.end();
      return true;
    case 'cut_after_headers':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
      response.flushHeaders();
      setImmediate(() => response.destroy());
      return true;
    case 'reset':
      request.socket.resetAndDestroy();
      return true;
    default:
      return false;
  }
}

/** Sends a proper body as the fault spoils it. Headers other than the length are set already. */
export async function sendSpoilt(response: ServerResponse, status: number, body: Buffer, fault: Fault): Promise<void> {
  const half = body.subarray(0, Math.floor(body.length / 2));
  if (fault.kind === 'truncated' && fault.framed) {
    response.writeHead(status, { 'content-length': half.length });
    response.end(half);
  } else if (fault.kind === 'truncated') {
    response.writeHead(status, { 'content-length': body.length });
    response.write(half, () => response.destroy());
  } else if (fault.kind === 'slow') {
    response.writeHead(status, { 'content-length': body.length });
    for (let sent = 0; sent < Math.min(fault.bytes, body.length) && !response.destroyed; sent += 1) {
      response.write(body.subarray(sent, sent + 1));
      await sleep(fault.everyMs, undefined, { ref: false });
    }
    response.end(body.subarray(Math.min(fault.bytes, body.length)));
  } else if (fault.kind === 'huge') {
    const blank = Buffer.alloc(64 * 1024, ' ');
    const whole = Math.ceil(fault.bytes / blank.length) * blank.length + body.length;
    response.writeHead(status, fault.framed === true ? { 'content-length': whole } : {});
    for (let sent = 0; sent < fault.bytes && !response.destroyed; sent += blank.length) {
      if (!response.write(blank)) await drained(response);
    }
    response.end(body);
  } else if (fault.kind === 'bomb') {
    const packed = bomb(fault.bytes, fault.layers);
    const encodings = Array.from({ length: fault.layers }, () => 'gzip').join(', ');
    response.writeHead(status, { 'content-encoding': encodings, 'content-length': packed.length });
    response.end(packed);
  } else {
    if (fault.kind === 'headers') setHeaders(response, fault.headers);
    response.writeHead(status, { 'content-length': body.length });
    response.end(body);
  }
}

function setHeaders(response: ServerResponse, headers: Record<string, string>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (value === '') response.removeHeader(name);
    else response.setHeader(name, value);
  }
}

const PIECE_BYTES = 16 * 1024 * 1024;

/** Members of one gzip file follow each other: a piece is packed once and repeated, so that this side stays small. */
function bomb(bytes: number, layers: number): Buffer {
  const piece = gzipSync(Buffer.alloc(PIECE_BYTES, ' '));
  let packed: Buffer = Buffer.concat(Array.from({ length: Math.ceil(bytes / PIECE_BYTES) }, () => piece));
  for (let layer = 1; layer < layers; layer += 1) packed = gzipSync(packed);
  return packed;
}

/** A proper value as the fault spoils it. */
export function spoiltValue(value: unknown, fault: Fault | undefined): unknown {
  if (fault?.kind === 'wrong_types') return withWrongTypes(value);
  if (fault?.kind !== 'edited') return value;
  const copy = structuredClone(value) as Record<string, unknown>[];
  const release = copy[0] ?? {};
  const edited = fault.in === 'release' ? release : (release['assets'] as Record<string, unknown>[])[0];
  if (edited === undefined) throw new Error('there is nothing to edit');
  Object.assign(edited, fault.set);
  for (const key of fault.drop ?? []) delete edited[key];
  return copy;
}

/** The same value with every `tag_name` and `id` of another type. */
function withWrongTypes(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (key, inner: unknown) => {
    if (key === 'tag_name') return 42;
    if (key === 'id') return { not: 'an id' };
    return inner;
  });
}

/** A body as GitHub writes its errors; always true. */
export function sendError(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Record<string, string> = {},
): true {
  const body = JSON.stringify({
    message,
    documentation_url: 'https://docs.github.com/rest',
    status: String(status),
  });
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  response.end(body);
  return true;
}

const STATUS_TEXT: Record<number, string> = {
  401: 'Bad credentials',
  403: 'Resource not accessible by personal access token',
  404: 'Not Found',
  500: 'Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
};

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}
