// The ceilings as values: when they are full, and which of two accounts is believed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ceiling, emptyCeilings, fullCeiling, stricter, withGrant } from '../../src/domain/ceilings.ts';
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

test('law: of two accounts the one that holds more back is believed, whichever is named first', () => {
  const account: fc.Arbitrary<Ceiling> = fc.record({
    window: fc.constant('hour' as const),
    max: fc.constant(5),
    count: fc.nat({ max: 5 }),
    leavesAt: fc.option(fc.nat({ max: 3 })),
  });
  fc.assert(
    fc.property(account, account, (a, b) => {
      const believed = stricter(a, b);
      assert(believed.count >= a.count && believed.count >= b.count);
      assert.deepEqual([believed.count, believed.leavesAt ?? 0], [stricter(b, a).count, stricter(b, a).leavesAt ?? 0]);
    }),
    { numRuns: 100 },
  );
});
