// `npm run test:random [-- part of a path] [--times N]`: property tests with fresh seeds, which `npm test` never takes.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const MAX_SEED = 2 ** 31 - 1;
const FILE_TIMEOUT_MS = 600_000;
const MAX_PRINTED = 20_000_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { times: { type: 'string', default: '1' } },
});
const times = Number(values.times);
if (!Number.isInteger(times) || times < 1) throw new Error(`--times ${values.times}: want a number from 1 on`);
const files = globSync('test/**/*.test.ts', { cwd: ROOT })
  .filter((file) => file.includes(positionals[0] ?? ''))
  .filter((file) => /support\/(?:fast-check|laws)\.ts/.test(readFileSync(join(ROOT, file), 'utf8')))
  .sort();
let failed = 0;
for (let round = 1; round <= times; round += 1) for (const file of files) runWith(file, randomInt(MAX_SEED));
console.log(`${files.length} files, ${times} times: ${failed} failed`);
process.exitCode = failed > 0 || files.length === 0 ? 1 : 0;

function runWith(file: string, seed: number): void {
  const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', file], {
    cwd: ROOT,
    env: { ...process.env, TEST_SEED: String(seed) },
    encoding: 'utf8',
    timeout: FILE_TIMEOUT_MS,
    maxBuffer: MAX_PRINTED,
  });
  if (status === 0) return;
  failed += 1;
  console.log(`${stdout.slice(stdout.indexOf('failing tests:'))}\n${file} fails: TEST_SEED=${seed} npm test ${file}`);
}
