// The agent's own fetch over TLS with a private CA, and over connections that stay open.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { openConnection } from '../../src/agent/connection.ts';
import type { FetchLike } from '../../src/protocol/agent-client.ts';
import { remove, tempDir } from './fixture.ts';

const init = () => ({ method: 'POST', headers: {}, body: 'hello', signal: AbortSignal.timeout(5000) });

async function textOf(fetch: FetchLike, url: string): Promise<string> {
  const reply = await fetch(url, init());
  let text = '';
  for await (const chunk of reply.body ?? []) text += Buffer.from(chunk).toString();
  return text;
}

describe('openConnection', () => {
  const work = tempDir();
  after(() => remove(work));

  it('trusts a server whose certificate the given CA has signed, and no other', async () => {
    const [key, cert] = [join(work, 'key.pem'), join(work, 'cert.pem')];
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const request = [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '2',
      ...subject,
    ];
    execFileSync('openssl', request, { stdio: 'ignore' });
    const server = createHttps({ key: readFileSync(key), cert: readFileSync(cert) }, (_request, response) =>
      response.end('safe'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    using trusting = openConnection(readFileSync(cert, 'utf8'));
    using plain = openConnection(undefined);
    assert.equal(await textOf(trusting.fetch, url), 'safe');
    await assert.rejects(textOf(plain.fetch, url), /self-signed certificate/);
    server.closeAllConnections();
    server.close();
  });

  it('uses one connection for many requests, and another when the server has closed it', async () => {
    let connections = 0;
    const server = createHttp((_request, response) => response.end('ok'));
    server.on('connection', () => {
      connections += 1;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    using connection = openConnection(undefined);
    for (let turn = 0; turn < 3; turn += 1) assert.equal(await textOf(connection.fetch, url), 'ok');
    assert.equal(connections, 1);
    server.closeAllConnections();
    assert.equal(await textOf(connection.fetch, url), 'ok');
    assert.equal(connections, 2);
    server.closeAllConnections();
    server.close();
  });
});
