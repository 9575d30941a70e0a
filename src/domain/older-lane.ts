// What a waiting lane waits for in its region: at most one rollout of a product is live there at a time.
import { lanesThere } from './lookup.ts';
import type { LaneInput } from './plan-lane.ts';
import { isDueBack } from './roll-back.ts';
import { isLiveLane } from './rollout.ts';
import { goesFirst } from './supersede.ts';

/** The sentence's detail that says which version goes first, whichever rollout is the older one; undefined: none does. */
export function olderLane(input: LaneInput): string | undefined {
  const { rollouts, rollout, lane } = input;
  const place = rollouts.indexOf(rollout);
  const there = lanesThere(rollouts, lane.region);
  const live = there.filter((one) => isLiveLane(one.lane.state.name));
  const other = rollouts.find(
    (one, index) =>
      one.id !== rollout.id &&
      // `finish`: the newer rollout waits until the older one has ended everywhere.
      ((index < place && one.policy.supersede === 'finish' && one.endedAt === null) ||
        live.some((place) => place.rollout === one)),
  );
  const back = there.find((place) => place.lane.state.name === 'rolling_back' || isDueBack(input, place));
  if (other === undefined)
    return back === undefined ? skippedTooOften(input) : `${back.rollout.version} goes back first`;
  const isBack = back?.rollout === other;
  return isBack ? `${other.version} is being rolled back` : `${other.version} is still going out`;
}

/** A lane that only waits stands in the way too where its region has been passed by too often. */
function skippedTooOften(input: LaneInput): string | undefined {
  const { rollouts, rollout, lane } = input;
  for (const older of rollouts.slice(0, rollouts.indexOf(rollout))) {
    if (older.endedAt !== null) continue;
    const there = older.lanes.find(({ region, state }) => region === lane.region && state.name === 'waiting');
    const owed = there === undefined ? undefined : goesFirst({ ...input, rollout: older, lane: there });
    if (owed === undefined) continue;
    const times = owed.skips === 1 ? 'one release has' : `${owed.skips} releases in a row have`;
    return `${older.version} finishes first, since ${times} passed ${owed.region} by`;
  }
  return undefined;
}
