// Plays scenarios in a thread of its own: the test runner watches every promise of its thread, which took nearly half of the time.
import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { runCommand } from './commands.ts';
import { type Entry, parseTranscript } from './transcript.ts';
import { newWorld } from './world.ts';

/** What came of a file: its entries with what they print now, or why it broke off. */
export type Played = { entries: Entry[] } | { error: string };

parentPort?.on('message', async (path: string) => {
  const played: Played = await play(path).catch((error: Error) => ({ error: error.stack ?? String(error) }));
  parentPort?.postMessage(played);
});

async function play(path: string): Promise<Played> {
  const ends: (() => unknown)[] = [];
  const world = newWorld({ after: (end) => void ends.push(end as () => unknown) });
  const entries: Entry[] = [];
  try {
    for (const entry of parseTranscript(readFileSync(path, 'utf8'))) {
      entries.push({ ...entry, output: await runCommand(world, entry.command) });
    }
  } finally {
    for (const end of ends) await end();
  }
  return { entries };
}
