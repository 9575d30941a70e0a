// Runs commands against the real app on a socket: in this process, or through the real bin where the process itself counts.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { installAgent } from '../../src/agent/install.ts';
import { runLauncher } from '../../src/agent/launch.ts';
import { runCli } from '../../src/cli/program.ts';
import { createTerminal } from '../../src/cli/terminal.ts';
import { checkedConfig } from '../../src/config/checked.ts';
import { readCliSettings } from '../../src/config/cli-settings.ts';
import { packageVersion } from '../../src/config/package-version.ts';
import { readConfig } from '../../src/config.ts';
import { backUp } from '../../src/store/backup.ts';
import { restore } from '../../src/store/restore.ts';
import { type Harness, openHarness } from '../api/harness.ts';
import { type Seeded, seed } from '../api/seed.ts';

const BIN = join(import.meta.dirname, '../../src/cli.ts');

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

/** Nothing of this process's environment reaches it, but PATH and what the run of the tests has compiled. */
export function start(args: readonly string[], env: Env = {}): ChildProcessByStdio<null, Readable, Readable> {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  const own = NODE_COMPILE_CACHE === undefined ? { PATH } : { PATH, NODE_COMPILE_CACHE };
  return spawn(process.execPath, [BIN, ...args], { env: { ...own, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The real bin in a process of its own, until its end. */
export async function runBin(args: readonly string[], env: Env = {}): Promise<Ran> {
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

/**
 * The same command with the same outcome, without the start of a process, which takes longer than most commands. What it
 * is given is what the bin gives it, all but signals; `serve` has to be a process.
 */
export async function run(args: readonly string[], env: Env = {}): Promise<Ran> {
  const ran: Ran = { code: null, out: '', err: '' };
  const settings = readCliSettings(env);
  const out = { write: (text: string) => void (ran.out += text) };
  const err = { write: (text: string) => void (ran.err += text) };
  ran.code = await runCli(args, {
    version: packageVersion(),
    terminal: createTerminal(out, err, settings.noColor, settings.dumbTerminal),
    settings,
    interrupted: new AbortController().signal,
    now: Date.now,
    serve: () => Promise.reject(new Error('a server is started with start()')),
    checkConfig: async (file) => checkedConfig({ file, env }, Date.now()),
    backUp: ({ configFile, ...rest }) => backUp({ config: readConfig({ file: configFile, env }), ...rest }),
    restore: ({ configFile, ...rest }) =>
      restore({ config: readConfig({ file: configFile, env }), ...rest, now: Date.now() }),
    runAgent: runLauncher,
    installAgent,
  });
  return ran;
}
