// What an agent reports of its host: system, disk, the owner's words, the metadata service; and what changes none of it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createFacts, missingOf, printSize, readOsRelease, settledSize } from '../../src/agent/facts.ts';
import { openMetadataService } from '../../src/agent/metadata-service.ts';
import { eventually, remove, tempDir } from './fixture.ts';

const GIB = 1024 ** 3;

describe('settledSize', () => {
  const rows: [bytes: number, before: number | undefined, expected: string][] = [
    [15.9 * GIB, undefined, '15 GiB'],
    [16.9 * GIB, undefined, '16 GiB'],
    [100 * GIB, undefined, '96 GiB'],
    [1.2 * GIB, undefined, '1152 MiB'],
    [500_000, undefined, '0 MiB'],
    [15.3 * GIB, 16 * GIB, '16 GiB'],
    [19 * GIB, 16 * GIB, '16 GiB'],
    [15 * GIB, 16 * GIB, '15 GiB'],
    [21 * GIB, 16 * GIB, '20 GiB'],
  ];
  for (const [bytes, before, expected] of rows) {
    it(`${(bytes / GIB).toFixed(1)} GiB after ${before === undefined ? 'nothing' : printSize(before)}: ${expected}`, () => {
      assert.equal(printSize(settledSize(bytes, before) ?? -1), expected);
    });
  }
});

describe('readOsRelease', () => {
  it('takes the quotes off, and leaves out what is no line of it', () => {
    const text = '# a comment\nID=debian\nVERSION_ID="12"\nNAME=\'Debian GNU/Linux\'\nbroken\nlower=x\n';
    assert.deepEqual(readOsRelease(text), { ID: 'debian', VERSION_ID: '12', NAME: 'Debian GNU/Linux' });
  });
});

describe('createFacts', () => {
  const dir = tempDir();
  after(() => remove(dir));
  const own = { 'agent.version': '1.0.0' };

  it('has what the wire takes: names, lengths, number', () => {
    const declared = Object.fromEntries(Array.from({ length: 80 }, (_, index) => [`own.f${index}`, 'x'.repeat(300)]));
    const facts = createFacts({ own, declared, dir, metadata: null })();
    assert.equal(Object.keys(facts).length, 64);
    for (const [name, value] of Object.entries(facts)) {
      assert.match(name, /^[a-z][a-z0-9_.]{0,62}$/);
      assert.ok(value.length > 0 && value.length <= 256, name);
    }
    for (const name of ['agent.version', 'os', 'kernel', 'os.arch', 'memory', 'disk.free'])
      assert.ok(name in facts, name);
  });

  it('reads the owner’s files each time; one that is missing or empty is no fact', () => {
    const file = join(dir, 'rack');
    const declared = { 'site.rack': { file }, 'site.power': 'ups' };
    const read = createFacts({ own, declared, dir, metadata: null });
    assert.equal(read()['site.rack'], undefined);
    writeFileSync(file, ' r12\u001b[0m \nsecond line\n');
    assert.equal(read()['site.rack'], 'r12 [0m');
    writeFileSync(file, '\n');
    assert.equal(read()['site.rack'], undefined);
    assert.equal(read()['site.power'], 'ups');
  });

  it('is the same from one time to the next', () => {
    const read = createFacts({ own, declared: {}, dir, metadata: null });
    assert.deepEqual(read(), read());
  });
});

describe('missingOf', () => {
  const rows: [facts: Record<string, string>, expected: string | undefined][] = [
    [{ 'cloud.metadata.v2': 'open' }, undefined],
    [{ 'cloud.metadata.v2': 'closed' }, 'cloud.metadata.v2: wanted open, found closed'],
    [{}, 'cloud.metadata.v2: wanted open, not known'],
  ];
  for (const [facts, expected] of rows) {
    it(`${JSON.stringify(facts)}: ${expected}`, () => {
      assert.equal(missingOf({ 'cloud.metadata.v2': 'open' }, facts), expected);
    });
  }
});

describe('openMetadataService', () => {
  it('says which version is open, asks again when it is due and not before', async (t) => {
    const seen: string[] = [];
    let tokens = true;
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers['x-aws-ec2-metadata-token-ttl-seconds'] ?? ''}`);
      const open = request.method === 'PUT' ? tokens : false;
      response.writeHead(open ? 200 : 401).end('secret');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    let now = 0;
    const service = openMetadataService({ url, nowMs: () => now });
    assert.deepEqual(service.facts(), {});
    await eventually('both were asked', () => Object.keys(service.facts()).length === 2);
    assert.deepEqual(service.facts(), { 'cloud.metadata.v1': 'closed', 'cloud.metadata.v2': 'open' });
    assert.deepEqual(seen.toSorted(), ['GET /latest/meta-data/ ', 'PUT /latest/api/token 60']);
    tokens = false;
    now = 300_000;
    service.facts();
    await eventually('the second round', () => service.facts()['cloud.metadata.v2'] === 'closed');
    assert.equal(seen.length, 4);
  });

  it('closed where nobody answers', async () => {
    const service = openMetadataService({ url: 'http://127.0.0.1:1', nowMs: () => 0 });
    await eventually('both were asked', () => Object.keys(service.facts()).length === 2);
    assert.deepEqual(service.facts(), { 'cloud.metadata.v1': 'closed', 'cloud.metadata.v2': 'closed' });
  });
});
