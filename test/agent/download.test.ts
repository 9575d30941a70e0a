// Downloads over real sockets: only the announced bytes are kept, and addresses lead nowhere that the owner has not allowed.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type Connection, openConnection } from '../../src/agent/connection.ts';
import { type DownloadOptions, download } from '../../src/agent/download.ts';
import { digestOf } from './director.ts';
import { remove, tempDir } from './fixture.ts';

const BYTES = Buffer.from('the artifact '.repeat(1000));

describe('download', () => {
  const work = tempDir();
  const file = join(work, 'artifact.part');
  let own: Server;
  let mirror: Server;
  let connection: Connection;
  let options: DownloadOptions;
  let seen: { host: 'own' | 'mirror'; path: string; authorization: string | undefined }[];
  let token: string;

  before(async () => {
    own = await listen('own');
    mirror = await listen('mirror');
    connection = openConnection(undefined);
  });
  after(() => {
    connection[Symbol.dispose]();
    for (const server of [own, mirror]) server.close();
    remove(work);
  });
  beforeEach(() => {
    seen = [];
    token = 'good';
    options = {
      urls: ['/bytes'],
      size: BYTES.length,
      digest: digestOf(BYTES),
      file,
      server: urlOf(own),
      allowedHosts: null,
      fetch: connection.fetch,
      token: () => token,
      renewSession: async () => {
        token = 'good';
      },
      signal: new AbortController().signal,
    };
  });

  async function listen(host: 'own' | 'mirror'): Promise<Server> {
    const server = createServer((request, response) => answer(host, request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  function urlOf(server: Server): string {
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  function answer(host: 'own' | 'mirror', request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    seen.push({ host, path, authorization: request.headers.authorization });
    if (host === 'own' && request.headers.authorization !== 'Bearer good') return void response.writeHead(401).end();
    const replies: Record<string, () => unknown> = {
      '/bytes': () => response.end(BYTES),
      '/wrong': () => response.end(Buffer.alloc(BYTES.length)),
      '/short': () => response.end(BYTES.subarray(1)),
      '/long': () => response.end(Buffer.concat([BYTES, BYTES])),
      '/cut': () => {
        response.writeHead(200, { 'content-length': BYTES.length });
        response.write(BYTES.subarray(0, 100), () => response.destroy());
      },
      '/portal': () => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>please sign in</html>'),
      '/to-mirror': () => response.writeHead(302, { location: `${urlOf(mirror)}/bytes` }).end(),
      '/to-file': () => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      '/to-far-http': () => response.writeHead(302, { location: 'http://203.0.113.1/bytes' }).end(),
      '/loop': () => response.writeHead(302, { location: '/loop' }).end(),
    };
    (replies[path] ?? (() => response.writeHead(404).end('no')))();
  }

  it('keeps the announced bytes', async () => {
    assert.equal(await download(options), undefined);
    assert.deepEqual(readFileSync(file), BYTES);
  });

  it('takes the next address when one fails', async () => {
    const urls = [
      '/none',
      `${urlOf(mirror)}/wrong`,
      'http://127.0.0.1:1/bytes',
      'not an address',
      `${urlOf(mirror)}/bytes`,
    ];
    assert.equal(await download({ ...options, urls }), undefined);
  });

  it('opens a new session when the old one is over', async () => {
    token = 'stale';
    assert.equal(await download(options), undefined);
    assert.deepEqual(
      seen.map(({ authorization }) => authorization),
      ['Bearer stale', 'Bearer good'],
    );
  });

  it('sends the session to its own server only, also behind a redirect', async () => {
    assert.equal(await download({ ...options, urls: ['/to-mirror'] }), undefined);
    assert.deepEqual(
      seen.map(({ host, authorization }) => [host, authorization]),
      [
        ['own', 'Bearer good'],
        ['mirror', undefined],
      ],
    );
  });

  const failures: [string, string, string, RegExp][] = [
    ['/none', 'download_failed', 'a missing file', /answered 404/],
    ['/wrong', 'digest_mismatch', 'other bytes', /not the announced ones/],
    ['/long', 'digest_mismatch', 'more bytes', /more than/],
    ['/short', 'download_failed', 'fewer bytes', /only \d+ of/],
    ['/cut', 'download_failed', 'a broken connection', /aborted|socket|ECONNRESET/],
    ['/portal', 'download_failed', 'a captive portal', /only 27 of/],
    ['/to-file', 'download_failed', 'a redirect to a file', /file: is refused/],
    ['/to-far-http', 'download_failed', 'a redirect to plain http elsewhere', /plain http is refused/],
    ['/loop', 'download_failed', 'redirects without end', /more than 5 redirects/],
    ['http://203.0.113.1/bytes', 'download_failed', 'plain http elsewhere', /plain http is refused/],
    ['ftp://127.0.0.1/bytes', 'download_failed', 'another scheme', /ftp: is refused/],
    ['https://user:word@127.0.0.1:1/bytes', 'download_failed', 'credentials', /credentials/],
  ];
  for (const [url, cause, name, detail] of failures) {
    it(`refuses ${name} and leaves nothing behind`, async () => {
      const fault = await download({ ...options, urls: [url] });
      assert.equal(fault?.cause, cause);
      assert.match(fault?.detail ?? '', detail);
      assert.equal(existsSync(file), false);
    });
  }

  it('asks no host that the owner has not allowed', async () => {
    const urls = [`${urlOf(mirror)}/bytes`, '/to-mirror'];
    const fault = await download({ ...options, urls, allowedHosts: ['mirror.example'] });
    assert.match(fault?.detail ?? '', /not among the hosts/);
    assert.deepEqual(
      seen.filter(({ host }) => host === 'mirror'),
      [],
    );
  });

  it('says that the disk refused, not that the network did', async () => {
    const fault = await download({ ...options, file: join(work, 'missing', 'x') });
    assert.equal(fault?.cause, 'disk_failed');
  });

  it('throws when it is called off', async () => {
    const abort = new AbortController();
    abort.abort(new Error('called off'));
    await assert.rejects(download({ ...options, signal: abort.signal }), /called off/);
  });
});
