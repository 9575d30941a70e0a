// Work in pieces: the same result as at once, and nobody waits for all of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eachBit, forEachBit, newBitset, setBit } from '../../src/engine/bitset.ts';
import { eachIndex, finish, inTurns } from '../../src/engine/pieces.ts';

test('eachIndex visits every index once, in order, whether at once or in turns', async () => {
  for (const length of [0, 1, 16_384, 16_385, 100_000]) {
    const atOnce: number[] = [];
    finish(eachIndex(length, (index) => atOnce.push(index)));
    const turns: number[] = [];
    await inTurns(eachIndex(length, (index) => turns.push(index)));
    const wanted = Array.from({ length }, (_, index) => index);
    assert.deepEqual(atOnce, wanted, `${length}`);
    assert.deepEqual(turns, wanted, `${length}`);
  }
});

test('eachBit finds what forEachBit finds, across pieces', () => {
  let set = newBitset();
  for (const bit of [0, 7, 8, 16_383, 16_384, 200_001]) set = setBit(set, bit);
  const wanted: number[] = [];
  forEachBit(set, (bit) => wanted.push(bit));
  const found: number[] = [];
  finish(eachBit(set, (bit) => found.push(bit)));
  assert.deepEqual(found, wanted);
  assert.deepEqual(found, [0, 7, 8, 16_383, 16_384, 200_001]);
});

test('inTurns lets what waits run between pieces; a fleet of one piece is done in one go', async () => {
  let turns = 0;
  const count = () => {
    turns += 1;
    waiting = setImmediate(count);
  };
  let waiting = setImmediate(count);
  await inTurns(eachIndex(16_384, () => {}));
  assert.equal(turns, 0);
  await inTurns(eachIndex(16_384 * 5, () => {}));
  clearImmediate(waiting);
  assert.ok(turns >= 3, `${turns} turns`);
});
