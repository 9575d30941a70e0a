// tidegate release veto | unveto
import type { Command } from 'commander';
import type { VetoReply } from '../../protocol/operator.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { readRelease } from '../release-name.ts';
import { instant, json, shellWord, wrap } from '../render.ts';

interface Flags extends ConnectionFlags {
  reason: string;
  json?: true;
}

export function releaseCommands(program: Command, context: CliContext): void {
  const group = program.command('release').description('whether a release may go out at all');
  for (const verb of ['veto', 'unveto'] as const) {
    const command = group
      .command(verb)
      .argument('<release>', 'product@version')
      .description(
        verb === 'veto'
          ? 'let it go out nowhere, whether it has begun or not; what is being activated ends'
          : 'lift the veto of a person or of an automatic halt; lanes that it has halted stay halted',
      )
      .requiredOption('--reason <text>', 'why; it is kept and shown')
      .option('--json', 'as the server sent it');
    addConnectionFlags(command).action(async (name: string, flags: Flags) => {
      const { terminal, settings, interrupted } = context;
      const release = readRelease(name);
      const client = await openClient(flags, settings, interrupted);
      const reply = await client.setVeto({ ...release, on: verb === 'veto', reason: flags.reason });
      if (flags.json) return terminal.print(json(reply));
      const lines = verb === 'veto' ? vetoed(reply) : lifted(reply);
      terminal.print(lines.flatMap((line) => wrap(line, terminal.width, '  ')));
    });
  }
}

function vetoed(reply: VetoReply): string[] {
  const title = `${reply.product} ${reply.version}`;
  if (!reply.changed && reply.veto !== null) {
    return [`${title} was already vetoed, ${saidOf(reply.veto)}; nothing is changed`];
  }
  const before =
    reply.lifted === null ? '' : '; it takes the place of the automatic veto, and a retry does not lift it';
  const halted = haltedIn(reply);
  const where = halted.length === 0 ? '' : `; halted in ${halted.join(', ')}`;
  return [`${title} is vetoed: it goes out nowhere${before}${where}`];
}

function lifted(reply: VetoReply): string[] {
  const title = `${reply.product} ${reply.version}`;
  if (reply.lifted === null) return [`${title} is not vetoed; nothing is changed`];
  const kind = reply.lifted.automatic ? 'the automatic veto' : 'the veto';
  const halted = haltedIn(reply);
  return [
    `${kind} of ${title} is lifted: it was ${saidOf(reply.lifted)}`,
    ...(halted.length === 0
      ? []
      : [
          `still halted in ${halted.join(', ')}; go on with: tidegate rollout retry ` +
            `${shellWord(`${reply.product}@${reply.version}`)} --reason TEXT`,
        ]),
  ];
}

function saidOf({ actor, at, reason }: { actor: string; at: number; reason: string }): string {
  return `set by ${actor} at ${instant(at)} because: ${reason}`;
}

function haltedIn({ rollout }: VetoReply): string[] {
  return (rollout?.lanes ?? []).filter((lane) => lane.state === 'halted').map((lane) => lane.region);
}
