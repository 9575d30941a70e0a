// tidegate clock trust
import type { Command } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { instant, json, wrap } from '../render.ts';

interface Flags extends ConnectionFlags {
  reason: string;
  json?: true;
}

export function clockCommands(program: Command, context: CliContext): void {
  const group = program.command('clock').description('the clock of the server');
  const command = group
    .command('trust')
    .description('go on at once after the server’s clock has jumped')
    .requiredOption('--reason <text>', 'why; it is kept and shown')
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (flags: Flags) => {
    const { terminal, settings, interrupted } = context;
    const client = await openClient(flags, settings, interrupted);
    const reply = await client.trustClock({ reason: flags.reason });
    if (flags.json) return terminal.print(json(reply));
    const told = reply.changed ? 'the clock is trusted again' : 'nobody doubts the clock; nothing is changed';
    terminal.print(wrap(`${told}: it is ${instant(reply.now)}`, terminal.width, '  '));
  });
}
