// tidegate agent unenrol
import type { Command } from 'commander';
import type { UnenrolReply } from '../../protocol/operator.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { instant, json, wrap } from '../render.ts';

interface Flags extends ConnectionFlags {
  reason: string;
  json?: true;
}

export function unenrolCommand(group: Command, context: CliContext): void {
  const command = group
    .command('unenrol')
    .argument('<agent>', 'by id or name')
    .description('take a host out of the fleet: it counts nowhere, and its agent is let in no more')
    .requiredOption('--reason <text>', 'why; it is kept and shown')
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (name: string, flags: Flags) => {
    const { terminal, settings, interrupted } = context;
    const client = await openClient(flags, settings, interrupted);
    const reply = await client.unenrol(name, { reason: flags.reason });
    if (flags.json) return terminal.print(json(reply));
    for (const line of unenrolled(reply)) terminal.print(wrap(line, terminal.width, '  '));
  });
}

export function unenrolled({ name, agent, region, changed, actor, reason, at, hot }: UnenrolReply): string[] {
  const who = `${name} (${agent}, ${region})`;
  if (!changed)
    return [`${who} was taken out of the fleet already, by ${actor} at ${instant(at)}: ${reason}; nothing is changed`];
  const risk =
    hot === null
      ? []
      : [
          `its update of ${hot.product} to ${hot.version} had been granted (${hot.state}): nobody reports on it any more, so it counts as lost, which is bad, once its time is up`,
        ];
  return [
    `${who} is taken out of the fleet`,
    ...risk,
    'to bring the host back: put a new enrolment token into its agent.json, remove state/identity.json, and start it again',
  ];
}
