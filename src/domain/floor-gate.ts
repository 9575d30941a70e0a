// The gates for what lies on the way to a release: every floor that an agent of the lane needs must be had in its region.
import { objectionToGrant } from './availability.ts';
import { vetoFor } from './directives.ts';
import { type AskedGate, type AskGate, pass, wait } from './gate.ts';
import { availabilityAt, laneCensusOf, releaseAt } from './lookup.ts';
import type { LaneInput } from './plan-lane.ts';
import { troubleOf } from './release.ts';

/** One for each floor and platform that eligible agents need; none where nobody has to stop. */
export function floorGates(input: LaneInput): AskGate[] {
  const { floors } = laneCensusOf(input.snapshot.lanes, input.lane.id) ?? { floors: [] };
  return floors.flatMap(({ version, platforms }) => [
    () => troubleGate(input, version),
    ...platforms.map((platform) => () => floorGate(input, version, platform)),
  ]);
}

function troubleGate({ snapshot, rollout }: LaneInput, version: string): AskedGate {
  const release = releaseAt(snapshot.releases, rollout.product, version);
  const veto = vetoFor(snapshot.vetoes, rollout.product, version);
  const trouble = veto === undefined ? troubleOf(release) : `${version} is vetoed: ${veto.reason}`;
  if (trouble === undefined)
    return pass('floor', `${version}, which must not be jumped over, stands as it was published`);
  return wait('floor', { reason: 'floor_missing', detail: trouble, remedy: 'passes when nothing is said against it' });
}

/** Before the lane opens nobody must be in doubt; after that it goes on while nobody knows, as with the release itself. */
function floorGate({ snapshot, rollout, lane }: LaneInput, version: string, platform: string): AskedGate {
  const { product } = rollout;
  const row = availabilityAt(snapshot.availability, { product, version, region: lane.region, platform });
  const [first] = lane.steps;
  const isThere =
    first === undefined ? row?.status === 'available' : objectionToGrant(row, first.openedAt) === undefined;
  if (isThere) {
    return pass('floor', `${lane.region} has ${version} for ${platform}, which must not be jumped over`);
  }
  const detail = `${version} for ${platform}: ${row === undefined ? 'not probed yet' : row.why}`;
  return wait('floor', { reason: 'floor_missing', detail, remedy: 'passes when a probe finds it there' });
}
