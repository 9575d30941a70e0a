// All gates of a lane in its present state, in the order in which they are asked; states that stand still have one.
import { assert } from '../errors.ts';
import { backGates } from './back-gates.ts';
import { vetoFor } from './directives.ts';
import { type AskedGate, type AskGate, act, fail, pass, pend, wait } from './gate.ts';
import { isIdleLane } from './idle-lane.ts';
import { verdictOf } from './lane-verdict.ts';
import { liftOf } from './lift.ts';
import { openingGates } from './opening-gates.ts';
import type { LaneInput } from './plan-lane.ts';
import { whyNotRolledBack } from './roll-back.ts';
import type { Lane, LaneState, Step } from './rollout.ts';
import { approvalGates, openGates, soakGates } from './step-gates.ts';

export function gatesOf(input: LaneInput): AskGate[] {
  const { state } = input.lane;
  switch (state.name) {
    case 'waiting':
      return openingGates(input);
    case 'open':
      return openGates(input, stepNamed(input.lane, state.step));
    case 'soaking':
      return soakGates(input, stepNamed(input.lane, state.step), state.observedMs);
    case 'approval':
      return approvalGates(input, state.step);
    case 'rolling_back':
      return backGates(input, state.to);
    default:
      return [() => stateGate(input, state)];
  }
}

type StandingState = Exclude<LaneState, { name: 'waiting' | 'open' | 'soaking' | 'approval' | 'rolling_back' }>;

function stateGate(input: LaneInput, state: StandingState): AskedGate {
  switch (state.name) {
    case 'paused':
      return wait('paused', { reason: 'paused', detail: state.reason, remedy: 'goes on when a person resumes it' });
    case 'halted': {
      const lift = liftOf(input);
      if (lift !== undefined) return act('halted', 'wait', 'the release is back on GitHub as it was: it goes on', lift);
      if (state.lift !== undefined) {
        const remedy =
          'goes on by itself once the release is back on GitHub as it was and nothing else goes out here; a person can ' +
          'retry it then; a newer release takes this one’s place';
        return fail('halted', { reason: 'halted', detail: state.reason, remedy });
      }
      const remedy = `goes on when ${haltRemedy(input)}; a newer release takes this one’s place`;
      const stays = whyNotRolledBack(input);
      const detail = stays === undefined ? state.reason : `${state.reason}; ${stays}`;
      return fail('halted', { reason: 'halted', detail, remedy });
    }
    case 'completed':
      if (state.evidence) return pass('completed', 'it has completed');
      return pass('completed', `it has completed: ${isIdleLane(input) ? NOBODY_COULD : 'there was nothing to do'}`);
    case 'rolled_back':
      return ended('rolled_back', `it was rolled back to ${state.to}`);
    case 'superseded': {
      const newer = input.snapshot.rollouts.find((one) => one.id === state.by);
      return ended('superseded', `${newer?.version ?? state.by} has taken its place`);
    }
    case 'cancelled':
      return ended(
        'cancelled',
        `${state.by} has ${state.skipped ? 'skipped the region' : 'cancelled it'}: ${state.reason}`,
      );
  }
}

const NOBODY_COULD = 'nobody here could take the release; it waits for its turn again once somebody can';

function haltRemedy(input: LaneInput): string {
  const { snapshot, rollout, lane } = input;
  if (lane.back.length > 0) return 'a person rolls it back again';
  const veto = vetoFor(snapshot.vetoes, rollout.product, rollout.version);
  if (veto?.automatic === false) return `the veto of ${veto.actor} is lifted and a person retries it`;
  return input.lane.steps.some((step) => isAcceptable(input, step))
    ? 'a person retries it, or accepts what went bad'
    : 'a person retries it';
}

/** Outcomes have halted it, or hold it: a metric, or a word against the release, cannot be accepted. */
function isAcceptable(input: LaneInput, step: Step): boolean {
  const { kind } = verdictOf(input, step);
  return kind === 'halt' || (kind === 'hold' && step === input.lane.steps.at(-1));
}

function ended(gate: string, sentence: string): AskedGate {
  return { ...pend(gate, sentence), result: 'fail' };
}

function stepNamed(lane: Lane, step: number): Step {
  const found = lane.steps.find((one) => one.step === step);
  assert(found !== undefined, `step ${step} of lane ${lane.id} is open`);
  return found;
}
