// What people do to a lane: one table of what is legal in which state, and the lane as the verb leaves it.
import { AppError, assert } from '../errors.ts';
import { accept, isAccepted } from './accept.ts';
import { lastStep, withdrawn } from './apply.ts';
import { approve, insteadOfPromote, isPromoted } from './approve.ts';
import { checkRelease } from './check-release.ts';
import { numberOf } from './gate.ts';
import { isMarked } from './lift.ts';
import type { Policy } from './policy.ts';
import type { Presence } from './presence.ts';
import type { Release } from './release.ts';
import {
  isSkipped,
  type Lane,
  type LaneState,
  type LaneStateName,
  moveLane,
  NO_COUNTS,
  type RunningState,
  wordsOf,
} from './rollout.ts';
import { NO_SILENCE, type Silence, verdict } from './verdict.ts';
import { hotIn } from './way-back.ts';

export const LANE_VERBS = [
  'approve',
  'promote',
  'accept',
  'skip-region',
  'pause',
  'resume',
  'halt',
  'retry',
  'cancel',
  'rollback',
] as const;
export type LaneVerb = (typeof LANE_VERBS)[number];

/**
 * `done`: the verb has nothing to do there, and says so without an error. `silent`: only while the soak holds as silent.
 */
const LEGAL: Record<LaneVerb, Partial<Record<LaneStateName, 'does' | 'done' | 'silent'>>> = {
  approve: { open: 'does', soaking: 'does', approval: 'does' },
  promote: { approval: 'does' },
  accept: { halted: 'does', open: 'does', soaking: 'silent' },
  'skip-region': {
    waiting: 'does',
    open: 'does',
    soaking: 'does',
    approval: 'does',
    paused: 'does',
    halted: 'does',
    rolled_back: 'does',
    cancelled: 'does',
  },
  pause: { open: 'does', soaking: 'does', approval: 'does', paused: 'done' },
  resume: { paused: 'does', open: 'done', soaking: 'done', approval: 'done' },
  halt: {
    waiting: 'does',
    open: 'does',
    soaking: 'does',
    approval: 'does',
    paused: 'does',
    rolling_back: 'does',
    halted: 'done',
  },
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
  rollback: {
    open: 'does',
    soaking: 'does',
    approval: 'does',
    paused: 'does',
    halted: 'does',
    completed: 'does',
    cancelled: 'does',
    rolling_back: 'done',
    rolled_back: 'done',
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
  /** The lane's revision that the person saw; null: whatever it is. */
  expectedRevision: number | null;
  /** Outcomes to accept; 0 for other verbs. */
  count: number;
  /** The rollout's. */
  policy: Policy;
  /** As it is now; undefined: it is not known any more. */
  release: Release | undefined;
  /** What the roster knows of the members of a step. */
  silence: (step: number) => Silence;
  /** Who of those that a step has updated is there; undefined: nobody has counted yet. */
  presence: (step: number) => Presence | undefined;
}

/** The states of a lane for which the verb is, in words that follow “lanes that are”. */
function legalStates(verb: LaneVerb): string {
  const words = (Object.keys(LEGAL[verb]) as LaneStateName[]).map((name) => {
    if (LEGAL[verb][name] === 'silent') return `${wordsOf(name)} and held as silent`;
    return name === 'waiting' ? 'waiting for their turn' : wordsOf(name);
  });
  const last = words.pop() as string;
  return words.length === 0 ? last : `${words.join(', ')} or ${last}`;
}

/** Whether the verb does something in that state, or has been done there; undefined: neither. */
export function effectOf(verb: LaneVerb, state: LaneStateName): 'does' | 'done' | 'silent' | undefined {
  return LEGAL[verb][state];
}

export function isLegal(verb: LaneVerb, { state, back }: Pick<Lane, 'state' | 'back'>): boolean {
  return LEGAL[verb][state.name] !== undefined && !(FORWARD.has(verb) && back.length > 0);
}

/** Not for a lane that was rolled back: who proved the release there does not run it any more. */
const FORWARD: ReadonlySet<LaneVerb> = new Set(['accept', 'retry']);

/**
 * The lane as the verb leaves it, or undefined where it has nothing to do. Throws `illegal_transition` where the table
 * does not have it, `conflict` when the lane is not in the step that the person saw.
 */
export function applyVerb(lane: Lane, verb: LaneVerb, input: VerbInput): Lane | undefined {
  if ((verb === 'promote' || verb === 'approve') && isPromoted(lane, input)) return undefined;
  if (verb === 'accept' && isAccepted(lane, input)) return undefined;
  if (verb === 'retry' && isRetried(lane, input.policy)) return undefined;
  checkRevision(lane, verb, input.expectedRevision);
  const legal = LEGAL[verb][lane.state.name];
  if (legal === undefined) {
    throw new AppError('illegal_transition', `${verb}: the lane in ${lane.region} is ${wordsOf(lane.state.name)}`, {
      hint: (verb === 'promote' && insteadOfPromote(lane, input)) || insteadOf(verb, [lane]),
    });
  }
  if (!isLegal(verb, lane)) {
    throw new AppError('illegal_transition', `${verb}: the lane in ${lane.region} has halted on its way back`, {
      hint: 'Roll it back again, with failures forgiven, or cancel it; what mends the release goes out under a higher version.',
    });
  }
  checkStep(lane, input.expectedStep);
  if (verb === 'halt' && isMarked(lane.state)) return haltForGood(lane, input);
  return legal === 'done' ? undefined : HANDLERS[verb](lane, input);
}

/** What a person is told who wants the verb of lanes for which it is not. */
export function insteadOf(verb: LaneVerb, lanes: readonly Pick<Lane, 'state'>[]): string {
  const isEverywhere = verb === 'halt' && lanes.some(({ state }) => state.name === 'completed');
  if (!isEverywhere) return `${verb} is for lanes that are ${legalStates(verb)}.`;
  return 'It has gone out there: `rollout rollback` takes it back, `release veto` keeps it from everybody else, and `rollout halt --baseline` from newcomers.';
}

/**
 * It has been retried, and nothing has come to stand against it since: this is a request whose reply was lost, or somebody
 * else was quicker.
 */
export function isRetried({ kind, state, budgetEpoch, steps, allowance }: Lane, policy: Policy): boolean {
  if (budgetEpoch === 0 || !AFTER_RETRY.has(state.name)) return false;
  if (kind === 'baseline') return true;
  const found = steps.map((step) =>
    step.done ? 'done' : verdict(step.size, step.counters, NO_SILENCE, policy, allowance).kind,
  );
  return found.every((one) => one !== 'halt' && one !== 'hold');
}

const AFTER_RETRY: ReadonlySet<LaneStateName> = new Set(['waiting', 'open', 'soaking', 'approval']);

/** `expectedStep`: the one that the person saw, null: whatever it is. Throws `conflict` when the lane is not in it. */
export function checkStep(lane: Lane, expectedStep: number | null): void {
  const step = lastStep(lane);
  if (expectedStep === null || expectedStep === step) return;
  const at = step === null ? 'in no step' : `in step ${step + 1}`;
  throw new AppError('conflict', `the lane in ${lane.region} is ${at}, not in step ${expectedStep + 1}`);
}

/** What would have gone on by itself waits for a person now. */
function haltForGood(lane: Lane, { actor, reason }: VerbInput): Lane {
  const { since } = lane.state;
  return {
    ...lane,
    state: { name: 'halted', since, by: actor, reason, step: lastStep(lane) },
    revision: lane.revision + 1,
  };
}

const HANDLERS: Record<LaneVerb, (lane: Lane, input: VerbInput) => Lane | undefined> = {
  approve,
  promote: approve,
  accept,
  'skip-region': skipRegion,
  pause,
  resume,
  halt,
  retry,
  cancel,
  // Where to is not the lane's to know: see roll-back.ts.
  rollback: () => {
    throw new Error('assertion failed: a rollback is planned with the whole snapshot');
  },
};

/** What the person saw is not there any more, whatever has moved. */
export function checkRevision(lane: Lane, verb: LaneVerb, expected: number | null): void {
  if (expected === null || expected === lane.revision) return;
  const text = `${verb}: the lane in ${lane.region} is at revision ${lane.revision}, not ${expected}`;
  throw new AppError('revision_mismatch', text);
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

/** The wave goes on without the lane, which ends where it has not: what has been done there stays. */
function skipRegion(lane: Lane, { actor, reason, now }: VerbInput): Lane | undefined {
  const { state } = lane;
  if (isSkipped(state)) return undefined;
  if (state.name === 'cancelled' || state.name === 'rolled_back')
    return { ...lane, state: { ...state, skipped: true }, revision: lane.revision + 1 };
  return withdrawn(moveLane(lane, { name: 'cancelled', since: now, by: actor, reason, skipped: true }));
}

/**
 * A new budget epoch: what went bad does not count any more, what succeeded still does, since those agents have nothing
 * left to prove.
 */
function retry(lane: Lane, { now, release }: VerbInput): Lane {
  checkRelease('retry', release);
  const hot = hotIn(lane);
  if (hot > 0) {
    const hint = 'Wait until none is: each ends by itself.';
    const still = `${numberOf(hot, 'attempt')} of the lane in ${lane.region} ${hot === 1 ? 'is' : 'are'} still at risk`;
    throw new AppError('conflict', still, { hint });
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
  // Whoever approved the step has not seen what made it halt.
  return { ...moveLane(lane, state), steps, budgetEpoch: lane.budgetEpoch + 1, approvals: [] };
}
