// verdict and what it is made of, each row worked out by hand from the formulas of the design.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NO_COUNTS, type StepCounters } from '../../src/domain/rollout.ts';
import {
  budgetOf,
  detectableRate,
  NO_SILENCE,
  needOf,
  type Silence,
  type VerdictPolicy,
  verdict,
} from '../../src/domain/verdict.ts';
import fc from '../support/fast-check.ts';

const DEFAULTS: VerdictPolicy = { doneRatio: 9000, badRatio: 200, minSample: 20, badCount: null };

describe('budgetOf', () => {
  const rows: [size: number, overrides: Partial<VerdictPolicy>, allowance: number, expected: number][] = [
    [0, {}, 0, 1],
    [1, {}, 0, 1],
    [2, {}, 0, 1],
    [3, {}, 0, 1],
    [9, {}, 0, 1],
    [10, {}, 0, 1],
    [19, {}, 0, 1],
    [20, {}, 0, 1],
    [50, {}, 0, 1],
    [51, {}, 0, 2],
    [100, {}, 0, 2],
    [10_000, {}, 0, 200],
    [0, { badCount: 3 }, 0, 1],
    [1, { badCount: 3 }, 0, 1],
    [2, { badCount: 3 }, 0, 1],
    [3, { badCount: 3 }, 0, 1],
    [9, { badCount: 3 }, 0, 1],
    // Nobody is out of reach with one bad of ten: 9 of 10 are enough.
    [10, { badCount: 3 }, 0, 2],
    [19, { badCount: 3 }, 0, 2],
    // From minSample on the ratio speaks too, and the smaller one wins.
    [20, { badCount: 3 }, 0, 1],
    [100, { badCount: 3 }, 0, 2],
    [10_000, { badCount: 3 }, 0, 3],
    [19, { badRatio: 1000 }, 0, 1],
    [20, { badRatio: 1000 }, 0, 2],
    [20, { badRatio: 10_000 }, 0, 3],
    [10, { minSample: 1, badRatio: 10_000, doneRatio: 10_000 }, 0, 1],
    [10, { minSample: 1, badRatio: 10_000, doneRatio: 5000 }, 0, 6],
    // At least half must succeed, whatever the done ratio.
    [10, { minSample: 1, badRatio: 10_000, doneRatio: 100 }, 0, 6],
    [9, { badCount: 9, doneRatio: 100 }, 0, 5],
    [10_000, { badRatio: 1 }, 0, 1],
    [10_001, { badRatio: 1 }, 0, 2],
    [3, {}, 2, 3],
    [100, {}, 2, 4],
    [0, {}, 1, 2],
  ];
  for (const [size, overrides, allowance, expected] of rows) {
    test(`budgetOf(${size}, ${JSON.stringify(overrides)}, ${allowance}) is ${expected}`, () => {
      assert.equal(budgetOf(size, { ...DEFAULTS, ...overrides }, allowance), expected);
    });
  }
});

describe('needOf', () => {
  const rows: [size: number, out: number, allowance: number, expected: number, bad?: number][] = [
    [0, 0, 0, 1],
    [1, 0, 0, 1],
    [2, 0, 0, 2],
    [3, 0, 0, 3],
    [9, 0, 0, 9],
    [10, 0, 0, 9],
    [100, 0, 0, 90],
    [10_000, 0, 0, 9000],
    [1, 1, 0, 1],
    [2, 1, 0, 1],
    [3, 1, 0, 2],
    [10, 1, 0, 9],
    [100, 20, 0, 72],
    // Half of all members, however many are out.
    [3, 3, 0, 2],
    [10, 5, 0, 5],
    [10, 10, 0, 5],
    [100, 99, 0, 50],
    [10, 0, 1, 8],
    // Nine tenths of the five that are left; the two accepted ones are among those who are out.
    [10, 5, 2, 5],
    // Four declined, and a person took them on, two and two: all six that are left.
    [10, 4, 0, 6],
    [10, 4, 2, 6],
    [10, 4, 4, 6],
    [10, 4, 5, 5],
    // Half of all members is asked for without them as well: that much a person takes on.
    [10, 7, 0, 5],
    [10, 7, 1, 4],
    [10, 7, 2, 3],
    [10, 7, 7, 3],
    [10, 7, 8, 2],
    // What went bad is not out, so accepting it lowers what is needed, whoever is out besides.
    [10, 0, 2, 7, 2],
    [10, 2, 1, 7, 1],
    [10, 2, 2, 6, 2],
    [10, 2, 3, 6, 2],
    [10, 2, 5, 5, 2],
    [100, 20, 25, 67],
    [100, 20, 25, 62, 10],
    [1, 0, 3, 1],
  ];
  for (const [size, out, allowance, expected, bad = 0] of rows) {
    test(`needOf({ size: ${size}, out: ${out}, bad: ${bad} }, ${allowance}) is ${expected}`, () => {
      assert.equal(needOf({ size, out, bad }, DEFAULTS, allowance), expected);
    });
  }
});

describe('detectableRate', () => {
  const rows: [agents: number, expected: number][] = [
    [0, 1],
    [1, 0.95],
    [2, 0.7764],
    [3, 0.6316],
    [9, 0.2831],
    [10, 0.2589],
    [59, 0.0495],
    [100, 0.0295],
    [10_000, 0.0003],
  ];
  for (const [agents, expected] of rows) {
    test(`detectableRate(${agents}) is ${expected}`, () => {
      assert.equal(Math.round(detectableRate(agents) * 10_000) / 10_000, expected);
    });
  }
  test('59 clean agents are the fewest that rule out 5 %', () => {
    assert(detectableRate(59) <= 0.05 && detectableRate(58) > 0.05);
  });
});

describe('verdict', () => {
  type Row = [size: number, counts: Partial<StepCounters>, silence: Partial<Silence>, expected: string];
  const many = { succeeded: 8, badMembers: 0 };
  const rows: Row[] = [
    [3, {}, {}, 'open'],
    [3, { succeeded: 2 }, {}, 'open'],
    [3, { succeeded: 3 }, {}, 'done'],
    [1, { succeeded: 1 }, {}, 'done'],
    [10, { succeeded: 9 }, {}, 'done'],
    [10_000, { succeeded: 8999 }, {}, 'open'],
    [10_000, { succeeded: 9000 }, {}, 'done'],
    // Nobody gave evidence: never done.
    [0, {}, {}, 'hold too_few_successes'],
    // One bad halts whatever is under minSample; it need not be a member's.
    [3, { bad: 1 }, {}, 'halt'],
    [19, { bad: 1 }, {}, 'halt'],
    [20, { bad: 1 }, {}, 'halt'],
    [100, { bad: 1, badMembers: 1 }, {}, 'open'],
    [100, { bad: 2 }, {}, 'halt'],
    [10_000, { bad: 199 }, {}, 'open'],
    [10_000, { bad: 200 }, {}, 'halt'],
    // A member at risk: neither done nor too few.
    [10, { succeeded: 9, hot: 1, hotMembers: 1 }, {}, 'open'],
    [10, { succeeded: 9, hot: 1, hotMembers: 0 }, {}, 'done'],
    [2, { succeeded: 1, hot: 1, hotMembers: 1 }, { gone: 1 }, 'open'],
    // Gone: in no count of success, but half of all must still succeed.
    [3, { succeeded: 2 }, { gone: 1 }, 'done'],
    [3, { succeeded: 1 }, { gone: 2 }, 'hold too_few_successes'],
    [4, { succeeded: 2 }, { gone: 2 }, 'done'],
    [3, { succeeded: 1 }, { gone: 1 }, 'open'],
    [12, many, { gone: 3 }, 'open'],
    [11, many, { gone: 3 }, 'hold silent'],
    [11, many, { gone: 3, replaceable: 1 }, 'done'],
    [8, {}, { gone: 2 }, 'open'],
    [3, {}, { gone: 3 }, 'hold silent'],
    [3, {}, { gone: 3, replaceable: 1 }, 'hold too_few_successes'],
    // Not eligible any more.
    [3, { succeeded: 2 }, { ineligible: 1 }, 'done'],
    [3, { succeeded: 1 }, { ineligible: 2 }, 'hold too_few_successes'],
    // Declined, failed before a grant, inconclusive: two of them, and more than a tenth.
    [10, { declined: 1, exhausted: 1, succeeded: 9 }, {}, 'done'],
    [20, { declined: 1, inconclusive: 1 }, {}, 'open'],
    [19, { declined: 1, inconclusive: 1 }, {}, 'hold inconclusive'],
    [19, { failedBeforeGrant: 2 }, {}, 'hold inconclusive'],
    [9, { failedBeforeGrant: 1 }, {}, 'open'],
    [19, { declined: 1, failedBeforeGrant: 1, succeeded: 18 }, {}, 'hold inconclusive'],
    [20, { declined: 2, exhausted: 2, succeeded: 18 }, {}, 'done'],
    // Used up: out, so fewer are needed; while attempts are left the step goes on.
    [3, { failedBeforeGrant: 1, succeeded: 2 }, {}, 'open'],
    [3, { failedBeforeGrant: 1, succeeded: 2, exhausted: 1 }, {}, 'done'],
    [1, { declined: 1, exhausted: 1 }, {}, 'hold too_few_successes'],
    // One that is hot, succeeded or bad is never out, whatever the roster believes.
    [3, { succeeded: 3 }, { gone: 2 }, 'done'],
    [10, { succeeded: 4, hot: 6, hotMembers: 6 }, { ineligible: 6 }, 'open'],
    [100, { succeeded: 80, bad: 1, badMembers: 1 }, { ineligible: 19 }, 'done'],
    // The order of the rules: the budget, silence, no evidence, success.
    [3, { bad: 1, succeeded: 2, declined: 2, exhausted: 2 }, { gone: 3 }, 'halt'],
    [11, { ...many, declined: 2, exhausted: 2 }, { gone: 3 }, 'hold silent'],
    [10, { succeeded: 9, inconclusive: 2 }, {}, 'hold inconclusive'],
    // All have ended, and too few of them well.
    [100, { succeeded: 88, bad: 1, badMembers: 1 }, {}, 'open'],
    [100, { succeeded: 49, bad: 1, badMembers: 1 }, { ineligible: 50 }, 'hold too_few_successes'],
    [100, { succeeded: 49, bad: 1, badMembers: 1, hot: 1, hotMembers: 1 }, { ineligible: 49 }, 'open'],
  ];
  for (const [size, counts, silence, expected] of rows) {
    test(`verdict(${size}, ${JSON.stringify(counts)}, ${JSON.stringify(silence)}) is ${expected}`, () => {
      const found = verdict(size, { ...NO_COUNTS, ...counts }, { ...NO_SILENCE, ...silence }, DEFAULTS, 0);
      assert.equal(found.kind === 'hold' ? `hold ${found.reason}` : found.kind, expected);
    });
  }

  test('what was accepted is neither inconclusive nor silent any more', () => {
    const kinds = (allowance: number) => [
      verdict(10, { ...NO_COUNTS, inconclusive: 3 }, NO_SILENCE, DEFAULTS, allowance).kind,
      verdict(10, NO_COUNTS, { ...NO_SILENCE, gone: 4 }, DEFAULTS, allowance).kind,
    ];
    assert.deepEqual(
      [kinds(0), kinds(1), kinds(2)],
      [
        ['hold', 'hold'],
        ['hold', 'hold'],
        ['open', 'open'],
      ],
    );
  });

  test('an allowance raises the budget and lowers the need by as much', () => {
    const at = (bad: number, succeeded: number) =>
      verdict(10, { ...NO_COUNTS, bad, badMembers: bad, succeeded }, NO_SILENCE, DEFAULTS, 2);
    assert.deepEqual(at(2, 6), { kind: 'open', budget: 3, need: 7 });
    assert.deepEqual(at(2, 7), { kind: 'done', budget: 3, need: 7 });
    assert.deepEqual(at(3, 7), { kind: 'halt', budget: 3, need: 7 });
  });

  test('the budget does not change with those who are out', () => {
    const found = verdict(100, { ...NO_COUNTS, exhausted: 30 }, { ...NO_SILENCE, ineligible: 30 }, DEFAULTS, 0);
    assert.deepEqual([found.budget, found.need], [2, 50]);
  });
});

describe('laws of the verdict', () => {
  const nat = (max: number) => fc.nat({ max });
  const anyPolicy = fc.record({
    doneRatio: fc.integer({ min: 1, max: 10_000 }),
    badRatio: nat(10_000),
    minSample: nat(40),
    badCount: fc.option(fc.integer({ min: 1, max: 20 })),
  });
  const anyStep = fc.record({
    size: fc.integer({ min: 1, max: 60 }),
    counters: fc.record({
      succeeded: nat(60),
      bad: nat(20),
      hotMembers: nat(5),
      declined: nat(10),
      exhausted: nat(10),
    }),
    silence: fc.record({ gone: nat(20), ineligible: nat(20), replaceable: nat(2) }),
    policy: anyPolicy,
    allowance: nat(10),
  });
  const judge = ({ size, counters, silence, policy, allowance }: Step) =>
    verdict(size, { ...NO_COUNTS, ...counters }, silence, policy, allowance).kind;
  type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

  test('a step without a success never passes, and it halts at its budget and not before', () => {
    fc.assert(
      fc.property(anyStep, (step) => {
        const budget = budgetOf(step.size, step.policy, step.allowance);
        assert.notEqual(judge({ ...step, counters: { ...step.counters, succeeded: 0 } }), 'done');
        assert.equal(judge(step) === 'halt', step.counters.bad >= budget);
      }),
      { numRuns: 300 },
    );
  });

  test('accepting more brings no halt, and while the budget lasts as many as are needed can still succeed', () => {
    fc.assert(
      fc.property(anyStep, (step) => {
        const { size, policy, allowance } = step;
        if (judge(step) !== 'halt') assert.notEqual(judge({ ...step, allowance: allowance + 1 }), 'halt');
        const all = { size, out: 0, bad: 0 };
        assert(needOf(all, policy, allowance + 1) <= needOf(all, policy, allowance));
        assert(size - (budgetOf(size, policy, 0) - 1) >= needOf(all, policy, 0));
      }),
      { numRuns: 300 },
    );
  });

  test('what is needed is never less than half of those left without the accepted ones among them, and never grows by accepting', () => {
    const anyMembers = fc.record({ size: fc.integer({ min: 1, max: 60 }), out: nat(60), bad: nat(60) });
    fc.assert(
      fc.property(anyMembers, anyPolicy, nat(70), (drawn, policy, allowance) => {
        const out = Math.min(drawn.out, drawn.size);
        const members = { size: drawn.size, out, bad: Math.min(drawn.bad, drawn.size - out) };
        const need = needOf(members, policy, allowance);
        const left = members.size - out;
        // Each accepted outcome is one member that is bad, out, or missing: those who are out are not among those left.
        const accepted = Math.max(allowance - out, Math.min(allowance, members.bad));
        assert(need >= Math.max(1, Math.ceil(left / 2) - accepted));
        assert(needOf(members, policy, allowance + 1) <= need);
        // Who takes on whatever is bad, out and missing is asked for nothing that cannot be.
        assert(needOf(members, policy, out + members.bad) <= Math.max(1, left - members.bad));
      }),
      { numRuns: 300 },
    );
  });
});
