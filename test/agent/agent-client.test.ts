// The typed client over real sockets: what each kind of reply becomes.
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { openConnection } from '../../src/agent/connection.ts';
import { AppError, type ErrorCode } from '../../src/errors.ts';
import { createAgentClient, type FetchLike } from '../../src/protocol/agent-client.ts';

const REPLY = { answer: { kind: 'none' }, acknowledged: [], nextInMs: 5, wantFacts: false };

describe('createAgentClient', () => {
  let reply: (response: ServerResponse) => void;
  let seen: { url: string | undefined; authorization: string | undefined; body: string };
  let baseUrl: string;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    seen = { url: request.url, authorization: request.headers.authorization, body };
    reply(response);
  });
  const connection = openConnection(undefined);
  const fetches: Record<string, FetchLike> = { 'the agent’s own fetch': connection.fetch, 'the global fetch': fetch };

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix/`;
  });
  after(() => {
    connection[Symbol.dispose]();
    server.closeAllConnections();
    server.close();
  });

  function problem(status: number, code: string, headers: Record<string, string> = {}): typeof reply {
    const body = { type: 'about:blank', title: 't', status, code, detail: 'why', hint: 'do', requestId: 'r' };
    return (response) => response.writeHead(status, headers).end(JSON.stringify(body));
  }

  for (const [name, fetchLike] of Object.entries(fetches)) {
    const client = () => createAgentClient({ baseUrl, fetch: fetchLike, timeoutMs: 300 });
    const checkIn = () => client().checkIn('{"exact": "bytes"}', { token: 't' });

    it(`sends the exact body and the session, through ${name}`, async () => {
      reply = (response) => response.end(JSON.stringify(REPLY));
      assert.deepEqual(await client().checkIn('{"exact": "bytes"}', { token: 't', waitSeconds: 2 }), REPLY);
      assert.deepEqual(seen, {
        url: '/prefix/agent/v1/check-in?wait=2',
        authorization: 'Bearer t',
        body: '{"exact": "bytes"}',
      });
    });

    it(`says in one line that the server does not speak TLS, or is no Tidegate, through ${name}`, async () => {
      const secure = createAgentClient({ baseUrl: baseUrl.replace('http:', 'https:'), fetch: fetchLike });
      const noTls = /^the server cannot be reached: the server does not speak TLS there$/;
      await assert.rejects(secure.challenge({ agent: 'a' }), { code: 'unreachable', message: noTls });
      reply = (response) => response.writeHead(404).end('<html>');
      await assert.rejects(checkIn(), { code: 'not_found', message: /404.*does not look like a Tidegate server$/ });
    });

    const rows: [string, () => typeof reply, ErrorCode, number | undefined][] = [
      ['a problem', () => problem(403, 'foreign_attempt'), 'foreign_attempt', undefined],
      ['a problem with Retry-After', () => problem(503, 'overloaded', { 'retry-after': '7' }), 'overloaded', 7000],
      ['an unknown problem', () => problem(409, 'of_the_future'), 'conflict', undefined],
      ['429 without a body', () => (it) => it.writeHead(429, { 'retry-after': '2' }).end(), 'overloaded', 2000],
      ['503 of a proxy', () => (it) => it.writeHead(503).end('<html>'), 'overloaded', undefined],
      ['500', () => (it) => it.writeHead(500).end(), 'unreachable', undefined],
      ['401', () => (it) => it.writeHead(401).end(), 'auth_invalid', undefined],
      ['a redirect', () => (it) => it.writeHead(302, { location: '/x' }).end(), 'bad_request', undefined],
      ['a page', () => (it) => it.end('<html>please sign in</html>'), 'bad_request', undefined],
      ['another shape', () => (it) => it.end('{"answer":{"kind":"run"}}'), 'bad_request', undefined],
      ['a key twice', () => (it) => it.end('{"answer":1,"answer":2}'), 'bad_request', undefined],
      [
        'too much',
        () => (it) => it.end(JSON.stringify({ ...REPLY, pad: 'x'.repeat(140_000) })),
        'bad_request',
        undefined,
      ],
      ['no answer', () => () => {}, 'timeout', undefined],
      ['a closed connection', () => (it) => it.destroy(), 'unreachable', undefined],
    ];
    for (const [what, make, code, retryAfterMs] of rows) {
      // The global fetch follows redirects, which is why the agent does not use it.
      if (what === 'a redirect' && fetchLike === fetch) continue;
      it(`throws ${code} for ${what}, through ${name}`, async () => {
        reply = make();
        await assert.rejects(checkIn(), (error) => {
          assert.ok(error instanceof AppError, String(error));
          assert.deepEqual([error.code, error.retryAfterMs], [code, retryAfterMs], error.message);
          return true;
        });
      });
    }
  }

  it('throws unreachable when nobody listens', async () => {
    const client = createAgentClient({ baseUrl: 'http://127.0.0.1:1', fetch: connection.fetch });
    await assert.rejects(
      client.challenge({ agent: 'a' }),
      (error) => error instanceof AppError && error.code === 'unreachable',
    );
  });

  it('refuses plain http to another machine', async () => {
    const client = createAgentClient({ baseUrl: 'http://192.0.2.1', fetch: connection.fetch });
    await assert.rejects(
      client.challenge({ agent: 'a' }),
      (error) => error instanceof AppError && error.code === 'trust_failure',
    );
  });
});
