// tidegate rollout create
import type { Command } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { createdPage } from '../created-page.ts';
import { readRelease } from '../release-name.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags {
  reason: string;
  json?: true;
}

export function rolloutCreateCommand(group: Command, context: CliContext): void {
  const command = group
    .command('create')
    .argument('<release>', 'product@version')
    .description('begin a rollout now: what its policy begins by hand, or whatever schedule and minimum age say')
    .requiredOption('--reason <text>', 'why; it is kept and shown')
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (name: string, flags: Flags) => {
    const { terminal, settings, interrupted, now } = context;
    const { product, version } = readRelease(name);
    const client = await openClient(flags, settings, interrupted);
    const reply = await client.createRollout({ product, version, reason: flags.reason });
    terminal.print(flags.json ? json(reply) : createdPage(reply, now(), terminal));
  });
}
