// The numeric scheme: real versions of products that do not follow SemVer, and its own ranges.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Jump } from '../../../src/domain/version/scheme.ts';
import { schemeOf } from '../../../src/domain/version/schemes.ts';
import fc from '../../support/fast-check.ts';

const scheme = schemeOf('numeric');

describe('parse', () => {
  for (const text of ['0', '3', '3.1', '3.3.1611.0', '2024.1.5', '1.2.3.4.5.6', '9007199254740991.0']) {
    test(`parse(${text})`, () => {
      assert.equal(scheme.parse(text)?.text, text);
      assert.equal(scheme.parse(text)?.prerelease, false);
    });
  }
  const refused = [
    '',
    '.',
    '1.',
    '.1',
    '1..2',
    '01.2',
    '2024.01.05',
    'v1.2',
    ' 1.2',
    '1.2\n',
    '1.2.3-rc.1',
    '1.2+b',
    '-1',
    '1e3',
    '1.2.3.4.5.6.7',
    '9007199254740992',
    '1'.repeat(129),
    '٣.١',
  ];
  for (const text of refused) {
    test(`parse(${JSON.stringify(text.slice(0, 30))}) is refused`, () => assert.equal(scheme.parse(text), undefined));
  }
});

describe('compare', () => {
  test('compare(3.3.1142.0, 3.3.987.0) is positive although the texts sort the other way', () => {
    assert.ok('3.3.1142.0' < '3.3.987.0');
    assert.ok(scheme.compare('3.3.1142.0', '3.3.987.0') > 0);
    assert.ok(keyOf('3.3.1142.0') > keyOf('3.3.987.0'));
  });
  test('compare(3.1, 3.1.0) is 0', () => {
    assert.equal(scheme.compare('3.1', '3.1.0'), 0);
    assert.equal(keyOf('3.1'), keyOf('3.1.0'));
  });
  test('compare(3.1, 3.1.0.0.0.1) is negative', () => assert.ok(scheme.compare('3.1', '3.1.0.0.0.1') < 0));
  test('compare(1.x, 1) is a bug of the caller', () => {
    assert.throws(() => scheme.compare('1.x', '1'), /assertion failed: not a numeric version/);
  });
  test('sortKey orders any two versions as compare does, and compare as the parts do', () => {
    fc.assert(
      fc.property(anyParts(), anyParts(), (a, b) => {
        const expected = orderOfParts(a, b);
        const [textA, textB] = [a.join('.'), b.join('.')];
        const [keyA, keyB] = [keyOf(textA), keyOf(textB)];
        assert.equal(Math.sign(scheme.compare(textA, textB)), expected);
        assert.equal(keyA < keyB ? -1 : keyA > keyB ? 1 : 0, expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('jump', () => {
  const table: [string, string, Jump][] = [
    ['3.1', '3.1.0', 'none'],
    ['3.1', '4', 'major'],
    ['3.1.9', '3.2', 'minor'],
    ['3.3.987.0', '3.3.1142.0', 'patch'],
    ['3.3.1142.0', '3.3.1142.1', 'patch'],
    ['3.3.1142.0', '3.3.987.0', 'downgrade'],
  ];
  for (const [from, to, jump] of table) {
    test(`jump(${from}, ${to}) is ${jump}`, () => assert.equal(scheme.jump(from, to), jump));
  }
});

describe('range', () => {
  const table: [string, string[], string[]][] = [
    ['>=3.1 <4', ['3.1', '3.99.1'], ['3.0.9', '4', '4.0.0']],
    ['>= 3.1  < 4', ['3.1'], ['4']],
    ['>3.1', ['3.1.0.0.0.1', '3.2'], ['3.1', '3.1.0']],
    ['<=3.1', ['3.1.0', '3'], ['3.1.0.1']],
    ['<3.1', ['3.0.9.9'], ['3.1']],
    ['3.1', ['3.1', '3.1.0.0'], ['3.1.1']],
    ['=3.1', ['3.1.0'], ['3.1.1']],
    ['~3.1', ['3.1', '3.1.9.9'], ['3.2', '3.0']],
    ['~3', ['3', '3.9'], ['4']],
    ['~3.1.2.5', ['3.1.2.5', '3.1.3'], ['3.1.2.4', '3.2']],
    ['^3.1', ['3.1', '3.9'], ['4', '3.0']],
    ['^0.3.1', ['0.3.1', '0.3.9'], ['0.4', '0.3.0']],
    ['^0.0.3', ['0.0.3', '0.0.3.7'], ['0.0.4']],
    ['^0', ['0', '0.9'], ['1']],
    ['^0.0', ['0.0.9'], ['0.1']],
    ['3.x', ['3', '3.99'], ['4', '2.9']],
    ['3.3.*', ['3.3.1611.0'], ['3.4']],
    ['^3.x', ['3.0', '3.9'], ['4']],
    ['*', ['0', '99.1'], []],
    ['<2 || >=3.3.1000', ['1', '3.3.1142.0'], ['2', '3.3.987.0']],
    ['>=2 <1 || >=5', ['5'], ['1', '2']],
  ];
  for (const [text, inside, outside] of table) {
    test(`range(${text})`, () => {
      const range = scheme.range(text);
      assert.equal(range?.text, text);
      for (const version of inside) assert.equal(range?.includes(version), true, version);
      for (const version of outside) assert.equal(range?.includes(version), false, version);
    });
  }

  const refused = [
    '',
    ' ',
    '||',
    '1 ||',
    '>=2 <1',
    '>3.1 <3.1.0.0.0.1',
    '>1 <1',
    '<0',
    '>=3.x',
    '>*',
    'x.3',
    '3.x.1',
    '3x',
    '01',
    '>=v1',
    '>==1',
    '>=1<2',
    '1 - 2',
    'latest',
    '>',
    '3.1.2.3.4.5.x',
    '1.2.3-rc.1',
    `${'1 || '.repeat(60)}1`,
  ];
  for (const text of refused) {
    test(`range(${JSON.stringify(text.slice(0, 20))}) is refused`, () => assert.equal(scheme.range(text), undefined));
  }
});

function keyOf(text: string): string {
  const version = scheme.parse(text);
  assert.ok(version, `${text} is a version`);
  return version.sortKey;
}

function anyParts(): fc.Arbitrary<number[]> {
  const part = fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 11 }) }, fc.maxSafeNat());
  return fc.array(part, { minLength: 1, maxLength: 6 });
}

function orderOfParts(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < 6; index += 1) {
    const sign = Math.sign((a[index] ?? 0) - (b[index] ?? 0));
    if (sign !== 0) return sign;
  }
  return 0;
}
