// tidegate rollout status: the state in one word, or waiting until it is reached.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { AppError } from '../../errors.ts';
import type { RolloutView } from '../../protocol/operator.ts';
import type { OperatorClient } from '../../protocol/operator-client.ts';
import { addConnectionFlags, type ConnectionFlags, openClient } from '../connection.ts';
import type { CliContext } from '../context.ts';
import { duration, json, readDuration } from '../render.ts';
import { findRollout } from '../rollout-name.ts';

interface Flags extends ConnectionFlags {
  region?: string;
  wait?: string | true;
  timeout: number;
  json?: true;
}

const INTERVAL_MS = 1000;
const DEFAULT_TIMEOUT_MS = 600_000;
const MAX_TIMEOUT_MS = 30 * 86_400_000;

/** Of a rollout, and of its lanes. */
const STATES = [
  'waiting',
  'active',
  'open',
  'soaking',
  'approval',
  'paused',
  'halted',
  'completed',
  'superseded',
  'cancelled',
  'rolled_back',
];
/** From here nothing else is reached, or only when a person does something. */
const ENDS = ['halted', 'completed', 'superseded', 'cancelled', 'rolled_back'];

export function rolloutStatusCommand(group: Command, rollout: string, context: CliContext): void {
  const command = group
    .command('status')
    .argument('<rollout>', rollout)
    .description('its state in one word; or wait until a state is reached')
    .option('--region <name>', 'the state of one region')
    .option(
      '--wait [state]',
      'until it is completed, or in this state in any region; exit code 5 when that cannot be, or not in time',
      readState,
    )
    .addOption(timeoutOption())
    .option('--json', 'the rollout as the server sent it');
  addConnectionFlags(command).action((name: string, flags: Flags) => status(context, name, flags));
}

function timeoutOption(): Option {
  return new Option('--timeout <duration>', 'how long to wait at most, e.g. 90s, 10m, 2h')
    .argParser(readTimeout)
    .default(DEFAULT_TIMEOUT_MS, '10m');
}

function readState(text: string): string {
  if (!STATES.includes(text)) throw new InvalidArgumentError(`The states are: ${STATES.join(', ')}.`);
  return text;
}

function readTimeout(text: string): number {
  const ms = readDuration(text);
  if (ms === undefined || ms > MAX_TIMEOUT_MS) {
    throw new InvalidArgumentError('Durations are written 90s, 30m, 24h or 7d; 30 days at most.');
  }
  return ms;
}

async function status(context: CliContext, name: string, flags: Flags): Promise<void> {
  const { terminal, settings, interrupted } = context;
  const client = await openClient(flags, settings, interrupted);
  const first = await findRollout(client, name);
  const waitFor = flags.wait === undefined ? null : flags.wait === true ? 'completed' : flags.wait;
  const last = waitFor === null ? first : await waitUntil(client, first, waitFor, flags, interrupted);
  const reached = waitFor !== null && isIn(last, waitFor, flags.region);
  terminal.print(flags.json ? json(last) : reached ? waitFor : stateOf(last, flags.region));
  if (waitFor === null || reached) return;
  const state = stateOf(last, flags.region);
  const title = `${last.product} ${last.version}`;
  const why = ENDS.includes(state) ? '' : ` after ${duration(flags.timeout)}`;
  throw new AppError('wait_not_reached', `${title} is ${state}${why}, not ${waitFor}${sentences(last, flags.region)}`);
}

/** The rollout when it is in that state, has ended elsewhere, or the time is up. A server that goes away is waited for. */
async function waitUntil(
  client: OperatorClient,
  first: RolloutView,
  state: string,
  { region, timeout }: Flags,
  signal: AbortSignal,
): Promise<RolloutView> {
  const startedMs = performance.now();
  let last = first;
  while (!isIn(last, state, region) && !ENDS.includes(stateOf(last, region))) {
    const leftMs = timeout - (performance.now() - startedMs);
    if (leftMs <= 0) return last;
    await sleep(Math.min(INTERVAL_MS, leftMs), undefined, { signal });
    try {
      last = await client.rollout(first.id);
    } catch (error) {
      if (!(error instanceof AppError) || !['unreachable', 'timeout', 'overloaded'].includes(error.code)) throw error;
    }
  }
  return last;
}

function isIn(rollout: RolloutView, state: string, region: string | undefined): boolean {
  if (stateOf(rollout, region) === state) return true;
  // One of several regions that has completed does not make the rollout complete.
  if (region !== undefined || ENDS.includes(state)) return false;
  return rollout.lanes.some((lane) => lane.state === state);
}

/** Throws `not_found` when the rollout has no lane there. */
function stateOf(rollout: RolloutView, region: string | undefined): string {
  if (region === undefined) return rollout.state;
  const lane = rollout.lanes.find((one) => one.region === region);
  if (lane !== undefined) return lane.state;
  throw new AppError('not_found', `the rollout of ${rollout.version} has no lane in ${region}`, {
    hint: `It has lanes in: ${rollout.lanes.map((one) => one.region).join(', ')}.`,
  });
}

const MAX_NAMED = 3;

/** What stands in the way, of a few lanes. */
function sentences(rollout: RolloutView, region: string | undefined): string {
  const lanes = rollout.lanes.filter(
    (lane) => (region === undefined || lane.region === region) && lane.state !== 'completed',
  );
  const said = lanes.slice(0, MAX_NAMED).map((lane) => `${lane.region}: ${lane.hold?.sentence ?? lane.sentence}`);
  return said.length === 0 ? '' : `; ${said.join('; ')}`;
}
