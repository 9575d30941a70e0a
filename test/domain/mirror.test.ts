// The address of a file on a mirror, from a template that the config has checked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSafeUrl, mirrorUrl } from '../../src/domain/mirror.ts';
import fc from '../support/fast-check.ts';

const RELEASE = { version: '1.2.3+b.4', tag: 'agent/v1.2.3+b.4' };
const ARTIFACT = { platform: 'linux-x64', name: 'agent 1.2.3.tar.gz' };

const table: [string | null, string | null][] = [
  [null, null],
  ['https://m.example/{product}/{version}/{asset}', 'https://m.example/agent/1.2.3%2Bb.4/agent%201.2.3.tar.gz'],
  ['https://m.example/{tag}/{platform}', 'https://m.example/agent%2Fv1.2.3%2Bb.4/linux-x64'],
  ['https://{region}.m.example/{region}/{asset}', 'https://eu.m.example/eu/agent%201.2.3.tar.gz'],
  ['http://127.0.0.1:8080/{asset}', 'http://127.0.0.1:8080/agent%201.2.3.tar.gz'],
  [`https://m.example/${'{asset}'.repeat(110)}`, null],
];
for (const [mirror, expected] of table) {
  test(`mirrorUrl of ${mirror?.slice(0, 50)}`, () => {
    assert.equal(mirrorUrl({ name: 'eu', mirror }, 'agent', RELEASE, ARTIFACT), expected);
  });
}

test('mirrorUrl puts values in as they are, whatever replace makes of a dollar', () => {
  const artifact = { platform: 'linux-x64', name: '$&-{tag}' };
  const url = mirrorUrl({ name: 'eu', mirror: 'https://m.example/{asset}' }, 'agent', RELEASE, artifact);
  assert.equal(url, 'https://m.example/%24%26-%7Btag%7D');
});

const urls: [string, boolean][] = [
  ['https://m.example/', true],
  ['http://localhost:80/', true],
  ['http://127.1/', true],
  ['http://[::1]:1/', true],
  ['http://m.example/', false],
  ['http://127.0.0.1.m.example/', false],
  ['http://10.0.0.1/', false],
  ['ftp://127.0.0.1/', false],
];
for (const [url, safe] of urls) {
  test(`isSafeUrl(${url}) is ${safe}`, () => assert.equal(isSafeUrl(new URL(url)), safe));
}

test('law: whatever the tag and the file are called, the URL stays below the address of the mirror', () => {
  const name = fc.oneof(fc.string({ minLength: 1, maxLength: 12 }), fc.stringMatching(/^[a-z/.%?#@:]{1,8}$/));
  fc.assert(
    fc.property(name, name, (tag, file) => {
      const region = { name: 'eu', mirror: 'https://mirror.example/files/{tag}-/{version}/f-{asset}' };
      const url = mirrorUrl(region, 'agentd', { version: '1.0.0', tag }, { platform: 'linux-x64', name: file });
      assert(url?.startsWith('https://mirror.example/files/'), String(url));
      assert.equal(new URL(url as string).pathname.split('/').length, 5);
    }),
    { numRuns: 200 },
  );
});
