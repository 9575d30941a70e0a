// tidegate serve
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';

export function serveCommand(program: Command, context: CliContext): void {
  program
    .command('serve')
    .description('run the server until it is told to stop')
    .requiredOption('--config <file>', 'the config file, e.g. config/tidegate.yaml')
    .action(async (flags: { config: string }) => await context.serve(flags.config));
}
