// `npm run build:agent` as people run it: what it prints, and what it refuses in one line.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { PRODUCT, remove, tempDir } from './fixture.ts';

const SCRIPT = join(import.meta.dirname, '../../src/demo/build-agent.ts');

function run(...args: string[]) {
  return spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8' });
}

describe('build-agent', () => {
  const work = tempDir();
  after(() => remove(work));
  const out = join(work, 'dist');
  const good = ['--product', PRODUCT, '--version', '1.0.0-rc.1+x', '--platform', 'linux-x64', '--out', out];

  it('--help → 0, on standard output', () => {
    const { status, stdout, stderr } = run('--help');
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^usage: npm run build:agent/);
  });

  const rows: [title: string, args: string[], code: number, says: RegExp][] = [
    ['nothing', [], 2, /--product, --version and --out/],
    ['an unknown flag', [...good, '--versoin', '1'], 2, /--versoin/],
    ['a version with v', [...good, '--version', 'v1.0.0'], 2, /--version "v1\.0\.0" is not a version/],
    ['half a version', [...good, '--version', '1.0'], 2, /semver/],
    ['a version that is a path', [...good, '--version', '../1.0.0'], 2, /semver/],
    ['a platform without a processor', [...good, '--platform', 'linux'], 2, /os-arch/],
    ['a platform in capitals', [...good, '--platform', 'Linux-x64'], 2, /os-arch/],
    ['a product with a slash', [...good, '--product', 'a/b'], 2, /--product "a\/b"/],
    ['a directory that is a file', [...good, '--out', join(work, 'file')], 3, /file_unusable/],
  ];
  for (const [title, args, code, says] of rows) {
    it(`${title} → ${code}, in one line`, () => {
      writeFileSync(join(work, 'file'), '');
      const { status, stdout, stderr } = run(...args);
      assert.deepEqual([status, stdout], [code, ''], stderr);
      assert.match(stderr, /^error\[[a-z_]+\]: [^\n]+\n$/);
      assert.match(stderr, says);
      assert.equal(existsSync(out), false);
    });
  }

  it('builds what it is told to', () => {
    const { status, stdout } = run(...good);
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).file, join(out, `${PRODUCT}-1.0.0-rc.1+x-linux-x64.tar.gz`));
  });
});
