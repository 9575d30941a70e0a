// The agent's machine: every event in every state, and what a start makes of each journal.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Event, reportOf, type State, step, wakeAt } from '../../src/agent/machine.ts';
import { NEW, OLD, ORDER, OTHER, STATES } from './sample.ts';

const { attempt } = ORDER;
const fault = { cause: 'disk_full', detail: 'full' } as const;
const NO_TRIAL = { kind: 'none' } as const;

/** Short form of a step: the state after, with the outcome where there is one, and the effect. */
function told(state: State, event: Event): string {
  const next = step(state, event);
  const after = next.state.kind === 'ended' ? Object.values(next.state.outcome).slice(0, 2).join(' ') : next.state.kind;
  const same = JSON.stringify(next.state) === JSON.stringify(state) ? '=' : after;
  return `${same} / ${next.effect.kind}${next.effect.kind === 'undo' ? ` ${next.effect.cause}` : ''}`;
}

const EVENTS: Record<string, { event: Event; steps: Partial<Record<State['kind'], string>> }> = {
  stageOrdered: {
    event: { kind: 'stageOrdered', order: ORDER, nowMs: 5 },
    steps: { idle: 'staging / stage' },
  },
  'stageOrdered, another attempt': {
    event: { kind: 'stageOrdered', order: OTHER, nowMs: 5 },
    steps: { idle: 'staging / stage', staging: 'staging / stage', staged: 'staging / stage' },
  },
  declined: {
    event: { kind: 'declined', order: ORDER, cause: 'host_policy', detail: 'held' },
    steps: {
      idle: 'declined host_policy / none',
      staging: 'declined host_policy / settle',
      staged: 'declined host_policy / settle',
    },
  },
  activateOrdered: {
    event: { kind: 'activateOrdered', attempt, nowMs: 5 },
    steps: { staged: 'activating / activate' },
  },
  'activateOrdered, another attempt': {
    event: { kind: 'activateOrdered', attempt: OTHER.attempt, nowMs: 5 },
    steps: {},
  },
  withdrawOrdered: {
    event: { kind: 'withdrawOrdered', attempt },
    steps: { staging: 'idle / discard', staged: 'idle / discard' },
  },
  'withdrawOrdered, another attempt': { event: { kind: 'withdrawOrdered', attempt: OTHER.attempt }, steps: {} },
  staged: { event: { kind: 'staged', attempt }, steps: { staging: 'staged / none' } },
  'staged, another attempt': { event: { kind: 'staged', attempt: OTHER.attempt }, steps: {} },
  stageFailed: {
    event: { kind: 'stageFailed', attempt, ...fault },
    steps: { staging: 'failed disk_full / settle' },
  },
  flipped: { event: { kind: 'flipped', attempt }, steps: { activating: '= / restart' } },
  flipFailed: {
    event: { kind: 'flipFailed', attempt, ...fault },
    steps: { activating: 'failed disk_full / settle' },
  },
  'checkedIn, healthy': {
    event: { kind: 'checkedIn', healthy: true, nowMs: 100 },
    steps: { proving: 'proving / none', judging: 'rolled_back not_proven_in_time / settle' },
  },
  'checkedIn, unhealthy': {
    event: { kind: 'checkedIn', healthy: false, nowMs: 100 },
    steps: { proving: 'proving / none', judging: 'rolled_back not_proven_in_time / settle' },
  },
  checkInFailed: {
    event: { kind: 'checkInFailed', throttled: false, nowMs: 100 },
    steps: { judging: 'inconclusive network_down / settle' },
  },
  'checkInFailed, throttled': {
    event: { kind: 'checkInFailed', throttled: true, nowMs: 100 },
    steps: { proving: 'proving / none', judging: 'inconclusive network_down / settle' },
  },
  'tick, early': { event: { kind: 'tick', nowMs: 100 }, steps: {} },
  'tick, late': {
    event: { kind: 'tick', nowMs: 20_000 },
    steps: { staging: 'failed download_failed / settle', proving: '= / undo not_proven_in_time' },
  },
  confirmed: { event: { kind: 'confirmed', attempt }, steps: { proving: 'succeeded / settle' } },
  acknowledged: { event: { kind: 'acknowledged', attempt, state: 'succeeded' }, steps: { ended: 'idle / none' } },
  'acknowledged, another state': {
    event: { kind: 'acknowledged', attempt, state: 'failed' },
    steps: {},
  },
  'acknowledged, another attempt': {
    event: { kind: 'acknowledged', attempt: OTHER.attempt, state: 'succeeded' },
    steps: {},
  },
};

describe('step', () => {
  for (const [name, { event, steps }] of Object.entries(EVENTS)) {
    for (const state of Object.values(STATES)) {
      const expected = steps[state.kind] ?? '= / none';
      it(`step(${state.kind}, ${name}) → ${expected}`, () => assert.equal(told(state, event), expected));
    }
  }
});

describe('step(…, started)', () => {
  const undone = { kind: 'undone', cause: 'crash_loop', detail: 'Error: no' } as const;
  const late = { kind: 'undone', cause: 'not_proven_in_time', detail: null } as const;
  const network = { kind: 'undone', cause: 'network_down', detail: null } as const;
  const rows: [State['kind'], typeof OLD, Extract<Event, { kind: 'started' }>['trial'], string][] = [
    ['idle', OLD, NO_TRIAL, '= / none'],
    ['staging', OLD, NO_TRIAL, 'staging / stage'],
    ['staged', OLD, NO_TRIAL, '= / none'],
    ['activating', OLD, NO_TRIAL, 'staged / unprepare'],
    ['activating', OLD, { kind: 'trial' }, 'staged / unprepare'],
    ['activating', NEW, { kind: 'trial' }, 'proving / none'],
    ['activating', NEW, NO_TRIAL, 'proving / none'],
    ['activating', OLD, undone, 'rolled_back crash_loop / settle'],
    ['activating', OLD, late, 'judging / none'],
    ['proving', NEW, { kind: 'trial' }, 'proving / none'],
    ['proving', NEW, { kind: 'proven' }, 'succeeded / settle'],
    ['proving', OLD, { kind: 'proven' }, 'inconclusive disk_failed / settle'],
    ['proving', OLD, undone, 'rolled_back crash_loop / settle'],
    ['proving', OLD, late, 'judging / none'],
    ['proving', OLD, network, 'inconclusive network_down / settle'],
    ['proving', OLD, { kind: 'trial' }, 'inconclusive interrupted / settle'],
    ['proving', OLD, NO_TRIAL, 'inconclusive interrupted / settle'],
    ['judging', OLD, late, '= / none'],
    ['ended', NEW, { kind: 'proven' }, '= / settle'],
    ['ended', OLD, { kind: 'proven' }, 'inconclusive disk_failed / settle'],
  ];
  for (const [kind, running, trial, expected] of rows) {
    it(`step(${kind}, started ${running.version}, ${Object.values(trial).slice(0, 2).join('+')}) → ${expected}`, () => {
      assert.equal(told(STATES[kind], { kind: 'started', running, trial, nowMs: 9 }), expected);
    });
  }
});

describe('proving', () => {
  function run(events: [number, 'good' | 'ill' | 'down' | 'throttled' | 'tick'][]): string {
    let state: State = STATES.proving;
    for (const [nowMs, what] of events) {
      const event: Event =
        what === 'tick'
          ? { kind: 'tick', nowMs }
          : what === 'good' || what === 'ill'
            ? { kind: 'checkedIn', healthy: what === 'good', nowMs }
            : { kind: 'checkInFailed', throttled: what === 'throttled', nowMs };
      const next = step(state, event);
      if (next.effect.kind !== 'none') {
        return `${nowMs} ${next.effect.kind}${next.effect.kind === 'undo' ? ` ${next.effect.cause}` : ''}`;
      }
      state = next.state;
    }
    return 'goes on';
  }
  // ORDER: proven within 5000 ms, stable for 1000 ms.
  const rows: [string, Parameters<typeof run>[0], string][] = [
    [
      'one good check-in is not enough',
      [
        [100, 'good'],
        [1000, 'tick'],
        [4000, 'tick'],
      ],
      'goes on',
    ],
    [
      'a good one at the end of the stable time',
      [
        [100, 'good'],
        [1100, 'good'],
      ],
      '1100 confirm',
    ],
    [
      'a good one just before it',
      [
        [100, 'good'],
        [1099, 'good'],
      ],
      'goes on',
    ],
    [
      'a failure in between does not matter',
      [
        [100, 'good'],
        [600, 'down'],
        [1100, 'good'],
      ],
      '1100 confirm',
    ],
    [
      'ill in between starts anew',
      [
        [100, 'good'],
        [600, 'ill'],
        [1100, 'good'],
        [2100, 'good'],
      ],
      '2100 confirm',
    ],
    [
      'silence',
      [
        [5000, 'tick'],
        [5001, 'tick'],
      ],
      '5001 undo not_proven_in_time',
    ],
    [
      'no connection',
      [
        [1000, 'down'],
        [5001, 'down'],
      ],
      '5001 undo not_proven_in_time',
    ],
    [
      'only throttled',
      [
        [1000, 'throttled'],
        [5001, 'tick'],
      ],
      '5001 undo network_down',
    ],
    [
      'throttled first, then unreachable',
      [
        [1000, 'throttled'],
        [5001, 'down'],
      ],
      '5001 undo not_proven_in_time',
    ],
    [
      'ill to the end',
      [
        [1000, 'ill'],
        [5001, 'ill'],
      ],
      '5001 undo unhealthy',
    ],
    [
      'good late: the stable time still counts',
      [
        [4900, 'good'],
        [5900, 'good'],
      ],
      '5900 confirm',
    ],
    [
      'good once, then never again',
      [
        [4900, 'good'],
        [8500, 'tick'],
        [8501, 'tick'],
      ],
      '8501 undo not_proven_in_time',
    ],
  ];
  for (const [name, events, expected] of rows) it(`${name} → ${expected}`, () => assert.equal(run(events), expected));
});

describe('reportOf', () => {
  const rows: Record<State['kind'], string | undefined> = {
    idle: undefined,
    staging: 'offered',
    staged: 'staged',
    activating: 'activating',
    proving: 'proving',
    judging: 'proving',
    ended: 'succeeded',
  };
  for (const state of Object.values(STATES)) {
    it(`reportOf(${state.kind}) → ${rows[state.kind]}`, () => assert.equal(reportOf(state)?.state, rows[state.kind]));
  }
});

describe('wakeAt', () => {
  it('wakeAt(staging) is its deadline', () => assert.equal(wakeAt(STATES.staging), 10_000));
  it('wakeAt(proving) is the deadline of the first good check-in', () => assert.equal(wakeAt(STATES.proving), 5000));
  it('wakeAt(proving, good) is the end of the stable time', () => {
    assert.equal(wakeAt({ ...STATES.proving, goodSinceMs: 70 } as State), 1070);
  });
  it('wakeAt(idle) is never', () => assert.equal(wakeAt(STATES.idle), null));
});
