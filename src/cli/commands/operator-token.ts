// tidegate operator-token create
import { type Command, InvalidArgumentError, Option } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { instant, json, readDuration, wrap } from '../render.ts';

interface Flags extends ConnectionFlags {
  name: string;
  expiresIn: number;
  json?: true;
}

const DEFAULT_MS = 90 * 86_400_000;

export function operatorTokenCommands(program: Command, context: CliContext): void {
  const group = program.command('operator-token').description('tokens of the people who run the fleet');
  const command = group
    .command('create')
    .description('make one for another person; it is printed once and not kept')
    .requiredOption('--name <name>', 'whose it is: approvals and the audit know them by it')
    .addOption(
      new Option('--expires-in <duration>', 'for how long, e.g. 24h, 30d')
        .argParser(readExpiry)
        .default(DEFAULT_MS, '90d'),
    )
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (flags: Flags) => {
    const { terminal, settings, interrupted } = context;
    const client = await openClient(flags, settings, interrupted);
    const reply = await client.createOperatorToken({ name: flags.name, expiresInMs: flags.expiresIn });
    if (flags.json) return terminal.print(json(reply));
    // Alone on standard output, so that it can be piped into a file.
    terminal.print(reply.token);
    terminal.warn(wrap(`for ${reply.name}, until ${instant(reply.expiresAt)}`, terminal.width, '  '));
  });
}

function readExpiry(text: string): number {
  const ms = readDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Durations are written 90s, 30m, 24h or 7d.');
  return ms;
}
