// What a release requires of a host: how wanted and found are compared, and what the person who asks is told.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exclude, isComparable, type Requirement, requirementsFor, unmetOf } from '../../src/domain/requirement.ts';
import fc from '../support/fast-check.ts';

function wants(rule: Requirement['rule'], ...wanted: string[]): Requirement {
  return { versions: null, fact: 'x', rule, wanted, reason: null };
}

describe('unmetOf: one requirement', () => {
  const rows: [rule: Requirement['rule'], wanted: string, found: string, met: boolean][] = [
    ['atLeast', '5.10', '4.19', false],
    ['atLeast', '5.10', '5.9.16-amd64', false],
    ['atLeast', '5.10', '5.10.0-21-amd64', true],
    ['atLeast', '5.10', '6', true],
    ['atLeast', '5.10.2', '5.10', false],
    ['atLeast', '2.28', '2.31', true],
    ['atLeast', '2 GiB', '2048 MiB', true],
    ['atLeast', '2 GiB', '2047MiB', false],
    ['atLeast', '2 GB', '1.9 GiB', true],
    ['atLeast', '2 GiB', '3000', false],
    ['atLeast', '4', '8 GiB', false],
    ['atLeast', '5.10', 'unknown', false],
    ['atLeast', '5.10', '99999999999999999999', false],
    ['atMost', '5.10', '5.10.7', true],
    ['atMost', '5.10', '5.11', false],
    ['equals', 'open', 'open', true],
    ['equals', 'open', 'Open', false],
    ['equals', '12', '12.0', false],
  ];
  for (const [rule, wanted, found, met] of rows) {
    test(`${rule} ${wanted}, found ${found}: ${met ? 'met' : 'unmet'}`, () => {
      assert.equal(unmetOf([wants(rule, wanted)], { x: found }) === undefined, met);
    });
  }
  test('oneOf debian, ubuntu', () => {
    const requirement = wants('oneOf', 'debian', 'ubuntu');
    assert.equal(unmetOf([requirement], { x: 'ubuntu' }), undefined);
    assert.equal(unmetOf([requirement], { x: 'alpine' }), 'x: wanted debian or ubuntu, found alpine');
  });
});

describe('unmetOf: what is said', () => {
  const kernel: Requirement = { versions: null, fact: 'kernel', rule: 'atLeast', wanted: ['5.10'], reason: null };
  const rows: [facts: Record<string, string> | null, reason: string | null, sentence: string][] = [
    [{ kernel: '4.19' }, null, 'kernel: wanted at least 5.10, found 4.19'],
    [{ kernel: '4.19' }, 'it needs eBPF', 'kernel: wanted at least 5.10, found 4.19 (it needs eBPF)'],
    [{}, null, 'kernel: wanted at least 5.10, not reported'],
    [{ kernel: '' }, null, 'kernel: wanted at least 5.10, not reported'],
    [null, null, 'kernel: wanted at least 5.10, not reported'],
    [{ kernel: '4\u001b[31m\n.19' }, null, 'kernel: wanted at least 5.10, found 4 [31m .19'],
  ];
  for (const [facts, reason, sentence] of rows) {
    test(sentence, () => assert.equal(unmetOf([{ ...kernel, reason }], facts), sentence));
  }
  test('the first that is not met, and nothing of what an object has by itself', () => {
    assert.match(unmetOf([kernel, wants('equals', 'a')], { kernel: '6.1', x: 'b' }) ?? '', /^x: wanted a, found b$/);
    assert.match(unmetOf([{ ...kernel, fact: 'constructor' }], {}) ?? '', /not reported/);
  });
  test('a value of 256 characters is cut', () => {
    assert.ok((unmetOf([kernel], { kernel: 'k'.repeat(256) }) ?? '').length < 150);
  });
});

describe('requirementsFor', () => {
  const all = [{ ...wants('equals', 'a'), versions: '>=2' }, wants('equals', 'b')];
  const rows: [version: string, wanted: string[]][] = [
    ['1.9.0', ['b']],
    ['2.0.0', ['a', 'b']],
    ['2.0.0-rc.1', ['a', 'b']],
    ['1.9.0-rc.1', ['b']],
  ];
  for (const [version, wanted] of rows) {
    test(`${version}: ${wanted}`, () => {
      assert.deepEqual(
        requirementsFor(all, 'semver', version).flatMap((one) => one.wanted),
        wanted,
      );
    });
  }
});

describe('exclude: no host can have both', () => {
  const rows: [a: Requirement, b: Requirement, excluded: boolean][] = [
    [wants('atLeast', '5.10'), wants('atMost', '4.19'), true],
    [wants('atLeast', '5.10'), wants('atMost', '5.10'), false],
    [wants('atLeast', '5'), wants('atLeast', '6'), false],
    [wants('atLeast', '2 GiB'), wants('atMost', '10'), true],
    [wants('equals', 'a'), wants('oneOf', 'b', 'c'), true],
    [wants('equals', 'b'), wants('oneOf', 'b', 'c'), false],
    [wants('oneOf', '4', '6'), wants('atLeast', '5'), false],
    [wants('equals', '4'), wants('atLeast', '5'), true],
    [wants('equals', 'a'), { ...wants('equals', 'b'), fact: 'y' }, false],
  ];
  for (const [a, b, excluded] of rows) {
    test(`${a.rule} ${a.wanted} and ${b.fact} ${b.rule} ${b.wanted}: ${excluded}`, () => {
      assert.equal(exclude(a, b), excluded);
      assert.equal(exclude(b, a), excluded);
    });
  }
});

describe('isComparable', () => {
  for (const [text, expected] of [
    ['5.10', true],
    ['2 GiB', true],
    ['v1.2', true],
    ['bookworm', false],
    ['', false],
  ] as const) {
    test(`${JSON.stringify(text)}: ${expected}`, () => assert.equal(isComparable(text), expected));
  }
});

test('law: nothing meets two requirements that exclude each other, and a number is at least or at most another', () => {
  const version = fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('.'));
  const rule = fc.constantFrom<Requirement['rule']>('atLeast', 'atMost', 'equals');
  const meets = (requirement: Requirement, x: string) => unmetOf([requirement], { x }) === undefined;
  fc.assert(
    fc.property(rule, version, rule, version, version, (ruleA, a, ruleB, b, found) => {
      const [one, other] = [wants(ruleA, a), wants(ruleB, b)];
      if (exclude(one, other)) assert(!meets(one, found) || !meets(other, found), found);
      assert.equal(exclude(one, other), exclude(other, one));
      assert(meets(wants('atLeast', a), found) || meets(wants('atMost', a), found));
    }),
    { numRuns: 500 },
  );
});
