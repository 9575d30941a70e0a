// What an agent has spent, summed: the same at once, in parts and in whichever order it is read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addSpent, attemptsUsed, sumSpent } from '../../src/domain/quarantine.ts';
import fc from '../support/fast-check.ts';
import { attemptOf } from '../support/snapshots.ts';

test('law: earlier and later attempts summed apart come to the same as at once, and a clearance forgives all of them', () => {
  const state = fc.constantFrom('succeeded', 'rolled_back', 'failed', 'declined', 'inconclusive', 'withdrawn', 'lost');
  const kind = fc.record({ state, step: fc.nat({ max: 1 }), budgetEpoch: fc.nat({ max: 1 }) });
  fc.assert(
    fc.property(fc.array(kind, { maxLength: 8 }), fc.nat({ max: 8 }), (kinds, at) => {
      const attempts = kinds.map((one, sequence) => attemptOf({ ...one, sequence, laneId: 'lane' }));
      const all = sumSpent(attempts);
      assert.deepEqual(sumSpent(attempts.toReversed()), all);
      const parts = addSpent(sumSpent(attempts.slice(0, at)), sumSpent(attempts.slice(at)));
      assert.deepEqual(parts, all);
      const rolloutId = attempts[0]?.rolloutId ?? '';
      const cleared = sumSpent(attempts, [{ rolloutId, sequence: kinds.length }]);
      assert.deepEqual(
        cleared.map(({ count }) => count),
        all.map(({ count }) => count),
      );
      assert.equal(attemptsUsed(cleared, { laneId: 'lane', rolloutId, budgetEpoch: 0, retried: [] }), 0);
    }),
    { numRuns: 150 },
  );
});
