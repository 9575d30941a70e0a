// The gates of a step that has opened: what it must show while it is open, while it soaks, and what a person must say.
import { assert } from '../errors.ts';
import { approvalsOf, type Consent, consentTo, expiryOf, namesOf, sayConsent } from './approval.ts';
import { objectionToGrant } from './availability.ts';
import { ceilingGates } from './ceilings.ts';
import { brakeFor } from './directives.ts';
import { floorGates } from './floor-gate.ts';
import { type AskedGate, type AskGate, act, fail, instantOf, numberOf, pass, pend, wait } from './gate.ts';
import { haltReason, holdCount, isAgainstRelease, silenceOf } from './lane-verdict.ts';
import { releaseOf } from './lookup.ts';
import { doubtOf, metricGates, metricNotes } from './metric-gates.ts';
import { availabilityOf, brakeGate, censusOf, grantWindowGate, nextStepGates } from './opening-gates.ts';
import type { LaneInput } from './plan-lane.ts';
import type { StepPolicy } from './policy.ts';
import { neededOf, presenceOf } from './presence.ts';
import type { Step, StepCounters } from './rollout.ts';
import type { LaneCensus } from './snapshot.ts';
import { type Silence, type Verdict, verdict } from './verdict.ts';

/** Brake, window, ceilings and availability stop grants, so they are asked only while successes are still needed. */
export function openGates(input: LaneInput, step: Step): AskGate[] {
  if (step.done) return [() => doneGate(input, step)];
  const evidence = [
    () => seatsGate(input, step),
    () => budgetGate(input, step),
    () => silenceGate(input, step),
    () => inconclusiveGate(input, step),
  ];
  if (withoutSetbacks(input, step).kind === 'done') return [...evidence, () => doneGate(input, step)];
  return [
    ...evidence,
    () => reachGate(input, step),
    () => brakeGate(input),
    () => grantWindowGate(input),
    ...ceilingGates(input.snapshot.ceilings, input.now),
    ...(censusOf(input)?.platforms ?? []).map((platform) => () => stillThereGate(input, platform)),
    ...floorGates(input),
    () => membersGate(input, step),
  ];
}

/** `startedMs`: the observed instant at which the soak began. */
export function soakGates(input: LaneInput, step: Step, startedMs: number): AskGate[] {
  const policy = input.rollout.policy.steps[step.step];
  assert(policy !== undefined, `step ${step.step} is in the policy`);
  const leftMs = policy.soakMs - (input.snapshot.observedMs - startedMs);
  return [
    () => brakeGate(input),
    () => soakGate(input, step, leftMs),
    () => presentGate(input, step, leftMs, policy),
    ...metricGates(input, step),
    () => askGate(input, step, policy),
    ...nextStepGates(input),
  ];
}

export function approvalGates(input: LaneInput, step: number): AskGate[] {
  return [
    ...metricNotes(input, step),
    () => approvalGate(input, step),
    () => brakeGate(input),
    ...nextStepGates(input),
  ];
}

/** Members that are gone give their seats to the next by rank while there are any; the size and the budget stay. */
function seatsGate(input: LaneInput, step: Step): AskedGate {
  const { snapshot, lane, rollout } = input;
  const { gone = 0, replaceable = 0 } = seenIn(censusOf(input), step) ?? {};
  if (gone === 0) return pass('seats', `no member of ${nameOf(step)} has gone silent`);
  const silent = `${numberOf(gone, 'member')} of ${nameOf(step)} went silent`;
  if (brakeFor(snapshot.brakes, rollout.product, lane.region) !== undefined)
    return pass('seats', `${silent}; seats stay as they are under a brake`);
  const count = Math.min(gone, replaceable);
  if (count <= 0) return pass('seats', `${silent}; no other agent could take a seat`);
  const action = { kind: 'replace_members', laneId: lane.id, step: step.step, count } as const;
  return act('seats', 'wait', `${silent}; passes when the next by rank have taken the seats`, action);
}

/**
 * The rules of the verdict one by one: each gate asks it again as if the rules before had nothing to object to, so that
 * what stands behind the first that stops the step can be shown too.
 */
function verdictIf(
  { rollout, lane }: LaneInput,
  { size }: Step,
  { counters, silence }: { counters: StepCounters; silence: Silence },
): Verdict {
  return verdict(size, counters, silence, rollout.policy, lane.allowance);
}

const withinBudget = (input: LaneInput, step: Step) =>
  verdictIf(input, step, { counters: withoutBad(step.counters), silence: silenceIn(input, step) });
const withoutSilence = (input: LaneInput, step: Step) =>
  verdictIf(input, step, { counters: withoutBad(step.counters), silence: replaced(silenceIn(input, step)) });
const withoutSetbacks = (input: LaneInput, step: Step) =>
  verdictIf(input, step, { counters: onlyGood(step.counters), silence: replaced(silenceIn(input, step)) });

// Copied only where something is to be left out: nearly every step that is open has nothing of all this.

function withoutBad(counters: StepCounters): StepCounters {
  return counters.bad === 0 ? counters : { ...counters, bad: 0 };
}

function onlyGood(counters: StepCounters): StepCounters {
  const { declined, failedBeforeGrant, inconclusive } = counters;
  if (declined + failedBeforeGrant + inconclusive === 0) return withoutBad(counters);
  return { ...counters, bad: 0, declined: 0, failedBeforeGrant: 0, inconclusive: 0 };
}

function replaced(silence: Silence): Silence {
  return silence.replaceable > 0 ? silence : { ...silence, replaceable: 1 };
}

function budgetGate(input: LaneInput, step: Step): AskedGate {
  const found = verdictIf(input, step, { counters: step.counters, silence: silenceIn(input, step) });
  const { bad } = step.counters;
  if (found.kind !== 'halt') return pass('budget', `${bad} bad of ${found.budget} that halt ${nameOf(step)}`);
  const reason = haltReason(step, found.budget);
  const veto = isAgainstRelease(step, found.budget);
  const action = { kind: 'halt_lane', laneId: input.lane.id, reason, veto } as const;
  return { ...act('budget', 'wait', reason, action), result: 'fail' };
}

function silenceGate(input: LaneInput, step: Step): AskedGate {
  const found = withinBudget(input, step);
  const { gone } = silenceIn(input, step);
  if (!holds(found, 'silent')) return pass('silence', `${gone} of ${numberOf(step.size, 'member')} went silent`);
  const remedy = `passes when more of the ${gone} silent ones check in again, or a person accepts their silence`;
  return wait('silence', { reason: 'silent', detail: counted(input, step, found), remedy });
}

function inconclusiveGate(input: LaneInput, step: Step): AskedGate {
  const found = withoutSilence(input, step);
  const { declined, failedBeforeGrant, inconclusive } = step.counters;
  const setbacks = declined + failedBeforeGrant + inconclusive;
  if (!holds(found, 'inconclusive')) {
    return pass('inconclusive', `${setbacks} of ${numberOf(step.size, 'member')} ended without a verdict`);
  }
  const remedy =
    'passes when they succeed at another try, or a person accepts them; a newer release takes this one’s place';
  return wait('inconclusive', { reason: 'inconclusive', detail: counted(input, step, found), remedy });
}

function reachGate(input: LaneInput, step: Step): AskedGate {
  const found = withoutSetbacks(input, step);
  if (!holds(found, 'too_few_successes')) return pass('within_reach', 'enough members can still succeed');
  const remedy =
    'a person decides: accept what is missing, or halt and retry it; a newer release takes this one’s place';
  return fail('within_reach', { reason: 'too_few_successes', detail: counted(input, step, found), remedy });
}

function holds(found: Verdict, reason: string): found is Extract<Verdict, { kind: 'hold' }> {
  return found.kind === 'hold' && found.reason === reason;
}

function counted(input: LaneInput, step: Step, found: Extract<Verdict, { kind: 'hold' }>): string {
  return `${nameOf(step)}: ${holdCount(step, found, silenceIn(input, step))}`;
}

function silenceIn({ snapshot, lane }: LaneInput, step: Step): Silence {
  return silenceOf(snapshot.lanes, lane.id, step.step);
}

/** Who has it already goes on; nothing more is granted where it has turned absent, or nobody knew when the lane opened. */
function stillThereGate(input: LaneInput, platform: string): AskedGate {
  const row = availabilityOf(input, platform);
  const what = `${input.rollout.version} for ${platform}`;
  const reason = objectionToGrant(row, input.lane.steps[0]?.openedAt ?? input.now);
  if (row === undefined) {
    const detail = `${platform}: not probed yet`;
    return wait('availability', {
      reason: 'availability_unknown',
      detail,
      remedy: 'passes when a probe finds it there',
    });
  }
  const since = `since ${instantOf(row.since)}`;
  if (reason !== undefined) {
    const again = reason === 'not_available' ? ' again' : '';
    const remedy = `so ${since}; passes when a probe finds it there${again}`;
    return wait('availability', { reason, detail: `${platform}: ${row.why}`, remedy });
  }
  if (row.status === 'available') return pass('availability', `${input.lane.region} has ${what} ${since}`);
  const why = `${row.why}, ${since}`;
  return pass('availability', `nobody knows now whether ${input.lane.region} has ${what} (${why}): it goes on`);
}

function membersGate(input: LaneInput, step: Step): AskedGate {
  const { need } = withoutSetbacks(input, step);
  const { succeeded, hot } = step.counters;
  const busy = hot === 0 ? '' : `, ${numberOf(hot, 'agent')} at it now`;
  const members = `${succeeded} of ${numberOf(step.size, 'member')} of ${nameOf(step)} succeeded so far${busy}`;
  return pend('members', `${members}; passes at ${need} with nobody at it`);
}

function doneGate({ lane }: LaneInput, step: Step): AskedGate {
  const members = `${step.counters.succeeded} of ${numberOf(step.size, 'member')}`;
  const sentence = `${nameOf(step)} is done: ${members} succeeded`;
  return act('members', 'pass', sentence, { kind: 'start_soak', laneId: lane.id, step: step.step });
}

function soakGate({ now }: LaneInput, step: Step, leftMs: number): AskedGate {
  if (leftMs <= 0) return pass('soak', `${nameOf(step)} has soaked for as long as the policy wants`);
  const remedy = 'passes when its time is up, counted while a server is up';
  return wait('soak', { reason: 'soaking', detail: nameOf(step), until: now + leftMs, remedy });
}

function presentGate(input: LaneInput, step: Step, leftMs: number, { soakMs }: StepPolicy): AskedGate {
  const seen = seenIn(censusOf(input), step);
  // The roster counts a step that has just opened in the next pass.
  if (seen === undefined) return pend('present', `the members of ${nameOf(step)} are being counted`);
  const { state } = input.lane;
  const accepted = state.name === 'soaking' ? (state.accepted ?? 0) : 0;
  const said = accepted === 0 ? '' : `, and a person has accepted ${accepted} that are away`;
  const detail = `${seen.updatedPresent} of ${seen.updated} updated agents of ${nameOf(step)} are present${said}`;
  const remedy = `passes when ${neededOf(seen.updated) - accepted} of them are`;
  const found = presenceOf(seen, { accepted, soakedMs: soakMs - leftMs, soakMs });
  switch (found) {
    case 'present':
      return pass('present', detail);
    case 'away': {
      // As long again is given to those that are away; then it is more than a pause.
      const until = input.now + leftMs + soakMs;
      return wait('present', { reason: 'soaking', detail, until, remedy });
    }
    case 'unheard': {
      const since = `${detail}, ${seen.unheard} not heard yet since the server started`;
      return wait('present', { reason: 'soaking', detail: since, remedy });
    }
    case 'silent': {
      const byHand = `${remedy}, or a person accepts that they are away, or takes them out of the fleet`;
      return wait('present', { reason: 'silent', detail, remedy: byHand });
    }
  }
}

/** Asked only when all else has passed. Who has approved the step before need not be asked again. */
function askGate(input: LaneInput, step: Step, policy: StepPolicy): AskedGate {
  if (!policy.manual) return pass('approval', `the policy asks no person to promote ${nameOf(step)}`);
  const consent = consentOf(input, step.step);
  if (consent.given) return approvedGate(step.step, consent);
  const { approvers } = approvalsOf(input.rollout.policy);
  const who = approvers === 1 ? 'a person' : `${approvers} people`;
  const said = sayConsent(consent);
  const sentence = `after the soak ${who} must promote ${nameOf(step)}${said === undefined ? '' : `: ${said}`}`;
  return act('approval', 'wait', sentence, { kind: 'await_approval', laneId: input.lane.id, step: step.step });
}

function approvalGate(input: LaneInput, step: number): AskedGate {
  const consent = consentOf(input, step);
  if (consent.given) return approvedGate(step, consent);
  const said = sayConsent(consent);
  // The policy asks nobody after this step, so a person would wonder.
  const isManual = input.rollout.policy.steps[step]?.manual === true;
  const doubt = isManual ? '' : `, since ${doubtOf(input, step) ?? 'a metric was in doubt'}`;
  const detail = `step ${step + 1}${doubt}${said === undefined ? '' : `: ${said}`}`;
  const remedy = consent.standing.length > 0 ? 'passes when another person does' : 'passes when a person promotes it';
  return wait('approval', { reason: 'needs_approval', detail, remedy });
}

function approvedGate(step: number, consent: Consent): AskedGate {
  const have = consent.standing.length === 1 ? 'has' : 'have';
  return pass('approval', `${namesOf(consent.standing)} ${have} promoted step ${step + 1}`, expiryOf(consent));
}

function consentOf({ snapshot, rollout, lane, now }: LaneInput, step: number): Consent {
  const release = releaseOf(snapshot.releases, rollout.releaseId);
  return consentTo(lane, step, { policy: rollout.policy, release }, now);
}

function seenIn(census: LaneCensus | undefined, step: Step): LaneCensus['steps'][number] | undefined {
  return census?.steps.find((one) => one.step === step.step);
}

function nameOf(step: Step): string {
  return `step ${step.step + 1}`;
}
