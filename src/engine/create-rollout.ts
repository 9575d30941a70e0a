// A rollout that a person begins now: one transaction with its audit row, through the way by which the planner's come about.
import { createByHand } from '../domain/create-by-hand.ts';
import type { CreateRolloutOptions } from '../domain/requests.ts';
import { assert } from '../errors.ts';
import { appendAudits } from '../store/audit.ts';
import { type Database, transaction } from '../store/database.ts';
import type { Clock } from './clock.ts';
import { executeActions } from './execute.ts';
import { loadSnapshot } from './load-snapshot.ts';
import type { Memory } from './memory.ts';
import type { ObservedTime } from './observed-time.ts';
import type { Roster } from './roster.ts';
import type { AuditEntry } from './working-set.ts';

export interface CreateRolloutDeps {
  database: Database;
  memory: Memory;
  roster: Roster;
  clock: Clock;
  observed: ObservedTime;
  newId: () => string;
}

export interface CreatedRollout {
  id: string;
  /** False when there was a rollout of the release already. */
  changed: boolean;
}

/**
 * Durable when it resolves; the next pass of the planner opens its lanes and tells memory. Of two at once, or one beside
 * the planner, the second finds the rollout of the first: a release has one, by a unique index. Throws `not_found`,
 * `conflict`.
 */
export async function createRollout(deps: CreateRolloutDeps, options: CreateRolloutOptions): Promise<CreatedRollout> {
  const { memory, roster, observed, clock, newId } = deps;
  return await transaction(deps.database, async (tx) => {
    const now = clock.now();
    const { snapshot, census } = await loadSnapshot(tx, memory, roster, observed.now(), now);
    const found = createByHand(snapshot, options.product, options.version);
    if ('rollout' in found) return { id: found.rollout.id, changed: false };
    const audit: AuditEntry[] = [];
    const effects = await executeActions(tx, { snapshot, census, actions: [found.action], now, newId, audit });
    const { actor, reason } = options;
    await appendAudits(
      tx,
      audit.map((entry) => ({ ...entry, actor, data: { ...(entry.data as object), reason } })),
    );
    const created = effects.snapshot.rollouts.at(-1);
    assert(created?.version === found.action.version, 'what was created is the newest rollout');
    return { id: created.id, changed: true };
  });
}
