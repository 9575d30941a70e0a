// The npm bin on an older Node where this machine has one, and its check function on any machine.
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildAgentArtifact } from '../src/demo/build-agent.ts';
import { ERROR_RULES } from '../src/errors.ts';

const BIN = fileURLToPath(new URL('../src/tidegate.mjs', import.meta.url));
const SENTENCE =
  /^tidegate needs Node 24 or newer, this is v\d+\.\d+\.\d+; run it through npx or npm scripts in a checkout after npm ci, or install Node 24$/;

test('refusalOf', async () => {
  const { refusalOf } = (await import(new URL('../src/tidegate.mjs', import.meta.url).href)) as {
    refusalOf(version: string): string | null;
  };
  for (const version of ['v4.9.1', 'v18.0.0', 'v20.20.2', 'v23.11.1']) assert.match(refusalOf(version) ?? '', SENTENCE);
  for (const version of ['v24.0.0', 'v24.21.0', 'v26.1.0', 'v100.0.0']) assert.equal(refusalOf(version), null);
});

test('an older Node says what is needed and exits with the code of node_too_old', (context) => {
  const older = findOlderNode();
  if (older === undefined) {
    context.skip('no Node older than 24 on the path: only refusalOf was checked');
    return;
  }
  context.diagnostic(`ran the bin with ${older.file} (${older.version})`);
  const run = spawnSync(older.file, [BIN, '--version'], { encoding: 'utf8', timeout: 30_000 });
  assert.match(run.stderr.trimEnd(), SENTENCE);
  assert.ok(run.stderr.includes(older.version));
  assert.equal(run.stdout, '');
  assert.equal(run.status, ERROR_RULES.node_too_old.exit);
});

test('a host’s launcher and agent say the same under an older Node, and do nothing', async (context) => {
  const older = findOlderNode();
  if (older === undefined) {
    context.skip('no Node older than 24 on the path');
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-old-node-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const built = await buildAgentArtifact({
    product: 'agentd',
    version: '1.0.0',
    platform: 'linux-x64',
    outDir: directory,
  });
  spawnSync('tar', ['-xzf', built.file, '-C', directory]);
  for (const file of ['launcher.mjs', 'agent.mjs']) {
    const root = join(directory, 'root');
    const args = [join(directory, file), '--root', root];
    const run: SpawnSyncReturns<string> = spawnSync(older.file, args, { encoding: 'utf8', timeout: 30_000 });
    assert.equal(run.status, ERROR_RULES.node_too_old.exit, `${file}: ${run.stderr}`);
    assert.match(run.stderr, /^tidegate needs Node 24 or newer, this is v\d+\.\d+\.\d+; install Node 24 on this host/);
    assert.equal(existsSync(root), false);
  }
});

function findOlderNode(): { file: string; version: string } | undefined {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(directory, 'node');
    if (directory.includes('node_modules') || !existsSync(file)) continue;
    const version = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: 30_000 }).stdout.trim();
    if (/^v(\d|1\d|2[0-3])\./.test(version)) return { file, version };
  }
  return undefined;
}
