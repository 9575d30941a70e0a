// The ceilings as values: when they are full.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyCeilings, fullCeiling, withGrant } from '../../src/domain/ceilings.ts';
import fc from '../support/fast-check.ts';

test('law: as many grants as the lower ceiling has fill it, not one fewer, and it is full until the oldest leaves', () => {
  const max = fc.integer({ min: 1, max: 8 });
  fc.assert(
    fc.property(max, max, (perHour, perDay) => {
      let ceilings = emptyCeilings({ perHour, perDay });
      for (let granted = 0; granted < Math.min(perHour, perDay); granted += 1) {
        assert.equal(fullCeiling(ceilings, 1_000), undefined);
        ceilings = withGrant(ceilings, 1_000);
      }
      const full = fullCeiling(ceilings, 1_000);
      assert(full !== undefined && full.until > 1_000);
      assert.equal(fullCeiling(ceilings, full.until), undefined);
    }),
    { numRuns: 100 },
  );
});
