// `tidegate serve` as its own process against what goes wrong at a start: each says what, where and how to mend it.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import SqliteDatabase from 'better-sqlite3';
import { freePort } from '../../src/demo/free-port.ts';

const BIN = join(import.meta.dirname, '..', '..', 'src', 'tidegate.mjs');

interface Ended {
  code: number | null;
  errors: string;
}

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'tidegate-serve-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Port 0: any free one. GitHub is a closed port, so that polls fail at once and the server must live with it. */
function writeConfig(dir: string, port = 0, more = ''): string {
  const file = join(dir, 'tidegate.yaml');
  const text = `server: { listen: "127.0.0.1:${port}", dataDir: ./data }
github: { apiUrl: "http://127.0.0.1:9", poll: "* * * * * *" }
regions: [{ name: lab, timeZone: Europe/Berlin }]
policies: { quick: { steps: [{ percent: 100 }] } }
products:
  - { name: agentd, repository: acme/agentd, artifacts: [{ platform: linux-x64, asset: a.tgz }], policy: quick }
${more}`;
  writeFileSync(file, text);
  return file;
}

function serve(config: string): ChildProcess {
  return spawn(process.execPath, [BIN, 'serve', '--config', config], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function listening(t: TestContext, child: ChildProcess): Promise<string> {
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  let out = '';
  // A listener and no loop: leaving a loop over the stream would close it under the server.
  return await new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk;
      const match = /at (http:\/\/\S+)/.exec(out);
      if (match !== null) resolve(match[1] as string);
    });
    child.once('close', () => reject(new Error('the server has ended')));
  });
}

async function ended(child: ChildProcess): Promise<Ended> {
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  child.stdout?.resume();
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, errors };
}

test('it serves although GitHub is out of reach, says so, and ends cleanly on SIGTERM', async (t) => {
  const dir = directory(t);
  const child = serve(writeConfig(dir));
  const url = await listening(t, child);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  const authorization = `Bearer ${readFileSync(join(dir, 'data', 'operator.token'), 'utf8').trim()}`;
  let code: string | null = null;
  for (let tries = 0; tries < 200 && code === null; tries += 1) {
    const status = (await (await fetch(`${url}/api/v1/status`, { headers: { authorization } })).json()) as {
      products: { source: { errorCode: string | null } }[];
    };
    code = status.products[0]?.source.errorCode ?? null;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(code, 'github_unavailable');
  child.kill('SIGTERM');
  assert.equal((await ended(child)).code, 0);
});

test('it goes on serving when nobody reads what it prints any more, and says when it stops', async (t) => {
  const port = await freePort();
  const child = serve(writeConfig(directory(t), port));
  child.stdout?.destroy();
  const url = `http://127.0.0.1:${port}`;
  t.after(() => void child.kill('SIGKILL'));
  const [line] = await Promise.all([once(child.stderr as Readable, 'data'), answering(url, child)]);
  assert.ok(line);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  child.kill('SIGTERM');
  const { code, errors } = await ended(child);
  assert.equal(code, 0);
  assert.match(errors, /"msg":"stopping"/);
});

async function answering(url: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    assert.equal(child.exitCode, null, 'the server has ended');
    const ok = await fetch(`${url}/healthz`).then(
      (reply) => reply.ok,
      () => false,
    );
    if (ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail('the server does not answer');
}

test('a second server on the same database is refused, and the first goes on', async (t) => {
  const dir = directory(t);
  const url = await listening(t, serve(writeConfig(dir)));
  const second = await ended(serve(writeConfig(dir)));
  assert.equal(second.code, 5);
  assert.match(second.errors, /error\[database_locked\].*tidegate\.db.*Stop the other/s);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
});

test('a taken port is named, and nothing keeps running', async (t) => {
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const result = await ended(serve(writeConfig(directory(t), port)));
  assert.equal(result.code, 5);
  assert.match(result.errors, new RegExp(`error\\[port_taken\\].*127\\.0\\.0\\.1:${port}.*free port`, 's'));
});

test('a database of a newer schema is refused and left as it is', async (t) => {
  const dir = directory(t);
  const child = serve(writeConfig(dir));
  await listening(t, child);
  child.kill('SIGTERM');
  await ended(child);
  const file = join(dir, 'data', 'tidegate.db');
  const database = new SqliteDatabase(file);
  database
    .prepare("insert into schema_version (version, name, sha256, applied_at) values (999, 'later', 'x', 0)")
    .run();
  database.close();
  const before = readFileSync(file);
  const result = await ended(serve(writeConfig(dir)));
  assert.equal(result.code, 3);
  assert.match(result.errors, /error\[database_newer\].*999.*newer/s);
  assert.deepEqual(readFileSync(file), before);
});

test('a config with several mistakes names them all, each with its place', async (t) => {
  const dir = directory(t);
  const result = await ended(serve(writeConfig(dir, 0, 'regionz: []\nagents: { pollInterval: soon }\n')));
  assert.equal(result.code, 3);
  assert.match(result.errors, /tidegate\.yaml:\d+:\d+.*regionz.*regions/s);
  assert.match(result.errors, /pollInterval/);
});

test('a config that is not there says how to begin', async (t) => {
  const result = await ended(serve(join(directory(t), 'none.yaml')));
  assert.equal(result.code, 3);
  assert.match(result.errors, /error\[config_missing\].*none\.yaml.*config\/tidegate\.yaml/s);
});
