// Whether a lane gives way to a newer rollout of its product, and what it does until it can.
import { type Veto, vetoFor } from './directives.ts';
import { hold } from './gate.ts';
import { verdictOf } from './lane-verdict.ts';
import { type LaneInput, type LaneStep, planLane } from './plan-lane.ts';
import { type Release, troubleOf } from './release.ts';
import { isLiveLane, isTerminalLane, type Lane, type Rollout } from './rollout.ts';

/** What a successor is looked for in; a snapshot is one. */
export interface Candidates {
  releases: readonly Release[];
  vetoes: readonly Veto[];
  /** Oldest first. */
  rollouts: readonly Rollout[];
}

/**
 * The newest rollout of the product created after this one (it was the choice then) whose release may still go out:
 * one that may not takes nobody's place.
 */
export function successorOf(candidates: Candidates, rollout: Rollout): Rollout | undefined {
  const rollouts = candidates.rollouts.filter((one) => one.product === rollout.product);
  const place = rollouts.findIndex((one) => one.id === rollout.id);
  return rollouts.findLast((one, index) => index > place && !isBarred(candidates, one));
}

/** The newer version for which a live lane stops granting; undefined where the lane goes on. */
export function givesWayTo(candidates: Candidates, rollout: Rollout, lane: Lane): string | undefined {
  if (rollout.policy.supersede !== 'replace' || !isLiveLane(lane.state.name)) return undefined;
  return lane.state.name === 'rolling_back' ? undefined : successorOf(candidates, rollout)?.version;
}

/** Undefined where the lane goes on by itself. */
export function planSupersede(input: LaneInput): LaneStep | undefined {
  const { snapshot, rollout, lane } = input;
  const state = lane.state.name;
  if (state === 'rolling_back') return undefined;
  const newer = successorOf(snapshot, rollout);
  if (newer === undefined) return undefined;
  const replaced = givesWayTo(snapshot, rollout, lane) !== undefined;
  const unstarted = state === 'waiting' && (rollout.policy.supersede !== 'finish' || isBehindStuck(input));
  if (!replaced && !unstarted && !isStuck(input)) return undefined;
  const hot = lane.steps.reduce((sum, step) => sum + step.counters.hot, 0);
  if (hot === 0) return { action: { kind: 'supersede_lane', laneId: lane.id, by: newer.id } };
  if (!replaced) return undefined;
  // Nothing more is granted; what is hot ends by itself, and no step opens meanwhile.
  if (state === 'open') return { hold: null };
  return state === 'soaking'
    ? hold('soaking', `gives way to ${newer.version} when ${hot} attempts have ended`)
    : undefined;
}

/** In a later wave than a lane that cannot go on, or that ended without completing: its own wave never comes. */
function isBehindStuck(input: LaneInput): boolean {
  return input.rollout.lanes.some((lane) => {
    const state = lane.state.name;
    const ended = isTerminalLane(state) && state !== 'completed';
    return lane.wave < input.lane.wave && (ended || isStuck({ ...input, lane }));
  });
}

/** Halted, holding for want of evidence, or with a release that may not go out any more. */
function isStuck(input: LaneInput): boolean {
  const { snapshot, rollout, lane } = input;
  if (lane.state.name === 'halted' || isBarred(snapshot, rollout)) return true;
  if (lane.state.name === 'open')
    return lane.steps.some((step) => !step.done && verdictOf(input, step).kind === 'hold');
  return lane.state.name === 'soaking' && isSilent(input);
}

function isSilent(input: LaneInput): boolean {
  const step = planLane(input);
  return 'hold' in step && step.hold?.reason === 'silent';
}

function isBarred({ releases, vetoes }: Pick<Candidates, 'releases' | 'vetoes'>, rollout: Rollout): boolean {
  if (troubleOf(releases.find((one) => one.id === rollout.releaseId)) !== undefined) return true;
  return vetoFor(vetoes, rollout.product, rollout.version) !== undefined;
}
