// tidegate config check
import type { Command } from 'commander';
import type { CheckedConfig, CliContext } from '../context.ts';
import { count, json, wrap } from '../render.ts';

const DEFAULT_FILE = 'config/tidegate.yaml';

export function configCommands(program: Command, context: CliContext): void {
  program
    .command('config')
    .description('the config file')
    .command('check')
    .argument('[file]', `the config file (default: ${DEFAULT_FILE})`)
    .description('check the file alone, without a server; every problem with its place')
    .option('--config <file>', 'the same, as `serve` takes it')
    .option('--json', 'as JSON')
    .action(async (named: string | undefined, flags: { config?: string; json?: true }, command: Command) => {
      if (named !== undefined && flags.config !== undefined) command.error('FILE and --config cannot go together');
      const { terminal } = context;
      const file = named ?? flags.config ?? DEFAULT_FILE;
      const config = await context.checkConfig(file);
      const names = {
        products: config.products.map((one) => one.name),
        regions: config.regions.map((one) => one.name),
        policies: Object.keys(config.policies),
      };
      const { warnings, calendars } = config;
      if (flags.json) return terminal.print(json({ ok: true, file: config.file, ...names, warnings, calendars }));
      const parts = [
        count(names.products.length, 'product'),
        count(names.regions.length, 'region'),
        names.policies.length === 1 ? '1 policy' : `${names.policies.length} policies`,
      ];
      terminal.print(wrap(`${file} is sound: ${parts.join(', ')}`, terminal.width, '  '));
      for (const one of calendars) terminal.print(wrap(calendarLine(one), terminal.width, '  '));
      for (const text of warnings) terminal.warn(wrap(`warning: ${text}`, terminal.width, '  '));
    });
}

/** Read at the start of the server: somebody must see here that an export was empty, or is out of date. */
function calendarLine({ file, times, first, last }: CheckedConfig['calendars'][number]): string {
  if (first === null) return `${file}: no freeze in the next two years`;
  const many = count(times, 'freeze');
  return `${file}: ${many} in the next two years, the first from ${first}, the last until ${last}`;
}
