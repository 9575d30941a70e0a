// The CLI on a pseudo-terminal, by util-linux's `script`, and the screen as it stands after what was written there.
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Env } from './bin.ts';

const BIN = join(import.meta.dirname, '../../src/cli.ts');

/** False where there is no `script` that takes these options, as on macOS. */
export const HAS_PTY = spawnSync('script', ['-qec', 'tty', '/dev/null']).status === 0;

export interface Pty extends AsyncDisposable {
  /** Everything that was written so far. */
  written(): string;
  until(holds: (written: string) => boolean): Promise<void>;
  resize(width: number, rows: number): void;
  press(keys: string): void;
  /** The exit code of the CLI. */
  ended: Promise<number | null>;
}

/** Nothing of this process's environment reaches the CLI, but PATH. */
export async function startOnPty(args: readonly string[], env: Env, width: number, rows: number): Promise<Pty> {
  const command = `tty; stty rows ${rows} cols ${width}; exec "$CLI_NODE" "$CLI_BIN" ${args.join(' ')}`;
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn('script', ['-qfec', command, '/dev/null'], {
    env: { PATH: process.env['PATH'] ?? '', SHELL: '/bin/sh', CLI_NODE: process.execPath, CLI_BIN: BIN, ...env },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part) => {
    text += part;
  });
  async function until(holds: (written: string) => boolean): Promise<void> {
    const signal = AbortSignal.timeout(30_000);
    while (!holds(text)) {
      if (child.exitCode !== null) throw new Error(`the CLI has ended: ${text}`);
      await once(child.stdout, 'data', { signal }).catch((cause) => {
        throw new Error(`never came: ${holds}: ${JSON.stringify(text.slice(-3000))}`, { cause });
      });
    }
  }
  await until((written) => written.includes('\n'));
  const device = text.split('\r\n')[0] ?? '';
  return {
    written: () => text,
    until,
    resize: (cols, lines) =>
      void spawnSync('stty', ['-F', device, 'rows', String(lines), 'cols', String(cols)], { stdio: 'inherit' }),
    press: (keys) => void child.stdin.write(keys),
    ended,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escapes of terminals are what it is about
const PIECES = /\u001b\[(\??)([\d;]*)([A-Za-z])|([^\u001b]+)/g;

/** The lines of the other screen; of the escapes it knows those that the CLI uses, and throws at any other. */
export function screenOf(written: string): string[] {
  const [, onScreen = ''] = written.split('\u001b[?1049h');
  let lines: string[] = [];
  let row = 0;
  for (const [, isPrivate, numbers = '', letter, text] of (onScreen.split('\u001b[?1049l')[0] ?? '').matchAll(PIECES)) {
    if (text !== undefined) lines[row] = (lines[row] ?? '') + text;
    else if (letter === 'J' && numbers === '2') lines = [];
    else if (letter === 'H') {
      row = Number(numbers.split(';')[0]) - 1;
      // What follows is written over the line and clears its rest.
      lines[row] = '';
    } else if (isPrivate !== '?' && letter !== 'K' && letter !== 'm') throw new Error(`unknown escape: ${letter}`);
  }
  return Array.from(lines, (line) => line ?? '');
}
