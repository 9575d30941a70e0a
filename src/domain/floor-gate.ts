// The gates for what lies on the way to a release: every floor that an agent of the lane needs must be had in its region.
import { objectionToGrant } from './availability.ts';
import { vetoFor } from './directives.ts';
import { type AskedGate, type AskGate, fail, numberOf, pass, wait } from './gate.ts';
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

/** Nobody in the region can go anywhere: a wrong version in the config, most likely, which must not pass for success. */
export function missingFloorGate({ rollout }: LaneInput, missing: { version: string; agents: number }): AskedGate {
  const { version, agents } = missing;
  const detail = `no release has the version ${version}, and ${numberOf(agents, 'agent')} must go there first`;
  const removed = `the config does not name ${version} as a floor of ${rollout.product} any more`;
  return fail('floor', { reason: 'floor_missing', detail, remedy: `passes when it is published, or ${removed}` });
}

function troubleGate({ snapshot, rollout }: LaneInput, version: string): AskedGate {
  const release = releaseAt(snapshot.releases, rollout.product, version);
  const veto = vetoFor(snapshot.vetoes, rollout.product, version);
  const trouble = veto === undefined ? troubleOf(release) : `${version} is vetoed: ${veto.reason}`;
  if (trouble === undefined)
    return pass('floor', `${version}, which must not be jumped over, stands as it was published`);
  const removed = `the config does not name ${version} as a floor of ${rollout.product} any more`;
  if (veto !== undefined) {
    // Until then every release above it is held for the agents below it: no newer one helps.
    const lifted = `a person lifts the veto (tidegate release unveto ${rollout.product}@${version})`;
    return fail('floor', { reason: 'floor_missing', detail: trouble, remedy: `passes when ${lifted}, or ${removed}` });
  }
  const back = release?.state === 'withdrawn' ? 'it is published again, or ' : '';
  const held = { reason: 'floor_missing', detail: trouble, remedy: `passes when ${back}${removed}` } as const;
  return back === '' ? fail('floor', held) : wait('floor', held);
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
  const remedy = 'passes when a probe finds it there';
  return row?.status === 'absent'
    ? wait('floor', { reason: 'floor_missing', detail, remedy })
    : wait('floor', { reason: 'availability_unknown', detail: `${detail}, which must not be jumped over`, remedy });
}
