// What a Prometheus answers, over a real socket: one number, or half a sentence that says why there is none.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openPrometheus, readReply } from '../../src/tracker/prometheus.ts';

const vector = (...values: unknown[]) => ({
  status: 'success',
  data: { resultType: 'vector', result: values.map((value) => ({ metric: {}, value: [1, value] })) },
});

for (const [reply, wanted] of [
  [vector('0.25'), { value: 0.25 }],
  [vector('NaN'), { value: Number.NaN }],
  [vector('-Inf'), { value: -Infinity }],
  [{ status: 'success', data: { resultType: 'scalar', result: [1, '3'] } }, { value: 3 }],
  [vector(), { error: 'no data' }],
  [vector('1', '2'), { error: '2 series, not one' }],
  [vector(5), { error: 'a sample without a value' }],
  [vector(''), { error: 'not a number: ' }],
  [{ status: 'success', data: { resultType: 'matrix', result: [] } }, { error: 'a matrix, not one number' }],
  [{ status: 'success' }, { error: 'a no reason given, not one number' }],
  [{ status: 'error', error: 'parse\n\u0007error' }, { error: 'HTTP 200: parse error' }],
  [null, { error: 'HTTP 200: no reason given' }],
] as const) {
  test(`readReply(200, ${JSON.stringify(reply)}) → ${JSON.stringify(wanted)}`, () => {
    assert.deepEqual(readReply(200, JSON.stringify(reply)), wanted);
  });
}

test('the query goes out as a form with the token; what comes back is read', async (t) => {
  const seen: string[] = [];
  const url = await serve(t, (request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization} ${body}`);
      response.end(JSON.stringify(vector('7')));
    });
  });
  const prometheus = openPrometheus({ url: `${url}/base`, token: 'secret', timeoutMs: 5_000, userAgent: 'tidegate' });
  t.after(() => prometheus.close());
  assert.deepEqual(await prometheus.ask('up{a="b"} > 0'), { value: 7 });
  assert.deepEqual(seen, ['POST /base/api/v1/query Bearer secret query=up%7Ba%3D%22b%22%7D+%3E+0']);
});

const failures: [title: string, answer: RequestListener, wanted: RegExp][] = [
  ['never answers', () => {}, /^no answer within 200 ms$/],
  ['breaks off', (request) => request.socket.destroy(), /^the request fails \(/],
  ['sends a page', (_, response) => response.writeHead(502).end('<html>'), /^HTTP 502, not JSON$/],
  [
    'sends 10 MB',
    (_, response) => response.end(Buffer.alloc(10_000_000, 32)),
    /^the request fails \(UND_ERR_RES_EXCEED/,
  ],
  ['is wrong about the query', (_, r) => r.writeHead(400).end('{"status":"error","error":"bad"}'), /^HTTP 400: bad$/],
];
for (const [title, answer, wanted] of failures) {
  test(`a Prometheus that ${title} is an error, and no number`, async (t) => {
    const url = await serve(t, answer);
    const prometheus = openPrometheus({ url, token: null, timeoutMs: 200, userAgent: 'tidegate' });
    t.after(() => prometheus.close());
    const found = await prometheus.ask('up');
    assert.ok('error' in found);
    assert.match(found.error, wanted);
  });
}

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
