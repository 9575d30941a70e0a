// Lanes that completed because nobody in their region could take the release: they stand for it, and open once somebody can.
import { acceptedBy, objectionTo } from './choose.ts';
import { laneCensusOf, lanesThere, type Place, releaseOf, rolloutsOf } from './lookup.ts';
import { nextStep } from './opening-gates.ts';
import { baselineFor } from './plan-baseline.ts';
import type { LaneInput } from './plan-lane.ts';
import { isLiveLane, type Lane, type Rollout } from './rollout.ts';
import type { Action, CensusRow, ProductRules, Snapshot } from './snapshot.ts';
import { successorOf } from './supersede.ts';
import { schemeOf } from './version/schemes.ts';

/**
 * At most one in a region: that of its newest rollout, where agents run something lower and no baseline brings them to
 * the release. Nothing may stand against the release, and nothing newer may be on its way there. Looks at no lane's census.
 */
export function idleLanes(snapshot: Snapshot, product: ProductRules): Place[] {
  const rollouts = rolloutsOf(snapshot.rollouts, product.name);
  const ended = snapshot.regions.flatMap((region) => {
    const place = lanesThere(rollouts, region).at(-1);
    return place !== undefined && hadNobody(place.lane) ? [place] : [];
  });
  // Nearly always: what follows is dearer.
  if (ended.length === 0) return [];
  const mayGoOut = new Set(
    [...new Set(ended.map(({ rollout }) => rollout))].filter((one) => mayGo(snapshot, product, one)),
  );
  const rows = Map.groupBy(
    snapshot.census.filter((row) => row.product === product.name && row.agents > 0),
    ({ region }) => region,
  );
  return ended.filter(
    ({ lane, rollout }) =>
      mayGoOut.has(rollout) &&
      isAnyBelow(product, rows.get(lane.region) ?? [], rollout.version) &&
      successorOf(snapshot, rollout, lane.region) === undefined &&
      !isBaselineAt(snapshot, product, lane, rollout),
  );
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

function hadNobody({ state, steps, back }: Lane): boolean {
  return state.name === 'completed' && !state.evidence && steps.length === 0 && back.length === 0;
}

function mayGo(snapshot: Snapshot, product: ProductRules, { releaseId }: Rollout): boolean {
  const release = releaseOf(snapshot.releases, releaseId);
  return release !== undefined && objectionTo(snapshot, product, release, acceptedBy(product)) === undefined;
}

/** Also who runs what the scheme cannot read: it is told so. */
function isAnyBelow({ scheme: name }: ProductRules, rows: readonly CensusRow[], version: string): boolean {
  const scheme = schemeOf(name);
  return rows.some((row) => scheme.parse(row.version) === undefined || scheme.compare(row.version, version) < 0);
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
