// tidegate agents
import { type Command, InvalidArgumentError } from 'commander';
import type { AgentView } from '../../protocol/operator.ts';
import type { OperatorClient } from '../../protocol/operator-client.ts';
import { agentsPage } from '../agents-page.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { checkNames } from '../known-names.ts';
import { json } from '../render.ts';

interface Flags extends ConnectionFlags {
  region?: string;
  product?: string;
  limit: number;
  facts?: true;
  json?: true;
}

const DEFAULT_LIMIT = 100;
const MOST = 100_000;
/** What the server gives at a time. */
const PAGE = 200;

export function agentsCommand(program: Command, context: CliContext): void {
  const command = program
    .command('agents')
    .description('the enrolled agents: what they run, how they are, when they were seen')
    .option('--region <name>', 'in one region')
    .option('--product <name>', 'that run this product')
    .option('--facts', 'with what they report of their hosts')
    .option('--limit <number>', 'how many to show at most', readLimit, DEFAULT_LIMIT)
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action(async (flags: Flags) => {
    const { terminal, settings, interrupted, now } = context;
    const client = await openClient(flags, settings, interrupted);
    const filter = filterOf(flags);
    const found = await collect(client, flags.facts ? { ...filter, facts: 'true' } : filter, flags.limit);
    if (found.agents.length === 0) await checkNames(client, filter);
    const page = () => agentsPage(found.agents, { ...filter, more: found.next !== null, now: now() }, terminal);
    terminal.print(flags.json ? json(found) : page());
  });
}

type Filter = { region?: string; product?: string };

function filterOf({ region, product }: Flags): Filter {
  return { ...(region === undefined ? {} : { region }), ...(product === undefined ? {} : { product }) };
}

/** `next`: the cursor behind the last one, null when that was all. */
async function collect(client: OperatorClient, filter: Filter & { facts?: 'true' }, limit: number) {
  const agents: AgentView[] = [];
  let next: string | null = null;
  do {
    const after: { after?: string } = next === null ? {} : { after: next };
    const page = await client.agents({ ...filter, ...after, limit: Math.min(PAGE, limit - agents.length) });
    agents.push(...page.agents);
    next = page.next;
  } while (next !== null && agents.length < limit);
  return { agents, next };
}

function readLimit(text: string): number {
  const limit = /^[1-9]\d{0,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(limit <= MOST)) throw new InvalidArgumentError(`It is a number from 1 to ${MOST}.`);
  return limit;
}
