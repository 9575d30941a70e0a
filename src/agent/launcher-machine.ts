// What the launcher does next, as a pure machine over what lies on the disk: no clock, no disk, no process.
import type { UndoCause } from './marker.ts';
import { EXIT_RESTART } from './paths.ts';

/** What the disk says, looked at afresh before every start. */
export interface Look {
  trial:
    | { kind: 'none' }
    /** `current` names the version on trial. `left`: starts that it still has. */
    | { kind: 'trial'; left: number; limitMs: number }
    /** A way back that was begun, or asked for by the version on trial. */
    | { kind: 'undoing'; cause: UndoCause };
  /** The entry that `current` names is sealed and as it was sealed. */
  currentSound: boolean;
  previousSound: boolean;
}

export type LauncherState =
  /** Nothing runs; the disk must be looked at. `failures`: bad ends in a row of a proven version. */
  | { kind: 'looking'; failures: number; quickRestarts: number }
  | {
      kind: 'running';
      failures: number;
      quickRestarts: number;
      sinceMs: number;
      /** Null for a proven version. */
      trialEndsAtMs: number | null;
    }
  /** Ended because its time of trial is over. */
  | { kind: 'ending'; failures: number; killAtMs: number }
  | { kind: 'waiting'; failures: number; untilMs: number }
  /** The launcher itself was told to end. */
  | { kind: 'closing'; killAtMs: number }
  | { kind: 'closed' };

export type LauncherEvent =
  | { kind: 'looked'; look: Look; nowMs: number }
  /** `done` false: the disk takes no rename, so that the links stay as they are. */
  | { kind: 'undone'; done: boolean; nowMs: number }
  /** The marker could not be counted down, so nothing was started. */
  | { kind: 'notCounted'; nowMs: number }
  /** `code` null: by a signal, or it could not be started at all. `onTrial`: as the marker says now. */
  | { kind: 'exited'; code: number | null; onTrial: boolean; nowMs: number }
  | { kind: 'tick'; onTrial: boolean; nowMs: number }
  | { kind: 'told'; nowMs: number };

export type LauncherEffect =
  | { kind: 'none' }
  | { kind: 'look' }
  /** `origin`: the version that the marker names as the one to go back to. `counted`: the marker goes down by one first. */
  | { kind: 'start'; from: 'current' | 'previous' | 'origin'; counted: boolean }
  | { kind: 'undo'; cause: UndoCause }
  | { kind: 'terminate' }
  | { kind: 'kill' }
  | { kind: 'close' };

export interface LauncherStep {
  state: LauncherState;
  effect: LauncherEffect;
}

const TRIAL_PAUSE_MS = 200;
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 60_000;
/** Who ran so long does not crash at start. */
const STEADY_MS = 60_000;
/** Between SIGTERM and SIGKILL of a version whose trial is over. */
const END_GRACE_MS = 5000;
/** Between SIGTERM and SIGKILL when the launcher itself is told to end. */
const CLOSE_GRACE_MS = 10_000;
/** So many restarts in a row are made at once; more look like a version that does nothing else. */
const MAX_QUICK_RESTARTS = 5;
const MAX_MARGIN_MS = 5000;

export const LAUNCHER_START: LauncherState = { kind: 'looking', failures: 0, quickRestarts: 0 };

/** How long a version may run unproven, with a margin in which it can give up by itself first; milliseconds. */
export function trialLimitMs(trial: { proveWithinMs: number; stableForMs: number }): number {
  const span = trial.proveWithinMs + trial.stableForMs;
  return span + Math.min(span, MAX_MARGIN_MS);
}

export function launcherStep(state: LauncherState, event: LauncherEvent): LauncherStep {
  switch (event.kind) {
    case 'looked':
      return state.kind === 'looking' ? looked(state, event.look, event.nowMs) : stay(state);
    case 'undone':
      if (state.kind !== 'looking') return stay(state);
      return event.done ? look(0) : start(state, 'origin', event.nowMs);
    case 'notCounted':
      if (state.kind !== 'running') return stay(state);
      return {
        state: { kind: 'looking', failures: state.failures, quickRestarts: 0 },
        effect: { kind: 'undo', cause: 'disk_failed' },
      };
    case 'exited':
      return exited(state, event);
    case 'tick':
      return ticked(state, event);
    case 'told':
      return told(state, event.nowMs);
  }
}

function looked(state: Extract<LauncherState, { kind: 'looking' }>, look: Look, nowMs: number): LauncherStep {
  const { trial, currentSound, previousSound } = look;
  if (trial.kind === 'undoing') return { state, effect: { kind: 'undo', cause: trial.cause } };
  if (trial.kind === 'trial') {
    if (!currentSound) return { state, effect: { kind: 'undo', cause: 'exec_failed' } };
    if (trial.left <= 0) return { state, effect: { kind: 'undo', cause: 'crash_loop' } };
    return start(state, 'current', nowMs, nowMs + trial.limitMs);
  }
  if (!currentSound && !previousSound) return wait(state.failures + 1, nowMs);
  return start(state, currentSound ? 'current' : 'previous', nowMs);
}

function start(
  { failures, quickRestarts }: Extract<LauncherState, { kind: 'looking' }>,
  from: 'current' | 'previous' | 'origin',
  nowMs: number,
  trialEndsAtMs: number | null = null,
): LauncherStep {
  return {
    state: { kind: 'running', failures, quickRestarts, sinceMs: nowMs, trialEndsAtMs },
    effect: { kind: 'start', from, counted: trialEndsAtMs !== null },
  };
}

function exited(
  state: LauncherState,
  { code, onTrial, nowMs }: Extract<LauncherEvent, { kind: 'exited' }>,
): LauncherStep {
  switch (state.kind) {
    case 'running': {
      const steady = nowMs - state.sinceMs >= STEADY_MS;
      const failures = steady ? 0 : state.failures;
      const quickRestarts = steady ? 0 : state.quickRestarts;
      if (code === EXIT_RESTART && quickRestarts < MAX_QUICK_RESTARTS) return look(failures, quickRestarts + 1);
      if (!onTrial) return wait(failures + 1, nowMs);
      return { state: { kind: 'waiting', failures, untilMs: nowMs + TRIAL_PAUSE_MS }, effect: { kind: 'none' } };
    }
    case 'ending':
      return {
        state: { kind: 'looking', failures: state.failures, quickRestarts: 0 },
        effect: { kind: 'undo', cause: 'not_proven_in_time' },
      };
    case 'closing':
      return { state: { kind: 'closed' }, effect: { kind: 'close' } };
    default:
      return stay(state);
  }
}

function ticked(state: LauncherState, { onTrial, nowMs }: Extract<LauncherEvent, { kind: 'tick' }>): LauncherStep {
  switch (state.kind) {
    case 'running':
      if (!onTrial) return stay({ ...state, trialEndsAtMs: null });
      if (state.trialEndsAtMs === null || nowMs < state.trialEndsAtMs) return stay(state);
      return {
        state: { kind: 'ending', failures: state.failures, killAtMs: nowMs + END_GRACE_MS },
        effect: { kind: 'terminate' },
      };
    case 'ending':
    case 'closing':
      return nowMs < state.killAtMs ? stay(state) : { state, effect: { kind: 'kill' } };
    case 'waiting':
      return nowMs < state.untilMs ? stay(state) : look(state.failures);
    default:
      return stay(state);
  }
}

function told(state: LauncherState, nowMs: number): LauncherStep {
  switch (state.kind) {
    case 'running':
    case 'ending':
      return { state: { kind: 'closing', killAtMs: nowMs + CLOSE_GRACE_MS }, effect: { kind: 'terminate' } };
    case 'looking':
    case 'waiting':
      return { state: { kind: 'closed' }, effect: { kind: 'close' } };
    default:
      return stay(state);
  }
}

/** When the machine must be told the time; null for never. */
export function launcherWakeAt(state: LauncherState): number | null {
  if (state.kind === 'running') return state.trialEndsAtMs;
  if (state.kind === 'ending' || state.kind === 'closing') return state.killAtMs;
  return state.kind === 'waiting' ? state.untilMs : null;
}

function wait(failures: number, nowMs: number): LauncherStep {
  const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 20));
  return { state: { kind: 'waiting', failures, untilMs: nowMs + pauseMs }, effect: { kind: 'none' } };
}

function look(failures: number, quickRestarts = 0): LauncherStep {
  return { state: { kind: 'looking', failures, quickRestarts }, effect: { kind: 'look' } };
}

function stay(state: LauncherState): LauncherStep {
  return { state, effect: { kind: 'none' } };
}
