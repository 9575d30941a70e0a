// Runs a range of seeds in a process of its own, for tests that each have a core to themselves.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, 'main.ts');
const TIMEOUT_MS = 230_000;

export function keepsPromises(from: number, seeds: number): void {
  const range = ['--from', `${from}`, '--seeds', `${seeds}`, '--jobs', '1'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...range], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
}
