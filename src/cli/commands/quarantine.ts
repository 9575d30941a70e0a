// tidegate quarantine list | clear
import type { Command } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { haltedHint, quarantinePage } from '../quarantine-page.ts';
import { readRelease } from '../release-name.ts';
import { count, json, wrap } from '../render.ts';

interface ListFlags extends ConnectionFlags {
  product?: string;
  json?: true;
}

interface ClearFlags extends ConnectionFlags {
  reason: string;
  json?: true;
}

export function quarantineCommands(program: Command, context: CliContext): void {
  const group = program.command('quarantine').description('agents that have used up their attempts at a release');
  const list = group
    .command('list')
    .description('who is kept from which release, and how the last attempt ended')
    .option('--product <name>', 'of one product')
    .option('--json', 'as the server sent it');
  addConnectionFlags(list).action(async (flags: ListFlags) => {
    const { terminal, settings, interrupted, now } = context;
    const client = await openClient(flags, settings, interrupted);
    const reply = await client.quarantine(flags.product === undefined ? {} : { product: flags.product });
    terminal.print(flags.json ? json(reply) : quarantinePage(reply, now(), terminal));
  });
  const clear = group
    .command('clear')
    .argument('<agent>', 'by id or name')
    .argument('<release>', 'product@version')
    .description('let one agent try a release again; what went bad stays counted')
    .requiredOption('--reason <text>', 'why; it is kept and shown')
    .option('--json', 'as the server sent it');
  addConnectionFlags(clear).action(async (name: string, release: string, flags: ClearFlags) => {
    const { terminal, settings, interrupted } = context;
    const { product, version } = readRelease(release);
    const client = await openClient(flags, settings, interrupted);
    const reply = await client.clearQuarantine(name, { product, version, reason: flags.reason });
    if (flags.json) return terminal.print(json(reply));
    const title = `${reply.product} ${reply.version}`;
    const text = reply.changed
      ? `${reply.agent.name} may try ${title} again; ${count(reply.attempts, 'attempt')} forgiven`
      : `${reply.agent.name} is not quarantined at ${title}; nothing is changed`;
    terminal.print(wrap(text, terminal.width, '  '));
    if (!reply.changed) return;
    const rollouts = await client.rollouts({ product: reply.product });
    const rollout = rollouts.find((one) => one.version === reply.version);
    terminal.print(haltedHint(rollout, reply.agent.region, terminal));
  });
}
