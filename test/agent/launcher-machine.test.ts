// The launcher's machine: every event in every state, and whole stories of failing versions.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  LAUNCHER_START,
  type LauncherEvent,
  type LauncherState,
  type Look,
  launcherStep,
  launcherWakeAt,
  trialLimitMs,
} from '../../src/agent/launcher-machine.ts';

const SOUND: Look = { trial: { kind: 'none' }, currentSound: true, previousSound: true };
const TRIAL: Look = { ...SOUND, trial: { kind: 'trial', left: 3, limitMs: 1000 } };

const STATES: Record<string, LauncherState> = {
  looking: LAUNCHER_START,
  'running proven': { kind: 'running', failures: 0, quickRestarts: 0, sinceMs: 0, trialEndsAtMs: null },
  'running on trial': { kind: 'running', failures: 0, quickRestarts: 0, sinceMs: 0, trialEndsAtMs: 1000 },
  ending: { kind: 'ending', failures: 0, killAtMs: 6000 },
  waiting: { kind: 'waiting', failures: 1, untilMs: 500 },
  closing: { kind: 'closing', killAtMs: 10_000 },
  closed: { kind: 'closed' },
};

function told(state: LauncherState, event: LauncherEvent): string {
  const next = launcherStep(state, event);
  const same = JSON.stringify(next.state) === JSON.stringify(state) ? '=' : next.state.kind;
  const { kind, ...rest } = next.effect;
  return `${same} / ${[kind, ...Object.values(rest)].join(' ')}`;
}

const EVENTS: Record<string, { event: LauncherEvent; steps: Record<string, string> }> = {
  'looked, all sound': {
    event: { kind: 'looked', look: SOUND, nowMs: 0 },
    steps: { looking: 'running / start current false' },
  },
  'looked, on trial': {
    event: { kind: 'looked', look: TRIAL, nowMs: 0 },
    steps: { looking: 'running / start current true' },
  },
  'looked, no start left': {
    event: { kind: 'looked', look: { ...SOUND, trial: { kind: 'trial', left: 0, limitMs: 1000 } }, nowMs: 0 },
    steps: { looking: '= / undo crash_loop' },
  },
  'looked, trial with a damaged entry': {
    event: { kind: 'looked', look: { ...TRIAL, currentSound: false }, nowMs: 0 },
    steps: { looking: '= / undo exec_failed' },
  },
  'looked, way back begun': {
    event: { kind: 'looked', look: { ...SOUND, trial: { kind: 'undoing', cause: 'unhealthy' } }, nowMs: 0 },
    steps: { looking: '= / undo unhealthy' },
  },
  'looked, current damaged': {
    event: { kind: 'looked', look: { ...SOUND, currentSound: false }, nowMs: 0 },
    steps: { looking: 'running / start previous false' },
  },
  'looked, both damaged': {
    event: { kind: 'looked', look: { ...SOUND, currentSound: false, previousSound: false }, nowMs: 0 },
    steps: { looking: 'waiting / none' },
  },
  'undone, done': { event: { kind: 'undone', done: true, nowMs: 0 }, steps: { looking: '= / look' } },
  'undone, not possible': {
    event: { kind: 'undone', done: false, nowMs: 0 },
    steps: { looking: 'running / start origin false' },
  },
  notCounted: {
    event: { kind: 'notCounted', nowMs: 0 },
    steps: { 'running on trial': 'looking / undo disk_failed', 'running proven': 'looking / undo disk_failed' },
  },
  'exited 1, proven': {
    event: { kind: 'exited', code: 1, onTrial: false, nowMs: 10 },
    steps: {
      'running proven': 'waiting / none',
      'running on trial': 'waiting / none',
      ending: 'looking / undo not_proven_in_time',
      closing: 'closed / close',
    },
  },
  'exited 86': {
    event: { kind: 'exited', code: 86, onTrial: false, nowMs: 10 },
    steps: {
      'running proven': 'looking / look',
      'running on trial': 'looking / look',
      ending: 'looking / undo not_proven_in_time',
      closing: 'closed / close',
    },
  },
  'tick, early': {
    event: { kind: 'tick', onTrial: true, nowMs: 10 },
    steps: {},
  },
  'tick, trial over': {
    event: { kind: 'tick', onTrial: true, nowMs: 1000 },
    steps: { 'running on trial': 'ending / terminate', waiting: 'looking / look' },
  },
  'tick, proven meanwhile': {
    event: { kind: 'tick', onTrial: false, nowMs: 1000 },
    steps: { 'running on trial': 'running / none', waiting: 'looking / look' },
  },
  'tick, grace over': {
    event: { kind: 'tick', onTrial: true, nowMs: 10_000 },
    steps: {
      'running on trial': 'ending / terminate',
      ending: '= / kill',
      closing: '= / kill',
      waiting: 'looking / look',
    },
  },
  told: {
    event: { kind: 'told', nowMs: 0 },
    steps: {
      looking: 'closed / close',
      'running proven': 'closing / terminate',
      'running on trial': 'closing / terminate',
      ending: 'closing / terminate',
      waiting: 'closed / close',
    },
  },
};

describe('launcherStep', () => {
  for (const [name, { event, steps }] of Object.entries(EVENTS)) {
    for (const [stateName, state] of Object.entries(STATES)) {
      const expected = steps[stateName] ?? '= / none';
      it(`launcherStep(${stateName}, ${name}) → ${expected}`, () => assert.equal(told(state, event), expected));
    }
  }
});

describe('launcher stories', () => {
  it('starts a crashing version three times and then goes back', () => {
    let state: LauncherState = LAUNCHER_START;
    let left = 3;
    const effects: string[] = [];
    for (let turn = 0; turn < 20 && !effects.includes('undo'); turn += 1) {
      const look: Look = { ...SOUND, trial: { kind: 'trial', left, limitMs: 60_000 } };
      const looked = launcherStep(state, { kind: 'looked', look, nowMs: turn });
      effects.push(looked.effect.kind);
      if (looked.effect.kind !== 'start') break;
      left -= 1;
      const ended = launcherStep(looked.state, { kind: 'exited', code: 1, onTrial: true, nowMs: turn });
      state = launcherStep(ended.state, { kind: 'tick', onTrial: true, nowMs: turn + 200 }).state;
    }
    assert.deepEqual(effects, ['start', 'start', 'start', 'undo']);
  });

  it('pauses longer and longer, at most a minute, between crashes of a proven version', () => {
    let state: LauncherState = LAUNCHER_START;
    const pauses: number[] = [];
    for (let turn = 0; turn < 10; turn += 1) {
      state = launcherStep(state, { kind: 'looked', look: SOUND, nowMs: 0 }).state;
      state = launcherStep(state, { kind: 'exited', code: 1, onTrial: false, nowMs: 0 }).state;
      pauses.push(launcherWakeAt(state) ?? -1);
      state = launcherStep(state, { kind: 'tick', onTrial: false, nowMs: 60_000 }).state;
    }
    assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it('begins anew with short pauses after a minute without a crash', () => {
    const state: LauncherState = { kind: 'running', failures: 9, quickRestarts: 0, sinceMs: 0, trialEndsAtMs: null };
    const { state: after } = launcherStep(state, { kind: 'exited', code: 1, onTrial: false, nowMs: 60_000 });
    assert.deepEqual(after, { kind: 'waiting', failures: 1, untilMs: 60_500 });
  });

  it('does not spin with a version that only ever asks for a restart', () => {
    let state: LauncherState = LAUNCHER_START;
    let starts = 0;
    while (state.kind === 'looking' && starts < 100) {
      starts += 1;
      state = launcherStep(state, { kind: 'looked', look: SOUND, nowMs: 0 }).state;
      state = launcherStep(state, { kind: 'exited', code: 86, onTrial: false, nowMs: 0 }).state;
    }
    assert.deepEqual([starts, state.kind], [6, 'waiting']);
  });

  it('trialLimitMs has a margin of the span, at most 5 s', () => {
    assert.equal(trialLimitMs({ proveWithinMs: 400, stableForMs: 100 }), 1000);
    assert.equal(trialLimitMs({ proveWithinMs: 600_000, stableForMs: 60_000 }), 665_000);
  });
});
