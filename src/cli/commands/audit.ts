// tidegate audit
import type { Command } from 'commander';
import { auditPage } from '../audit-page.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { whole } from '../model-flags.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags {
  by?: string;
  all?: true;
  limit: string;
  before?: string;
  json?: true;
}

const MOST = 500;

export function auditCommand(program: Command, context: CliContext): void {
  const command = program
    .command('audit')
    .description('who did what, why and when, newest first')
    .option('--by <name>', 'of one person, by the name of their token')
    .option('--all', 'also what Tidegate itself and the agents did')
    .option('--limit <number>', `how many, at most ${MOST}`, '50')
    .option('--before <number>', 'those before this one')
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action((flags: Flags) => audit(context, flags));
}

async function audit({ terminal, settings, interrupted }: CliContext, flags: Flags): Promise<void> {
  const { by, all, limit, before } = flags;
  const filter = {
    limit: whole(limit, '--limit', MOST),
    ...(by === undefined ? {} : { by }),
    ...(all === undefined ? {} : { all }),
    ...(before === undefined ? {} : { before: whole(before, '--before', Number.MAX_SAFE_INTEGER) }),
  };
  const client = await openClient(flags, settings, interrupted);
  const reply = await client.audit(filter);
  terminal.print(flags.json ? json(reply) : auditPage(reply, filter, terminal));
}
