// The demo's mirror over real sockets: what it serves, and what it does wrong when it is told to.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Mirror, startMirror } from '../../src/demo/mirror.ts';
import { bytesOf, tempDir } from './world.ts';

const mirror = await startMirror();
after(() => mirror.close());

test('serves what was put, by GET and HEAD with its length, until it is removed', async () => {
  mirror.put('/agent/1.0.0/a b.tar.gz', bytesOf('x'));
  const path = '/agent/1.0.0/a%20b.tar.gz';
  const head = await fetch(mirror.url + path, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(bytesOf('x').length)]);
  const got = await fetch(mirror.url + path);
  assert.deepEqual(Buffer.from(await got.arrayBuffer()), bytesOf('x'));
  assert.equal(mirror.remove('/agent/1.0.0/a b.tar.gz'), true);
  assert.equal(mirror.remove('/agent/1.0.0/a b.tar.gz'), false);
  assert.equal((await fetch(mirror.url + path)).status, 404);
  assert.equal((await fetch(mirror.url + path, { method: 'DELETE' })).status, 405);
  const requests = mirror.requests.map((one) => `${one.method} ${one.path} ${one.status}`);
  assert.deepEqual(requests, [`HEAD ${path} 200`, `GET ${path} 200`, `GET ${path} 404`, `DELETE ${path} 405`]);
});

test('serves a file from the disk, read anew each time', async () => {
  await using dir = await tempDir();
  const file = join(dir.path, 'a');
  mirror.put('/file', { file });
  for (const text of ['one', 'another']) {
    writeFileSync(file, text);
    const reply = await fetch(`${mirror.url}/file`);
    assert.deepEqual([await reply.text(), reply.headers.get('content-length')], [text, String(text.length)]);
  }
});

test('fails as often as it was told to, then heals', async () => {
  mirror.put('/x', Buffer.from('xyz'));
  mirror.fail({ kind: 'status', status: 503 }, 2);
  assert.deepEqual(await statuses(mirror, 3), [503, 503, 200]);
  mirror.fail({ kind: 'slow', ms: 5 });
  mirror.fail({ kind: 'reset' }, 1);
  await assert.rejects(fetch(`${mirror.url}/x`));
  assert.deepEqual(await statuses(mirror, 2), [200, 200]);
  mirror.heal();
  mirror.fail({ kind: 'unsized' }, 1);
  const unsized = await fetch(`${mirror.url}/x`);
  assert.deepEqual([unsized.headers.get('content-length'), await unsized.text()], [null, 'xyz']);
});

async function statuses({ url }: Mirror, times: number): Promise<number[]> {
  const seen: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const reply = await fetch(`${url}/x`);
    await reply.arrayBuffer();
    seen.push(reply.status);
  }
  return seen;
}
