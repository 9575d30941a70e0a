// Rolling back: which release a region goes back to, what the policy does by itself, and what stays taken back.
import { isLastAbsent } from './availability.ts';
import { baselineOf } from './choose.ts';
import { vetoFor } from './directives.ts';
import { numberOf } from './gate.ts';
import { verdictOf } from './lane-verdict.ts';
import { availabilityAt, baselinesThere, lanesThere, type Place } from './lookup.ts';
import { metricFailure } from './metric-gates.ts';
import type { LaneInput, LaneStep } from './plan-lane.ts';
import { isUsable, type Release, troubleOf } from './release.ts';
import { type BackTo, isLiveLane, type Lane, type Rollout, wordsOf } from './rollout.ts';
import type { Action, Snapshot } from './snapshot.ts';
import { schemeOf } from './version/schemes.ts';
import { hotIn } from './way-back.ts';

/**
 * What the region goes back to: the newest release below the one that is taken back which the region has completed, and
 * that nothing stands against. Where it has completed none, what the agents ran that took the release. `why`: there is
 * none.
 */
export function backTargetOf(snapshot: Snapshot, rollout: Rollout, lane: Lane): { to: BackTo } | { why: string } {
  const { product: name, version } = rollout;
  const product = snapshot.products.find((one) => one.name === name);
  if (product === undefined) return { why: `the config does not name ${name}` };
  const scheme = schemeOf(product.scheme);
  const completed = [...baselinesThere(snapshot.baselines, name, lane.region)].sort((a, b) => b.at - a.at);
  const versions = [...completed.map((one) => one.version), ...(snapshot.cameFrom?.[lane.id] ?? [])];
  const lower = versions.filter((one) => scheme.parse(one) !== undefined && scheme.compare(one, version) < 0);
  const objections = new Map<string, string>();
  for (const one of new Set(lower)) {
    const release = snapshot.releases.find((known) => known.product === name && known.version === one);
    const objection = objectionTo(snapshot, rollout, lane, one, release);
    if (objection === undefined && release !== undefined) return { to: { version: one, releaseId: release.id } };
    objections.set(one, objection ?? '');
  }
  if (objections.size > 0) return { why: newestOf([...objections.values()]) };
  return { why: `${lane.region} has completed nothing below ${version}, and no agent there came from a release` };
}

const MAX_NAMED = 2;

/** A region may have completed a hundred versions, and each may have an objection of its own. */
function newestOf(objections: readonly string[]): string {
  const more = objections.length - MAX_NAMED;
  const rest = more > 0 ? [`${numberOf(more, 'older one')} cannot be gone back to either`] : [];
  return [...objections.slice(0, MAX_NAMED), ...rest].join('; ');
}

function objectionTo(
  snapshot: Snapshot,
  { product, version: from }: Rollout,
  { region }: Lane,
  version: string,
  release: Release | undefined,
): string | undefined {
  if (release === undefined) return `no release ${version} is known`;
  const trouble = troubleOf(release);
  if (trouble !== undefined) return trouble;
  if (!isUsable(release)) return `${version} is ${release.state}`;
  const floor = floorBetween(snapshot, product, version, from);
  if (floor !== undefined) return `${version} lies below ${floor}, which must not be jumped over`;
  const veto = vetoFor(snapshot.vetoes, product, version);
  if (veto !== undefined) return `${version} is vetoed by ${veto.actor}: ${veto.reason}`;
  const running = runningIn(snapshot, product, from, region).map((row) => row.platform);
  const offered = running.filter((one) => release.artifacts.some(({ platform }) => platform === one));
  if (running.length > 0 && offered.length === 0) return `${version} has no file for ${running.join(', ')}`;
  const absent = offered.find((platform) => {
    const row = availabilityAt(snapshot.availability, { product, version, region, platform });
    return row !== undefined && isLastAbsent(row);
  });
  return absent === undefined ? undefined : `${version} for ${absent} cannot be had in ${region}`;
}

/** What has been passed on the way up must not be passed on the way down either. */
function floorBetween({ products }: Snapshot, product: string, to: string, from: string): string | undefined {
  const rules = products.find((one) => one.name === product);
  if (rules === undefined) return undefined;
  const scheme = schemeOf(rules.scheme);
  return rules.floors.find(({ version }) => scheme.compare(to, version) < 0 && scheme.compare(version, from) <= 0)
    ?.version;
}

/** The rows of the census about who runs the version in the region. */
export function runningIn({ census }: Snapshot, product: string, version: string, region: string) {
  return census.filter((row) => row.product === product && row.region === region && row.version === version);
}

export interface RollBackBy {
  by: string;
  reason: string;
  automatic: boolean;
}

/** `to`: what `backTargetOf` has found. */
export function rollBackAction(snapshot: Snapshot, rollout: Rollout, lane: Lane, to: BackTo, by: RollBackBy): Action {
  const running = runningIn(snapshot, rollout.product, rollout.version, lane.region);
  const agents = running.reduce((sum, row) => sum + row.agents, 0);
  return { kind: 'roll_back', laneId: lane.id, to, agents, ...by };
}

/**
 * Where the policy says so: a lane in which the release has failed goes back once nothing is at risk in it, once. What a
 * person has halted, or rolled back before, is left to a person, and so is a region that halted for another one's
 * failures: its own agents have said nothing against the release, and going back is a risk of its own.
 */
export function planRollBack(input: LaneInput): LaneStep | undefined {
  const { snapshot, rollouts, rollout, lane } = input;
  if (rollout.policy.onHalt !== 'rollback' || !isHaltedByItself(snapshot, rollout, lane) || !hasFailed(input))
    return undefined;
  if (hotIn(lane) > 0 || newerIn(snapshot, rollouts, rollout, lane) !== undefined) return undefined;
  // From the newest to the oldest, one after another.
  const later = lanesThere(rollouts.slice(rollouts.indexOf(rollout) + 1), lane.region);
  if (later.some((one) => isDueBack(input, one))) return undefined;
  const found = backTargetOf(snapshot, rollout, lane);
  if ('why' in found || lane.state.name !== 'halted') return undefined;
  const by = { by: 'tidegate', reason: lane.state.reason, automatic: true };
  return { action: rollBackAction(snapshot, rollout, lane, found.to, by) };
}

/** Whether the lane goes back now, so that nothing else may open in its region. */
export function isDueBack(input: LaneInput, { rollout, lane }: Place): boolean {
  return planRollBack({ ...input, rollout, lane }) !== undefined;
}

/** The automatic veto tells it from a lane that halted because the release changed, or a person vetoed it. */
function isHaltedByItself({ vetoes }: Snapshot, { product, version }: Rollout, { state, back }: Lane): boolean {
  if (state.name !== 'halted' || state.by !== 'tidegate' || back.length > 0) return false;
  return vetoFor(vetoes, product, version)?.automatic === true;
}

/** By what its own agents came to, or a metric of its own. */
function hasFailed(input: LaneInput): boolean {
  const { state, steps } = input.lane;
  if (steps.some((step) => verdictOf(input, step).kind === 'halt')) return true;
  return state.name === 'halted' && state.step !== null && metricFailure(input, state.step) !== undefined;
}

/** Why the policy's rollback of a halted lane does not come; undefined where it does, or none is asked for. */
export function whyNotRolledBack(input: LaneInput): string | undefined {
  const { snapshot, rollouts, rollout, lane } = input;
  if (rollout.policy.onHalt !== 'rollback' || lane.state.name !== 'halted') return undefined;
  if (lane.back.length > 0) return 'a rollback is never rolled back';
  if (!isHaltedByItself(snapshot, rollout, lane)) return undefined;
  if (!hasFailed(input)) {
    return 'the policy takes a region back by itself only where the release has failed in it; by hand: tidegate rollout rollback';
  }
  const hot = hotIn(lane);
  if (hot > 0) return `it goes back when ${numberOf(hot, 'attempt')} at risk ${hot === 1 ? 'has' : 'have'} ended`;
  const newer = newerIn(snapshot, rollouts, rollout, lane);
  if (newer !== undefined) return newer;
  const found = backTargetOf(snapshot, rollout, lane);
  return 'why' in found ? `there is nothing to go back to: ${found.why}` : undefined;
}

/** What has gone beyond the release in the region: then it is that one's agents that count. */
export function newerIn(
  snapshot: Snapshot,
  rollouts: readonly Rollout[],
  { id, product, version }: Rollout,
  { region }: Lane,
): string | undefined {
  const live = lanesThere(rollouts, region).find((one) => one.rollout.id !== id && isLiveLane(one.lane.state.name));
  if (live !== undefined) return `${live.rollout.version} is ${wordsOf(live.lane.state.name)} in ${region}`;
  const rules = snapshot.products.find((one) => one.name === product);
  const baseline = baselineOf(snapshot, product, region);
  if (rules === undefined || baseline === undefined) return undefined;
  const scheme = schemeOf(rules.scheme);
  const isNewer = scheme.parse(baseline.version) !== undefined && scheme.compare(baseline.version, version) > 0;
  return isNewer ? `${region} has completed ${baseline.version} since` : undefined;
}

/**
 * Versions that were taken back in a region and stay vetoed: agents that were away, and come back running one of them,
 * are brought back by the region's baseline. By `product region`.
 */
export function takenBack({ rollouts, vetoes }: Pick<Snapshot, 'rollouts' | 'vetoes'>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { product, version, lanes } of rollouts) {
    if (vetoFor(vetoes, product, version) === undefined) continue;
    for (const { region, state } of lanes) {
      if (state.name !== 'rolled_back') continue;
      const key = `${product} ${region}`;
      found.set(key, [...(found.get(key) ?? []), version]);
    }
  }
  return found;
}
