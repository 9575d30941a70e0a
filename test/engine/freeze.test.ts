// Whom a step takes in: each row worked out by hand from the design's words, on a roster with a fixed order of ranks.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StepPolicy } from '../../src/domain/policy.ts';
import { EVERYBODY, isBefore, rank } from '../../src/domain/rank.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import { forEachBit } from '../../src/engine/bitset.ts';
import { type Freeze, freezeStep, orderOf } from '../../src/engine/freeze.ts';
import { finish } from '../../src/engine/pieces.ts';
import { Roster } from '../../src/engine/roster.ts';
import fc from '../support/fast-check.ts';
import { stepPolicy, testAgent } from '../support/fixtures.ts';

const SEED = 12345;

interface Host {
  /** Runs the release already. */
  has?: boolean;
  away?: boolean;
  labels?: Record<string, string>;
}

/** So many agents; `ranked[0]` is the first by rank, and `hosts` says what is special, by that place. */
function world(size: number, hosts: Record<number, Host> = {}) {
  const handles = Array.from({ length: size }, (_, handle) => handle);
  const idOf = (handle: number) => testAgent(handle).id;
  const probe = new Roster();
  const put = (roster: Roster, handle: number, labels: Record<string, string>) =>
    roster.put(testAgent(handle, { region: 'eu', labels, products: [] }), 0);
  for (const handle of handles) put(probe, handle, {});
  const place = (handle: number) => rank(probe.hashOf(handle), SEED);
  const ranked = [...handles].sort((a, b) => (isBefore(place(a), idOf(a), place(b), idOf(b)) ? -1 : 1));
  const host = new Map(ranked.map((handle, at) => [handle, hosts[at] ?? {}]));
  const roster = new Roster();
  for (const handle of handles) put(roster, handle, host.get(handle)?.labels ?? {});
  const placeOf = new Map(ranked.map((handle, at) => [handle, at]));
  const members = new Set<number>();
  const labelsBefore: Record<string, string>[] = [];
  let before = { threshold: 0, thresholdId: '' };

  return {
    /** Opens the next step: its members by their places in the order of ranks, and how many it adds, present or not. */
    open(
      step: Partial<StepPolicy>,
      updated: Record<number, Host> = {},
    ): { members: number[]; eligible: number; freeze: Freeze } {
      const now = (handle: number): Host => ({
        ...host.get(handle),
        ...(members.has(handle) && { has: true }),
        ...updated[placeOf.get(handle) as number],
      });
      const policy = stepPolicy({ percent: null, ...step });
      const freezing = freezeStep({
        roster,
        population: {
          handles,
          eligible: handles.map((handle) => now(handle).has !== true),
          unfit: [],
        },
        policy,
        seed: SEED,
        before,
        labelsBefore,
        isEarlierMember: (handle) => members.has(handle),
        isPresent: (handle) => now(handle).away !== true,
      });
      const freeze = finish(freezing);
      const found: number[] = [];
      forEachBit(freeze.members, (handle) => {
        found.push(placeOf.get(handle) as number);
        members.add(handle);
      });
      before = freeze;
      if (policy.labels !== null) labelsBefore.push(policy.labels);
      return { members: found.sort((a, b) => a - b), eligible: freeze.eligible, freeze };
    },
  };
}

const first = (count: number, from = 0) => Array.from({ length: count }, (_, at) => from + at);

describe('the first step by rank takes the first of the order', () => {
  const rows: [size: number, step: Partial<StepPolicy>, members: number][] = [
    [0, { percent: 10 }, 0],
    [0, { count: 1 }, 0],
    [0, { percent: 100, min: 5 }, 0],
    [1, { percent: 1 }, 1],
    [1, { count: 3 }, 1],
    [2, { percent: 50 }, 1],
    // Rounded up.
    [2, { percent: 51 }, 2],
    [3, { percent: 10 }, 1],
    [3, { percent: 34 }, 2],
    [3, { count: 3 }, 3],
    [9, { percent: 10 }, 1],
    [9, { percent: 12 }, 2],
    [10, { percent: 10 }, 1],
    [10, { percent: 11 }, 2],
    [10, { percent: 100 }, 10],
    [100, { percent: 7 }, 7],
    [100, { percent: 29 }, 29],
    [100, { count: 1 }, 1],
    [10_000, { percent: 1 }, 100],
    [10_000, { percent: 7 }, 700],
    // A smaller step is widened up to `min`, which is at most what the lane has.
    [10, { percent: 10, min: 3 }, 3],
    [10, { count: 1, min: 10 }, 10],
    [3, { percent: 10, min: 20 }, 3],
    [10, { percent: 50, min: 3 }, 5],
  ];
  for (const [size, step, members] of rows) {
    test(`${size} agents, ${JSON.stringify(step)}: ${members}`, () => {
      const found = world(size).open(step);
      assert.deepEqual([found.members, found.freeze.size], [first(members), members]);
    });
  }
});

test('those who are away are no members, `min` counts those who are present', () => {
  const away = { 0: { away: true }, 1: { away: true }, 4: { away: true } };
  assert.deepEqual(world(10, away).open({ count: 3 }).members, [2]);
  assert.equal(world(10, away).open({ count: 3 }).eligible, 3);
  assert.deepEqual(world(10, away).open({ count: 3, min: 3 }).members, [2, 3, 5]);
  const all = Object.fromEntries(first(3).map((at) => [at, { away: true }]));
  const found = world(3, all).open({ percent: 100, min: 2 });
  assert.deepEqual([found.members, found.eligible], [[], 3]);
});

test('who has the release without the lane uses up no share, and is no member', () => {
  const has = { 0: { has: true }, 1: { has: true }, 3: { has: true } };
  assert.deepEqual(world(10, has).open({ count: 2 }).members, [2, 4]);
  // 30 % of seven: rounded up, three.
  assert.deepEqual(world(10, has).open({ percent: 30 }).members, [2, 4, 5]);
  const everybody = Object.fromEntries(first(3).map((at) => [at, { has: true }]));
  const found = world(3, everybody).open({ percent: 100 });
  assert.deepEqual([found.members, found.eligible], [[], 0]);
});

test('shares are cumulative: what earlier steps have updated counts', () => {
  const lane = world(10);
  assert.deepEqual(lane.open({ count: 2 }).members, [0, 1]);
  assert.deepEqual(lane.open({ percent: 50 }).members, [2, 3, 4]);
  assert.deepEqual(lane.open({ percent: 50, min: 0 }).members, [], 'adds nobody');
  const last = lane.open({ percent: 100 });
  assert.deepEqual(last.members, [5, 6, 7, 8, 9]);
  assert.deepEqual({ threshold: last.freeze.threshold, thresholdId: last.freeze.thresholdId }, EVERYBODY);
});

test('a later step never reaches less far than one that was widened', () => {
  const lane = world(10);
  assert.deepEqual(lane.open({ percent: 10, min: 4 }).members, [0, 1, 2, 3]);
  const second = lane.open({ percent: 20, min: 0 });
  assert.deepEqual([second.members, second.eligible], [[], 0]);
  assert.deepEqual(lane.open({ percent: 60 }).members, [4, 5]);
});

test('who was away when an earlier step opened is inside the later ones, but is not what they add', () => {
  const lane = world(10, { 0: { away: true } });
  assert.deepEqual(lane.open({ count: 2 }).members, [1]);
  const returned = lane.open({ count: 3 }, { 0: { away: false } });
  assert.deepEqual([returned.members, returned.eligible], [[0, 2], 1]);
  const other = world(10, { 0: { away: true } });
  other.open({ count: 2 });
  const still = other.open({ count: 2, min: 0 });
  assert.deepEqual([still.members, still.eligible], [[], 0], 'a step that adds nobody is skipped, not held');
});

describe('steps by labels', () => {
  const CANARY = { role: 'canary' };
  const hosts = { 3: { labels: CANARY }, 7: { labels: { ...CANARY, rack: 'r1' } }, 9: { labels: CANARY, away: true } };

  test('all who carry them, whatever the rank; `min` does not widen them', () => {
    const found = world(10, hosts).open({ labels: CANARY, min: 5 });
    assert.deepEqual([found.members, found.eligible], [[3, 7], 3]);
    assert.deepEqual([found.freeze.threshold, found.freeze.thresholdId], [0, '']);
  });
  test('more labels mean fewer', () => {
    assert.deepEqual(world(10, hosts).open({ labels: { role: 'canary', rack: 'r1' } }).members, [7]);
  });
  test('nobody carries them: nobody', () => {
    const found = world(10).open({ labels: CANARY });
    assert.deepEqual([found.members, found.eligible], [[], 0]);
  });
  test('a step by rank after it takes the share of all, and those of the labels who were away', () => {
    const lane = world(10, hosts);
    lane.open({ labels: CANARY });
    const found = lane.open({ count: 2 }, { 9: { away: false } });
    assert.deepEqual([found.members, found.eligible], [[0, 1, 9], 2]);
  });
  test('a step by labels after one by rank keeps its reach', () => {
    const lane = world(10, hosts);
    const before = lane.open({ count: 4 });
    const found = lane.open({ labels: CANARY });
    assert.deepEqual(found.members, [7]);
    assert.equal(found.freeze.threshold, before.freeze.threshold);
  });
});

test('any steps of any lane: each only adds, none takes a member twice, the last has everybody who is present', () => {
  const step = fc.oneof(
    fc.record({ percent: fc.integer({ min: 1, max: 100 }), min: fc.nat({ max: 12 }) }),
    fc.record({ count: fc.integer({ min: 1, max: 20 }), min: fc.nat({ max: 12 }) }),
    fc.constant({ labels: { role: 'canary' } }),
  );
  const host = fc.record({
    has: fc.boolean(),
    away: fc.boolean(),
    labels: fc.constantFrom({}, { role: 'canary' }),
  });
  fc.assert(
    fc.property(fc.array(host, { maxLength: 30 }), fc.array(step, { maxLength: 4 }), (hosts, steps) => {
      const lane = world(hosts.length, { ...hosts });
      const taken = new Set<number>();
      let reach = { threshold: 0, thresholdId: '' };
      for (const one of [...steps, { percent: 100, min: 0 }]) {
        const { members, freeze } = lane.open(one);
        assert.equal(freeze.size, members.length);
        for (const at of members) {
          assert(!taken.has(at) && hosts[at]?.away !== true && hosts[at]?.has !== true, `place ${at}`);
          taken.add(at);
        }
        assert(!isBefore(freeze.threshold, freeze.thresholdId, reach.threshold, reach.thresholdId));
        reach = freeze;
      }
      assert.equal(taken.size, hosts.filter((one) => !one.away && !one.has).length);
    }),
    { numRuns: 300 },
  );
});

test('a step by rank is what sorting everybody by rank and taking from the front gives', () => {
  const host = fc.record({ has: fc.boolean(), away: fc.boolean() });
  const share = fc.oneof(
    fc.record({ percent: fc.integer({ min: 1, max: 99 }) }),
    fc.record({ count: fc.integer({ min: 1, max: 80 }) }),
  );
  const step = fc.tuple(share, fc.nat({ max: 40 })).map(([one, min]) => ({ ...one, min }));
  fc.assert(
    fc.property(fc.array(host, { maxLength: 120 }), step, (hosts, policy) => {
      const { members, eligible } = world(hosts.length, { ...hosts }).open(policy);
      const ranked = hosts.flatMap((one, place) => (one.has ? [] : [{ ...one, place }]));
      const wanted = 'count' in policy ? policy.count : Math.ceil((policy.percent * ranked.length) / 100);
      const reached: typeof ranked = [];
      for (const one of ranked) {
        const present = reached.filter(({ away }) => !away).length;
        if (reached.length >= wanted && present >= policy.min) break;
        reached.push(one);
      }
      assert.deepEqual(
        [members, eligible],
        [reached.filter(({ away }) => !away).map(({ place }) => place), reached.length],
      );
    }),
    { numRuns: 500 },
  );
});

test('orderOf: below, at, above; what cannot be read is none of them', () => {
  const order = orderOf(schemeOf('semver'), '1.2.0');
  const found = ['1.1.9', '1.2.0', '1.10.0', 'nightly', '1.1.9'].map((version) => Math.sign(order(version)));
  assert.deepEqual(found, [-1, 0, 1, Number.NaN, -1]);
});
