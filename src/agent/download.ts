// Brings an artifact's bytes: tries the URLs in order, and keeps nothing that is not of the size and digest wanted.
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { type FetchLike, type FetchReply, serverUrl } from '../protocol/agent-client.ts';
import { faultOf, isSystemError, toDetail } from './faults.ts';
import type { Fault } from './host.ts';
import { isLoopback } from './loopback.ts';

const MAX_REDIRECTS = 5;
/** No byte for so long: the next URL. */
const IDLE_MS = 30_000;

export interface DownloadOptions {
  urls: readonly string[];
  size: number;
  /** SHA-256, lower-case hex. */
  digest: string;
  /** Where the bytes go; removed unless all went well. */
  file: string;
  server: string;
  /** Hosts that bytes may come from; null: any. The server itself always may. */
  allowedHosts: readonly string[] | null;
  fetch: FetchLike;
  /** The session for the server's own artifacts; goes to no other origin. */
  token(): string;
  renewSession(): Promise<void>;
  signal: AbortSignal;
}

/** Undefined when the file lies there whole, right and durable. Throws only when the signal aborts, or on a bug. */
export async function download(options: DownloadOptions): Promise<Fault | undefined> {
  let fault: Fault = { cause: 'download_failed', detail: 'there is no URL to try' };
  for (const url of options.urls) {
    try {
      const problem = await downloadFrom(url, options);
      if (problem === undefined) return undefined;
      // Wrong bytes say more than an unreachable mirror.
      if (fault.cause !== 'digest_mismatch') fault = problem;
    } catch (error) {
      rmSync(options.file, { force: true });
      options.signal.throwIfAborted();
      if (isSystemError(error) && isDiskError(error)) return faultOf(error);
      if (!(error instanceof Error)) throw error;
      if (fault.cause !== 'digest_mismatch') fault = failed(`${shownHost(url, options)}: ${error.message}`);
    }
  }
  rmSync(options.file, { force: true });
  return fault;
}

async function downloadFrom(url: string, options: DownloadOptions): Promise<Fault | undefined> {
  const idle = new AbortController();
  const timer = setTimeout(() => idle.abort(new Error(`no bytes for ${IDLE_MS / 1000} s`)), IDLE_MS);
  const signal = AbortSignal.any([options.signal, idle.signal]);
  try {
    const reply = await follow(url, options, signal);
    if (reply.status !== 200) {
      await drop(reply);
      return failed(`${shownHost(url, options)} answered ${reply.status}`);
    }
    return await keep(reply, options, () => timer.refresh());
  } finally {
    clearTimeout(timer);
  }
}

async function follow(url: string, options: DownloadOptions, signal: AbortSignal): Promise<FetchReply> {
  const server = new URL(options.server);
  let target = url.startsWith('/') ? new URL(serverUrl(options.server, url)) : new URL(url);
  let mayRenew = true;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
    const own = target.origin === server.origin;
    checkTarget(target, server, own, options.allowedHosts);
    const headers: Record<string, string> = { accept: 'application/octet-stream' };
    if (own) headers['authorization'] = `Bearer ${options.token()}`;
    const reply = await options.fetch(target.href, { method: 'GET', headers, signal });
    const location = reply.headers.get('location');
    if (own && reply.status === 401 && mayRenew) {
      mayRenew = false;
      await drop(reply);
      await options.renewSession();
    } else if ([301, 302, 303, 307, 308].includes(reply.status) && location !== null) {
      await drop(reply);
      target = new URL(location, target);
    } else {
      return reply;
    }
  }
  throw new Error(`more than ${MAX_REDIRECTS} redirects`);
}

/** Addresses come from the server, so they must not lead it to services that only this host can reach. */
function checkTarget(target: URL, server: URL, own: boolean, allowedHosts: readonly string[] | null): void {
  if (own) return;
  if (target.protocol === 'http:' && (server.protocol !== 'http:' || !isLoopback(target.hostname))) {
    throw new Error('plain http is refused');
  }
  if (target.protocol !== 'https:' && target.protocol !== 'http:') throw new Error(`${target.protocol} is refused`);
  if (target.username !== '' || target.password !== '') throw new Error('credentials in an address are refused');
  if (allowedHosts !== null && !allowedHosts.includes(target.host)) {
    throw new Error(`${target.host} is not among the hosts that this host’s owner allows`);
  }
}

async function keep(reply: FetchReply, options: DownloadOptions, onBytes: () => void): Promise<Fault | undefined> {
  rmSync(options.file, { force: true });
  const fd = openSync(options.file, 'wx', 0o600);
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of reply.body ?? []) {
      onBytes();
      size += chunk.length;
      if (size > options.size) break;
      hash.update(chunk);
      for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  if (size === options.size && hash.digest('hex') === options.digest) return undefined;
  rmSync(options.file, { force: true });
  if (size < options.size) return failed(`only ${size} of ${options.size} bytes came`);
  const detail = size > options.size ? `more than ${options.size} bytes came` : 'the bytes are not the announced ones';
  return { cause: 'digest_mismatch', detail };
}

/** A body that nobody reads would keep its connection busy; leaving the loop ends it. */
async function drop(reply: FetchReply): Promise<void> {
  for await (const _ of reply.body ?? []) break;
}

/** By code, since sockets have a `write` too. */
function isDiskError(error: NodeJS.ErrnoException): boolean {
  return ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'ENOENT', 'EEXIST', 'EMFILE', 'ENOTDIR'].includes(error.code ?? '');
}

function shownHost(url: string, options: DownloadOptions): string {
  return URL.parse(url, options.server)?.host ?? 'an address that is none';
}

function failed(detail: string): Fault {
  return { cause: 'download_failed', detail: toDetail(detail) };
}
