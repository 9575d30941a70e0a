// The demo's processes: started, listened to, and ended by their ids, none left behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';

const BIN = join(import.meta.dirname, '..', 'tidegate.mjs');
const STOP_MS = 10_000;
const RUN_MS = 60_000;

export interface Children {
  /** Starts `tidegate <args>`; its output goes to `<logs>/<name>.log`. */
  start(name: string, args: string[], env?: Record<string, string>): ChildProcess;
  /** Runs `tidegate <args>` to its end and returns what it printed. Throws with its error output. */
  run(args: string[], env?: Record<string, string>): Promise<string>;
  /** Ends all that still run, the last started first. */
  stop(): Promise<void>;
}

export function openChildren(logs: string): Children {
  const running: { child: ChildProcess; log: WriteStream }[] = [];
  return {
    start(name, args, env = {}) {
      const child = spawn(process.execPath, [BIN, ...args], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const log = createWriteStream(join(logs, `${name}.log`), { flags: 'a' });
      child.stdout.pipe(log, { end: false });
      child.stderr.pipe(log, { end: false });
      running.push({ child, log });
      return child;
    },
    async run(args, env = {}) {
      const child = spawn(process.execPath, [BIN, ...args], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: RUN_MS,
      });
      let out = '';
      let errors = '';
      child.stdout.on('data', (chunk: Buffer) => (out += chunk));
      child.stderr.on('data', (chunk: Buffer) => (errors += chunk));
      const [code] = await once(child, 'close');
      if (code !== 0) throw new Error(`tidegate ${args.join(' ')} ended with ${code}: ${errors}`);
      return out;
    },
    async stop() {
      for (const { child, log } of running.reverse()) {
        await end(child);
        log.end();
      }
      running.length = 0;
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited;
  clearTimeout(timer);
}
