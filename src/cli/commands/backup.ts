// tidegate backup, tidegate restore: for the machine of the server, with its config; not over the API.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { count, instant, json, wrap } from '../render.ts';

interface BackupFlags {
  config: string;
  withKeys?: true;
  json?: true;
}

interface RestoreFlags {
  config: string;
  mark?: true;
  json?: true;
}

export function backupCommands(program: Command, context: CliContext): void {
  program
    .command('backup')
    .argument('<file>', 'where to; nothing is overwritten')
    .description('copy the database of the config, while the server runs or not')
    .requiredOption('--config <file>', 'the config file of the server')
    .option('--with-keys', 'copy the server’s keys, too, to <file>.keys')
    .option('--json', 'as JSON')
    .action(async (file: string, flags: BackupFlags) => await backUp(context, file, flags));
  const restoring = program
    .command('restore')
    .argument('[file]', 'the backup')
    .description(
      'put a backup in the place of the database, with the server stopped; holds everything until a person resumes',
    )
    .requiredOption('--config <file>', 'the config file of the server')
    .option('--mark', 'the rows are there already, e.g. by pg_restore: only what a restore must leave behind')
    .option('--json', 'as JSON')
    .action(async (file: string | undefined, flags: RestoreFlags) => {
      if ((file === undefined) !== (flags.mark === true)) restoring.error('either FILE or --mark');
      await restore(context, file, flags);
    });
}

async function backUp({ terminal, ...context }: CliContext, file: string, flags: BackupFlags): Promise<void> {
  const request = { configFile: flags.config, file: resolve(file), withKeys: flags.withKeys === true };
  const done = await context.backUp(request);
  if (flags.json) return terminal.print(json(done));
  terminal.print(wrap(`${count(done.agents, 'agent')}, ${done.bytes} bytes: ${done.file}`, terminal.width, '  '));
  const keys =
    done.keysCopy === null
      ? `the keys in ${done.keys} are not in it, and no agent trusts a server without them: back them up as well`
      : `the keys, which are secret: ${done.keysCopy}`;
  terminal.print(wrap(keys, terminal.width, '  '));
}

async function restore(
  { terminal, ...context }: CliContext,
  file: string | undefined,
  flags: RestoreFlags,
): Promise<void> {
  const request = { configFile: flags.config, file: file === undefined ? null : resolve(file) };
  const done = await context.restore(request);
  if (flags.json) return terminal.print(json(done));
  const until = done.endsAt === null ? 'it is empty' : `it knows what was until ${instant(done.endsAt)}`;
  const lines = [
    `${done.database} is restored: ${until}; epoch ${done.epoch}`,
    ...(done.aside === null ? [] : [`what was there before: ${done.aside}`]),
    ...(done.keysAre === 'copied' ? [`the keys are restored, too: ${done.keys}`] : []),
    `the brake on the fleet is on, and ${count(done.stale, 'agent')} held until heard of`,
    'what people did since the backup is gone: halts, vetoes, brakes, pins, tokens made or revoked; do it again',
    'then start the server, look at `tidegate status`, and let it go on: tidegate brake off --reason TEXT',
  ];
  for (const line of lines) terminal.print(wrap(line, terminal.width, '  '));
  if (done.keysAre !== 'missing') return;
  const lost = `warning: there are no keys in ${done.keys}: put them back before the server starts, or it makes new ones, which no agent trusts`;
  terminal.warn(wrap(lost, terminal.width, '  '));
}
