// tidegate agent pin | unpin
import type { Command } from 'commander';
import type { PinReply } from '../../protocol/operator.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { instant, json, wrap } from '../render.ts';

interface Flags extends ConnectionFlags {
  product: string;
  version?: string;
  reason: string;
  json?: true;
}

export function pinCommands(group: Command, context: CliContext): void {
  for (const verb of ['pin', 'unpin'] as const) {
    const command = group
      .command(verb)
      .argument('<agent>', 'by id or name')
      .description(verb === 'pin' ? 'leave a host alone at what it runs' : 'let a pinned host be updated again')
      .requiredOption('--product <name>', 'the product; others of the host go on')
      .requiredOption('--reason <text>', 'why; it is kept and shown')
      .option('--json', 'as the server sent it');
    if (verb === 'pin') command.option('--version <version>', 'only if it runs this version');
    addConnectionFlags(command).action(async (name: string, flags: Flags) => {
      const { terminal, settings, interrupted } = context;
      const { product, version, reason } = flags;
      const client = await openClient(flags, settings, interrupted);
      const request = { product, on: verb === 'pin', reason, ...(version === undefined ? {} : { version }) };
      const reply = await client.setPin(name, request);
      if (flags.json) return terminal.print(json(reply));
      terminal.print(wrap(verb === 'pin' ? pinned(reply) : unpinned(reply, product), terminal.width, '  '));
    });
  }
}

function pinned({ agent, changed, pin, hot }: PinReply): string {
  if (pin === null) return `${agent.name} has been unpinned again by somebody else`;
  const { product, version } = pin;
  const state = `${agent.name} ${changed ? 'is' : 'was already'} pinned at ${product} ${version}`;
  const why = changed ? '' : `, by ${pin.actor} since ${instant(pin.at)} because: ${pin.reason}; nothing is changed`;
  const end = hot === null ? '' : `; its update to ${hot.version} had been granted (${hot.state}) and runs to its end`;
  return state + why + end;
}

function unpinned({ agent, lifted }: PinReply, product: string): string {
  if (lifted === null) return `${agent.name} is not pinned at ${product}; nothing is changed`;
  const { actor, at, reason } = lifted;
  return `${agent.name} is not pinned at ${product} any more; it was, by ${actor} since ${instant(at)} because: ${reason}`;
}
