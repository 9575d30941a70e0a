// One product's attempt on this host, as a pure machine: no clock, no disk, no network. The runner journals the state
// that comes out and then performs the effect, so that whoever starts next can carry on from the journal.
import type { AttemptReport, OutcomeCause, RunningProduct } from '../protocol/agent.ts';
import type { UndoCause } from './marker.ts';
import { isTarget, type Order, type Outcome, type TrialResult } from './order.ts';

/** Times are milliseconds of the process's monotonic clock; they are set anew when a process starts. */
export type State =
  | { kind: 'idle' }
  /** Download, verify, unpack, self-test, seal. */
  | { kind: 'staging'; order: Order; sinceMs: number }
  /** Sealed on disk; waits for the permission to activate. */
  | { kind: 'staged'; order: Order }
  /** The permission is there: way back and marker are made, `current` is flipped. */
  | { kind: 'activating'; order: Order; sinceMs: number }
  /** The new version runs and must show that it can: `goodSinceMs` is its first good check-in. */
  | { kind: 'proving'; order: Order; sinceMs: number; goodSinceMs: number | null; trouble: Trouble }
  /** Undone because it was not proven in time; this version's own first check-in tells whether the network was it. */
  | { kind: 'judging'; order: Order; detail: string | null }
  /** Reported until the server has acknowledged it. */
  | { kind: 'ended'; order: Order; outcome: Outcome };

/** What the latest check-in of a version on trial met with. */
export type Trouble = 'none' | 'throttled' | 'unhealthy';

export type Event =
  | { kind: 'started'; running: RunningProduct; trial: TrialResult; nowMs: number }
  /** A trusted instruction that nothing on this host speaks against. */
  | { kind: 'stageOrdered'; order: Order; nowMs: number }
  | { kind: 'activateOrdered'; attempt: string; nowMs: number }
  | { kind: 'withdrawOrdered'; attempt: string }
  /** A trusted instruction that this host does not follow. */
  | { kind: 'declined'; order: Order; cause: OutcomeCause; detail: string }
  | { kind: 'staged'; attempt: string }
  | { kind: 'stageFailed'; attempt: string; cause: OutcomeCause; detail: string }
  | { kind: 'flipped'; attempt: string }
  | { kind: 'flipFailed'; attempt: string; cause: OutcomeCause; detail: string }
  /** A 2xx reply to this process's own nonce; `healthy` says how the local checks stand. */
  | { kind: 'checkedIn'; healthy: boolean; nowMs: number }
  | { kind: 'checkInFailed'; throttled: boolean; nowMs: number }
  | { kind: 'tick'; nowMs: number }
  | { kind: 'confirmed'; attempt: string }
  | { kind: 'acknowledged'; attempt: string; state: string };

export type Effect =
  | { kind: 'none' }
  | { kind: 'stage'; order: Order }
  /** Removes what was staged of an attempt that will not go on, and a marker that was made for it. */
  | { kind: 'discard'; order: Order }
  /** The activation was interrupted before the flip: marker and way back go, the staged version stays. */
  | { kind: 'unprepare'; order: Order }
  | { kind: 'activate'; order: Order }
  | { kind: 'restart' }
  | { kind: 'confirm'; order: Order }
  | { kind: 'undo'; order: Order; cause: UndoCause }
  /** After an outcome: lists and links brought in line with it, what is not needed removed. Idempotent. */
  | { kind: 'settle'; order: Order; outcome: Outcome };

export interface Step {
  state: State;
  effect: Effect;
}

const NONE: Effect = { kind: 'none' };
const IDLE: State = { kind: 'idle' };
/** How long past its time a trial may run before this side gives up; the launcher waits twice that. */
const MAX_MARGIN_MS = 2500;
/** Proven, and before that was told the disk lost it, so that the launcher had to start the version before it. */
const FELL_BACK: Outcome = {
  state: 'inconclusive',
  cause: 'disk_failed',
  detail: 'the version was proven and could not be started any more',
};

/** An event that does not fit the state changes nothing: the level that it came from is looked at again anyway. */
export function step(state: State, event: Event): Step {
  switch (event.kind) {
    case 'started':
      return started(state, event);
    case 'stageOrdered':
      return ordered(state, event.order, { kind: 'staging', order: event.order, sinceMs: event.nowMs });
    case 'declined':
      return declined(state, event);
    case 'activateOrdered':
      if (state.kind !== 'staged' || state.order.attempt !== event.attempt) return stay(state);
      return {
        state: { kind: 'activating', order: state.order, sinceMs: event.nowMs },
        effect: { kind: 'activate', order: state.order },
      };
    case 'withdrawOrdered':
      if (!isBeforeGrant(state) || state.order.attempt !== event.attempt) return stay(state);
      return { state: IDLE, effect: { kind: 'discard', order: state.order } };
    case 'staged':
      if (state.kind !== 'staging' || state.order.attempt !== event.attempt) return stay(state);
      return { state: { kind: 'staged', order: state.order }, effect: NONE };
    case 'stageFailed':
      if (state.kind !== 'staging' || state.order.attempt !== event.attempt) return stay(state);
      return end(state.order, { state: 'failed', cause: event.cause, detail: event.detail });
    case 'flipped':
      if (state.kind !== 'activating' || state.order.attempt !== event.attempt) return stay(state);
      return { state, effect: { kind: 'restart' } };
    case 'flipFailed':
      if (state.kind !== 'activating' || state.order.attempt !== event.attempt) return stay(state);
      return end(state.order, { state: 'failed', cause: event.cause, detail: event.detail });
    case 'checkedIn':
      return checkedIn(state, event.healthy, event.nowMs);
    case 'checkInFailed':
      return checkInFailed(state, event.throttled, event.nowMs);
    case 'tick':
      return ticked(state, event.nowMs);
    case 'confirmed':
      if (state.kind !== 'proving' || state.order.attempt !== event.attempt) return stay(state);
      return end(state.order, { state: 'succeeded' });
    case 'acknowledged': {
      const fits = state.kind === 'ended' && state.order.attempt === event.attempt;
      return fits && state.outcome.state === event.state ? { state: IDLE, effect: NONE } : stay(state);
    }
  }
}

/** What a check-in says of the attempt; undefined when there is none. */
export function reportOf(state: State): AttemptReport | undefined {
  if (state.kind === 'idle') return undefined;
  const { attempt: id, product, version, digest } = state.order;
  const common = { id, product, version, digest };
  if (state.kind === 'ended') return { ...common, ...state.outcome };
  if (state.kind === 'staging') return { ...common, state: 'offered' };
  return { ...common, state: state.kind === 'judging' ? 'proving' : state.kind };
}

/** When the machine must be looked at next although nothing happens, on the clock of its times; null for never. */
export function wakeAt(state: State): number | null {
  if (state.kind === 'staging') return state.sinceMs + state.order.stageWithinMs;
  if (state.kind !== 'proving') return null;
  if (state.goodSinceMs !== null) return state.goodSinceMs + state.order.stableForMs;
  return state.sinceMs + state.order.proveWithinMs;
}

function started(state: State, event: Extract<Event, { kind: 'started' }>): Step {
  switch (state.kind) {
    case 'idle':
    case 'staged':
      return stay(state);
    case 'staging':
      return { state: { ...state, sinceMs: event.nowMs }, effect: { kind: 'stage', order: state.order } };
    case 'judging':
      return stay(state);
    case 'ended':
      if (state.outcome.state === 'succeeded' && !isTarget(state.order, event.running))
        return end(state.order, FELL_BACK);
      return { state, effect: { kind: 'settle', order: state.order, outcome: state.outcome } };
    case 'activating':
    case 'proving':
      return startedInTrial(state, event);
  }
}

function startedInTrial(
  state: Extract<State, { kind: 'activating' | 'proving' }>,
  { running, trial, nowMs }: Extract<Event, { kind: 'started' }>,
): Step {
  const { order } = state;
  if (trial.kind === 'proven') return end(order, isTarget(order, running) ? { state: 'succeeded' } : FELL_BACK);
  if (trial.kind === 'undone') return undone(order, trial.cause, trial.detail);
  if (isTarget(order, running)) {
    return { state: { kind: 'proving', order, sinceMs: nowMs, goodSinceMs: null, trouble: 'none' }, effect: NONE };
  }
  // The flip did not happen. The permission may be void by now (a halt, a reboot), so it is asked for again.
  if (state.kind === 'activating') return { state: { kind: 'staged', order }, effect: { kind: 'unprepare', order } };
  return end(order, { state: 'inconclusive', cause: 'interrupted', detail: 'the version on trial is not running' });
}

function undone(order: Order, cause: UndoCause, detail: string | null): Step {
  if (cause === 'not_proven_in_time') return { state: { kind: 'judging', order, detail }, effect: NONE };
  const isOfTheHost = cause === 'network_down' || cause === 'disk_failed';
  const state = isOfTheHost ? 'inconclusive' : 'rolled_back';
  return end(order, detail === null ? { state, cause } : { state, cause, detail });
}

/** A newer order replaces one that is not activated yet; the server has let go of the older one. */
function ordered(state: State, order: Order, next: State): Step {
  if (state.kind === 'idle') return { state: next, effect: { kind: 'stage', order } };
  if (!isBeforeGrant(state) || state.order.attempt === order.attempt) return stay(state);
  return { state: next, effect: { kind: 'stage', order } };
}

function declined(state: State, { order, cause, detail }: Extract<Event, { kind: 'declined' }>): Step {
  const outcome: Outcome = { state: 'declined', cause, detail };
  if (state.kind === 'idle') return { state: { kind: 'ended', order, outcome }, effect: NONE };
  return isBeforeGrant(state) ? end(order, outcome) : stay(state);
}

function checkedIn(state: State, healthy: boolean, nowMs: number): Step {
  if (state.kind === 'judging') {
    const { order, detail } = state;
    const outcome: Outcome = { state: 'rolled_back', cause: 'not_proven_in_time' };
    return end(order, detail === null ? outcome : { ...outcome, detail });
  }
  if (state.kind !== 'proving') return stay(state);
  if (!healthy) return ticked({ ...state, goodSinceMs: null, trouble: 'unhealthy' }, nowMs);
  const goodSinceMs = state.goodSinceMs ?? nowMs;
  const next: State = { ...state, goodSinceMs, trouble: 'none' };
  const stable = nowMs - goodSinceMs >= state.order.stableForMs;
  return { state: next, effect: stable ? { kind: 'confirm', order: state.order } : NONE };
}

function checkInFailed(state: State, throttled: boolean, nowMs: number): Step {
  if (state.kind === 'judging') {
    const detail = 'the server cannot be reached by the version before it either';
    return end(state.order, { state: 'inconclusive', cause: 'network_down', detail });
  }
  if (state.kind !== 'proving') return stay(state);
  return ticked({ ...state, trouble: throttled ? 'throttled' : 'none' }, nowMs);
}

function ticked(state: State, nowMs: number): Step {
  if (state.kind === 'staging' && nowMs - state.sinceMs > state.order.stageWithinMs) {
    return end(state.order, { state: 'failed', cause: 'download_failed', detail: 'not staged in time' });
  }
  if (state.kind !== 'proving') return stay(state);
  const { order, trouble } = state;
  const span = order.proveWithinMs + order.stableForMs;
  const limitMs = state.goodSinceMs === null ? order.proveWithinMs : span + Math.min(span, MAX_MARGIN_MS);
  if (nowMs - state.sinceMs <= limitMs) return stay(state);
  return { state, effect: { kind: 'undo', order, cause: causeOfTrouble(trouble) } };
}

/** Throttling is the server's affair and says nothing about the version. */
function causeOfTrouble(trouble: Trouble): UndoCause {
  if (trouble === 'throttled') return 'network_down';
  return trouble === 'unhealthy' ? 'unhealthy' : 'not_proven_in_time';
}

function isBeforeGrant(state: State): state is Extract<State, { kind: 'staging' | 'staged' }> {
  return state.kind === 'staging' || state.kind === 'staged';
}

function end(order: Order, outcome: Outcome): Step {
  return { state: { kind: 'ended', order, outcome }, effect: { kind: 'settle', order, outcome } };
}

function stay(state: State): Step {
  return { state, effect: NONE };
}
