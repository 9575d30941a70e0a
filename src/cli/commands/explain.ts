// tidegate explain AGENT
import type { Command } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { explainPage } from '../explain-page.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags {
  json?: true;
}

export function explainCommand(program: Command, context: CliContext): void {
  const command = program
    .command('explain')
    .argument('<agent>', 'id of an agent, or its name when no other has it')
    .description('why an agent is, or is not, being updated now')
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (agent: string, flags: Flags) => {
    const client = await openClient(flags, context.settings, context.interrupted);
    const reply = await client.explain(agent);
    context.terminal.print(flags.json ? json(reply) : explainPage(reply, context.now(), context.terminal));
  });
}
