// A step's counters: what one agent comes to, and that booking changes one by one equals the fold from scratch.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Attempt } from '../../src/domain/agent.ts';
import { ATTEMPT_STATES, type AttemptState, isLive, mayFollow } from '../../src/domain/attempt.ts';
import { foldStep, retally } from '../../src/domain/counters.ts';
import { NO_COUNTS, type StepCounters } from '../../src/domain/rollout.ts';
import fc from '../support/fast-check.ts';
import { attemptOf, counts } from '../support/snapshots.ts';

type Short = [agentId: string, state: AttemptState, options?: Partial<Attempt>];

function attempts(list: readonly Short[]): Attempt[] {
  return list.map(([agentId, state, options], index) => attemptOf({ id: `t${index}`, agentId, state, ...options }));
}

describe('foldStep with two attempts per agent', () => {
  const granted = { grantedAt: 1 };
  const late = { member: false };
  const rows: [Short[], Partial<StepCounters>][] = [
    [[], {}],
    [[['a', 'offered']], { pending: 1, downloading: 1 }],
    [[['a', 'staged']], { pending: 1 }],
    [[['a', 'granted', granted]], { hot: 1, hotMembers: 1 }],
    [[['a', 'proving', { ...granted, ...late }]], { hot: 1 }],
    [[['a', 'succeeded', granted]], { succeeded: 1 }],
    [[['a', 'succeeded', { ...granted, ...late }]], {}],
    [[['a', 'rolled_back', granted]], { bad: 1, badMembers: 1 }],
    [[['a', 'lost', { ...granted, ...late }]], { bad: 1 }],
    [[['a', 'failed', granted]], { bad: 1, badMembers: 1 }],
    [[['a', 'failed']], { failedBeforeGrant: 1 }],
    [[['a', 'declined']], { declined: 1, exhausted: 1 }],
    [[['a', 'declined', late]], {}],
    [[['a', 'succeeded', { ...granted, hop: true }]], {}],
    [[['a', 'rolled_back', { ...granted, hop: true }]], { bad: 1, badMembers: 1, badHops: 1 }],
    [
      [
        ['a', 'rolled_back', { ...granted, hop: true }],
        ['a', 'rolled_back', granted],
      ],
      { bad: 1, badMembers: 1 },
    ],
    [
      [
        ['a', 'succeeded', { ...granted, hop: true }],
        ['a', 'succeeded', granted],
      ],
      { succeeded: 1 },
    ],
    [[['a', 'expired']], {}],
    [[['a', 'withdrawn']], {}],
    // Its worst counts, once.
    [
      [
        ['a', 'rolled_back', granted],
        ['a', 'succeeded', granted],
      ],
      { bad: 1, badMembers: 1 },
    ],
    [
      [
        ['a', 'rolled_back', granted],
        ['a', 'lost', granted],
      ],
      { bad: 1, badMembers: 1 },
    ],
    [
      [
        ['a', 'failed'],
        ['a', 'succeeded', granted],
      ],
      { succeeded: 1 },
    ],
    // Used up after two, not while a try goes on.
    [
      [
        ['a', 'failed'],
        ['a', 'inconclusive', granted],
      ],
      { failedBeforeGrant: 1, exhausted: 1 },
    ],
    [
      [
        ['a', 'inconclusive', granted],
        ['a', 'offered'],
      ],
      { inconclusive: 1, pending: 1, downloading: 1 },
    ],
    [
      [
        ['a', 'failed'],
        ['a', 'failed'],
        ['a', 'offered'],
      ],
      { failedBeforeGrant: 1, pending: 1, downloading: 1, exhausted: 1 },
    ],
    // A bad agent that tries again is bad and hot.
    [
      [
        ['a', 'rolled_back', granted],
        ['a', 'activating', granted],
      ],
      { bad: 1, badMembers: 1, hot: 1, hotMembers: 1 },
    ],
    [
      [
        ['a', 'succeeded', granted],
        ['b', 'rolled_back', granted],
        ['c', 'granted', granted],
        ['d', 'failed', late],
        ['e', 'offered'],
      ],
      { succeeded: 1, bad: 1, badMembers: 1, hot: 1, hotMembers: 1, pending: 1, downloading: 1 },
    ],
    // It was a member and lost its seat while it was silent: back again it is a late joiner. The other way round it counts.
    [
      [
        ['a', 'expired', { sequence: 1 }],
        ['a', 'succeeded', { ...granted, ...late, sequence: 2 }],
        ['b', 'failed', { ...late, sequence: 1 }],
        ['b', 'succeeded', { ...granted, sequence: 2 }],
      ],
      { succeeded: 1 },
    ],
  ];
  for (const [list, expected] of rows) {
    const title = list.map(([agent, state, options]) => `${agent} ${state}${options?.member === false ? ' late' : ''}`);
    test(`foldStep([${title.join(', ')}])`, () => {
      assert.deepEqual(foldStep(attempts(list), 2, 0), counts(expected));
      assert.deepEqual(foldStep(attempts(list).reverse(), 2, 0), counts(expected));
    });
  }
});

test('a retry takes over the successes that counted before it, and no others', () => {
  const list = attempts([
    ['a', 'succeeded', { grantedAt: 1, budgetEpoch: 0 }],
    ['b', 'succeeded', { grantedAt: 1, budgetEpoch: 0 }],
    ['b', 'withdrawn', { budgetEpoch: 1 }],
    ['c', 'rolled_back', { grantedAt: 1, budgetEpoch: 0 }],
    ['c', 'succeeded', { grantedAt: 1, budgetEpoch: 1 }],
  ]);
  // What the retry carries over is the number alone: the fold has to come to the same one.
  for (const epoch of [1, 2, 3]) assert.equal(foldStep(list, 2, epoch).succeeded, 2, `epoch ${epoch}`);
});

/** Which of the agents acts, and a number that picks what it does. */
const anyMoves = fc.array(fc.tuple(fc.nat(4), fc.nat(99)), { maxLength: 60 });

/** The next change of the agent's attempts as the ledger makes them: a new one, or the live or lost one moves. */
function change(own: readonly Attempt[], agent: number, choice: number): Attempt {
  const agentId = `agent-${agent}`;
  const open = own.find((attempt) => isLive(attempt.state)) ?? own.findLast((attempt) => attempt.state === 'lost');
  if (open === undefined || (!isLive(open.state) && choice % 2 === 0)) {
    return attemptOf({ id: `${agentId}/${own.length}`, agentId, member: agent % 2 === 0 });
  }
  const ways = ATTEMPT_STATES.filter((to) => mayFollow(open.state, to));
  const state = ways[choice % ways.length] as AttemptState;
  return { ...open, state, grantedAt: state === 'granted' ? 1 : open.grantedAt };
}

function put(list: readonly Attempt[], attempt: Attempt): Attempt[] {
  return [...list.filter((one) => one.id !== attempt.id), attempt];
}

test('booking any sequence of changes by retally equals foldStep from scratch, and no counter is ever negative', () => {
  fc.assert(
    fc.property(anyMoves, fc.integer({ min: 1, max: 3 }), (moves, perAgent) => {
      let all: Attempt[] = [];
      let counters = NO_COUNTS;
      for (const [agent, choice] of moves) {
        const before = all.filter((attempt) => attempt.agentId === `agent-${agent}`);
        const changed = change(before, agent, choice);
        counters = retally(counters, before, put(before, changed), perAgent);
        all = put(all, changed);
        assert.deepEqual(counters, foldStep(all, perAgent, 0));
        assert(Object.values(counters).every((count) => count >= 0));
      }
    }),
    { numRuns: 300 },
  );
});

test('members succeed, are bad or are used up, never two of these', () => {
  fc.assert(
    fc.property(anyMoves, (moves) => {
      let all: Attempt[] = [];
      for (const [agent, choice] of moves) {
        const own = all.filter((attempt) => attempt.agentId === `agent-${agent}`);
        all = put(all, change(own, agent, choice));
      }
      const members = new Set(all.filter((attempt) => attempt.member).map((attempt) => attempt.agentId)).size;
      const { succeeded, badMembers, exhausted } = foldStep(all, 2, 0);
      assert(succeeded + badMembers + exhausted <= members);
    }),
    { numRuns: 200 },
  );
});
