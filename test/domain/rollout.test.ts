// A lane's transitions, every pair of states, and the state of a rollout as derived from its lanes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  isLiveLane,
  isTerminalLane,
  type LaneState,
  type LaneStateName,
  mayMoveLane,
  moveLane,
  type RolloutState,
  rolloutState,
} from '../../src/domain/rollout.ts';
import { laneIn, stateNamed } from '../support/snapshots.ts';

const NAMES: LaneStateName[] = [
  'waiting',
  'open',
  'soaking',
  'approval',
  'paused',
  'halted',
  'rolling_back',
  'rolled_back',
  'completed',
  'superseded',
  'cancelled',
];

const LEGAL = new Set([
  'waiting → open',
  'waiting → completed',
  'waiting → halted',
  'waiting → superseded',
  'waiting → cancelled',
  'open → soaking',
  'open → paused',
  'open → halted',
  'open → rolling_back',
  'open → superseded',
  'open → cancelled',
  'soaking → open',
  'soaking → approval',
  'soaking → completed',
  'soaking → paused',
  'soaking → halted',
  'soaking → rolling_back',
  'soaking → superseded',
  'soaking → cancelled',
  'approval → open',
  'approval → completed',
  'approval → paused',
  'approval → halted',
  'approval → rolling_back',
  'approval → superseded',
  'approval → cancelled',
  'paused → open',
  'paused → soaking',
  'paused → approval',
  'paused → halted',
  'paused → rolling_back',
  'paused → superseded',
  'paused → cancelled',
  'halted → waiting',
  'halted → open',
  'halted → paused',
  'halted → rolling_back',
  'halted → superseded',
  'halted → cancelled',
  'rolling_back → rolled_back',
  'rolling_back → halted',
  'rolling_back → superseded',
  'completed → rolling_back',
  'completed → waiting',
  'cancelled → rolling_back',
]);

describe('mayMoveLane and moveLane', () => {
  for (const from of NAMES) {
    for (const to of NAMES) {
      const pair = `${from} → ${to}`;
      test(`${pair} is ${LEGAL.has(pair) ? 'legal' : 'illegal'}`, () => {
        const lane = { ...laneIn('eu', stateNamed(from)), revision: 7 };
        assert.equal(mayMoveLane(from, to), LEGAL.has(pair));
        if (!LEGAL.has(pair)) {
          assert.throws(() => moveLane(lane, stateNamed(to)), { code: 'illegal_transition' });
          return;
        }
        const state: LaneState = stateNamed(to);
        assert.deepEqual(moveLane(lane, state), { ...lane, state, revision: 8 });
      });
    }
  }
});

test('live lanes, terminal lanes', () => {
  assert.deepEqual(NAMES.filter(isLiveLane), ['open', 'soaking', 'approval', 'paused', 'rolling_back']);
  assert.deepEqual(NAMES.filter(isTerminalLane), ['rolled_back', 'completed', 'superseded', 'cancelled']);
});

describe('rolloutState', () => {
  const rows: [LaneStateName[], RolloutState][] = [
    [['waiting', 'waiting'], 'waiting'],
    [['open', 'waiting'], 'active'],
    [['completed', 'waiting'], 'active'],
    [['superseded', 'waiting'], 'waiting'],
    [['paused'], 'active'],
    [['rolling_back'], 'active'],
    [['halted', 'open', 'waiting', 'completed'], 'halted'],
    [['completed', 'completed'], 'completed'],
    [['completed', 'superseded'], 'superseded'],
    [['completed', 'cancelled'], 'cancelled'],
    [['superseded', 'cancelled'], 'superseded'],
    [['completed', 'rolled_back', 'superseded'], 'rolled_back'],
    [[], 'completed'],
  ];
  for (const [names, expected] of rows) {
    test(`rolloutState(${names.join(', ') || 'no lanes'}) is ${expected}`, () => {
      const lanes = names.map((name, index) => laneIn(`r${index}`, stateNamed(name)));
      assert.equal(rolloutState({ lanes }), expected);
    });
  }
});
