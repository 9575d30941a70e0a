// Runs the simulator, seed after seed, until a promise is broken: in a copy with a bug, and in the tree as it is.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SeedResult } from '../run-seed.ts';
import type { Mutant } from './list.ts';
import { copyWith } from './mutant-copy.ts';

export interface Finding {
  name: string;
  breaks: readonly string[];
  /** Null: no promise was broken, or only such as break without the bug. */
  found: { seed: number; promise: string; sentence: string } | null;
  /** Seeds that were run to their end, or to a broken promise. */
  seeds: number;
  seconds: number;
  /** Why it ended before all seeds had been run, other than by a find. */
  note: string | null;
}

export interface Bounds {
  from: number;
  seeds: number;
  timeLimitMs: number;
}

const HERE = join(import.meta.dirname, '../main.ts');

/** Children that run now: whoever ends early ends them too. */
export const running = new Set<ChildProcess>();

export async function findMutant(mutant: Mutant, { from, seeds, timeLimitMs }: Bounds): Promise<Finding> {
  const startedAt = performance.now();
  const copy = copyWith(mutant);
  try {
    const { results, note } = await runSeeds(copy.main, { from, seeds, timeLimitMs });
    const last = results.at(-1);
    const found = last?.broken === undefined ? null : { seed: last.seed, ...last.broken };
    const report = { name: mutant.name, breaks: mutant.breaks, seeds: results.length };
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
    if (found === null) return { ...report, found, seconds, note };
    // What is broken without the bug says nothing about it.
    const control = await runSeeds(HERE, { from: found.seed, seeds: 1, timeLimitMs });
    const isSound = control.results.length === 1 && control.results[0]?.broken === undefined;
    if (isSound) return { ...report, found, seconds, note: null };
    return { ...report, found: null, seconds, note: `seed ${found.seed} is broken without it, too` };
  } finally {
    copy.remove();
  }
}

/** In order; ends after the first that is broken. */
async function runSeeds(
  main: string,
  { from, seeds, timeLimitMs }: Bounds,
): Promise<{ results: SeedResult[]; note: string | null }> {
  const args = [main, '--share', '0/1', '--from', `${from}`, '--seeds', `${seeds}`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const results: SeedResult[] = [];
  let complaint = '';
  let isLate = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2000);
  });
  const limit = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, timeLimitMs);
  for await (const line of createInterface({ input: child.stdout })) results.push(JSON.parse(line) as SeedResult);
  const code = await ended;
  clearTimeout(limit);
  running.delete(child);
  if (isLate) return { results, note: `stopped after ${Math.round(timeLimitMs / 1000)} s` };
  return { results, note: code === 0 ? null : `the simulator fell over: ${complaint.trim()}` };
}
