// tidegate rollout list | show | create | status, and the verbs
import type { Command } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { checkNames } from '../known-names.ts';
import { json } from '../render.ts';
import { findRollout } from '../rollout-name.ts';
import { rolloutList, rolloutPage } from '../rollout-page.ts';
import { rolloutCreateCommand } from './rollout-create.ts';
import { rolloutStatusCommand } from './rollout-status.ts';
import { verbCommands } from './rollout-verbs.ts';

interface ReadFlags extends ConnectionFlags {
  json?: true;
}

const ROLLOUT = 'product@version, an id, or the first characters of one';

export function rolloutCommands(program: Command, context: CliContext): void {
  const group = program.command('rollout').description('releases on their way out');
  addConnectionFlags(
    group
      .command('list')
      .description('the newest rollouts')
      .option('--product <name>', 'of one product')
      .option('--json', 'as the server sent it'),
  ).action((flags: ReadFlags & { product?: string }) => list(context, flags));
  addConnectionFlags(
    group
      .command('show')
      .argument('<rollout>', ROLLOUT)
      .description('one rollout with all its lanes and steps')
      .option('--json', 'as the server sent it'),
  ).action((name: string, flags: ReadFlags) => show(context, name, flags));
  rolloutCreateCommand(group, context);
  rolloutStatusCommand(group, ROLLOUT, context);
  verbCommands(group, ROLLOUT, context);
}

async function list({ terminal, settings, interrupted, now }: CliContext, flags: ReadFlags & { product?: string }) {
  const client = await openClient(flags, settings, interrupted);
  const rollouts = await client.rollouts(flags.product === undefined ? {} : { product: flags.product });
  if (rollouts.length === 0) await checkNames(client, { product: flags.product });
  terminal.print(flags.json ? json({ rollouts }) : rolloutList(rollouts, now(), terminal));
}

async function show({ terminal, settings, interrupted, now }: CliContext, name: string, flags: ReadFlags) {
  const rollout = await findRollout(await openClient(flags, settings, interrupted), name);
  terminal.print(flags.json ? json(rollout) : rolloutPage(rollout, now(), terminal));
}
