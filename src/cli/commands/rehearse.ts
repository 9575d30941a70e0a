// tidegate rehearse
import type { Command } from 'commander';
import { AppError } from '../../errors.ts';
import type { RehearsalRequest } from '../../protocol/rehearsal.ts';
import { addConnectionFlags, type ConnectionFlags, openClient, readText } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { addModelFlags, type ModelFlags, ms, readModelFlags, share } from '../model-flags.ts';
import { rehearsePage } from '../rehearse-page.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags, ModelFlags {
  version: string;
  failureRate?: string;
  offline?: string;
  within?: string;
  fleet?: string;
}

export function rehearseCommand(program: Command, context: CliContext): void {
  const command = program
    .command('rehearse')
    .description('play a release on a model of the fleet as it is now, and change nothing')
    .requiredOption('--product <name>', 'as the config names it')
    .requiredOption('--version <version>', 'the release; it need not be published yet')
    .option('--failure-rate <share>', 'share of the hosts on which a bad release fails; default 1%')
    .option('--offline <share>', 'share of the agents that are away; default: who is away now')
    .option('--within <time>', 'play no longer than this; default 90d')
    .option('--fleet <file>', 'JSON with {"agents": [{"region", "platform", "version", "labels", "count"}]} instead');
  addConnectionFlags(addModelFlags(command)).action((flags: Flags) => rehearse(context, flags));
}

async function rehearse({ terminal, settings, interrupted }: CliContext, flags: Flags): Promise<void> {
  const { version, failureRate, offline, within, fleet } = flags;
  const request: RehearsalRequest = {
    ...readModelFlags(flags),
    version,
    ...(failureRate === undefined ? {} : { failureRate: share(failureRate, '--failure-rate') }),
    ...(offline === undefined ? {} : { offline: share(offline, '--offline') }),
    ...(within === undefined ? {} : { horizonMs: ms(within, '--within') }),
    ...(fleet === undefined ? {} : { fleet: readFleet(fleet) }),
  };
  const client = await openClient(flags, settings, interrupted);
  const reply = await client.rehearse(request);
  terminal.print(flags.json ? json(reply) : rehearsePage(reply, terminal));
}

/** What is in the groups, the server checks. */
function readFleet(file: string): NonNullable<RehearsalRequest['fleet']> {
  const text = readText(file, 'file_unusable');
  const hint = 'Write {"agents": [{"region": "eu", "platform": "linux-x64", "version": "1.0.0", "count": 100}]}.';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AppError('bad_request', `${file} is not JSON: ${(error as Error).message}`, { cause: error, hint });
  }
  const agents = (value as { agents?: unknown } | null)?.agents;
  if (Array.isArray(agents) && agents.length > 0) return agents as NonNullable<RehearsalRequest['fleet']>;
  throw new AppError('bad_request', `${file} has no list of agents`, { hint });
}
