// tidegate brake on | off
import type { Command } from 'commander';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { checkNames } from '../known-names.ts';
import { instant, json, wrap } from '../render.ts';
import { scopeName } from '../status-page.ts';

interface Flags extends ConnectionFlags {
  product?: string;
  region?: string;
  reason: string;
  json?: true;
}

export function brakeCommands(program: Command, context: CliContext): void {
  const group = program.command('brake').description('stop everything at once: fleet, product or region');
  for (const verb of ['on', 'off'] as const) {
    const command = group
      .command(verb)
      .description(verb === 'on' ? 'nothing new starts until it is off again' : 'let it go on')
      .option('--product <name>', 'one product; without it and --region the whole fleet')
      .option('--region <name>', 'one region')
      .requiredOption('--reason <text>', 'why; it is kept and shown')
      .option('--json', 'as the server sent it');
    addConnectionFlags(command).action(async (flags: Flags) => {
      if (flags.product !== undefined && flags.region !== undefined) {
        command.error('--product and --region cannot go together');
      }
      await setBrake(context, verb === 'on', flags);
    });
  }
}

async function setBrake({ terminal, settings, interrupted }: CliContext, on: boolean, flags: Flags): Promise<void> {
  const scope = scopeOf(flags);
  const client = await openClient(flags, settings, interrupted);
  const reply = await client.setBrake({ scope, on, reason: flags.reason });
  // A brake may outlive its region in the config; what was never set on a name that is not there is a slip of the pen.
  if (!on && !reply.changed) await checkNames(client, flags);
  if (flags.json) return terminal.print(json(reply));
  const state = `the brake on ${scopeName(scope)} ${reply.changed ? 'is' : 'was already'} ${on ? 'on' : 'off'}`;
  const kept = reply.changed ? undefined : reply.brakes.find((brake) => brake.scope === scope);
  // The first reason stands: what is in force, and since when, must not change under those who have read it.
  const why =
    kept === undefined
      ? ''
      : ` since ${instant(kept.at)}, set by ${kept.actor} because: ${kept.reason}; nothing is changed`;
  const others = reply.brakes.filter((brake) => brake.scope !== scope).map((brake) => scopeName(brake.scope));
  const rest = others.length === 0 ? '' : `; others are on: ${others.join(', ')}`;
  terminal.print(wrap(state + why + rest, terminal.width, '  '));
}

function scopeOf({ product, region }: Flags): string {
  if (product !== undefined) return `product:${product}`;
  return region === undefined ? 'fleet' : `region:${region}`;
}
