// How the CLI says that something failed: `error[code]: what`, below it where and how to mend it; and the exit code.
import { CommanderError } from 'commander';
import { AppError } from '../errors.ts';
import { clean, duration, wrap } from './render.ts';
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

/** What is wrong in the first line; then, indented, where, when to try again, and what to do. Broken in a terminal alone. */
export function failureLines(error: AppError, terminal: Pick<Terminal, 'isTerminal' | 'width'>): string[] {
  const flag = flagOf(error);
  if (flag !== undefined) return laidOut(`error[${error.code}]: ${flag}`, ['Run the command with --help.'], terminal);
  const where = error.where === undefined || error.message.includes(error.where) ? [] : [`where: ${error.where}`];
  const retry = error.retryAfterMs === undefined ? [] : [`try again in ${Math.ceil(error.retryAfterMs / 1000)} s`];
  return laidOut(`error[${error.code}]: ${error.message}`, [...where, ...retry, error.hint], terminal);
}

/** What a server says of a field of its request, in words of the flag that it came from; undefined: it says something else. */
function flagOf({ code, where, message }: AppError): string | undefined {
  const [, name, rest = ''] = /(?:^| )(?:body|querystring)\/(\w+)(.*)$/.exec(where ?? '') ?? [];
  const pointer = `/${name}${rest} `;
  if (code !== 'bad_request' || name === undefined || !message.startsWith(pointer)) return undefined;
  const flag = `--${name.replace(/Ms$/, '').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  // Of a file the place in it: the request has its list under the name of the flag.
  const place = rest.replace(/^\/(\d+)/, ': agents[$1]').replaceAll('/', '.');
  return `${flag}${place} ${plainly(message.slice(pointer.length), name.endsWith('Ms'))}`;
}

function plainly(says: string, isTime: boolean): string {
  const limit = /^must be (<=|>=) (\d+)$/.exec(says);
  if (limit !== null && isTime)
    return `must be at ${limit[1] === '<=' ? 'most' : 'least'} ${duration(Number(limit[2]))}`;
  if (/^must NOT have fewer than 1 char/.test(says)) return 'must not be empty';
  return says.startsWith('must match pattern') ? 'is not written as it must be' : says;
}

function reportUsage(error: CommanderError, terminal: Terminal): number {
  // Help and version were asked for, and printed.
  if (error.exitCode === 0) return 0;
  if (error.code === 'commander.help') return USAGE_EXIT;
  const [what = '', suggestion] = error.message.replace(/^error: /, '').split(/\n\((.*)\)$/s);
  const more = suggestion === undefined ? [] : [suggestion];
  terminal.warn(laidOut(`error[usage]: ${what}`, [...more, 'Run the command with --help.'], terminal));
  return USAGE_EXIT;
}

/** The message may be a listing of several lines. */
function laidOut(
  message: string,
  below: readonly string[],
  terminal: Pick<Terminal, 'isTerminal' | 'width'>,
): string[] {
  const { isTerminal, width } = terminal;
  const head = message.split('\n').flatMap((line) => (isTerminal ? wrap(line, width, '  ') : [cleanEnd(line)]));
  const rest = below.flatMap((line) => (isTerminal ? wrap(line, width - 2, '  ') : [clean(line)]));
  return [...head, ...rest.map((line) => `  ${line}`)];
}

/** Keeps the indentation that a listing of problems has. */
function cleanEnd(line: string): string {
  const indent = /^ */.exec(line)?.[0] ?? '';
  return indent + clean(line);
}
