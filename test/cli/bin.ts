// Runs the real bin against the real app on a socket.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Harness, openHarness } from '../api/harness.ts';
import { type Seeded, seed } from '../api/seed.ts';

const BIN = join(import.meta.dirname, '../../src/cli.ts');
// Halves the start of the many short processes.
const COMPILE_CACHE = mkdtempSync(join(tmpdir(), 'tidegate-compile-'));
process.on('exit', () => rmSync(COMPILE_CACHE, { recursive: true, force: true }));

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export type Env = Record<string, string>;

export interface Served extends AsyncDisposable {
  harness: Harness;
  seeded: Seeded;
  url: string;
  /** Server and token as the environment gives them to the CLI. */
  env: Env;
}

export async function serveSeeded(): Promise<Served> {
  const harness = await openHarness();
  const seeded = await seed(harness);
  await harness.app.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(harness.app.server.address() as AddressInfo).port}`;
  return {
    harness,
    seeded,
    url,
    env: { TIDEGATE_SERVER: url, TIDEGATE_TOKEN: harness.operatorToken },
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
}

/** Nothing of this process's environment reaches it, but PATH. */
export function start(args: readonly string[], env: Env = {}): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [BIN, ...args], {
    env: { PATH: process.env['PATH'] ?? '', NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export async function run(args: readonly string[], env: Env = {}): Promise<Ran> {
  const child = start(args, env);
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    err += chunk;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}
