// tidegate regions
import type { Command } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { regionsPage } from '../regions-page.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags {
  json?: true;
}

export function regionsCommand(program: Command, context: CliContext): void {
  const command = program
    .command('regions')
    .description('who is there, whether something may start, and what goes on, region by region')
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (flags: Flags) => {
    const { terminal, settings, interrupted } = context;
    const client = await openClient(flags, settings, interrupted);
    const reply = await client.regions();
    if (flags.json) return terminal.print(json(reply));
    terminal.print(regionsPage(reply, (await client.status()).brakes, terminal));
  });
}
