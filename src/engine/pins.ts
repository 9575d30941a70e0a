// Pin and unpin one agent at one product: one transaction with its audit row; what was offered or staged is taken back in it.
import type { Agent, Attempt, InstalledProduct } from '../domain/agent.ts';
import { isHot } from '../domain/attempt.ts';
import { type Pin, pinFor } from '../domain/pin.ts';
import type { PinOptions } from '../domain/requests.ts';
import type { Lane } from '../domain/rollout.ts';
import { checkSeen } from '../domain/seen.ts';
import { AppError } from '../errors.ts';
import { findAgent } from '../store/agents.ts';
import { liveAttemptsOfAgents } from '../store/attempts.ts';
import { appendAudit } from '../store/audit.ts';
import { listBrakes, listVetoes } from '../store/controls.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import { deletePin, listPins, putPin } from '../store/pins.ts';
import type { VerbEffects } from './operator.ts';
import type { Roster } from './roster.ts';
import { withdrawAttempt } from './withdraw-attempt.ts';

export interface PinChange {
  /** False when it already was so. */
  changed: boolean;
  /** The pin that stands now. */
  pin: Pin | null;
  /** The one that stood before, and is lifted. */
  lifted: Pin | null;
  /** An attempt that was granted before: it runs to its end. */
  hot: { version: string; state: string } | null;
}

interface Changed {
  change: PinChange;
  handle: number;
  /** All that the agent now has. */
  pins: Pin[];
  ended: Attempt[];
  lanes: Lane[];
}

/**
 * An earlier pin stays as it is. With `version` only where the agent runs that one: it may have moved since the person
 * looked. Memory knows when it resolves. Throws `not_found`, `conflict`, `revision_mismatch`.
 */
export async function changePin(
  { database, roster, now }: { database: Database; roster: Roster; now: number },
  options: PinOptions,
): Promise<{ change: PinChange; effects: VerbEffects; handle: number }> {
  const { changed, vetoes, brakes } = await transaction(database, async (tx) => {
    const changed = await write(tx, options, now);
    return { changed, vetoes: await listVetoes(tx), brakes: await listBrakes(tx) };
  });
  const { change, handle, pins, ended, lanes } = changed;
  roster.setPins(handle, pins);
  for (const attempt of ended) roster.setAttempt(handle, attempt);
  return { change, handle, effects: { changed: change.changed, lanes, withdrawnLanes: [], vetoes, brakes } };
}

async function write(tx: Tx, options: PinOptions, now: number): Promise<Changed> {
  const { agentId, product, on, actor, reason } = options;
  const agent = await findAgent(tx, agentId);
  if (agent === undefined) throw new AppError('not_found', `there is no agent ${agentId}`);
  const was = pinFor(await listPins(tx, [agentId]), product) ?? null;
  checkSeen(`the pin of ${agent.name} at ${product}`, on, was ?? undefined, options.expectedAt);
  const running = runningFor(agent, options, was);
  const version = running?.version ?? was?.version ?? '';
  const changed = on
    ? await putPin(tx, { agentId, product, version, actor, reason, at: now })
    : await deletePin(tx, agentId, product);
  const pins = (await listPins(tx, [agentId])).map(({ agentId: _, ...pin }) => pin);
  const live = (await liveAttemptsOfAgents(tx, [agentId])).filter((one) => one.product === product);
  const hot = live.find((one) => isHot(one.state));
  const change = {
    changed,
    pin: pinFor(pins, product) ?? null,
    lifted: on || was === null ? null : was,
    hot: hot === undefined ? null : { version: hot.version, state: hot.state },
  };
  const done: Changed = { change, handle: agent.handle, pins, ended: [], lanes: [] };
  if (!changed) return done;
  const data = { agent: agent.name, product, version, reason };
  await appendAudit(tx, { at: now, actor, action: on ? 'agent.pinned' : 'agent.unpinned', subject: agentId, data });
  if (!on) return done;
  for (const attempt of live.filter((one) => !isHot(one.state))) {
    const { ended, lane } = await withdrawAttempt(tx, attempt, now);
    done.ended.push(ended);
    done.lanes.push(lane);
  }
  return done;
}

/** What is pinned may be unpinned although the agent does not run it any more. */
function runningFor(
  { name, products }: Agent,
  { product, on, version }: PinOptions,
  was: Pin | null,
): InstalledProduct | undefined {
  const running = products.find((one) => one.product === product);
  if (running === undefined && (on || was === null)) {
    const names = products.map((one) => one.product);
    throw new AppError('not_found', `${name} does not run ${product}`, {
      where: 'body/product',
      hint: names.length === 0 ? 'It has reported no product.' : `It runs: ${names.join(', ')}.`,
    });
  }
  if (version === null || running?.version === version) return running;
  throw new AppError('conflict', `${name} runs ${product} ${running?.version ?? 'no more'}, not ${version}`, {
    where: 'body/version',
    hint: 'Look at `tidegate agents` again, or leave the version out.',
  });
}
