// Stories as scripts with their transcripts in the same file, on the real engine and store; UPDATE_SCENARIOS=1 writes them anew.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Played } from './player.ts';
import { renderTranscript } from './transcript.ts';

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'));
const player = new Worker(join(import.meta.dirname, 'player.ts'));
after(() => player.terminate());

test('there are scenarios, and the page of traps names each of its stories as it is called', () => {
  assert(files.length >= 80);
  const page = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8');
  const named = [...page.matchAll(/`([a-z0-9-]+)`/g)].map(([, name]) => `${name}.txt`);
  assert(named.length >= 40);
  assert.deepEqual(
    named.filter((name) => !files.includes(name)),
    [],
  );
});

for (const file of files) {
  test(file.replace('.txt', '').replaceAll('-', ' '), async () => {
    const path = join(import.meta.dirname, file);
    const text = readFileSync(path, 'utf8');
    player.postMessage(path);
    const [played] = (await once(player, 'message')) as [Played];
    if ('error' in played) assert.fail(played.error);
    const { entries } = played;
    if (process.env.UPDATE_SCENARIOS === '1') writeFileSync(path, renderTranscript(entries));
    else assert.equal(renderTranscript(entries), text);
    assert.deepEqual(
      entries.slice(-2).map(({ command, output }) => [command, ...output]),
      [
        ['plan', 'plan again: nothing'],
        ['check', 'no promise is broken'],
      ],
    );
  });
}
