// tidegate rollout create
import type { Command } from 'commander';
import { AppError } from '../../errors.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { createdPage } from '../created-page.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags {
  reason: string;
  json?: true;
}

export function rolloutCreateCommand(group: Command, context: CliContext): void {
  const command = group
    .command('create')
    .argument('<release>', 'product@version')
    .description('begin a rollout now, whatever the schedule and the minimum age of the policy say')
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

function readRelease(name: string): { product: string; version: string } {
  const at = name.lastIndexOf('@');
  if (at > 0 && at < name.length - 1) return { product: name.slice(0, at), version: name.slice(at + 1) };
  throw new AppError('usage', `${name} does not name a release`, { hint: 'Give product@version.' });
}
