// The grant log: exact by the clock that never goes back, whatever the wall clock does; a restart believes its stored ages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CEILING_MS, fullCeiling } from '../../src/domain/ceilings.ts';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import type { Clock } from '../../src/engine/clock.ts';
import { neededGrants, openGrantLog } from '../../src/engine/grant-log.ts';
import fc, { drawsFixed } from '../support/fast-check.ts';
import { START } from '../support/fixtures.ts';

const MINUTE = 60_000;
const HOUR = CEILING_MS.hour;

/** The true time, and a wall clock that may be put anywhere. */
function jumpingClock(): Clock & { advance(ms: number): void; jump(ms: number): void } {
  let [elapsed, jumped] = [0, 0];
  return {
    now: () => START + elapsed + jumped,
    monotonic: () => elapsed,
    advance: (ms) => void (elapsed += ms),
    jump: (ms) => void (jumped += ms),
  };
}

test('neededGrants: nothing is kept where no ceiling is set', () => {
  assert.equal(neededGrants(NO_LIMITS), 0);
  const log = openGrantLog(jumpingClock(), NO_LIMITS, [START]);
  log.add(3);
  assert.deepEqual(log.ceilings(), []);
});

test('ceilings: full at the ceiling, until the oldest that counts has left the window', () => {
  const clock = jumpingClock();
  const log = openGrantLog(clock, { ...NO_LIMITS, perHour: 2, perDay: 3 }, []);
  log.add(1);
  clock.advance(10 * MINUTE);
  log.add(1);
  assert.deepEqual(log.ceilings()[0], { window: 'hour', max: 2, count: 2, leavesAt: START + HOUR });
  assert.equal(fullCeiling(log.ceilings(), clock.now())?.until, START + HOUR);
  clock.advance(50 * MINUTE);
  assert.equal(fullCeiling(log.ceilings(), clock.now()), undefined);
  log.add(1);
  // Now the day's ceiling holds for longer than the hour's.
  assert.deepEqual(fullCeiling(log.ceilings(), clock.now()), {
    detail: '3 of 3 within 24 hours',
    until: START + CEILING_MS.day,
    window: 'day',
  });
});

test('openGrantLog: grants of an earlier life are as old as the wall clock says, never younger than new', () => {
  const clock = jumpingClock();
  const limits = { ...NO_LIMITS, perHour: 2 };
  const log = openGrantLog(clock, limits, [START - 2 * HOUR, START - 50 * MINUTE, START + 3 * HOUR]);
  assert.equal(fullCeiling(log.ceilings(), clock.now())?.until, START + 10 * MINUTE);
  clock.advance(10 * MINUTE);
  assert.deepEqual(log.ceilings(), [{ window: 'hour', max: 2, count: 1, leavesAt: START + HOUR }]);
});

test('openGrantLog: a clock that was an hour ahead at the start and is set right does not free what it had taken for old', () => {
  const clock = jumpingClock();
  clock.jump(HOUR);
  const log = openGrantLog(clock, { ...NO_LIMITS, perHour: 3 }, [START - 50 * MINUTE, START - 40 * MINUTE]);
  log.add(1);
  assert.equal(log.ceilings()[0]?.count, 1);
  clock.advance(5 * MINUTE);
  clock.jump(-HOUR);
  assert.deepEqual(log.ceilings(), [{ window: 'hour', max: 3, count: 3, leavesAt: START + 10 * MINUTE }]);
  // Put forward again: what was known to be young stays so.
  clock.jump(HOUR);
  assert.equal(log.ceilings()[0]?.count, 3);
  // Those of this life take the places of the oldest; a step back leaves their ages alone.
  log.add(2);
  clock.jump(-9 * HOUR);
  assert.equal(log.ceilings()[0]?.count, 3);
  clock.advance(56 * MINUTE);
  assert.equal(log.ceilings()[0]?.count, 2);
});

test('however grants, pauses, clock steps and restarts follow each other, no sliding window holds more than its ceiling', () => {
  const event = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('ask' as const), by: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('wait' as const), by: fc.integer({ min: 1, max: 90 }) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('jump' as const), by: fc.integer({ min: -300, max: 300 }) }),
    },
    // The wall clock may go back over a restart, but not forward: that is not told from a server that was down.
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('restart' as const), by: fc.integer({ min: -300, max: 0 }) }),
    },
  );
  let held = 0;
  fc.assert(
    fc.property(fc.array(event, { minLength: 30, maxLength: 80 }), (events) => {
      const limits = { ...NO_LIMITS, perHour: 3, perDay: 7 };
      const clock = jumpingClock();
      let log = openGrantLog(clock, limits, []);
      const [truth, stored]: [number[], number[]] = [[], []];
      // Of the wall clock against the true time: now, and the least at which a grant was stored.
      let [ahead, least] = [0, 0];
      for (const { kind, by } of events) {
        if (kind === 'wait') clock.advance(by * MINUTE);
        if (kind === 'jump') {
          clock.jump(by * MINUTE);
          ahead += by;
        }
        if (kind === 'restart') {
          // What was put forward since a grant is put right, or back: no stored instant lies longer ago than is true.
          const after = Math.min(ahead, least) + by;
          clock.jump((after - ahead) * MINUTE);
          ahead = after;
          log = openGrantLog(
            clock,
            limits,
            stored.toSorted((a, b) => a - b),
          );
        }
        for (let left = kind === 'ask' ? by : 0; left > 0; left -= 1) {
          if (fullCeiling(log.ceilings(), clock.now()) !== undefined) {
            held += 1;
            continue;
          }
          log.add(1);
          truth.push(clock.monotonic());
          stored.push(clock.now());
          least = Math.min(least, ahead);
        }
      }
      for (const at of truth) {
        const within = (ms: number) => truth.filter((one) => one > at - ms && one <= at).length;
        assert(within(HOUR) <= 3, `${within(HOUR)} within an hour`);
        assert(within(CEILING_MS.day) <= 7, `${within(CEILING_MS.day)} within a day`);
      }
    }),
    { numRuns: 200 },
  );
  assert(held > 100 || !drawsFixed, 'the ceilings were reached');
});
