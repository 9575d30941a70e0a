// The agent's own small `fetch` over node:http and node:https: connections stay open between check-ins, a private CA can
// be trusted beside the public ones, and nothing is followed or decoded unasked.
import { type Agent, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { rootCertificates } from 'node:tls';
import { AppError } from '../errors.ts';
import type { FetchInit, FetchLike, FetchReply } from '../protocol/agent-client.ts';
import { isLoopback } from './loopback.ts';

const MAX_SOCKETS = 4;

export interface Connection extends Disposable {
  fetch: FetchLike;
}

/** Refuses plain http to any other machine with `trust_failure`. */
export function openConnection(ca: string | undefined): Connection {
  const shared = { keepAlive: true, maxSockets: MAX_SOCKETS };
  const http = new HttpAgent(shared);
  const https = new HttpsAgent(ca === undefined ? shared : { ...shared, ca: [...rootCertificates, ca] });
  return {
    async fetch(url, init) {
      const target = new URL(url);
      if (target.protocol === 'https:') return await send(target, init, https, true);
      if (target.protocol !== 'http:' || !isLoopback(target.hostname)) {
        throw new AppError('trust_failure', `refused to speak ${target.protocol} to ${target.host}`, { where: url });
      }
      return await send(target, init, http, true);
    },
    [Symbol.dispose]() {
      http.destroy();
      https.destroy();
    },
  };
}

/** `mayRepeat`: once, when a kept connection turns out to be closed by the other side; every request is idempotent. */
function send(target: URL, init: FetchInit, agent: Agent, mayRepeat: boolean): Promise<FetchReply> {
  const request = target.protocol === 'https:' ? requestHttps : requestHttp;
  const length = init.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(init.body)) };
  return new Promise((resolve, reject) => {
    const outgoing = request(
      target,
      { method: init.method, headers: { ...init.headers, ...length }, agent, signal: init.signal },
      (incoming) => resolve(replyOf(incoming)),
    );
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const stale = outgoing.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      if (stale && mayRepeat) send(target, init, agent, false).then(resolve, reject);
      else reject(error);
    });
    outgoing.end(init.body);
  });
}

function replyOf(incoming: IncomingMessage): FetchReply {
  return {
    status: incoming.statusCode ?? 0,
    headers: {
      get(name) {
        const value = incoming.headers[name.toLowerCase()];
        return value === undefined ? null : [value].flat().join(', ');
      },
    },
    body: incoming,
  };
}
