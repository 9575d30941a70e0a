// The watch over the wall clock: what it doubts, for how long, and that observed time stands still meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchClock } from '../../src/engine/clock-watch.ts';
import { startObservedTime } from '../../src/engine/observed-time.ts';
import { START, testClock } from '../support/fixtures.ts';

const MINUTE = 60_000;

for (const [jumpMs, why] of [
  [61_000, 'it went 1 min forward'],
  [-61_000, 'it went 1 min back'],
  [2 * 3_600_000 + 5 * MINUTE, 'it went 2 h 5 min forward'],
  [-40 * 86_400_000, 'it went 40 d back'],
  [60_000, undefined],
  [-60_000, undefined],
] as const) {
  test(`look, after a jump of ${jumpMs} ms: ${why ?? 'sound'}`, () => {
    const clock = testClock();
    const watch = watchClock(clock);
    clock.advance(1_000);
    clock.jump(jumpMs);
    assert.equal(watch.look()?.why, why);
  });
}

test('look: cleared by five quiet minutes, which begin again with every jump', () => {
  const clock = testClock();
  const watch = watchClock(clock);
  clock.jump(10 * MINUTE);
  assert.deepEqual(watch.look(), {
    since: clock.now(),
    why: 'it went 10 min forward',
    until: clock.now() + 5 * MINUTE,
  });
  const since = clock.now();
  clock.advance(4 * MINUTE);
  clock.jump(-10 * MINUTE);
  assert.deepEqual(watch.look(), { since, why: 'it went 10 min back', until: clock.now() + 5 * MINUTE });
  clock.advance(5 * MINUTE - 1);
  assert.notEqual(watch.look(), null);
  clock.advance(1);
  assert.equal(watch.look(), null);
});

test('look: jumps that add up within five minutes count, what is corrected over months does not', () => {
  const clock = testClock();
  const watch = watchClock(clock);
  for (let second = 0; second < 4; second += 1) {
    assert.equal(watch.look(), null);
    clock.advance(1_000);
    clock.jump(20_000);
  }
  assert.equal(watch.look()?.why, 'it went 1 min forward');
  watch.trust();
  for (let day = 0; day < 300; day += 1) {
    clock.advance(86_400_000);
    clock.jump(1_000);
    assert.equal(watch.look(), null);
  }
});

test('watchClock: a doubt outlives a restart, and so does knowing what was written', () => {
  const clock = testClock();
  const kept = watchClock(clock, { doubt: { since: 5, why: 'it went 2 h back', until: 9 }, newestMs: START });
  assert.deepEqual(kept.look(), { since: 5, why: 'it went 2 h back', until: START + 5 * MINUTE });
  kept.trust();
  assert.equal(kept.look(), null);
  const behind = watchClock(clock, { doubt: null, newestMs: START + 90 * MINUTE });
  assert.equal(behind.look()?.why, 'it is 1 h 30 min behind what was written before this start');
  assert.equal(watchClock(clock, { doubt: null, newestMs: START + MINUTE }).look(), null);
});

test('startObservedTime: a doubted clock is time that nobody has observed', () => {
  const clock = testClock();
  const watch = watchClock(clock);
  const observed = startObservedTime(clock, 1_000, watch);
  clock.advance(10_000);
  assert.equal(observed.now(), 11_000);
  clock.jump(3_600_000);
  clock.advance(10_000);
  assert.equal(observed.now(), 11_000);
  clock.advance(50_000);
  watch.trust();
  assert.equal(observed.now(), 61_000);
});
