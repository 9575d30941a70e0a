// How the CLI says that something failed: `error[code]: what; where; hint`, and with which exit code it ends.
import { CommanderError } from 'commander';
import { AppError } from '../errors.ts';
import { clean, wrap } from './render.ts';
import type { Terminal } from './terminal.ts';

const USAGE_EXIT = 2;
const BUG_EXIT = 1;

/** Writes to standard error what a person needs; returns the exit code. */
export function reportFailure(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) return reportUsage(error, terminal);
  if (error instanceof AppError) {
    terminal.warn(failureLines(error, terminal));
    return error.exit;
  }
  terminal.warn(`error[internal]: ${clean(String((error as Error)?.stack ?? error)).slice(0, 2000)}`);
  return BUG_EXIT;
}

/** One line, or several where the message itself has them; broken into the width of a terminal alone. */
export function failureLines(error: AppError, terminal: Pick<Terminal, 'isTerminal' | 'width'>): string[] {
  const where = error.where === undefined || error.message.includes(error.where) ? [] : [error.where];
  const retry = error.retryAfterMs === undefined ? [] : [`try again in ${Math.ceil(error.retryAfterMs / 1000)} s`];
  const [first = '', ...more] = error.message.split('\n');
  const tail = [...where, ...retry, error.hint];
  const head = `error[${error.code}]: ${first}`;
  const lines = more.length === 0 ? [[head, ...tail].join('; ')] : [head, ...more, tail.join('; ')];
  return lines.flatMap((line) => (terminal.isTerminal ? wrap(line, terminal.width, '  ') : [cleanEnd(line)]));
}

function reportUsage(error: CommanderError, terminal: Terminal): number {
  // Help and version were asked for, and printed.
  if (error.exitCode === 0) return 0;
  if (error.code === 'commander.help') return USAGE_EXIT;
  const what = error.message.replace(/^error: /, '').replace(/\n\((.*)\)$/s, '; $1');
  terminal.warn(`error[usage]: ${clean(what)}; Run the command with --help.`);
  return USAGE_EXIT;
}

/** Keeps the indentation that a listing of problems has. */
function cleanEnd(line: string): string {
  const indent = /^ */.exec(line)?.[0] ?? '';
  return indent + clean(line);
}
