// tidegate product history P
import type { Command } from 'commander';
import { AppError } from '../../errors.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { productHistoryPage } from '../product-history-page.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags {
  channel?: string;
  range?: string;
  on?: string;
  limit?: string;
  json?: true;
}

const PAGE_ROWS = 20;
const MAX_ROWS = 1000;

export function productCommands(program: Command, context: CliContext): void {
  const group = program.command('product').description('what is kept up to date');
  addConnectionFlags(
    group
      .command('history')
      .argument('<product>', 'as the config names it')
      .description('its releases with dates and jumps, and the one that is picked')
      .option('--channel <name>', 'stable, all, or prereleases such as rc or rc,beta; default: as the product has it')
      .option('--range <range>', 'of versions, e.g. "^8.18"; default: what the product accepts')
      .option('--on <date>', 'as it was at the end of that day, UTC, e.g. 2025-08-05')
      .option('--limit <number>', `how many, at most ${MAX_ROWS}; default ${PAGE_ROWS}, with --json ${MAX_ROWS}`)
      .option('--json', 'as the server sent it'),
  ).action((product: string, flags: Flags) => history(context, product, flags));
}

async function history({ terminal, settings, interrupted }: CliContext, product: string, flags: Flags) {
  const { channel, range, on } = flags;
  const limit = readLimit(flags.limit) ?? (flags.json ? MAX_ROWS : PAGE_ROWS);
  const client = await openClient(flags, settings, interrupted);
  const reply = await client.productHistory(product, {
    limit,
    ...(channel === undefined ? {} : { channel }),
    ...(range === undefined ? {} : { range }),
    ...(on === undefined ? {} : { on }),
  });
  terminal.print(flags.json ? json(reply) : productHistoryPage(reply, terminal));
}

function readLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= MAX_ROWS) return Number(text);
  throw new AppError('usage', `--limit ${text} is not a number from 1 to ${MAX_ROWS}`);
}
