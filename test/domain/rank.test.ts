// The order of agents in a rollout: values that stored thresholds depend on, so none of them may ever change.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fmix32, hash32, isBefore, rank } from '../../src/domain/rank.ts';
import fc from '../support/fast-check.ts';

describe('golden values: a change here moves agents between the steps of rollouts that are going on', () => {
  const hashes: [string, number][] = [
    ['', 2872998923],
    ['a', 444641715],
    ['foobar', 202221276],
    ['019a0000-0000-7000-8000-000000000001', 3234848337],
    ['019a0000-0000-7000-8000-000000000002', 2005525693],
    ['ä€😀', 119109006],
  ];
  for (const [text, expected] of hashes) {
    test(`hash32(${JSON.stringify(text)}) is ${expected}`, () => assert.equal(hash32(text), expected));
  }
  // 0x514e28b7 is also MurmurHash3_x86_32 of the empty input with seed 1.
  const mixed: [number, number][] = [
    [0, 0],
    [1, 0x514e28b7],
    [2, 821347078],
    [0xffffffff, 2180083513],
    [-1, 2180083513],
  ];
  for (const [value, expected] of mixed) {
    test(`fmix32(${value}) is ${expected}`, () => assert.equal(fmix32(value), expected));
  }
  const ranks: [string, string, number][] = [
    ['', 'rollout', 3639126235],
    ['a', 'rollout', 3746398302],
    ['019a0000-0000-7000-8000-000000000001', 'rollout', 605054682],
    ['019a0000-0000-7000-8000-000000000002', 'rollout', 2713403262],
  ];
  for (const [id, seed, expected] of ranks) {
    test(`rank of ${JSON.stringify(id)} in ${JSON.stringify(seed)} is ${expected}`, () => {
      assert.equal(rank(hash32(id), hash32(seed)), expected);
    });
  }
  test('rank with seed 0 mixes the hash once more', () => assert.equal(rank(444641715, 0), 3744112697));
});

const IDS = Array.from({ length: 20_000 }, (_, n) => `019a0000-0000-7000-8000-${String(n).padStart(12, '0')}`);

test('ranks of consecutive ids are uniform: each sixteenth holds its share, within five standard deviations', () => {
  const buckets = new Array<number>(16).fill(0);
  for (const id of IDS) buckets[Math.floor(rank(hash32(id), hash32('rollout')) / 2 ** 28)]! += 1;
  const mean = IDS.length / 16;
  for (const [index, count] of buckets.entries()) {
    assert(Math.abs(count - mean) < 5 * Math.sqrt(mean), `bucket ${index}: ${count} instead of about ${mean}`);
  }
});

test('every rollout has another order: who goes first in one is spread over the other', () => {
  const first = (seed: string) => {
    const seeded = hash32(seed);
    const place = (id: string) => rank(hash32(id), seeded);
    return new Set([...IDS].sort((a, b) => place(a) - place(b)).slice(0, 2000));
  };
  const [a, b] = [first('one'), first('two')];
  const both = [...a].filter((id) => b.has(id)).length;
  // A tenth of a tenth by chance.
  assert(both > 130 && both < 270, `${both} of 2000 go first in both`);
});

test('rank is a whole number from 0 to 2^32 − 1, and no two hashes share one', () => {
  const seen = new Set<number>();
  for (let hash = 0; hash < 20_000; hash += 1) {
    const place = rank(hash, 0xdeadbeef);
    assert(Number.isInteger(place) && place >= 0 && place <= 0xffffffff);
    seen.add(place);
  }
  assert.equal(seen.size, 20_000);
});

describe('isBefore', () => {
  const rows: [number, string, number, string, boolean][] = [
    [1, 'b', 2, 'a', true],
    [2, 'a', 1, 'b', false],
    [1, 'a', 1, 'b', true],
    [1, 'b', 1, 'a', false],
    [1, 'a', 1, 'a', false],
    [0, '', 0, 'a', true],
    [0xffffffff, 'f', 0xffffffff, '~', true],
  ];
  for (const [rankA, idA, rankB, idB, expected] of rows) {
    test(`isBefore(${rankA}, ${idA}, ${rankB}, ${idB}) is ${expected}`, () => {
      assert.equal(isBefore(rankA, idA, rankB, idB), expected);
    });
  }
});

test('law: the mixer loses nothing, and of two agents exactly one is before the other', () => {
  const number = fc.integer({ min: 0, max: 0xffffffff });
  const agent = fc.tuple(fc.oneof(number, fc.nat({ max: 2 })), fc.stringMatching(/^[a-c]{1,2}$/));
  fc.assert(
    fc.property(number, number, agent, agent, (x, y, [rankA, idA], [rankB, idB]) => {
      assert.equal(fmix32(x) === fmix32(y), x === y);
      const isSame = rankA === rankB && idA === idB;
      const before = [isBefore(rankA, idA, rankB, idB), isBefore(rankB, idB, rankA, idA)];
      assert.deepEqual(before.filter(Boolean), isSame ? [] : [true]);
    }),
    { numRuns: 300 },
  );
});
