// The semver scheme against npm's own order, and the texts that it must refuse.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import semver from 'semver';
import type { Jump } from '../../../src/domain/version/scheme.ts';
import { schemeOf } from '../../../src/domain/version/schemes.ts';
import fc from '../../support/fast-check.ts';

const scheme = schemeOf('semver');

describe('parse', () => {
  const accepted: [string, boolean][] = [
    ['0.0.0', false],
    ['1.2.3', false],
    ['1.2.3-rc.1', true],
    ['1.2.3+build.5', false],
    ['1.2.3-rc.1+build.5', true],
    ['1.2.3+001', false],
    ['1.0.0-0A.is.legal', true],
    ['2024.1.5', false],
    ['9007199254740991.0.0', false],
    ['1.0.0-9007199254740991', true],
  ];
  for (const [text, prerelease] of accepted) {
    test(`parse(${text})`, () => {
      const version = scheme.parse(text);
      assert.equal(version?.text, text);
      assert.equal(version?.prerelease, prerelease);
    });
  }

  const refused = [
    '',
    ' ',
    'v1.2.3',
    'V1.2.3',
    '=1.2.3',
    ' 1.2.3',
    '1.2.3 ',
    '1.2.3\n',
    '1.2',
    '1',
    '01.2.3',
    '1.02.3',
    '2024.01.05',
    '1.0.0rc1',
    '1.0.0-01',
    '1.0.0-',
    '1.0.0-rc..1',
    '1.0.0+',
    '1.0.0-rc_1',
    '3.3.1611.0',
    '3.3.987.0',
    '-1.0.0',
    '1.2.x',
    '9007199254740992.0.0',
    '1.0.0-9007199254740992',
    `1.0.0-${'a'.repeat(123)}`,
  ];
  for (const text of refused) {
    test(`parse(${JSON.stringify(text.slice(0, 40))}) is refused`, () => assert.equal(scheme.parse(text), undefined));
  }
});

describe('compare', () => {
  // The example chain of SemVer 2.0.0 §11.
  const rising = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    '1.0.9',
    '1.0.10',
    '1.9.0',
    '1.10.0',
    '2.0.0',
  ];
  test('rises along the example of the specification, and so does sortKey', () => {
    for (const [index, lower] of rising.entries()) {
      for (const higher of rising.slice(index + 1)) {
        assert.ok(scheme.compare(lower, higher) < 0, `${lower} < ${higher}`);
        assert.ok(scheme.compare(higher, lower) > 0, `${higher} > ${lower}`);
        assert.ok(keyOf(lower) < keyOf(higher), `key of ${lower} < key of ${higher}`);
      }
    }
  });
  test('compare(1.0.0+a, 1.0.0+b) is 0', () => {
    assert.equal(scheme.compare('1.0.0+a', '1.0.0+b'), 0);
    assert.equal(keyOf('1.0.0+a'), keyOf('1.0.0+b'));
  });
  test('compare(v1.0.0, 1.0.0) is a bug of the caller', () => {
    assert.throws(() => scheme.compare('v1.0.0', '1.0.0'), /assertion failed: not a semver version/);
  });
  test('sortKey orders any two versions as npm does', () => {
    fc.assert(
      fc.property(anyVersion(), anyVersion(), (a, b) => {
        const [keyA, keyB] = [keyOf(a), keyOf(b)];
        assert.equal(keyA < keyB ? -1 : keyA > keyB ? 1 : 0, semver.compare(a, b));
        assert.equal(Math.sign(scheme.compare(a, b)), semver.compare(a, b));
      }),
      { numRuns: 3000 },
    );
  });
  test('sortKey holds nothing that a collation could treat in its own way', () => {
    fc.assert(fc.property(anyVersion(), (text) => assert.match(keyOf(text), /^(?:[a-p]?\d|[2-7][0-9a-f])+$/)));
  });
});

describe('jump', () => {
  const table: [string, string, Jump][] = [
    ['1.2.3', '1.2.3', 'none'],
    ['1.2.3+a', '1.2.3+b', 'none'],
    ['1.2.3', '1.2.4', 'patch'],
    ['1.2.3', '1.3.0', 'minor'],
    ['1.2.3', '2.0.0', 'major'],
    ['0.3.1', '0.4.0', 'minor'],
    ['1.2.3', '1.2.2', 'downgrade'],
    ['1.0.0', '1.0.0-rc.1', 'downgrade'],
    ['1.2.3', '2.0.0-rc.1', 'prerelease'],
    ['1.0.0-rc.1', '1.0.0-rc.2', 'prerelease'],
    ['1.0.0-rc.1', '1.0.0', 'patch'],
    ['1.0.0-rc.1', '1.1.0', 'minor'],
    ['2.0.0-rc.1', '3.0.0', 'major'],
  ];
  for (const [from, to, jump] of table) {
    test(`jump(${from}, ${to}) is ${jump}`, () => assert.equal(scheme.jump(from, to), jump));
  }
});

describe('range', () => {
  const table: [string, string, boolean][] = [
    ['>=1.4 <3', '1.4.0', true],
    ['>=1.4 <3', '3.0.0', false],
    ['>=1.4 <3', '3.0.0-rc.1', false],
    ['>=1.4 <3', '2.0.0-rc.1', true],
    ['>=1.4 <3', '1.19.0-rc.3', true],
    ['>=1.4 <3', '1.3.9-rc.1', false],
    ['<3.0.0', '3.0.0-rc.1', false],
    ['<=3.0.0', '3.0.0-rc.1', true],
    ['<3.0.0-rc.2', '3.0.0-rc.1', true],
    ['<3.0.0 || >=4', '3.0.0-rc.1', false],
    ['>=2.0.0', '2.0.0-rc.1', false],
    ['^8.18', '8.19.0-rc1', true],
    ['^8.18', '9.0.0-rc1', false],
    ['~1.2.3', '1.3.0-rc.1', false],
    ['1.2.3', '1.2.3-rc.1', false],
    ['>=2.0.0-rc.1 <3', '2.0.0-rc.2', true],
    ['>=2.0.0-rc.1 <3', '2.1.0-rc.1', true],
    ['>=2.0.0-rc.1 <3', '2.0.0-beta', false],
    ['^0.3.1', '0.3.9', true],
    ['^0.3.1', '0.4.0', false],
    ['~1.2', '1.2.9', true],
    ['1.x', '1.99.0', true],
    ['*', '0.0.0', true],
    ['*', '1.0.0-rc.1', true],
    ['>=2 <1 || >=5', '5.0.0', true],
    ['>1.0.0 <=1.0.1-5', '1.0.1-5', true],
    ['>=1.2.3-5 >1.2.2 <1.2.3', '1.2.3-5', true],
    ['1.0.0', '1.0.0+build', true],
  ];
  for (const [text, version, inside] of table) {
    test(`range(${text}).includes(${version}) is ${inside}`, () => {
      assert.equal(scheme.range(text)?.includes(version), inside);
    });
  }

  const refused = ['', ' ', 'latest', '>=x.y', '>=2 <1', '>1.2.3 <1.2.4', '<0.0.0-0', '>=1.0.0rc1', '1'.repeat(300)];
  for (const text of refused) {
    test(`range(${JSON.stringify(text.slice(0, 20))}) is refused`, () => assert.equal(scheme.range(text), undefined));
  }

  test('releases are inside where npm says so, prereleases by their order, and a range that holds one is never refused', () => {
    const comparator = fc
      .tuple(fc.constantFrom('>', '<', '>=', '<=', '=', '~', '^'), smallVersion())
      .map(([operator, version]) => operator + version);
    const any = fc.array(fc.array(comparator, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 });
    fc.assert(
      fc.property(any, smallVersion(), (sets, version) => {
        const text = sets.map((set) => set.join(' ')).join(' || ');
        const inside = scheme.range(text)?.includes(version) ?? false;
        const named = semver.satisfies(version, text);
        // To end before a release is to end before its prereleases.
        const ended = text.replaceAll(/<(\d+\.\d+\.\d+)(?![-.\d])/g, '<$1-0');
        const ordered = semver.satisfies(version, ended, { includePrerelease: true });
        assert.equal(inside, version.includes('-') ? named || ordered : named);
      }),
      { numRuns: 3000 },
    );
  });
});

function keyOf(text: string): string {
  const version = scheme.parse(text);
  assert.ok(version, `${text} is a version`);
  return version.sortKey;
}

/** Versions near each other, so that ranges and orders meet their edges. */
function smallVersion(): fc.Arbitrary<string> {
  const number = fc.nat({ max: 2 });
  const suffix = fc.constantFrom('', '', '-0', '-0.0', '-1', '-a', '-a.0');
  return fc.tuple(number, number, number, suffix).map(([a, b, c, tail]) => `${a}.${b}.${c}${tail}`);
}

function anyVersion(): fc.Arbitrary<string> {
  const number = fc.oneof(fc.nat({ max: 12 }), fc.maxSafeNat());
  const word = fc.stringMatching(/^[0-9A-Za-z-]{1,6}$/).filter((text) => !/^\d+$/.test(text));
  const identifier = fc.oneof(number.map(String), word, fc.constantFrom('a', 'A', 'a-', 'a0', '-', '--', '0a'));
  const prerelease = fc.array(identifier, { maxLength: 3 });
  const build = fc.constantFrom('', '', '+b.1');
  const triple = fc.tuple(fc.oneof(fc.nat({ max: 2 }), number), fc.nat({ max: 12 }), fc.nat({ max: 1 }));
  return fc
    .tuple(triple, prerelease, build)
    .map(([numbers, parts, tail]) => `${numbers.join('.')}${parts.length > 0 ? `-${parts.join('.')}` : ''}${tail}`);
}
