// A person's rollback of a lane or a rollout: one transaction with its audit rows, through the way by which the planner's come about.
import type { VerbOptions } from '../domain/requests.ts';
import { rollBackByHand } from '../domain/roll-back-by-hand.ts';
import { AppError } from '../errors.ts';
import { appendAudits } from '../store/audit.ts';
import { listBrakes, listVetoes } from '../store/controls.ts';
import { transaction } from '../store/database.ts';
import type { CreateRolloutDeps } from './create-rollout.ts';
import { executeActions } from './execute.ts';
import { loadSnapshot } from './load-snapshot.ts';
import type { VerbEffects } from './operator.ts';
import type { AuditEntry } from './working-set.ts';

/** Unchanged when all of it was rolled back before. Throws `not_found`, `illegal_transition`, `conflict`. */
export async function rollBack(deps: CreateRolloutDeps, rolloutId: string, options: VerbOptions): Promise<VerbEffects> {
  const { memory, roster, observed, clock, newId } = deps;
  return await transaction(deps.database, async (tx) => {
    const now = clock.now();
    const { snapshot, census } = await loadSnapshot(tx, memory, roster, observed.now(), now, { backOf: rolloutId });
    const rollout = snapshot.rollouts.find((one) => one.id === rolloutId);
    if (rollout === undefined) throw new AppError('not_found', `no rollout ${rolloutId} of a product of the config`);
    const actions = rollBackByHand(snapshot, rollout, options);
    const audit: AuditEntry[] = [];
    const done = await executeActions(tx, { snapshot, census, actions, now, newId, audit });
    const { actor, reason } = options;
    await appendAudits(
      tx,
      audit.map((entry) => ({ ...entry, actor, data: { ...entry.data, reason } })),
    );
    const moved = new Set(actions.flatMap((action) => ('laneId' in action ? [action.laneId] : [])));
    const after = done.snapshot.rollouts.find((one) => one.id === rolloutId);
    return {
      changed: actions.length > 0,
      lanes: after?.lanes.filter((lane) => moved.has(lane.id)) ?? [],
      withdrawnLanes: done.withdrawnLanes,
      vetoes: await listVetoes(tx),
      brakes: await listBrakes(tx),
    };
  });
}
