// `npm run test:postgres [part of a path]`: the tests of the whole engine, each fleet on a PostgreSQL database of its own.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../src/store/database.ts';
import { withPostgres } from './support/postgres.ts';

const ROOT = join(import.meta.dirname, '..');
const FILES_AT_A_TIME = 2;
const TIMEOUT_MS = 1_800_000;

const part = process.argv[2] ?? '';
const files = globSync('test/**/*.test.ts', { cwd: ROOT })
  .filter((file) => file.includes(part))
  .filter((file) => file.startsWith('test/scenarios/') || /\bopenFleet\b/.test(readFileSync(join(ROOT, file), 'utf8')))
  .sort();

test(`${files.length} files on PostgreSQL`, async (t) => {
  const url = await withPostgres(t);
  if (url === undefined) return;
  // Migrated once: a database made of it takes a fraction of the time.
  await (await openDatabase(url)).close();
  const options = ['--test', `--test-concurrency=${FILES_AT_A_TIME}`, '--test-reporter=spec'];
  const { status, stdout, error } = spawnSync(process.execPath, [...options, ...files], {
    cwd: ROOT,
    env: { ...process.env, TEST_POSTGRES: url, NODE_TEST_CONTEXT: undefined },
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: 100_000_000,
  });
  const failures = stdout.indexOf('failing tests:');
  console.log(stdout.slice(failures === -1 ? stdout.lastIndexOf('ℹ tests') : failures));
  if (status !== 0) throw error ?? new Error(`exit ${status}`);
});
