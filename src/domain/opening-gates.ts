// The gates before something opens: those of a lane that waits for its turn, and those of the step that comes next.
import { lastStep } from './apply.ts';
import type { Availability } from './availability.ts';
import { brakeFor, vetoFor } from './directives.ts';
import { floorGates, missingFloorGate } from './floor-gate.ts';
import { type AskedGate, type AskGate, act, fail, instantOf, numberOf, pass, pend, wait } from './gate.ts';
import { availabilityAt, laneCensusOf, releaseOf } from './lookup.ts';
import { olderLane } from './older-lane.ts';
import type { LaneInput } from './plan-lane.ts';
import { attemptMs } from './policy.ts';
import { opensAgainAt, regionStatus } from './region-window.ts';
import { troubleOf } from './release.ts';
import { isTerminalLane, passesWave, wordsOf } from './rollout.ts';
import type { Action, LaneCensus } from './snapshot.ts';

/** A lane opens when nothing older stands in the way, its wave has come, and the release can be had in the region. */
export function openingGates(input: LaneInput): AskGate[] {
  const census = censusOf(input);
  return [
    () => vetoGate(input),
    () => olderLaneGate(input),
    () => waveGate(input),
    () => releaseGate(input),
    () => agentsGate(input, census),
    ...(census?.platforms ?? []).map((platform) => () => availabilityGate(input, platform)),
    ...floorGates(input),
    () => brakeGate(input),
    ...nextStepGates(input),
  ];
}

/** What the roster knows of the lane; undefined: it counts a new one in the next pass. */
export function censusOf({ snapshot, lane }: LaneInput): LaneCensus | undefined {
  return laneCensusOf(snapshot.lanes, lane.id);
}

export function availabilityOf({ snapshot, rollout, lane }: LaneInput, platform: string): Availability | undefined {
  const { product, version } = rollout;
  return availabilityAt(snapshot.availability, { product, version, region: lane.region, platform });
}

export function brakeGate({ snapshot, rollout, lane }: LaneInput): AskedGate {
  const brake = brakeFor(snapshot.brakes, rollout.product, lane.region);
  if (brake === undefined) return pass('brake', 'no brake is set');
  const detail = `${brake.scope}: ${brake.reason}`;
  return wait('brake', { reason: 'braked', detail, remedy: 'passes when a person takes the brake off' });
}

/** Windows and freezes restrict grants and the opening of lanes and steps; staging and soaking go on outside them. */
export function windowGate({ snapshot, lane, now }: LaneInput, opening?: Action): AskedGate {
  const status = regionStatus(snapshot, lane.region, now);
  if (status.open) {
    const open = pass('window', `something may start in ${lane.region} now`, status.closesAt);
    return opening === undefined ? open : { ...open, step: { action: opening } };
  }
  const { reason, detail, opensAt: until } = status;
  const opens = reason === 'frozen' ? 'passes when the freeze is over' : 'passes when the next window opens';
  return wait('window', {
    reason,
    detail,
    until,
    remedy: until === null ? 'no time is known at which it passes' : opens,
  });
}

/** For a step that is open: nothing is granted that the rest of the window cannot cover. */
export function grantWindowGate(input: LaneInput): AskedGate {
  const { snapshot, rollout, lane, now } = input;
  const status = regionStatus(snapshot, lane.region, now);
  if (!status.open || status.closesAt === null || status.closesAt - now >= attemptMs(rollout.policy))
    return windowGate(input);
  const detail = `the window closes at ${instantOf(status.closesAt)}, and too little of it is left for an attempt`;
  const until = opensAgainAt(snapshot, lane.region, status);
  return wait('window', { reason: 'outside_window', detail, until, remedy: 'passes when the next window opens' });
}

/** Opens the next step that adds somebody, or completes the lane after the last. */
export function nextStepGates(input: LaneInput): AskGate[] {
  const next = nextStep(input);
  const opening: Action | undefined =
    next.kind === 'open' ? { kind: 'open_step', laneId: input.lane.id, step: next.step } : undefined;
  const window: AskGate = () => windowGate(input, opening);
  return next.kind === 'complete' ? [() => stepGate(input, next)] : [() => stepGate(input, next), window];
}

type NextStep =
  /** The roster counts it in the next pass. */
  | { kind: 'uncounted' }
  | { kind: 'open'; step: number; members: number }
  | { kind: 'empty'; step: number; eligible: number; held: number }
  | { kind: 'complete'; evidence: boolean };

/** What opens, or what comes of the lane, when its turn is there. */
export function nextStep(input: LaneInput): NextStep {
  const { rollout, lane } = input;
  const census = censusOf(input);
  const first = (lastStep(lane) ?? -1) + 1;
  const last = rollout.policy.steps.length - 1;
  const passedBefore = lane.steps.some((step) => step.done);
  const previewOf = (step: number) => census?.previews.find((one) => one.step === step);
  // Nobody is there whom this step or a later one would add: it is the last for those who are.
  const isLast = (step: number) => {
    for (let later = step + 1; later <= last; later += 1) if (previewOf(later)?.members !== 0) return false;
    return true;
  };
  for (let step = first; step <= last; step += 1) {
    const preview = previewOf(step);
    if (preview === undefined) return { kind: 'uncounted' };
    if (preview.members > 0) return { kind: 'open', step, members: preview.members };
    // Nobody to add: skipped without evidence. A last step whose agents are all absent is skipped if an earlier one passed.
    // A canary that is pinned, or lacks something, is a canary still: without it nobody has tried the release.
    const { eligible, held = 0 } = preview;
    const skipped = (eligible === 0 && held === 0) || (passedBefore && isLast(step));
    if (!skipped) return { kind: 'empty', step, eligible, held };
  }
  return census === undefined ? { kind: 'uncounted' } : { kind: 'complete', evidence: passedBefore };
}

function stepGate(input: LaneInput, next: NextStep): AskedGate {
  const { rollout, lane } = input;
  const of = (step: number) => `step ${step + 1} of ${rollout.policy.steps.length}`;
  switch (next.kind) {
    case 'uncounted':
      return pend('step', 'the agents of the next step are being counted');
    case 'open':
      return pass('step', `${of(next.step)} would open with ${numberOf(next.members, 'agent')}`);
    case 'empty':
      return emptyGate(input, of(next.step), next);
    case 'complete': {
      const { evidence } = next;
      return act('step', 'pass', 'no step is left to open: the lane completes', {
        kind: 'complete_lane',
        laneId: lane.id,
        evidence,
        baseline: evidence || allHave(input),
      });
    }
  }
}

/** Nobody whom the step would take in is there to give evidence. */
function emptyGate(
  input: LaneInput,
  step: string,
  { eligible, held }: Extract<NextStep, { kind: 'empty' }>,
): AskedGate {
  const { rollout, lane } = input;
  const hold = (detail: string, remedy: string) =>
    wait('step', { reason: 'no_agents', detail: `${step}: ${detail}`, remedy: `passes when ${remedy}` });
  if (eligible === 0) {
    const detail = `${numberOf(held, 'agent')} with its labels cannot be brought to ${rollout.version}`;
    const look = 'tidegate agents and explain AGENT say what is in the way';
    return hold(detail, `one of them can, or none carries them: ${look}`);
  }
  const all = numberOf(eligible, 'agent');
  const unwell = censusOf(input)?.unwell ?? 0;
  if (unwell === 0) return hold(`${all}, none present`, 'one of them checks in');
  const sick = `${numberOf(unwell, 'agent')} in ${lane.region} ${unwell === 1 ? 'reports itself' : 'report themselves'} unhealthy`;
  const detail = `${all}, none present and well: ${sick}, and the policy holds such agents`;
  return hold(detail, 'one of them checks in and is well');
}

function vetoGate({ snapshot, rollout }: LaneInput): AskedGate {
  const veto = vetoFor(snapshot.vetoes, rollout.product, rollout.version);
  if (veto === undefined) return pass('veto', `${rollout.version} is not vetoed`);
  const remedy = veto.automatic
    ? 'passes when a person retries the lane that halted; a newer release takes this one’s place'
    : 'passes when the veto is lifted; a newer release takes this one’s place';
  return fail('veto', { reason: 'vetoed', detail: veto.reason, remedy });
}

function olderLaneGate(input: LaneInput): AskedGate {
  const detail = olderLane(input);
  if (detail === undefined) return pass('older_lane', `no other rollout goes first in ${input.lane.region}`);
  return wait('older_lane', { reason: 'older_lane', detail, remedy: 'passes when that has ended here' });
}

function waveGate({ rollout, lane }: LaneInput): AskedGate {
  if (lane.wave === 0) return pass('wave', `${lane.region} is in the first wave`);
  const before = rollout.lanes.filter((one) => one.wave < lane.wave && !passesWave(one));
  const [first] = before;
  if (first === undefined) return pass('wave', 'the waves before it have completed');
  const detail = `${first.region} is ${wordsOf(first.state.name)}`;
  const ended = before.find((one) => isTerminalLane(one.state.name));
  if (ended !== undefined) {
    const remedy = `passes only when a person skips ${ended.region}; a newer release takes this one’s place`;
    return fail('wave', { reason: 'previous_wave', detail, remedy });
  }
  const halted = before.some((one) => one.state.name === 'halted') ? ', or a person skips what is halted' : '';
  const remedy = `passes when ${named(before.map((one) => one.region))} completed${halted}`;
  return wait('wave', { reason: 'previous_wave', detail, remedy });
}

const MAX_NAMED = 3;

/** `eu has`, `eu and us have`, `eu, us, ap and 2 more have`. */
function named(regions: readonly string[]): string {
  if (regions.length === 1) return `${regions[0]} has`;
  if (regions.length <= MAX_NAMED) return `${regions.slice(0, -1).join(', ')} and ${regions.at(-1)} have`;
  return `${regions.slice(0, MAX_NAMED).join(', ')} and ${regions.length - MAX_NAMED} more have`;
}

function releaseGate({ snapshot, rollout }: LaneInput): AskedGate {
  const trouble = troubleOf(releaseOf(snapshot.releases, rollout.releaseId));
  if (trouble === undefined) return pass('release', `${rollout.version} stands as it was published`);
  const remedy = 'a newer release takes this one’s place';
  return fail('release', { reason: 'not_available', detail: trouble, remedy });
}

function agentsGate(input: LaneInput, census: LaneCensus | undefined): AskedGate {
  const { lane, rollout } = input;
  // The roster counts a new lane in the next pass.
  if (census === undefined) return pend('agents', `the agents in ${lane.region} are being counted`);
  if (census.eligible > 0) {
    const all = numberOf(census.agents, 'agent');
    return pass('agents', `${census.eligible} of ${all} in ${lane.region} can be updated to ${rollout.version}`);
  }
  const [missing] = census.missingFloors ?? [];
  if (missing !== undefined) return missingFloorGate(input, missing);
  return act('agents', 'pass', `no agent in ${lane.region} is to be updated: the lane completes`, {
    kind: 'complete_lane',
    laneId: lane.id,
    evidence: false,
    // Agents that nothing can be done for (no artifact, an unreadable version) do not have the release: no baseline.
    baseline: census.agents > 0 && allHave(input),
  });
}

function allHave({ snapshot, rollout, lane }: LaneInput): boolean {
  const rows = snapshot.census.filter((row) => row.product === rollout.product && row.region === lane.region);
  return rows.every((row) => row.version === rollout.version);
}

/** Available for every platform that has eligible agents; unknown never reads as absent. */
function availabilityGate(input: LaneInput, platform: string): AskedGate {
  const row = availabilityOf(input, platform);
  const gate = 'availability';
  if (row === undefined) {
    const detail = `${platform}: not probed yet`;
    return wait(gate, { reason: 'availability_unknown', detail, remedy: 'passes when a probe finds it there' });
  }
  const since = `since ${instantOf(row.since)}`;
  const detail = `${platform}: ${row.why}`;
  const remedy = `so ${since}; passes when a probe finds it there`;
  switch (row.status) {
    case 'available':
      return pass(gate, `${input.lane.region} has ${input.rollout.version} for ${platform} ${since}`);
    case 'unknown':
      return wait(gate, { reason: 'availability_unknown', detail, remedy });
    case 'absent':
      return wait(gate, { reason: 'not_available', detail, remedy });
  }
}
