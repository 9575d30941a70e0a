// The demo's processes: started, listened to, and ended by their ids, none left behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';

/** The `tidegate` command. */
export const TIDEGATE = join(import.meta.dirname, '..', 'tidegate.mjs');
const STOP_MS = 10_000;
const RUN_MS = 60_000;

export interface Children {
  /** Starts a script that goes on; its output goes to `<logs>/<name>.log`. */
  start(name: string, script: string, args: string[]): ChildProcess;
  /** Runs `tidegate <args>` to its end. Throws with its error output. */
  run(args: string[]): Promise<void>;
  /** Ends all that still run, the last started first; nothing can be started any more. */
  stop(): Promise<void>;
}

export interface ChildrenOptions {
  logs: string;
  /** What was compiled once need not be compiled again by the next process. */
  compileCache: string;
}

export function openChildren({ logs, compileCache }: ChildrenOptions): Children {
  const running: { child: ChildProcess; log?: WriteStream }[] = [];
  let stopped = false;

  function launch(script: string, args: string[]) {
    if (stopped) throw new Error('the demo is ending');
    return spawn(process.execPath, [script, ...args], {
      env: { ...withoutTidegate({ ...process.env }), NODE_COMPILE_CACHE: compileCache },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  return {
    start(name, script, args) {
      const child = launch(script, args);
      const log = createWriteStream(join(logs, `${name}.log`), { flags: 'a' });
      child.stdout.pipe(log, { end: false });
      child.stderr.pipe(log, { end: false });
      running.push({ child, log });
      return child;
    },
    async run(args) {
      const child = launch(TIDEGATE, args);
      running.push({ child });
      let errors = '';
      child.stdout.resume();
      child.stderr.on('data', (chunk: Buffer) => {
        errors = `${errors}${chunk}`.slice(-4_000);
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), RUN_MS);
      const [code, signal] = await once(child, 'close');
      clearTimeout(timer);
      if (code !== 0) throw new Error(`tidegate ${args.slice(0, 2).join(' ')} ended with ${code ?? signal}: ${errors}`);
    },
    async stop() {
      stopped = true;
      for (const { child, log } of running.reverse()) {
        await end(child);
        log?.end();
      }
      running.length = 0;
    },
  };
}

/** What a person has set for a server of their own is not for the demo's. */
function withoutTidegate(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('TIDEGATE_')));
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await exited;
  clearTimeout(timer);
}
