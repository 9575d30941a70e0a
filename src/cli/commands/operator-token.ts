// tidegate operator-token create | list | revoke
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { OperatorTokensReply } from '../../protocol/operator.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { instant, json, readDuration, table, wrap } from '../render.ts';

interface Flags extends ConnectionFlags {
  name: string;
  expiresIn: number;
  json?: true;
}

const DEFAULT_MS = 90 * 86_400_000;

export function operatorTokenCommands(program: Command, context: CliContext): void {
  const group = program.command('operator-token').description('tokens of the people who run the fleet');
  const command = group
    .command('create')
    .description('make one for another person; it is printed once and not kept')
    .requiredOption('--name <name>', 'whose it is: approvals and the audit know them by it')
    .addOption(
      new Option('--expires-in <duration>', 'for how long, e.g. 24h, 30d')
        .argParser(readExpiry)
        .default(DEFAULT_MS, '90d'),
    )
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (flags: Flags) => {
    const { terminal, settings, interrupted } = context;
    const client = await openClient(flags, settings, interrupted);
    const reply = await client.createOperatorToken({ name: flags.name, expiresInMs: flags.expiresIn });
    if (flags.json) return terminal.print(json(reply));
    // Alone on standard output, so that it can be piped into a file.
    terminal.print(reply.token);
    terminal.warn(wrap(`for ${reply.name}, until ${instant(reply.expiresAt)}`, terminal.width, '  '));
  });
  const list = group
    .command('list')
    .description('whose there are, since when and until when; never the tokens themselves')
    .option('--json', 'as the server sent it');
  addConnectionFlags(list).action(async (flags: ConnectionFlags & { json?: true }) => {
    const { terminal, settings, interrupted, now } = context;
    const reply = await (await openClient(flags, settings, interrupted)).operatorTokens();
    if (flags.json) return terminal.print(json(reply));
    const rows = reply.tokens.map((token) => [token.name, instant(token.createdAt), stateOf(token, now()), token.id]);
    terminal.print(table([['NAME', 'MADE', 'STATE', 'ID'], ...rows], terminal.width, ''));
  });
  const revoke = group
    .command('revoke')
    .argument('<token>', 'by name or id')
    .description('a token counts no more: it leaked, or its owner has left')
    .requiredOption('--reason <text>', 'why; the audit keeps it')
    .option('--json', 'as the server sent it');
  addConnectionFlags(revoke).action(async (token: string, flags: ConnectionFlags & { reason: string; json?: true }) => {
    const { terminal, settings, interrupted } = context;
    const client = await openClient(flags, settings, interrupted);
    const reply = await client.revokeOperatorToken(token, { reason: flags.reason });
    if (flags.json) return terminal.print(json(reply));
    const text = reply.changed
      ? `the token of ${reply.name} counts no more; what its owner has approved stays`
      : `the token of ${reply.name} was revoked before; nothing is changed`;
    terminal.print(wrap(text, terminal.width, '  '));
  });
}

function stateOf({ expiresAt, revokedAt }: OperatorTokensReply['tokens'][number], now: number): string {
  if (revokedAt !== null) return `revoked ${instant(revokedAt)}`;
  if (expiresAt === null) return 'counts';
  return expiresAt > now ? `until ${instant(expiresAt)}` : 'expired';
}

function readExpiry(text: string): number {
  const ms = readDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('Durations are written 90s, 30m, 24h or 7d.');
  return ms;
}
