// tidegate explain AGENT | ROLLOUT
import type { Command } from 'commander';
import { AppError } from '../../errors.ts';
import type { OperatorClient } from '../../protocol/operator-client.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { explainPage } from '../explain-page.ts';
import { laneExplainPage } from '../lane-explain-page.ts';
import { json } from '../render.ts';
import { findRollout } from '../rollout-name.ts';

interface Flags extends ConnectionFlags {
  region?: string;
  json?: true;
}

export function explainCommand(program: Command, context: CliContext): void {
  const command = program
    .command('explain')
    .argument('<name>', 'an agent by id or name; or a rollout: product@version, an id, or the beginning of one')
    .description('why an agent is, or is not, being updated now; why the lanes of a rollout do, or do not, go on')
    .option('--region <name>', 'of a rollout: one lane')
    .option('--json', 'as the server sent it');
  addConnectionFlags(command).action((name: string, flags: Flags) => explain(context, name, flags));
}

async function explain({ terminal, settings, interrupted, now }: CliContext, name: string, flags: Flags) {
  const client = await openClient(flags, settings, interrupted);
  const agent = async () => {
    const reply = await client.explain(name);
    return flags.json ? json(reply) : explainPage(reply, now(), terminal);
  };
  const rollout = async () => {
    const reply = await explainRollout(client, name, flags.region);
    return flags.json ? json(reply) : laneExplainPage(reply, terminal);
  };
  // Agents stand in one region, so a region is asked of a rollout only.
  const isRollout = flags.region !== undefined || NAMES_VERSION.test(name);
  terminal.print(isRollout ? await rollout() : await agentElse(agent, rollout, name));
}

/** `product@1.2.0`; hosts may have an @ in their names, but seldom a version behind it. */
const NAMES_VERSION = /^[^@]+@v?\d/;

async function explainRollout(client: OperatorClient, name: string, region: string | undefined) {
  const { id } = await findRollout(client, name);
  return await client.explainRollout(id, region === undefined ? {} : { region });
}

async function agentElse<T>(agent: () => Promise<T>, rollout: () => Promise<T>, name: string): Promise<T> {
  try {
    return await agent();
  } catch (error) {
    if (!isCode(error, 'not_found')) throw error;
  }
  try {
    return await rollout();
  } catch (error) {
    // `usage`: it cannot be the name of a rollout.
    if (!isCode(error, 'not_found') && !isCode(error, 'usage')) throw error;
    throw new AppError('not_found', `there is no agent and no rollout ${name}`, {
      hint: 'Give an agent’s id or name, or a rollout: see `tidegate rollout list`.',
      cause: error,
    });
  }
}

function isCode(error: unknown, code: AppError['code']): boolean {
  return error instanceof AppError && error.code === code;
}
