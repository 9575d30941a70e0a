// The test runner on files made for it: it must fail when it should, and count.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const RUNNER = fileURLToPath(new URL('./run.ts', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'tidegate-run-'));
after(() => rmSync(directory, { recursive: true }));

const HEAD = "import { describe, test } from 'node:test';\n";
const FILES: Record<string, string> = {
  'good.test.ts': `${HEAD}describe('suite', () => { test('one', () => {}); test('two', () => {}); });\n`,
  'skips.test.ts': `${HEAD}test('one', { skip: true }, () => {}); test('two', { todo: true }, () => { throw 1; });\n`,
  'bad.test.ts': `${HEAD}console.log('a clue'); test('one', () => {}); test('two', () => { throw new Error('a reason'); });\n`,
  'broken.test.ts': 'this is no code\n',
  'empty.test.ts': 'export const nothing: number = 1;\n',
  'leaks.test.ts': `${HEAD}setInterval(() => {}, 1000); test('one', () => {});\n`,
  'many.test.ts': `${HEAD}for (let i = 0; i < 3000; i += 1) test('number ' + i, () => {});\n`,
};
for (const name of ['good', 'bad', 'broken', 'empty'])
  FILES[`domain/${name}-too.test.ts`] = FILES[`${name}.test.ts`] ?? '';
mkdirSync(join(directory, 'domain'));
for (const [name, text] of Object.entries(FILES)) writeFileSync(join(directory, name), text);

describe('npm test', () => {
  const table: [string, string, number, RegExp][] = [
    ['good', '2 passed, 0 failed, 0 skipped', 0, /good\.test\.ts: 2 passed/],
    ['many', '3000 passed, 0 failed, 0 skipped', 0, /many\.test\.ts: 3000 passed/],
    ['bad', '1 passed, 1 failed, 0 skipped', 1, /bad\.test\.ts:2 two\n {4}Error: a reason[\s\S]*a clue/],
    ['broken', '0 passed, 1 failed, 0 skipped', 1, /the file itself[\s\S]*SyntaxError/],
    ['empty', '0 passed, 1 failed, 0 skipped', 1, /this file declares no test/],
    ['skips', '0 passed, 0 failed, 2 skipped', 1, /no test ran/],
    ['nothing-such', '0 passed, 0 failed, 0 skipped', 1, /no test ran: 0 files match "\/nothing-such\."/],
    ['domain/good-too', '2 passed, 0 failed, 0 skipped', 0, /good-too\.test\.ts: 2 passed/],
    ['leaks', '1 passed, 1 failed, 0 skipped', 1, /not ended after 2000 ms: a handle or process leaks/],
  ];
  test('npm test of files that share a process', () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { stdout, status } = spawnSync(process.execPath, [RUNNER, '-too.', directory], {
      encoding: 'utf8',
      env,
      timeout: 90_000,
    });
    assert.match(stdout, /bad-too\.test\.ts:2 two\n {4}Error: a reason/);
    assert.match(stdout, /empty-too\.test\.ts:1 the file itself\n {4}this file declares no test/);
    assert.match(stdout, /broken-too\.test\.ts[\s\S]*SyntaxError/);
    assert.match(stdout, /domain: 3 passed, 3 failed/);
    assert.equal(stdout.trimEnd().split('\n').at(-1), '3 passed, 3 failed, 0 skipped', stdout);
    assert.equal(status, 1);
  });

  for (const [filter, last, status, output] of table) {
    test(`npm test ${filter}`, () => {
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      const limit = filter === 'leaks' ? '2000' : '60000';
      const result = spawnSync(process.execPath, [RUNNER, `/${filter}.`, directory], {
        encoding: 'utf8',
        env: { ...env, TEST_FILE_TIMEOUT_MS: limit },
        timeout: 90_000,
      });
      assert.match(result.stdout, output);
      assert.equal(result.stdout.trimEnd().split('\n').at(-1), last, result.stdout + result.stderr);
      assert.equal(result.status, status);
    });
  }
});
