// What a region answers from memory is what it would reckon anew, in whatever order the instants are asked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { regionStatus } from '../../src/domain/region-window.ts';
import type { Calendar } from '../../src/domain/snapshot.ts';
import { DAYS, type Freeze, windowStatus } from '../../src/domain/window.ts';
import fc from '../support/fast-check.ts';
import { START } from '../support/fixtures.ts';

const MINUTE = 60_000;
const ZONES = { eu: 'Europe/Berlin', us: 'America/New_York' };

const minute = fc.integer({ min: 0, max: 1439 });
const weekly = fc
  .record({ days: fc.subarray([...DAYS], { minLength: 1 }), from: minute, to: minute })
  .filter(({ from, to }) => from !== to);
const windows = fc.record({ allow: fc.array(weekly, { maxLength: 1 }), deny: fc.array(weekly, { maxLength: 1 }) });
const regions: fc.Arbitrary<string[] | null> = fc.constantFrom(null, ['eu'], ['us']);
const timed = fc
  .record({ at: fc.integer({ min: -600, max: 600 }), minutes: fc.integer({ min: 1, max: 900 }), regions })
  .map(({ at, minutes, regions: of }) => ({
    fromMs: START + at * MINUTE,
    toMs: START + (at + minutes) * MINUTE,
    reason: `freeze ${at}`,
    regions: of,
  }));
const dated = fc
  .record({ day: fc.constantFrom('2025-12-31', '2026-01-01', '2026-01-02'), regions })
  .map(({ day, regions: of }) => ({ from: day, to: day, reason: `quiet ${day}`, regions: of }));
const freezes: fc.Arbitrary<Freeze[]> = fc.array(fc.oneof(timed, dated), { maxLength: 3 });
const asked = fc.array(
  fc.tuple(
    fc.constantFrom('eu', 'us', 'nowhere'),
    fc.integer({ min: -900, max: 900 }).map((at) => START + at * MINUTE),
  ),
  { minLength: 2, maxLength: 6 },
);

const OPEN = { allow: [], deny: [] };
const TWO_DAYS = ['2026-01-01', '2026-01-02'].map((day) => ({ from: day, to: day, reason: day, regions: null }));
const [NOON, NEXT_NOON] = [START + 720 * MINUTE, START + 2160 * MINUTE];

test('regionStatus is the status of the region’s windows and of the freezes that cover it, whatever was asked before', () => {
  fc.assert(
    fc.property(windows, windows, freezes, asked, (eu, us, all, questions) => {
      const calendars: Calendar[] = [
        { region: 'eu', timeZone: ZONES.eu, windows: eu },
        { region: 'us', timeZone: ZONES.us, windows: us },
      ];
      for (const [region, now] of questions) {
        const status = regionStatus({ calendars, freezes: all }, region, now);
        const calendar = calendars.find((one) => one.region === region);
        if (calendar === undefined) {
          assert(!status.open && status.opensAt === null && status.detail.includes(region));
          continue;
        }
        const own = all.filter((one) => one.regions === null || one.regions.includes(region));
        assert.deepEqual(status, windowStatus(calendar.windows, own, calendar.timeZone, now));
      }
    }),
    // The example: frozen for a second day, it went on to say that the freeze of the first one holds it.
    { numRuns: 100, examples: [[OPEN, OPEN, TWO_DAYS, [NOON, NEXT_NOON].map((at) => ['eu', at] as ['eu', number])]] },
  );
});
