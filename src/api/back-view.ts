// What operators are shown of a lane's way back: where it leads, and how its attempts stand.
import type { AttemptState } from '../domain/attempt.ts';
import type { Lane, Rollout } from '../domain/rollout.ts';
import { wayBackOf } from '../domain/way-back.ts';
import type { LaneView } from '../protocol/operator.ts';
import { countByState } from '../store/attempts.ts';
import type { Db } from '../store/database.ts';

export interface BackRows {
  /** Of all ways back of a lane, by lane; those without are left out. */
  back: Map<string, Record<AttemptState, number>>;
}

export async function readBacks(db: Db, rollouts: readonly Rollout[]): Promise<BackRows> {
  const lanes = rollouts.flatMap((rollout) => rollout.lanes.filter((lane) => lane.back.length > 0));
  if (lanes.length === 0) return { back: new Map() };
  const ids = lanes.map((lane) => lane.id);
  return { back: await countByState(db, ids, false) };
}

/** Nothing for a lane that was never rolled back. */
export function viewBack(lane: Lane, { back }: BackRows): Pick<LaneView, 'back'> {
  const [way, counts] = [wayBackOf(lane), back.get(lane.id)];
  if (way === undefined || counts === undefined) return {};
  const { bad, hot, pending } = way.counters;
  return { back: { to: targetOf(lane), agents: way.size, succeeded: counts.succeeded, bad, hot, pending } };
}

function targetOf({ state }: Lane): string | null {
  if (state.name === 'rolling_back') return state.to.version;
  return state.name === 'rolled_back' ? state.to : null;
}
