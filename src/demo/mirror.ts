// A region's mirror for the demo and the tests: a real HTTP server on loopback that serves the files put into it, and
// fails on demand. Nothing outlives the process.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface MirrorOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 0: any free port. */
  port?: number;
}

/** Bytes, or the path of a file, which is read anew for every request. */
export type MirrorContent = Uint8Array | { file: string };

export type MirrorFault =
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  /** The proper answer, so much later. */
  | { kind: 'slow'; ms: number }
  /** The connection is cut instead of an answer. */
  | { kind: 'reset' }
  /** 302 to this address. */
  | { kind: 'redirect'; to: string }
  /** The proper answer in pieces, without its length. */
  | { kind: 'unsized' };

export interface MirrorRequest {
  method: string;
  /** As it was asked for, still encoded. */
  path: string;
  /** 0 while unanswered, and where the connection was cut instead. */
  status: number;
}

export interface Mirror {
  /** Without a slash at the end. */
  url: string;
  /** `path` begins with a slash; replaces what was there. */
  put(path: string, content: MirrorContent): void;
  /** False when there was nothing. */
  remove(path: string): boolean;
  /** Happens to the next `times` requests, default to all, until `heal`. A later fault comes before an earlier one. */
  fail(fault: MirrorFault, times?: number): void;
  heal(): void;
  /** Keeps every request waiting until the returned function is called; those that are answered already stay so. */
  pause(): () => void;
  /** All requests since the start; the newest 10,000. */
  requests: MirrorRequest[];
  /** Requests being answered now, and the most that were at any one time. */
  inFlight: { now: number; peak: number };
  /** Resolves once so many requests are being answered at a time. */
  reached(inFlight: number): Promise<void>;
  close(): Promise<void>;
}

const MAX_REQUESTS = 10_000;

interface State {
  files: Map<string, MirrorContent>;
  faults: { fault: MirrorFault; left: number }[];
  gate: Promise<void>;
  requests: MirrorRequest[];
  inFlight: { now: number; peak: number };
  waiting: { count: number; resolve: () => void }[];
}

export async function startMirror(options: MirrorOptions = {}): Promise<Mirror> {
  const state: State = {
    files: new Map(),
    faults: [],
    gate: Promise.resolve(),
    requests: [],
    inFlight: { now: 0, peak: 0 },
    waiting: [],
  };
  const server = createServer((request, response) => {
    answer(state, request, response).catch(() => response.destroy());
  });
  const host = options.host ?? '127.0.0.1';
  await listen(server, options.port ?? 0, host);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    put: (path, content) => void state.files.set(path, content),
    remove: (path) => state.files.delete(path),
    fail: (fault, times = Number.POSITIVE_INFINITY) => void state.faults.unshift({ fault, left: times }),
    heal: () => void (state.faults = []),
    pause() {
      const { promise, resolve } = Promise.withResolvers<void>();
      state.gate = promise;
      return resolve;
    },
    requests: state.requests,
    inFlight: state.inFlight,
    reached(count) {
      if (state.inFlight.now >= count) return Promise.resolve();
      return new Promise((resolve) => void state.waiting.push({ count, resolve }));
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const logged = { method: request.method ?? '', path: request.url ?? '/', status: 0 };
  if (state.requests.push(logged) > MAX_REQUESTS) state.requests.shift();
  begin(state);
  let send: () => void;
  try {
    await state.gate;
    send = await prepare(state, request, response, logged);
  } finally {
    // Before the answer leaves: the client's next request must not be counted beside this one.
    state.inFlight.now -= 1;
  }
  send();
}

function begin({ inFlight, waiting }: State): void {
  inFlight.now += 1;
  inFlight.peak = Math.max(inFlight.peak, inFlight.now);
  for (const one of waiting) if (inFlight.now >= one.count) one.resolve();
}

/** What is left to do once the answer is known. */
async function prepare(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
  logged: MirrorRequest,
): Promise<() => void> {
  const fault = takeFault(state);
  const end = (status: number, headers: Record<string, string | number> = {}) => {
    return () => {
      logged.status = status;
      response.writeHead(status, headers).end();
    };
  };
  if (fault?.kind === 'reset') return () => void request.socket.resetAndDestroy();
  if (fault?.kind === 'status') return end(fault.status, fault.headers);
  if (fault?.kind === 'redirect') return end(302, { location: fault.to });
  if (fault?.kind === 'slow') await sleep(fault.ms, undefined, { ref: false });
  const path = new URL(request.url ?? '/', 'http://mirror.invalid').pathname;
  const content = state.files.get(path) ?? state.files.get(decodePath(path));
  if (request.method !== 'HEAD' && request.method !== 'GET') return end(405, { allow: 'GET, HEAD' });
  if (content === undefined) return end(404);
  const size = content instanceof Uint8Array ? content.length : (await stat(content.file)).size;
  const headers = {
    'content-type': 'application/octet-stream',
    ...(fault?.kind === 'unsized' ? { 'transfer-encoding': 'chunked' } : { 'content-length': size }),
  };
  if (request.method === 'HEAD') return end(200, headers);
  return () => {
    logged.status = 200;
    response.writeHead(200, headers);
    if (content instanceof Uint8Array) response.end(content);
    else
      createReadStream(content.file)
        .on('error', () => response.destroy())
        .pipe(response);
  };
}

function takeFault(state: State): MirrorFault | undefined {
  const [entry] = state.faults;
  if (entry === undefined) return undefined;
  entry.left -= 1;
  if (entry.left <= 0) state.faults.shift();
  return entry.fault;
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
}
