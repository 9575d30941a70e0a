// An attempt's transitions, every pair of states, and how its end weighs.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ATTEMPT_STATES,
  type AttemptState,
  follow,
  isHot,
  isLive,
  mayFollow,
  type Weight,
  weigh,
  worst,
} from '../../src/domain/attempt.ts';
import { isSetback } from '../../src/domain/counters.ts';
import fc from '../support/fast-check.ts';

const LEGAL = new Set([
  'offered → staged',
  'offered → failed',
  'offered → declined',
  'offered → expired',
  'offered → withdrawn',
  'staged → granted',
  'staged → failed',
  'staged → declined',
  'staged → expired',
  'staged → withdrawn',
  'granted → activating',
  'granted → proving',
  'granted → succeeded',
  'granted → rolled_back',
  'granted → failed',
  'granted → inconclusive',
  'granted → declined',
  'granted → lost',
  'activating → proving',
  'activating → succeeded',
  'activating → rolled_back',
  'activating → failed',
  'activating → inconclusive',
  'activating → declined',
  'activating → lost',
  'proving → succeeded',
  'proving → rolled_back',
  'proving → failed',
  'proving → inconclusive',
  'proving → lost',
  'lost → succeeded',
  'lost → rolled_back',
  'lost → failed',
  'lost → inconclusive',
  'lost → declined',
]);

describe('mayFollow and follow', () => {
  for (const from of ATTEMPT_STATES) {
    for (const to of ATTEMPT_STATES) {
      const pair = `${from} → ${to}`;
      test(`${pair} is ${LEGAL.has(pair) ? 'legal' : 'illegal'}`, () => {
        assert.equal(mayFollow(from, to), LEGAL.has(pair));
        if (LEGAL.has(pair)) assert.equal(follow(from, to), to);
        else assert.throws(() => follow(from, to), { code: 'illegal_transition' });
      });
    }
  }
});

test('hot is from the grant to the outcome, live is everything before an end', () => {
  assert.deepEqual(ATTEMPT_STATES.filter(isHot), ['granted', 'activating', 'proving']);
  assert.deepEqual(ATTEMPT_STATES.filter(isLive), ['offered', 'staged', 'granted', 'activating', 'proving']);
});

describe('weigh', () => {
  const weights: Record<AttemptState, [granted: Weight, ungranted: Weight]> = {
    offered: ['none', 'none'],
    staged: ['none', 'none'],
    granted: ['none', 'none'],
    activating: ['none', 'none'],
    proving: ['none', 'none'],
    succeeded: ['succeeded', 'succeeded'],
    rolled_back: ['bad', 'bad'],
    failed: ['bad', 'failed_before_grant'],
    inconclusive: ['inconclusive', 'inconclusive'],
    declined: ['declined', 'declined'],
    expired: ['none', 'none'],
    withdrawn: ['none', 'none'],
    lost: ['bad', 'bad'],
  };
  for (const state of ATTEMPT_STATES) {
    const [granted, ungranted] = weights[state];
    test(`weigh(${state}) is ${granted} after a grant, ${ungranted} before`, () => {
      assert.equal(weigh({ state, grantedAt: 1 }), granted);
      assert.equal(weigh({ state, grantedAt: null }), ungranted);
    });
  }
});

describe('worst', () => {
  const rows: [Weight[], Weight][] = [
    [[], 'none'],
    [['none'], 'none'],
    [['none', 'inconclusive'], 'inconclusive'],
    [['inconclusive', 'declined'], 'declined'],
    [['failed_before_grant', 'declined'], 'failed_before_grant'],
    [['failed_before_grant', 'succeeded'], 'succeeded'],
    [['inconclusive', 'succeeded', 'none'], 'succeeded'],
    [['bad', 'succeeded'], 'bad'],
    [['succeeded', 'bad', 'declined'], 'bad'],
  ];
  for (const [weights, expected] of rows) {
    test(`worst(${JSON.stringify(weights)}) is ${expected}`, () => {
      assert.equal(worst(weights), expected);
      assert.equal(worst([...weights].reverse()), expected);
    });
  }
});

test('setbacks speak against the host, not the release', () => {
  const all: Weight[] = ['none', 'succeeded', 'inconclusive', 'declined', 'failed_before_grant', 'bad'];
  assert.deepEqual(all.filter(isSetback), ['inconclusive', 'declined', 'failed_before_grant']);
});

test('law: the worst does not depend on the order or on the grouping, and is one of them; follow takes no attempt back to life', () => {
  const weights = fc.array(
    fc.constantFrom<Weight>('none', 'succeeded', 'inconclusive', 'declined', 'failed_before_grant', 'bad'),
    { minLength: 1, maxLength: 6 },
  );
  const state = fc.constantFrom(...ATTEMPT_STATES);
  fc.assert(
    fc.property(weights, weights, state, state, state, (some, others, a, b, c) => {
      const all = worst([...some, ...others]);
      assert.equal(worst([...others, ...some].reverse()), all);
      assert.equal(worst([worst(some), worst(others)]), all);
      assert([...some, ...others].includes(all));
      if (mayFollow(a, b) && mayFollow(b, c)) {
        assert(isLive(a) && (isLive(b) || b === 'lost'), `${a}, ${b}, ${c}`);
        assert(!isHot(a) || isHot(b) || b === 'lost', 'what is hot ends, or is lost');
      }
    }),
    { numRuns: 300 },
  );
});
