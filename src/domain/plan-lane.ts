// What happens to one lane now: one action, or the hold that says why nothing does.
import { assert, unreachable } from '../errors.ts';
import { lastStep } from './apply.ts';
import type { Availability } from './availability.ts';
import { brakeFor, vetoFor } from './directives.ts';
import { type HoldReason, sentenceOf } from './holds.ts';
import { olderLane } from './older-lane.ts';
import { troubleOf } from './release.ts';
import { isLiveLane, type Lane, type Rollout, type Step } from './rollout.ts';
import type { Action, Calendar, LaneCensus, Snapshot } from './snapshot.ts';
import { NO_SILENCE, type Silence, type Verdict, verdict } from './verdict.ts';
import { type Freeze, type WindowStatus, windowStatus } from './window.ts';

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

/** The alarm comes first elsewhere (`planAlarm`): here nothing speaks against the lane. */
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
      return planApproval(input, state.step, state.approvedBy);
    case 'paused':
      return hold('paused', state.reason);
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

export function hold(reason: HoldReason, detail?: string, until: number | null = null): LaneStep {
  return { hold: { reason, sentence: sentenceOf(reason, detail), until } };
}

/** A lane opens when nothing older stands in the way, its wave has come, and the release can be had in the region. */
function planOpening(input: LaneInput): LaneStep {
  const { snapshot, rollout, lane } = input;
  const veto = vetoFor(snapshot.vetoes, rollout.product, rollout.version);
  if (veto !== undefined) return hold('vetoed', veto.reason);
  const other = olderLane(input);
  if (other !== undefined) return hold('older_lane', other);
  const before = rollout.lanes.find((one) => one.wave < lane.wave && one.state.name !== 'completed');
  if (before !== undefined) return hold('previous_wave', `${before.region} is ${before.state.name}`);
  const release = snapshot.releases.find((one) => one.id === rollout.releaseId);
  const trouble = troubleOf(release);
  if (trouble !== undefined) return hold('not_available', trouble);
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
  const unavailable = availabilityHold(input, census);
  if (unavailable !== undefined) return unavailable;
  const brake = brakeFor(snapshot.brakes, rollout.product, lane.region);
  if (brake !== undefined) return hold('braked', `${brake.scope}: ${brake.reason}`);
  return planNextStep(input, census);
}

/** Windows and freezes restrict grants and the opening of lanes and steps; staging and soaking go on outside them. */
function windowHold({ snapshot, lane, now }: LaneInput): LaneStep | undefined {
  const status = regionStatus(snapshot, lane.region, now);
  return status.open ? undefined : hold(status.reason, status.detail, status.opensAt);
}

/** Whether something may start in the region now. A region that the config does not name is never opened. */
export function regionStatus(
  { calendars, freezes }: { calendars: readonly Calendar[]; freezes: readonly Freeze[] },
  region: string,
  now: number,
): WindowStatus {
  const calendar = calendars.find((one) => one.region === region);
  if (calendar === undefined) {
    return { open: false, reason: 'outside_window', detail: `the config does not name ${region}`, opensAt: null };
  }
  const here = freezes.filter((one) => one.regions === null || one.regions.includes(region));
  return windowStatus(calendar.windows, here, calendar.timeZone, now);
}

function planApproval(input: LaneInput, step: number, approvedBy: string | null): LaneStep {
  if (approvedBy === null) return hold('needs_approval', `step ${step + 1}`);
  const census = input.snapshot.lanes.find((one) => one.laneId === input.lane.id);
  return census === undefined ? { hold: null } : planNextStep(input, census);
}

function allHave(snapshot: Snapshot, rollout: Rollout, lane: Lane): boolean {
  const rows = snapshot.census.filter((row) => row.product === rollout.product && row.region === lane.region);
  return rows.every((row) => row.version === rollout.version);
}

/** Available for every platform that has eligible agents; unknown never reads as absent. */
function availabilityHold(input: LaneInput, census: LaneCensus): LaneStep | undefined {
  for (const platform of census.platforms) {
    const row = availabilityOf(input, platform);
    if (row === undefined || row.status === 'unknown') {
      return hold('availability_unknown', `${platform}: ${row?.why ?? 'not probed yet'}`);
    }
    if (row.status === 'absent') return hold('not_available', `${platform}: ${row.why}`);
  }
  return undefined;
}

function availabilityOf({ snapshot, rollout, lane }: LaneInput, platform: string): Availability | undefined {
  return snapshot.availability.find(
    (one) =>
      one.product === rollout.product &&
      one.version === rollout.version &&
      one.region === lane.region &&
      one.platform === platform,
  );
}

/** Opens the next step that adds somebody, or completes the lane after the last. */
function planNextStep(input: LaneInput, census: LaneCensus): LaneStep {
  const { rollout, lane, snapshot } = input;
  const first = (lastStep(lane) ?? -1) + 1;
  const last = rollout.policy.steps.length - 1;
  const passedBefore = lane.steps.some((step) => step.done);
  for (let step = first; step <= last; step += 1) {
    const preview = census.previews.find((one) => one.step === step);
    if (preview === undefined) return { hold: null };
    if (preview.members > 0) return windowHold(input) ?? { action: { kind: 'open_step', laneId: lane.id, step } };
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
  const { lane, rollout, snapshot } = input;
  if (step.done) return { action: { kind: 'start_soak', laneId: lane.id, step: step.step } };
  const seats = planSeats(input, step);
  if (seats !== undefined) return seats;
  const found = verdictOf(input, step);
  switch (found.kind) {
    case 'done':
      return { action: { kind: 'start_soak', laneId: lane.id, step: step.step } };
    case 'hold':
      return hold(found.reason, `step ${step.step + 1}: ${step.counters.succeeded} of ${found.need} successes needed`);
    case 'open': {
      const brake = brakeFor(snapshot.brakes, rollout.product, lane.region);
      if (brake !== undefined) return hold('braked', `${brake.scope}: ${brake.reason}`);
      const census = snapshot.lanes.find((one) => one.laneId === lane.id);
      const closed = windowHold(input);
      if (closed !== undefined) return closed;
      const absent = census?.platforms.find((platform) => availabilityOf(input, platform)?.status === 'absent');
      return absent === undefined
        ? { hold: null }
        : hold('not_available', `${absent}: ${availabilityOf(input, absent)?.why}`);
    }
    case 'halt':
      return haltFor(lane, step, found);
    default:
      return unreachable(found);
  }
}

/** Members that are gone give their seats to the next by rank while there are any; the size and the budget stay. */
function planSeats({ snapshot, lane, rollout }: LaneInput, step: Step): LaneStep | undefined {
  if (brakeFor(snapshot.brakes, rollout.product, lane.region) !== undefined) return undefined;
  const seen = snapshot.lanes.find((one) => one.laneId === lane.id)?.steps.find((one) => one.step === step.step);
  const count = Math.min(seen?.gone ?? 0, seen?.replaceable ?? 0);
  return count <= 0 ? undefined : { action: { kind: 'replace_members', laneId: lane.id, step: step.step, count } };
}

/**
 * What halts a lane that has opened, also while it is paused: a spent budget in any opened step (which vetoes the
 * release, so it comes before everything else), a release that changed under it, a veto.
 */
export function planAlarm(input: LaneInput): LaneStep | undefined {
  const { snapshot, rollout, lane } = input;
  if (!isLiveLane(lane.state.name) || lane.state.name === 'rolling_back') return undefined;
  for (const step of lane.steps) {
    const found = verdictOf(input, step);
    if (found.kind === 'halt') return haltFor(lane, step, found);
  }
  const trouble = troubleOf(snapshot.releases.find((one) => one.id === rollout.releaseId));
  if (trouble !== undefined) return { action: { kind: 'halt_lane', laneId: lane.id, reason: trouble, veto: false } };
  const veto = vetoFor(snapshot.vetoes, rollout.product, rollout.version);
  if (veto !== undefined)
    return { action: { kind: 'halt_lane', laneId: lane.id, reason: `vetoed: ${veto.reason}`, veto: false } };
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
  const policy = rollout.policy.steps[step.step];
  assert(policy !== undefined, `step ${step.step} is in the policy`);
  const brake = brakeFor(snapshot.brakes, rollout.product, lane.region);
  if (brake !== undefined) return hold('braked', `${brake.scope}: ${brake.reason}`);
  const leftMs = policy.soakMs - (snapshot.observedMs - startedMs);
  if (leftMs > 0) return hold('soaking', `step ${step.step + 1}`, input.now + leftMs);
  const census = snapshot.lanes.find((one) => one.laneId === lane.id);
  if (census === undefined) return { hold: null };
  const seen = census.steps.find((one) => one.step === step.step);
  // The roster counts a step that has just opened in the next pass.
  if (seen === undefined) return { hold: null };
  if (seen.updatedPresent * 10 < seen.updated * 9) {
    const shown = `${seen.updatedPresent} of ${seen.updated} updated agents of step ${step.step + 1} are present`;
    // As long again is given to those that are away; then it is more than a pause.
    const moreMs = leftMs + policy.soakMs;
    return moreMs > 0 ? hold('soaking', shown, input.now + moreMs) : hold('silent', shown);
  }
  if (policy.manual) return { action: { kind: 'await_approval', laneId: lane.id, step: step.step } };
  return planNextStep(input, census);
}

/** What the step's counters and the roster come to now. */
export function verdictOf({ snapshot, rollout, lane }: LaneInput, step: Step): Verdict {
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
  return seen === undefined ? NO_SILENCE : seen;
}

function stepNamed(lane: Lane, step: number): Step {
  const found = lane.steps.find((one) => one.step === step);
  assert(found !== undefined, `step ${step} of lane ${lane.id} is open`);
  return found;
}
