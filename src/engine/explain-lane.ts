// What operators are told about lanes: the gates as the plan would ask them now, and why a lane has not opened to its agents.
import { type Directive, withLaneReason } from '../domain/directives.ts';
import { explainLane, type LaneExplanation } from '../domain/explain-lane.ts';
import { AppError } from '../errors.ts';
import { transaction } from '../store/database.ts';
import type { OpenHold } from '../store/holds.ts';
import { loadRollout } from '../store/rollouts.ts';
import { loadSnapshot } from './load-snapshot.ts';
import type { ReconcileDeps } from './reconcile.ts';

type ExplainDeps = Pick<ReconcileDeps, 'database' | 'memory' | 'roster' | 'clock' | 'observed' | 'exclusive'>;

/** By lane id, in the order of the rollout's lanes. Reads what a planning pass reads. Throws `not_found`. */
export async function explainLanes(deps: ExplainDeps, rolloutId: string): Promise<Map<string, LaneExplanation>> {
  const { database, memory, roster, clock, observed, exclusive } = deps;
  return await exclusive(async () => {
    const now = clock.now();
    return await transaction(database, async (tx) => {
      const { snapshot } = await loadSnapshot(tx, memory, roster, observed.now(), now, { everyStep: true });
      // One of a product that the config does not name any more is in no snapshot.
      const rollout = snapshot.rollouts.find((one) => one.id === rolloutId) ?? (await loadRollout(tx, rolloutId));
      if (rollout === undefined) throw new AppError('not_found', `there is no rollout ${rolloutId}`);
      const rollouts = snapshot.rollouts.filter((one) => one.product === rollout.product);
      return new Map(
        rollout.lanes.map((lane) => [lane.id, explainLane({ snapshot, rollouts, rollout, lane, now })] as const),
      );
    });
  });
}

/** The directives with what the last plan said about lanes that have not opened. */
export function withReasons(holds: readonly OpenHold[], directives: readonly Directive[]): Directive[] {
  const sentences = new Map(holds.map((hold) => [hold.laneId, hold.sentence]));
  return directives.map((directive) => withLaneReason(directive, sentences.get(directive.lane?.laneId ?? '')));
}
