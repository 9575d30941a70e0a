// tidegate rollout list | show | halt
import type { Command } from 'commander';
import type { VerbRequest } from '../../protocol/operator.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { json, wrap } from '../render.ts';
import { findRollout } from '../rollout-name.ts';
import { rolloutList, rolloutPage } from '../rollout-page.ts';

interface ReadFlags extends ConnectionFlags {
  json?: true;
}

interface HaltFlags extends ReadFlags {
  region?: string;
  release?: true;
  reason: string;
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
  addConnectionFlags(
    group
      .command('halt')
      .argument('<rollout>', ROLLOUT)
      .description('stop it: nothing new is started, what is being activated ends')
      .option('--region <name>', 'in one region only')
      .option('--release', 'and veto the release everywhere')
      .requiredOption('--reason <text>', 'why; it is kept and shown')
      .option('--json', 'as the server sent it'),
  ).action((name: string, flags: HaltFlags) => halt(context, name, flags));
}

async function list({ terminal, settings, interrupted, now }: CliContext, flags: ReadFlags & { product?: string }) {
  const client = await openClient(flags, settings, interrupted);
  const rollouts = await client.rollouts(flags.product === undefined ? {} : { product: flags.product });
  terminal.print(flags.json ? json({ rollouts }) : rolloutList(rollouts, now(), terminal));
}

async function show({ terminal, settings, interrupted, now }: CliContext, name: string, flags: ReadFlags) {
  const rollout = await findRollout(await openClient(flags, settings, interrupted), name);
  terminal.print(flags.json ? json(rollout) : rolloutPage(rollout, now(), terminal));
}

async function halt({ terminal, settings, interrupted }: CliContext, name: string, flags: HaltFlags) {
  const client = await openClient(flags, settings, interrupted);
  const { id } = await findRollout(client, name);
  const request: VerbRequest = { verb: 'halt', reason: flags.reason, scope: flags.release ? 'release' : 'lane' };
  const reply = await client.verb(id, flags.region === undefined ? request : { ...request, region: flags.region });
  if (flags.json) return terminal.print(json(reply));
  const halted = reply.rollout.lanes.filter((lane) => lane.state === 'halted').map((lane) => lane.region);
  const title = `${reply.rollout.product} ${reply.rollout.version}`;
  const veto = flags.release ? '; the release is vetoed' : '';
  const where = halted.length === 0 ? 'in no region' : `in ${halted.join(', ')}`;
  const text = reply.changed
    ? `${title} is halted ${where}${veto}`
    : `nothing was left to halt: ${title} is halted ${where}`;
  terminal.print(wrap(text, terminal.width, '  '));
}
