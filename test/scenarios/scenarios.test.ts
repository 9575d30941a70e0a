// Stories as scripts with their transcripts in the same file, on the real engine and store; UPDATE_SCENARIOS=1 writes them anew.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from './commands.ts';
import { type Entry, parseTranscript, renderTranscript } from './transcript.ts';
import { newWorld } from './world.ts';

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'));

test('there are scenarios', () => assert(files.length >= 12));

for (const file of files) {
  test(file.replace('.txt', '').replaceAll('-', ' '), async (t) => {
    const path = join(import.meta.dirname, file);
    const text = readFileSync(path, 'utf8');
    const world = newWorld(t);
    const entries: Entry[] = [];
    for (const entry of parseTranscript(text)) {
      entries.push({ ...entry, output: await runCommand(world, entry.command) });
    }
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
