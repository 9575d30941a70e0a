// tidegate enrol-token create
import { type Command, InvalidArgumentError, Option } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { count, instant, json, readDuration, wrap } from '../render.ts';

interface Flags extends ConnectionFlags {
  region: string;
  label?: Record<string, string>;
  uses: number;
  expiresIn: number;
  json?: true;
}

const DAY_MS = 86_400_000;

export function enrolTokenCommands(program: Command, context: CliContext): void {
  const group = program.command('enrol-token').description('tokens with which hosts enrol');
  const command = group
    .command('create')
    .description('make a token; it is printed once and not kept')
    .requiredOption('--region <name>', 'region of the hosts that enrol with it')
    .option('--label <key=value>', 'label of the hosts that enrol with it; may be repeated', readLabel)
    .option('--uses <number>', 'how many hosts may enrol with it', readUses, 1)
    .addOption(expiresIn())
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (flags: Flags) => {
    const { terminal, settings, interrupted } = context;
    const client = await openClient(flags, settings, interrupted);
    const { region, uses, label: labels = {}, expiresIn: expiresInMs } = flags;
    const reply = await client.createEnrolToken({ region, uses, labels, expiresInMs });
    if (flags.json) return terminal.print(json(reply));
    // Alone on standard output, so that it can be piped into a file.
    terminal.print(reply.token);
    const text = `for ${count(reply.uses, 'host')} in ${reply.region}, until ${instant(reply.expiresAt)}`;
    terminal.warn(wrap(text, terminal.width, '  '));
  });
}

function expiresIn(): Option {
  return new Option('--expires-in <duration>', 'for how long, e.g. 30m, 24h, 7d')
    .argParser(readExpiry)
    .default(DAY_MS, '24h');
}

function readLabel(text: string, labels: Record<string, string> = {}): Record<string, string> {
  const match = /^([a-z][a-z0-9_.-]{0,62})=(.{0,128})$/.exec(text);
  if (match === null) throw new InvalidArgumentError('A label is written key=value.');
  const [, key = '', value = ''] = match;
  if (Object.hasOwn(labels, key)) throw new InvalidArgumentError(`The label ${key} is given twice.`);
  return { ...labels, [key]: value };
}

function readUses(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('It is a number from 1 on.');
  return Number(text);
}

function readExpiry(text: string): number {
  const ms = readDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Durations are written 90s, 30m, 24h or 7d.');
  return ms;
}
