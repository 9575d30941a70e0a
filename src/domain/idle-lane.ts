// Lanes that completed because nobody in their region could take the release: they stand for it, and open once somebody can.
import { acceptedBy, objectionTo } from './choose.ts';
import { laneCensusOf, lanesThere, type Place, releaseOf, rolloutsOf } from './lookup.ts';
import { nextStep } from './opening-gates.ts';
import { baselineFor } from './plan-baseline.ts';
import type { LaneInput } from './plan-lane.ts';
import { isLiveLane, type Lane, type Rollout } from './rollout.ts';
import type { Action, ProductRules, Snapshot } from './snapshot.ts';
import { successorOf } from './supersede.ts';
import { schemeOf } from './version/schemes.ts';

/**
 * At most one in a region: that of its newest rollout, where agents run something lower and no baseline brings them to
 * the release. Nothing may stand against the release, and nothing newer may be on its way there. Looks at no lane's census.
 */
export function idleLanes(snapshot: Snapshot, product: ProductRules): Place[] {
  const rollouts = rolloutsOf(snapshot.rollouts, product.name);
  return snapshot.regions.flatMap((region) => {
    const place = lanesThere(rollouts, region).at(-1);
    return place !== undefined && isIdle(snapshot, product, place) ? [place] : [];
  });
}

export function isIdleLane({ snapshot, lane, rollout }: LaneInput): boolean {
  const product = snapshot.products.find(({ name }) => name === rollout.product);
  return product !== undefined && idleLanes(snapshot, product).some((one) => one.lane.id === lane.id);
}

/** Those that open anew: waiting again, they give their evidence step by step like every lane. */
export function planReopening(snapshot: Snapshot, product: ProductRules, now: number): Action[] {
  if (snapshot.clock !== null) return [];
  const rollouts = rolloutsOf(snapshot.rollouts, product.name);
  return idleLanes(snapshot, product)
    .filter(({ lane, rollout }) => isItsTurn(lane, rollout) && canAnybody({ snapshot, rollouts, rollout, lane, now }))
    .map(({ lane }) => ({ kind: 'reopen_lane', laneId: lane.id }));
}

/** Somebody who is there: nobody waits in vain for its wave, and it does not complete again at once. */
function canAnybody(input: LaneInput): boolean {
  const eligible = laneCensusOf(input.snapshot.lanes, input.lane.id)?.eligible ?? 0;
  return eligible > 0 && nextStep(input).kind === 'open';
}

/** What a later wave has begun it ends first; what it proves there is the baseline here. */
function isItsTurn({ wave }: Lane, { lanes }: Rollout): boolean {
  return lanes.every((one) => one.wave <= wave || !(isLiveLane(one.state.name) || one.state.name === 'halted'));
}

function isIdle(snapshot: Snapshot, product: ProductRules, { lane, rollout }: Place): boolean {
  const { state, steps, back } = lane;
  if (state.name !== 'completed' || state.evidence || steps.length > 0 || back.length > 0) return false;
  const release = releaseOf(snapshot.releases, rollout.releaseId);
  if (release === undefined || objectionTo(snapshot, product, release, acceptedBy(product)) !== undefined) return false;
  if (successorOf(snapshot, rollout, lane.region) !== undefined) return false;
  return (
    isAnybodyBelow(snapshot, product, lane.region, rollout.version) && !isBaselineAt(snapshot, product, lane, rollout)
  );
}

/** Also who runs what the scheme cannot read: it is told so. */
function isAnybodyBelow(
  { census }: Snapshot,
  { name, scheme: schemeName }: ProductRules,
  region: string,
  version: string,
): boolean {
  const scheme = schemeOf(schemeName);
  return census.some(
    (row) =>
      row.product === name &&
      row.region === region &&
      row.agents > 0 &&
      (scheme.parse(row.version) === undefined || scheme.compare(row.version, version) < 0),
  );
}

function isBaselineAt(snapshot: Snapshot, product: ProductRules, { region }: Lane, { version }: Rollout): boolean {
  const scheme = schemeOf(product.scheme);
  const baseline = baselineFor(snapshot, product.name, region);
  return (
    baseline !== undefined &&
    scheme.parse(baseline.version) !== undefined &&
    scheme.compare(baseline.version, version) >= 0
  );
}
