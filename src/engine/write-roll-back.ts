// Writes the beginning of a rollback: the lane with its way back, the withdrawal of what went forward, veto and audit.
import type { Lane, Rollout } from '../domain/rollout.ts';
import type { Action, Snapshot } from '../domain/snapshot.ts';
import { allSteps, wayBackOf } from '../domain/way-back.ts';
import { AppError, assert } from '../errors.ts';
import { withdrawUngranted } from '../store/attempts.ts';
import { putVeto } from '../store/controls.ts';
import type { Tx } from '../store/database.ts';
import { insertStep, reopenRollout, saveLane, saveStep } from '../store/rollouts.ts';
import { newBitset } from './bitset.ts';
import type { AuditEntry } from './working-set.ts';

interface Around {
  before: Snapshot;
  after: Snapshot;
  now: number;
  audit: AuditEntry[];
}

/** `lane` and `rollout` as they are after the action. Throws `conflict` when the lane has moved since it was read. */
export async function writeRollBack(
  tx: Tx,
  { lane, rollout }: { lane: Lane; rollout: Rollout },
  action: Extract<Action, { kind: 'roll_back' }>,
  { before, after, now, audit }: Around,
): Promise<void> {
  const way = wayBackOf(lane);
  assert(way !== undefined, 'a lane that rolls back has a way back');
  if (!(await saveLane(tx, lane, lane.revision - 1)))
    throw new AppError('conflict', `the lane ${lane.id} has moved meanwhile`);
  await withdrawUngranted(tx, lane.id, now);
  for (const step of allSteps(lane)) if (step !== way) await saveStep(tx, lane.id, step);
  await insertStep(tx, lane.id, way, newBitset());
  await reopenRollout(tx, rollout.id);
  const { by: actor, reason, to, agents } = action;
  const { version, product } = rollout;
  const data = { region: lane.region, version, to: to.version, agents, reason };
  audit.push({ at: now, actor, action: 'lane.rolling_back', subject: lane.id, data });
  const veto = after.vetoes.find((one) => !before.vetoes.includes(one));
  if (veto === undefined) return;
  await putVeto(tx, veto);
  audit.push({ at: now, actor, action: 'release.vetoed', subject: `${product}@${version}`, data: { reason } });
}
