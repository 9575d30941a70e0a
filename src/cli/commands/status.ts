// tidegate status
import type { Command } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { json } from '../render.ts';
import { statusPage } from '../status-page.ts';
import { watchStatus } from '../watch.ts';

interface Flags extends ConnectionFlags {
  watch?: true;
  json?: true;
}

export function statusCommand(program: Command, context: CliContext): void {
  const command = program
    .command('status')
    .description('what goes on: agents, products, rollouts, brakes')
    .option('--watch', 'go on and show what changes, until interrupted')
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (flags: Flags) => {
    const { terminal, settings, interrupted } = context;
    if (flags.watch && flags.json) command.error('--watch and --json cannot go together');
    const client = await openClient(flags, settings, interrupted);
    if (flags.watch) return await watchStatus(client, terminal, interrupted);
    const status = await client.status();
    terminal.print(flags.json ? json(status) : statusPage(status, terminal));
  });
}
