// tidegate availability
import type { Command } from 'commander';
import { AppError } from '../../errors.ts';
import { availabilityPage } from '../availability-page.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags {
  product?: string;
  version?: string;
  region?: string;
  json?: true;
}

export function availabilityCommand(program: Command, context: CliContext): void {
  const command = program
    .command('availability')
    .description('in which region which release can be had, and how that is known')
    .option('--product <name>', 'of one product')
    .option('--version <version>', 'one release; without it the newest and those going out')
    .option('--region <name>', 'in one region')
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action((flags: Flags) => show(context, flags));
}

async function show({ terminal, settings, interrupted }: CliContext, flags: Flags): Promise<void> {
  const client = await openClient(flags, settings, interrupted);
  const { product, version, region } = flags;
  const filter = { ...(product === undefined ? {} : { product }), ...(version === undefined ? {} : { version }) };
  const [reply, { regions }] = await Promise.all([client.availability(filter), client.regions()]);
  const known = regions.map((one) => one.name);
  if (region !== undefined && !known.includes(region)) {
    const hint = `There are: ${known.join(', ')}.`;
    throw new AppError('not_found', `the config has no region ${region}`, { hint });
  }
  const wanted = region === undefined ? known : [region];
  const rows = region === undefined ? reply.availability : reply.availability.filter((row) => row.region === region);
  if (flags.json) terminal.print(json({ ...reply, availability: rows }));
  else terminal.print(availabilityPage({ ...reply, availability: rows }, wanted, terminal));
}
