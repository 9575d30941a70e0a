// What happens to one lane now: one action, or the hold that says why nothing does.
import { assert, unreachable } from '../errors.ts';
import { lastStep } from './apply.ts';
import { brakeFor, vetoFor } from './directives.ts';
import { type HoldReason, sentenceOf } from './holds.ts';
import { isLiveLane, type Lane, type Rollout, type Step } from './rollout.ts';
import type { Action, LaneCensus, Snapshot } from './snapshot.ts';
import { type Silence, type Verdict, verdict } from './verdict.ts';

export interface LaneInput {
  snapshot: Snapshot;
  /** All rollouts of the product, oldest first. */
  rollouts: Rollout[];
  rollout: Rollout;
  lane: Lane;
  now: number;
}

export type LaneStep =
  | { action: Action }
  | { hold: { reason: HoldReason; sentence: string; until: number | null } | null };

export function planLane(input: LaneInput): LaneStep {
  const state = input.lane.state;
  switch (state.name) {
    case 'waiting':
      return planOpening(input);
    case 'open':
      return planOpen(input, stepNamed(input.lane, state.step));
    case 'soaking':
      return planSoak(input, stepNamed(input.lane, state.step), state.observedMs);
    case 'approval':
      return planAlarm(input) ?? hold('needs_approval', `step ${state.step + 1}`);
    case 'paused':
      return planAlarm(input) ?? hold('paused', state.reason);
    case 'halted':
      return hold('halted', state.reason);
    case 'rolling_back':
    case 'rolled_back':
    case 'completed':
    case 'superseded':
    case 'cancelled':
      return { hold: null };
    default:
      return unreachable(state);
  }
}

function hold(reason: HoldReason, detail?: string, until: number | null = null): LaneStep {
  return { hold: { reason, sentence: sentenceOf(reason, detail), until } };
}

/** A lane opens when nothing older stands in the way, its wave has come, and the release can be had in the region. */
function planOpening(input: LaneInput): LaneStep {
  const { snapshot, rollouts, rollout, lane } = input;
  const veto = vetoFor(snapshot.vetoes, rollout.product, rollout.version);
  if (veto !== undefined) return hold('vetoed', veto.reason);
  const older = olderLane(rollouts, rollout, lane.region);
  if (older !== undefined) return hold('older_lane', older);
  const before = rollout.lanes.find((one) => one.wave < lane.wave && one.state.name !== 'completed');
  if (before !== undefined) return hold('previous_wave', `${before.region} is ${before.state.name}`);
  const release = snapshot.releases.find((one) => one.id === rollout.releaseId);
  if (
    release === undefined ||
    release.state === 'withdrawn' ||
    release.state === 'altered' ||
    release.state === 'refused'
  ) {
    return hold('not_available', release?.why ?? 'the release is gone');
  }
  const census = snapshot.lanes.find((one) => one.laneId === lane.id);
  // The roster counts a new lane in the next pass.
  if (census === undefined) return { hold: null };
  if (census.eligible === 0) {
    // Agents that nothing can be done for (no artifact, an unreadable version) do not have the release: no baseline.
    return {
      action: {
        kind: 'complete_lane',
        laneId: lane.id,
        evidence: false,
        baseline: census.agents > 0 && allHave(snapshot, rollout, lane),
      },
    };
  }
  const unavailable = availabilityHold(snapshot, rollout, lane, census);
  if (unavailable !== undefined) return unavailable;
  const brake = brakeFor(snapshot.brakes, rollout.product, lane.region);
  if (brake !== undefined) return hold('braked', `${brake.scope}: ${brake.reason}`);
  return planNextStep(input, census);
}

function olderLane(rollouts: Rollout[], rollout: Rollout, region: string): string | undefined {
  for (const older of rollouts) {
    if (older.id === rollout.id) return undefined;
    // `finish`: the newer rollout waits until the older one has ended everywhere.
    const blocks = older.lanes.some((lane) =>
      older.policy.supersede === 'finish'
        ? older.endedAt === null
        : lane.region === region && isLiveLane(lane.state.name),
    );
    if (blocks) return `${older.version} is still going out`;
  }
  return undefined;
}

function allHave(snapshot: Snapshot, rollout: Rollout, lane: Lane): boolean {
  const rows = snapshot.census.filter((row) => row.product === rollout.product && row.region === lane.region);
  return rows.every((row) => row.version === rollout.version);
}

/** Available for every platform that has eligible agents; unknown never reads as absent. */
function availabilityHold(snapshot: Snapshot, rollout: Rollout, lane: Lane, census: LaneCensus): LaneStep | undefined {
  for (const platform of census.platforms) {
    const row = snapshot.availability.find(
      (one) =>
        one.product === rollout.product &&
        one.version === rollout.version &&
        one.region === lane.region &&
        one.platform === platform,
    );
    if (row === undefined || row.status === 'unknown') {
      return hold('availability_unknown', `${platform}: ${row?.why ?? 'not probed yet'}`);
    }
    if (row.status === 'absent') return hold('not_available', `${platform}: ${row.why}`);
  }
  return undefined;
}

/** Opens the next step that adds somebody, or completes the lane after the last. */
function planNextStep({ rollout, lane, snapshot }: LaneInput, census: LaneCensus): LaneStep {
  const first = (lastStep(lane) ?? -1) + 1;
  const last = rollout.policy.steps.length - 1;
  const passedBefore = lane.steps.some((step) => step.done);
  for (let step = first; step <= last; step += 1) {
    const preview = census.previews.find((one) => one.step === step);
    if (preview === undefined) return { hold: null };
    if (preview.members > 0) return { action: { kind: 'open_step', laneId: lane.id, step } };
    // Nobody to add: skipped without evidence. A last step whose agents are all absent is skipped if an earlier one passed.
    const skipped = preview.eligible === 0 || (step === last && passedBefore);
    if (!skipped) return hold('no_agents', `step ${step + 1} of ${last + 1}: ${preview.eligible} agents, none present`);
  }
  return {
    action: {
      kind: 'complete_lane',
      laneId: lane.id,
      evidence: passedBefore,
      baseline: passedBefore || allHave(snapshot, rollout, lane),
    },
  };
}

function planOpen(input: LaneInput, step: Step): LaneStep {
  const { lane } = input;
  const alarm = planAlarm(input);
  if (alarm !== undefined) return alarm;
  if (step.done) return { action: { kind: 'start_soak', laneId: lane.id, step: step.step } };
  const found = verdictOf(input, step);
  switch (found.kind) {
    case 'done':
      return { action: { kind: 'start_soak', laneId: lane.id, step: step.step } };
    case 'hold':
      return hold(found.reason, `step ${step.step + 1}: ${step.counters.succeeded} of ${found.need} successes needed`);
    case 'open': {
      const brake = brakeFor(input.snapshot.brakes, input.rollout.product, lane.region);
      return brake === undefined ? { hold: null } : hold('braked', `${brake.scope}: ${brake.reason}`);
    }
    case 'halt':
      return haltFor(lane, step, found);
    default:
      return unreachable(found);
  }
}

/** What stops a lane in any live state: a spent budget in any opened step, a release that changed under it. */
function planAlarm(input: LaneInput): LaneStep | undefined {
  const { snapshot, rollout, lane } = input;
  const release = snapshot.releases.find((one) => one.id === rollout.releaseId);
  if (release === undefined || release.state === 'withdrawn' || release.state === 'altered') {
    const reason = `the release ${rollout.version} is ${release?.state ?? 'gone'}: ${release?.why ?? 'it was deleted'}`;
    return { action: { kind: 'halt_lane', laneId: lane.id, reason, veto: false } };
  }
  const veto = vetoFor(snapshot.vetoes, rollout.product, rollout.version);
  if (veto !== undefined)
    return { action: { kind: 'halt_lane', laneId: lane.id, reason: `vetoed: ${veto.reason}`, veto: false } };
  for (const step of lane.steps) {
    const found = verdictOf(input, step);
    if (found.kind === 'halt') return haltFor(lane, step, found);
  }
  return undefined;
}

function haltFor(lane: Lane, step: Step, found: Verdict): LaneStep {
  return { action: { kind: 'halt_lane', laneId: lane.id, reason: haltReason(step, found.budget), veto: true } };
}

/** The sentence of an automatic halt; the ledger halts in its own transaction with the same words. */
export function haltReason(step: Pick<Step, 'step' | 'counters'>, budget: number): string {
  return `step ${step.step + 1}: ${step.counters.bad} bad of ${budget} that halt it`;
}

function planSoak(input: LaneInput, step: Step, startedMs: number): LaneStep {
  const { snapshot, rollout, lane } = input;
  const alarm = planAlarm(input);
  if (alarm !== undefined) return alarm;
  const policy = rollout.policy.steps[step.step];
  assert(policy !== undefined, `step ${step.step} is in the policy`);
  const brake = brakeFor(snapshot.brakes, rollout.product, lane.region);
  if (brake !== undefined) return hold('braked', `${brake.scope}: ${brake.reason}`);
  const leftMs = policy.soakMs - (snapshot.observedMs - startedMs);
  if (leftMs > 0) return hold('soaking', `step ${step.step + 1}`, input.now + leftMs);
  const census = snapshot.lanes.find((one) => one.laneId === lane.id);
  if (census === undefined) return { hold: null };
  const seen = census.steps.find((one) => one.step === step.step);
  if (seen !== undefined && seen.updatedPresent * 10 < seen.updated * 9) {
    return hold(
      'silent',
      `${seen.updatedPresent} of ${seen.updated} updated agents of step ${step.step + 1} are present`,
    );
  }
  if (policy.manual) return { action: { kind: 'await_approval', laneId: lane.id, step: step.step } };
  return planNextStep(input, census);
}

function verdictOf({ snapshot, rollout, lane }: LaneInput, step: Step): Verdict {
  return verdict(
    step.size,
    step.counters,
    silenceOf(snapshot.lanes, lane.id, step.step),
    rollout.policy,
    lane.allowance,
  );
}

export function silenceOf(lanes: readonly LaneCensus[], laneId: string, step: number): Silence {
  const seen = lanes.find((one) => one.laneId === laneId)?.steps.find((one) => one.step === step);
  return seen === undefined ? { gone: 0, ineligible: 0, replaceable: false } : seen;
}

function stepNamed(lane: Lane, step: number): Step {
  const found = lane.steps.find((one) => one.step === step);
  assert(found !== undefined, `step ${step} of lane ${lane.id} is open`);
  return found;
}
