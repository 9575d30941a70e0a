// What a waiting lane waits for in its region: at most one rollout of a product is live there at a time.
import type { LaneInput } from './plan-lane.ts';
import { isLiveLane } from './rollout.ts';

/** The sentence's detail that says which version goes first, whichever rollout is the older one; undefined: none does. */
export function olderLane({ rollouts, rollout, lane }: LaneInput): string | undefined {
  const place = rollouts.indexOf(rollout);
  const other = rollouts.find(
    (one, index) =>
      one.id !== rollout.id &&
      // `finish`: the newer rollout waits until the older one has ended everywhere.
      ((index < place && one.policy.supersede === 'finish' && one.endedAt === null) ||
        one.lanes.some(({ region, state }) => region === lane.region && isLiveLane(state.name))),
  );
  return other === undefined ? undefined : `${other.version} is still going out`;
}
