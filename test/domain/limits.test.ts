// The limits of hot agents as values: what is full, and that another agent at it never makes room.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countOccupied, fullLimit, type Limits, NO_LIMITS } from '../../src/domain/limits.ts';
import fc from '../support/fast-check.ts';

test('law: let in one by one where there is room, no limit is ever exceeded; and one more never makes room', () => {
  const place = fc.record({
    region: fc.constantFrom('eu', 'us'),
    labels: fc.constantFrom({}, { rack: 'a' }, { rack: 'b' }),
  });
  const max = fc.option(fc.integer({ min: 1, max: 4 }));
  fc.assert(
    fc.property(
      fc.array(place, { maxLength: 15 }),
      max,
      max,
      fc.integer({ min: 1, max: 3 }),
      (asking, fleet, region, ofSite) => {
        const limits: Limits = { ...NO_LIMITS, fleet, region, site: { label: 'rack', max: ofSite } };
        const hot: typeof asking = [];
        for (const one of asking) {
          const isFull = fullLimit(limits, countOccupied(hot, limits), one) !== undefined;
          if (isFull) assert.notEqual(fullLimit(limits, countOccupied([...hot, one], limits), one), undefined);
          else hot.push(one);
        }
        const used = countOccupied(hot, limits);
        assert(used.fleet === hot.length && used.fleet <= (fleet ?? asking.length));
        for (const count of Object.values(used.byRegion)) assert(count <= (region ?? asking.length));
        for (const count of Object.values(used.bySite)) assert(count <= ofSite);
      },
    ),
    { numRuns: 100 },
  );
});
