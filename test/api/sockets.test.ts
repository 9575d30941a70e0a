// What only real sockets show: long polls that end when somebody goes, downloads and their bound, broken HTTP, TLS.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Problem } from '../../src/protocol/agent.ts';
import { checkInRequest, type EnrolledAgent, enrol } from './agent-client.ts';
import { type Harness, type HarnessOptions, openHarness } from './harness.ts';

interface Listening extends AsyncDisposable {
  harness: Harness;
  agent: EnrolledAgent;
  base: string;
  port: number;
}

async function listen(options: HarnessOptions = {}): Promise<Listening> {
  const harness = await openHarness(options);
  const agent = await enrol(harness);
  await harness.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = harness.app.server.address() as AddressInfo;
  return {
    harness,
    agent,
    port,
    base: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

function poll(server: Listening, signal?: AbortSignal): Promise<Response> {
  return fetch(`${server.base}/agent/v1/check-in?wait=20`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.agent.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(checkInRequest()),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Makes check-ins wait for their signal; resolves with the signal once `count` of them wait. */
function holdCheckIns(harness: Harness, count = 1): Promise<AbortSignal> {
  const waiting = Promise.withResolvers<AbortSignal>();
  let seen = 0;
  harness.engine.respond = async (_report, waitMs, signal) => {
    const answer = { answer: { kind: 'none' }, acknowledged: [], nextInMs: 1000, wantFacts: false } as const;
    const result = { ...answer, acknowledged: [] };
    if (waitMs === 0 || signal.aborted) return result;
    seen += 1;
    if (seen === count) waiting.resolve(signal);
    await once(signal, 'abort');
    return result;
  };
  return waiting.promise;
}

describe('long poll', () => {
  it('its signal fires when the client goes away', async () => {
    await using server = await listen();
    const held = holdCheckIns(server.harness);
    const controller = new AbortController();
    const gone = assert.rejects(poll(server, controller.signal), { name: 'AbortError' });
    const signal = await held;
    assert.equal(signal.aborted, false);
    const aborted = once(signal, 'abort');
    controller.abort();
    await aborted;
    await gone;
  });

  it('close() answers those that wait and ends at once', async () => {
    await using server = await listen();
    const held = holdCheckIns(server.harness, 3);
    const replies = [poll(server), poll(server), poll(server)];
    await held;
    const before = performance.now();
    await server.harness.app.close();
    assert.ok(performance.now() - before < 10_000);
    for (const reply of await Promise.all(replies)) {
      assert.equal(reply.status, 200);
      assert.equal(reply.headers.get('connection'), 'close');
    }
  });

  it('does not wait when too many do', async () => {
    await using server = await listen({ limits: { waiting: 1 } });
    const held = holdCheckIns(server.harness);
    const controller = new AbortController();
    const gone = assert.rejects(poll(server, controller.signal));
    const signal = await held;
    assert.equal((await poll(server)).status, 200);
    assert.equal(server.harness.engine.calls.checkIn.at(-1)?.waitMs, 0);
    const aborted = once(signal, 'abort');
    controller.abort();
    await aborted;
    await gone;
  });

  it('one request too many → overloaded, with the time to come back', async () => {
    await using server = await listen({ limits: { inFlight: 1 } });
    const held = holdCheckIns(server.harness);
    const controller = new AbortController();
    const gone = assert.rejects(poll(server, controller.signal));
    const signal = await held;
    const second = await fetch(`${server.base}/healthz`);
    assert.equal(second.status, 503);
    assert.equal(((await second.json()) as Problem).code, 'overloaded');
    assert.equal(second.headers.get('retry-after'), '2');
    const aborted = once(signal, 'abort');
    controller.abort();
    await aborted;
    await gone;
    assert.equal((await fetch(`${server.base}/healthz`)).status, 200);
  });
});

describe('GET artifacts/:sha256', () => {
  function serve(harness: Harness, bytes: Buffer): string {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const path = join(harness.dir, sha256);
    writeFileSync(path, bytes);
    harness.files.set(sha256, { path, size: bytes.length });
    return sha256;
  }
  async function get(server: Listening, sha256: string, token = server.agent.token): Promise<Response> {
    return await fetch(`${server.base}/agent/v1/artifacts/${sha256}`, {
      headers: { authorization: `Bearer ${token}` },
    });
  }

  it('sends the bytes with their length', async () => {
    await using server = await listen();
    const bytes = randomBytes(300_000);
    const response = await get(server, serve(server.harness, bytes));
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-length'), '300000');
    assert.equal(response.headers.get('content-type'), 'application/octet-stream');
    assert.ok(bytes.equals(Buffer.from(await response.arrayBuffer())));
  });

  it('unknown digest → not_found; malformed → bad_request; other token → auth_invalid', async () => {
    await using server = await listen();
    const sha256 = serve(server.harness, Buffer.from('x'));
    const codes = [];
    for (const response of [
      await get(server, '0'.repeat(64)),
      await get(server, sha256.toUpperCase()),
      await get(server, '..%2f..%2fkeys'),
      await get(server, sha256, server.harness.operatorToken),
    ]) {
      codes.push(((await response.json()) as Problem).code);
    }
    assert.deepEqual(codes, ['not_found', 'bad_request', 'bad_request', 'auth_invalid']);
  });

  it('a file that is gone from the cache → artifact_unavailable with the time to come back', async () => {
    await using server = await listen();
    server.harness.files.set('1'.repeat(64), { path: join(server.harness.dir, 'gone'), size: 5 });
    const response = await get(server, '1'.repeat(64));
    const problem = (await response.json()) as Problem;
    assert.equal(problem.code, 'artifact_unavailable');
    assert.doesNotMatch(problem.detail, /gone/);
    assert.equal(response.headers.get('retry-after'), '10');
  });

  it('a file that shrank breaks the connection', async () => {
    await using server = await listen();
    const sha256 = serve(server.harness, randomBytes(1000));
    writeFileSync(join(server.harness.dir, sha256), 'short');
    const response = await get(server, sha256);
    await assert.rejects(response.arrayBuffer());
  });

  it('one download too many → overloaded; a client that leaves gives its place back', async () => {
    await using server = await listen({ limits: { downloads: 1 } });
    const sha256 = serve(server.harness, randomBytes(30_000_000));
    const slow = await holdDownload(server, sha256);
    const refused = await get(server, sha256);
    assert.equal(refused.status, 503);
    assert.equal(((await refused.json()) as Problem).code, 'overloaded');
    assert.equal(refused.headers.get('retry-after'), '10');
    slow.destroy();
    await until(async () => {
      const response = await get(server, sha256);
      await response.body?.cancel();
      return response.status === 200;
    });
  });

  it('one agent cannot take all places', async () => {
    await using server = await listen({ limits: { downloads: 10, downloadsPerAgent: 1 } });
    const sha256 = serve(server.harness, randomBytes(30_000_000));
    const slow = await holdDownload(server, sha256);
    assert.equal((await get(server, sha256)).status, 503);
    const other = await enrol(server.harness);
    const response = await get(server, sha256, other.token);
    assert.equal(response.status, 200);
    await response.body?.cancel();
    slow.destroy();
  });

  /** A client that reads the headers and then nothing more. */
  async function holdDownload(server: Listening, sha256: string): Promise<Socket> {
    const socket = connect(server.port, '127.0.0.1');
    socket.write(
      `GET /agent/v1/artifacts/${sha256} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${server.agent.token}\r\n\r\n`,
    );
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    assert.match(chunk.toString('latin1'), /^HTTP\/1\.1 200 /);
    socket.pause();
    return socket;
  }
});

describe('broken HTTP', () => {
  const rows = [
    ['not HTTP', 'hello\r\n\r\n'],
    [
      'two lengths',
      'POST /agent/v1/challenge HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}',
    ],
    ['headers too long', `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`],
  ] as const;
  for (const [title, text] of rows) {
    it(`${title} → 400 with a problem, and the connection ends`, async () => {
      await using server = await listen();
      const reply = await exchange(server.port, text);
      assert.match(reply, /^HTTP\/1\.1 400 /);
      assert.match(reply, /content-type: application\/problem\+json/);
      assert.match(reply, /"code":"bad_request"/);
    });
  }

  it('a chunked body without end is cut at the bound', async () => {
    await using server = await listen();
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    const head =
      'POST /agent/v1/challenge HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
    const reply = await exchange(server.port, head + chunk.repeat(6));
    assert.match(reply, /^HTTP\/1\.1 413 /);
    assert.match(reply, /"code":"body_too_large"/);
  });
});

describe('TLS', () => {
  it('serves with the certificate of the config', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tidegate-tls-'));
    const [certFile, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-subj', '/CN=localhost', '-keyout', keyFile, '-out', certFile],
      ],
      { stdio: 'ignore' },
    );
    try {
      await using server = await listen({ tls: { certFile, keyFile } });
      const request = httpsRequest({
        host: '127.0.0.1',
        port: server.port,
        path: '/healthz',
        rejectUnauthorized: false,
      });
      request.end();
      const [response] = await once(request, 'response');
      assert.equal(response.statusCode, 200);
      response.destroy();
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('an unreadable certificate → config_invalid that names the file', async () => {
    await assert.rejects(openHarness({ tls: { certFile: '/nowhere/cert.pem', keyFile: '/nowhere/key.pem' } }), {
      code: 'config_invalid',
      where: '/nowhere/cert.pem',
    });
  });
});

async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  let reply = '';
  socket.on('data', (chunk) => {
    reply += chunk.toString('latin1');
  });
  socket.write(text);
  await once(socket, 'close');
  return reply;
}

/** Tries again until it holds; the test's own time limit is the bound. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
