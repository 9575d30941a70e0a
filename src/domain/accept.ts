// Accept and continue: a person takes so many bad, missing or silent outcomes upon themselves, and the step goes on.
import { AppError } from '../errors.ts';
import { checkRelease } from './check-release.ts';
import { holdCount } from './lane-verdict.ts';
import { acceptSilence, isSilenceAccepted } from './presence.ts';
import type { Lane, Step } from './rollout.ts';
import { moveLane } from './rollout.ts';
import type { VerbInput } from './verbs.ts';
import { type Verdict, verdict } from './verdict.ts';

/**
 * So much was accepted, and nothing stands against the lane that would need more: this is a request whose reply was lost,
 * though the lane is another one since for those who look at its revision.
 */
export function isAccepted(lane: Lane, input: VerbInput): boolean {
  const { count } = input;
  if (count < 1 || lane.allowance < count) return false;
  if (lane.state.name === 'soaking') return isSilenceAccepted(lane.state, input);
  return lane.state.name === 'open' && objection(lane, input, lane.allowance) === undefined;
}

/**
 * The lane with a larger allowance, open in the step that halted or held. The verdict is asked again: what would still stop the step is refused with
 * `conflict` and the number that it takes, and so is a number beyond the agents that there are. Of a soak only its
 * silence can be accepted.
 */
export function accept(lane: Lane, input: VerbInput): Lane | undefined {
  if (lane.state.name === 'soaking') return acceptSilence(lane, lane.state, input);
  const { count } = input;
  const current = lane.steps.at(-1);
  if (current === undefined) {
    throw refusal(`the lane in ${lane.region} has not opened: no outcome is there to accept`, 'Retry it instead.');
  }
  const against = objection(lane, input, lane.allowance);
  if (against === undefined && lane.state.name === 'open') {
    throw refusal(`nothing stands against ${nameOf(current)} in ${lane.region}`, 'There is nothing to accept.');
  }
  // A metric, or a word against the release, would halt it again at once.
  if (against === undefined && lane.state.name === 'halted' && lane.state.by === 'tidegate') {
    checkRelease('accept', input.release);
    throw refusal(`no outcome halted ${lane.region}, but this: ${lane.state.reason}`, 'Retry it instead.');
  }
  const most = Math.max(...lane.steps.map((step) => Math.max(step.size, step.counters.bad)));
  if (count < 1 || count > most) {
    const least = enoughFrom(lane, input, 1, most);
    const range = least === most ? `Accept ${most}.` : `Accept between ${least} and ${most} outcomes.`;
    const hint = least === undefined ? noNumber(lane) : range;
    throw refusal(`${count} cannot be accepted in ${lane.region}`, hint);
  }
  const left = objection(lane, input, lane.allowance + count);
  if (left !== undefined) throw tooFew(lane, input, left, most);
  const state = { name: 'open', step: current.step, since: input.now } as const;
  const open = lane.state.name === 'open' ? { ...lane, revision: lane.revision + 1 } : moveLane(lane, state);
  return {
    ...open,
    allowance: lane.allowance + count,
    // The step that halted has to be passed again, and whoever approved it has not seen this.
    steps: lane.steps.map((step) => (step === current ? { ...step, done: false } : step)),
    approvals: [],
  };
}

interface Objection {
  step: Step;
  found: Extract<Verdict, { kind: 'halt' | 'hold' }>;
}

/** What stops the lane with this allowance: a budget that any step has spent, or a hold of the present step. */
function objection(lane: Lane, { policy, silence }: VerbInput, allowance: number): Objection | undefined {
  const current = lane.steps.at(-1);
  for (const step of lane.steps) {
    const found = verdict(step.size, step.counters, silence(step.step), policy, allowance);
    if (found.kind === 'halt' || (found.kind === 'hold' && step === current)) return { step, found };
  }
  return undefined;
}

function tooFew(lane: Lane, input: VerbInput, { step, found }: Objection, most: number): AppError {
  const { bad } = step.counters;
  const still =
    found.kind === 'halt'
      ? `${bad} bad of ${found.budget} would still halt ${nameOf(step)}`
      : `${nameOf(step)} would still hold as ${found.reason}, with ${holdCount(step, found, input.silence(step.step))}`;
  const enough = enoughFrom(lane, input, input.count + 1, most);
  const hint = enough === undefined ? noNumber(lane) : `Accept at least ${enough}.`;
  return refusal(`${still} in ${lane.region}`, hint);
}

/** The least number that leaves nothing against the lane; undefined: none does. */
function enoughFrom(lane: Lane, input: VerbInput, from: number, most: number): number | undefined {
  for (let enough = from; enough <= most; enough += 1)
    if (objection(lane, input, lane.allowance + enough) === undefined) return enough;
  return undefined;
}

function noNumber(lane: Lane): string {
  const retry = lane.state.name === 'halted' ? 'Retry it' : 'Halt and retry it';
  return `No number is enough: it takes agents that succeed. ${retry}, or let a newer release take its place.`;
}

function refusal(text: string, hint: string): AppError {
  return new AppError('conflict', `accept: ${text}`, { hint });
}

function nameOf(step: Step): string {
  return `step ${step.step + 1}`;
}
