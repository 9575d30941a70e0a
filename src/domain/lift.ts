// The halt of a lane whose release was withdrawn: how it is marked, and when it is lifted because the release is back.
import { vetoFor } from './directives.ts';
import { lanesThere, releaseOf } from './lookup.ts';
import type { LaneInput } from './plan-lane.ts';
import { troubleOf } from './release.ts';
import { isDueBack } from './roll-back.ts';
import { isLiveLane, type Lane, type LaneState, type Lift, moveLane, passesWave, type Rollout } from './rollout.ts';
import type { Action } from './snapshot.ts';
import { successorOf } from './supersede.ts';

/**
 * The action that lets the lane go on, undefined while it stays halted. Of a lane against which nothing else speaks: the
 * alarm is asked first. What has been decided or begun meanwhile keeps its place, as it does against a retry.
 */
export function liftOf(input: LaneInput): Action | undefined {
  const { snapshot, rollouts, rollout, lane } = input;
  if (!isMarked(lane.state) || snapshot.clock !== null) return undefined;
  if (troubleOf(releaseOf(snapshot.releases, rollout.releaseId)) !== undefined) return undefined;
  if (vetoFor(snapshot.vetoes, rollout.product, rollout.version) !== undefined) return undefined;
  if (!isTurnOf(lane, rollout) || successorOf(snapshot, rollout, lane.region) !== undefined) return undefined;
  if (lanesThere(rollouts, lane.region).some((one) => isLiveLane(one.lane.state.name))) return undefined;
  if (lanesThere(rollouts, lane.region).some((one) => isDueBack(input, one))) return undefined;
  return { kind: 'lift_halt', laneId: lane.id };
}

export function isMarked(state: LaneState): boolean {
  return state.name === 'halted' && state.lift !== undefined;
}

/** What a halt leads back to once it is lifted. */
export function liftFor({ state }: Lane): Lift {
  return { paused: state.name === 'paused' ? { by: state.by, reason: state.reason } : null };
}

/** Budget and approvals stay as they were; the step has to be passed and to soak again. */
export function lifted(lane: Lane, now: number): Lane {
  const { state } = lane;
  const step = lane.steps.at(-1);
  const paused = state.name === 'halted' ? state.lift?.paused : null;
  if (step === undefined) return moveLane(lane, { name: 'waiting', since: now });
  const open = { name: 'open', step: step.step, since: now } as const;
  const steps = lane.steps.map((one) => (one === step ? { ...one, done: false } : one));
  if (paused == null) return { ...moveLane(lane, open), steps };
  return { ...moveLane(lane, { name: 'paused', since: now, ...paused, resume: open, soakedMs: 0 }), steps };
}

/** Waves go one after another, whatever has been halted in between. */
function isTurnOf(lane: Lane, rollout: Rollout): boolean {
  return rollout.lanes.every((one) => {
    if (one.wave < lane.wave) return passesWave(one);
    return one.wave === lane.wave || !isLiveLane(one.state.name);
  });
}
