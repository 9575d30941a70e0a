// Takes one agent out of the fleet: one transaction with its audit row; what was offered or staged is taken back in it.
import type { Attempt } from '../domain/agent.ts';
import { isHot } from '../domain/attempt.ts';
import type { UnenrolOptions } from '../domain/requests.ts';
import type { Lane } from '../domain/rollout.ts';
import type { Unenrolment } from '../domain/unenrolment.ts';
import { AppError } from '../errors.ts';
import { findAgent } from '../store/agents.ts';
import { liveAttemptsOfAgents } from '../store/attempts.ts';
import { appendAudit } from '../store/audit.ts';
import { listBrakes, listVetoes } from '../store/controls.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import { findUnenrolled, putUnenrolled } from '../store/unenrolled-agents.ts';
import type { VerbEffects } from './operator.ts';
import type { Roster } from './roster.ts';
import { withdrawAttempt } from './withdraw-attempt.ts';

export interface UnenrolChange {
  /** False when it already was so. */
  changed: boolean;
  unenrolment: Unenrolment;
  /** An attempt that was granted before: nobody reports on it any more, so its deadline books it as lost. */
  hot: { product: string; version: string; state: string } | null;
}

interface Changed {
  change: UnenrolChange;
  ended: Attempt[];
  lanes: Lane[];
}

/** Idempotent: who did it first, and why, stays. Memory knows when it resolves. Throws `not_found`. */
export async function unenrolAgent(
  { database, roster, now }: { database: Database; roster: Roster; now: number },
  options: UnenrolOptions,
): Promise<{ change: UnenrolChange; effects: VerbEffects; handle: number }> {
  const { changed, vetoes, brakes } = await transaction(database, async (tx) => {
    const changed = await write(tx, options, now);
    return { changed, vetoes: await listVetoes(tx), brakes: await listBrakes(tx) };
  });
  const { change, ended, lanes } = changed;
  const { handle } = change.unenrolment;
  for (const attempt of ended) roster.setAttempt(handle, attempt);
  roster.retire(handle);
  return { change, handle, effects: { changed: change.changed, lanes, withdrawnLanes: [], vetoes, brakes } };
}

async function write(tx: Tx, { agentId, actor, reason }: UnenrolOptions, now: number): Promise<Changed> {
  const agent = await findAgent(tx, agentId);
  const live = agent === undefined ? [] : await liveAttemptsOfAgents(tx, [agentId]);
  const hot = live.find((one) => isHot(one.state));
  if (agent !== undefined) {
    await putUnenrolled(tx, agent, { actor, reason, at: now });
    const { name: agentName, region } = agent;
    const atRisk = hot === undefined ? {} : { attempt: hot.id, version: hot.version, state: hot.state };
    const data = { agent: agentName, region, reason, ...atRisk };
    await appendAudit(tx, { at: now, actor, action: 'agent.unenrolled', subject: agentId, data });
  }
  const unenrolment = await findUnenrolled(tx, agentId);
  if (unenrolment === undefined) throw new AppError('not_found', `there is no agent ${agentId}`);
  const done: Changed = {
    change: {
      changed: agent !== undefined,
      unenrolment,
      hot: hot === undefined ? null : { product: hot.product, version: hot.version, state: hot.state },
    },
    ended: [],
    lanes: [],
  };
  for (const attempt of live) {
    if (isHot(attempt.state)) continue;
    const { ended, lane } = await withdrawAttempt(tx, attempt, now);
    done.ended.push(ended);
    done.lanes.push(lane);
  }
  return done;
}
