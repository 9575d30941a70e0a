// What people do to a lane: one table of what is legal in which state, and the lane as the verb leaves it.
import { AppError, assert } from '../errors.ts';
import { lastStep, withdrawn } from './apply.ts';
import {
  type Lane,
  type LaneState,
  type LaneStateName,
  moveLane,
  NO_COUNTS,
  type RunningState,
  wordsOf,
} from './rollout.ts';

export const LANE_VERBS = ['promote', 'pause', 'resume', 'halt', 'retry', 'cancel'] as const;
export type LaneVerb = (typeof LANE_VERBS)[number];

/** `done`: the verb has nothing to do there, and says so without an error. */
const LEGAL: Record<LaneVerb, Partial<Record<LaneStateName, 'does' | 'done'>>> = {
  promote: { approval: 'does' },
  pause: { open: 'does', soaking: 'does', approval: 'does', paused: 'done' },
  resume: { paused: 'does', open: 'done', soaking: 'done', approval: 'done' },
  halt: { waiting: 'does', open: 'does', soaking: 'does', approval: 'does', paused: 'does', halted: 'done' },
  retry: { halted: 'does' },
  cancel: {
    waiting: 'does',
    open: 'does',
    soaking: 'does',
    approval: 'does',
    paused: 'does',
    halted: 'does',
    cancelled: 'done',
  },
};

export interface VerbInput {
  actor: string;
  reason: string;
  /** Milliseconds since the epoch. */
  now: number;
  observedMs: number;
  /** The step that the person saw, from 0; null: whatever it is. A promotion must name it. */
  expectedStep: number | null;
  /** By step of the rollout's policy: whether it is passed by a promotion. */
  manual: readonly boolean[];
}

/**
 * The lane has passed the step that is to be promoted: a manual step is passed by a promotion alone, so this is one whose
 * reply was lost.
 */
export function isPromoted(lane: Lane, { expectedStep, manual }: Pick<VerbInput, 'expectedStep' | 'manual'>): boolean {
  if (expectedStep === null || manual[expectedStep] !== true) return false;
  const opened = lane.steps.find((one) => one.step === expectedStep);
  const last = lastStep(lane);
  return opened?.done === true && last !== null && (last > expectedStep || lane.state.name === 'completed');
}

/** The states of a lane for which the verb is, in words that follow “lanes that are”. */
export function legalStates(verb: LaneVerb): string {
  const words = (Object.keys(LEGAL[verb]) as LaneStateName[]).map((name) =>
    name === 'waiting' ? 'waiting for their turn' : wordsOf(name),
  );
  const last = words.pop() as string;
  return words.length === 0 ? last : `${words.join(', ')} or ${last}`;
}

export function isLegal(verb: LaneVerb, state: LaneStateName): boolean {
  return LEGAL[verb][state] !== undefined;
}

/**
 * The lane as the verb leaves it, or undefined where it has nothing to do. Throws `illegal_transition` where the table
 * does not have it, `conflict` when the lane is not in the step that the person saw.
 */
export function applyVerb(lane: Lane, verb: LaneVerb, input: VerbInput): Lane | undefined {
  if (verb === 'promote' && isPromoted(lane, input)) return undefined;
  const legal = LEGAL[verb][lane.state.name];
  if (legal === undefined) {
    throw new AppError('illegal_transition', `${verb}: the lane in ${lane.region} is ${wordsOf(lane.state.name)}`, {
      hint: `${verb} is for lanes that are ${legalStates(verb)}.`,
    });
  }
  const step = lastStep(lane);
  if (input.expectedStep !== null && input.expectedStep !== step) {
    const at = step === null ? 'in no step' : `in step ${step + 1}`;
    throw new AppError('conflict', `the lane in ${lane.region} is ${at}, not in step ${input.expectedStep + 1}`);
  }
  return legal === 'done' ? undefined : HANDLERS[verb](lane, input);
}

const HANDLERS: Record<LaneVerb, (lane: Lane, input: VerbInput) => Lane | undefined> = {
  promote,
  pause,
  resume,
  halt,
  retry,
  cancel,
};

/** The next step opens by itself, as soon as windows allow. */
function promote(lane: Lane, { actor }: VerbInput): Lane | undefined {
  assert(lane.state.name === 'approval', 'only a lane that waits for approval is promoted');
  if (lane.state.approvedBy !== null) return undefined;
  return { ...lane, state: { ...lane.state, approvedBy: actor }, revision: lane.revision + 1 };
}

function pause(lane: Lane, { actor, reason, now, observedMs }: VerbInput): Lane {
  const resume = lane.state as RunningState;
  const soakedMs = resume.name === 'soaking' ? observedMs - resume.observedMs : 0;
  return moveLane(lane, { name: 'paused', since: now, by: actor, reason, resume, soakedMs });
}

/** A soak goes on where it was: the paused time does not count. */
function resume(lane: Lane, { observedMs }: VerbInput): Lane {
  assert(lane.state.name === 'paused', 'only a paused lane is resumed');
  const { resume: before, soakedMs } = lane.state;
  const state: LaneState = before.name === 'soaking' ? { ...before, observedMs: observedMs - soakedMs } : before;
  return moveLane(lane, state);
}

function halt(lane: Lane, { actor, reason, now }: VerbInput): Lane {
  return withdrawn(moveLane(lane, { name: 'halted', since: now, by: actor, reason, step: lastStep(lane) }));
}

function cancel(lane: Lane, { actor, reason, now }: VerbInput): Lane {
  return withdrawn(moveLane(lane, { name: 'cancelled', since: now, by: actor, reason }));
}

/**
 * A new budget epoch: what went bad does not count any more, what succeeded still does, since those agents have nothing
 * left to prove.
 */
function retry(lane: Lane, { now }: VerbInput): Lane {
  const hot = lane.steps.reduce((sum, one) => sum + one.counters.hot, 0);
  if (hot > 0) {
    const hint = 'Wait until they have ended: each does so by itself.';
    throw new AppError('conflict', `${hot} attempts of the lane in ${lane.region} are still at risk`, { hint });
  }
  const step = lane.steps.at(-1);
  const state: LaneState =
    step === undefined ? { name: 'waiting', since: now } : { name: 'open', step: step.step, since: now };
  const steps = lane.steps.map((one) => ({
    ...one,
    // The step that halted has to be passed again.
    done: one.step !== step?.step && one.done,
    counters: { ...NO_COUNTS, succeeded: one.counters.succeeded },
  }));
  return { ...moveLane(lane, state), steps, budgetEpoch: lane.budgetEpoch + 1 };
}
