// tidegate backtest
import type { Command } from 'commander';
import { backtestPage } from '../backtest-page.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { addModelFlags, type ModelFlags, readModelFlags, whole } from '../model-flags.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags, ModelFlags {
  since: string;
  agentsPerRegion?: string;
}

const MAX_AGENTS_PER_REGION = 1000;

export function backtestCommand(program: Command, context: CliContext): void {
  const command = program
    .command('backtest')
    .description('play the releases that there were under the policy of now, and change nothing')
    .requiredOption('--product <name>', 'as the config names it')
    .requiredOption('--since <date>', 'the first day, UTC, e.g. 2025-01-01')
    .option('--agents-per-region <number>', `of the modelled fleet, at most ${MAX_AGENTS_PER_REGION}; default 20`);
  addConnectionFlags(addModelFlags(command)).action((flags: Flags) => backtest(context, flags));
}

async function backtest({ terminal, settings, interrupted }: CliContext, flags: Flags): Promise<void> {
  const { since, agentsPerRegion } = flags;
  const many =
    agentsPerRegion === undefined
      ? {}
      : { agentsPerRegion: whole(agentsPerRegion, '--agents-per-region', MAX_AGENTS_PER_REGION) };
  const client = await openClient(flags, settings, interrupted);
  const reply = await client.backtest({ ...readModelFlags(flags), since, ...many });
  terminal.print(flags.json ? json(reply) : backtestPage(reply, terminal));
}
