// The recorded GitHub's own door, as the demo uses it from another process.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRecordedGitHub } from '../../src/demo/recorded-github.ts';
import { REAL_DIR } from '../support/real-releases.ts';
import { bytesOf, sha256 } from './world.ts';

test('POST /_control makes a repository, publishes, alters, breaks and removes', async () => {
  const github = await startRecordedGitHub();
  try {
    const control = async (path: string, body: unknown) => {
      const response = await fetch(`${github.url}/_control/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: (await response.json()) as { id?: number } };
    };
    const list = async () => {
      const response = await fetch(`${github.url}/repos/acme/agent/releases`);
      return {
        status: response.status,
        body: (await response.json()) as { tag_name: string; assets: { digest: string }[] }[],
      };
    };
    const repository = 'acme/agent';
    assert.equal((await control('repositories', { repository })).status, 200);
    assert.equal((await control('repositories', { repository })).status, 409);
    const assets = [
      { name: 'a', base64: bytesOf('a').toString('base64') },
      { name: 'b', path: import.meta.filename },
    ];
    assert.equal((await control('releases', { repository, release: { tag: 'v1', assets } })).status, 200);
    const [release] = (await list()).body;
    assert.equal(release?.tag_name, 'v1');
    assert.equal(release?.assets[0]?.digest, `sha256:${sha256(bytesOf('a'))}`);
    const change = { base64: bytesOf('z').toString('base64') };
    await control('assets/alter', { repository, tag: 'v1', name: 'a', change });
    const digests = (await list()).body[0]?.assets.map((asset) => asset.digest);
    assert.ok(digests?.includes(`sha256:${sha256(bytesOf('z'))}`));
    await control('faults', { fault: { kind: 'status', status: 500, on: 'releases' } });
    assert.deepEqual([(await list()).status, (await list()).status], [500, 200]);
    await control('releases/remove', { repository, tag: 'v1' });
    assert.deepEqual((await list()).body, []);
    assert.equal((await control('releases/remove', { repository, tag: 'v1' })).status, 404);
    assert.equal((await control('nothing', {})).status, 404);
    assert.equal((await control('histories', { directory: REAL_DIR })).status, 200);
    const real = await fetch(`${github.url}/repos/elastic/elastic-agent/releases?per_page=1`);
    assert.equal(((await real.json()) as { tag_name: string }[])[0]?.tag_name, 'v9.5.2');
    assert.equal((await control('histories', { directory: REAL_DIR })).status, 409);
    assert.ok(github.log.every((entry) => !entry.path.startsWith('/_control')));
    const page = await fetch(`${github.url}/_control/faults/clear`, { method: 'POST', body: '{}' });
    assert.equal(page.status, 415);
  } finally {
    await github.close();
  }
});
