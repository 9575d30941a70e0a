// What happens to one lane now: one action, or the hold that says why nothing does.
import { vetoFor } from './directives.ts';
import { gatesOf } from './gates.ts';
import type { HoldReason } from './holds.ts';
import { haltReason, isAgainstRelease, verdictOf } from './lane-verdict.ts';
import { isMarked } from './lift.ts';
import { releaseOf } from './lookup.ts';
import { metricAlarm } from './metric-gates.ts';
import { troubleOf } from './release.ts';
import { isLiveLane, type Lane, type Rollout } from './rollout.ts';
import type { Action, Snapshot } from './snapshot.ts';

export interface LaneInput {
  snapshot: Snapshot;
  /** All rollouts of the product, oldest first. */
  rollouts: readonly Rollout[];
  rollout: Rollout;
  lane: Lane;
  now: number;
}

export type LaneStep =
  | { action: Action }
  | { hold: { reason: HoldReason; sentence: string; until: number | null } | null };

/** The first gate that does not just pass decides. The alarm comes first elsewhere: here nothing speaks against the lane. */
export function planLane(input: LaneInput): LaneStep {
  for (const ask of gatesOf(input)) {
    const { step } = ask();
    if (step !== null) return step;
  }
  return { hold: null };
}

/**
 * What halts a lane that has opened, also while it is paused: a spent budget in any opened step (which vetoes the
 * release, mostly, so it comes before everything else), a release that changed under it, a veto. A lane that is halted
 * because its release was withdrawn is asked as well: what speaks against it besides is said in its place, and stays.
 */
export function planAlarm(input: LaneInput): LaneStep | undefined {
  const { snapshot, rollout, lane } = input;
  const marked = isMarked(lane.state);
  if (!marked && (!isLiveLane(lane.state.name) || lane.state.name === 'rolling_back')) return undefined;
  const halt = (reason: string, veto: boolean): LaneStep => ({
    action: { kind: 'halt_lane', laneId: lane.id, reason, veto },
  });
  for (const step of lane.steps) {
    const found = verdictOf(input, step);
    if (found.kind === 'halt') return halt(haltReason(step, found.budget), isAgainstRelease(step, found.budget));
  }
  const metric = metricAlarm(input);
  if (metric !== undefined) return halt(metric, true);
  const release = releaseOf(snapshot.releases, rollout.releaseId);
  const trouble = troubleOf(release);
  if (trouble !== undefined && release?.state !== 'withdrawn') return halt(trouble, false);
  const veto = vetoFor(snapshot.vetoes, rollout.product, rollout.version);
  if (veto !== undefined) return halt(`vetoed: ${veto.reason}`, false);
  if (trouble === undefined || marked) return undefined;
  return { action: { kind: 'halt_lane', laneId: lane.id, reason: trouble, veto: false, withdrawn: true } };
}
