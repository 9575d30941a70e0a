// What of a host itself stands against the way to a release, in which order, and which stops lie on it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Requirement } from '../../src/domain/requirement.ts';
import {
  floorsBelow,
  type Host,
  hostChecks,
  hostObjection,
  type Stop,
  stopsFrom,
  type Way,
} from '../../src/domain/way.ts';
import fc from '../support/fast-check.ts';
import { digestOf, rules, testPolicy, testRelease } from '../support/fixtures.ts';
import { PLATFORM, vetoOf } from '../support/snapshots.ts';

const KERNEL: Requirement = { versions: null, fact: 'kernel', rule: 'atLeast', wanted: ['5.10'], reason: null };

function stop(version: string, overrides: Partial<Stop> = {}): Stop {
  return { version, artifacts: testRelease(version).artifacts, requirements: [], trouble: null, ...overrides };
}

function way(overrides: Partial<Way> = {}): Way {
  return {
    scheme: 'semver',
    builds: { [digestOf('1.0.0')]: ['1.0.0'] },
    from: null,
    unknownBuilds: 'hold',
    unhealthy: 'hold',
    stops: [stop('2.0.0')],
    ...overrides,
  };
}

function host(overrides: Partial<Host> = {}): Host {
  return {
    version: '1.0.0',
    digest: digestOf('1.0.0'),
    platform: PLATFORM,
    facts: null,
    health: 'ok',
    healthReason: null,
    ...overrides,
  };
}

const UNWELL = { health: 'unhealthy', healthReason: 'the disk is full' } as const;

describe('hostObjection', () => {
  const rows: [title: string, way: Way, host: Host, found: string][] = [
    ['nothing', way(), host(), 'none'],
    ['an unknown build', way(), host({ digest: 'f'.repeat(64) }), `unknown_build 1.0.0 with digest ${'f'.repeat(12)}…`],
    [
      'one file under two versions',
      way({ builds: { [digestOf('1.0.0')]: ['1.0.0-rc.1', '1.0.0', '1.0.1'] } }),
      host(),
      'none',
    ],
    [
      'the file of another version',
      way({ builds: { [digestOf('1.0.0')]: ['1.1.0'] } }),
      host(),
      `unknown_build 1.0.0 with digest ${digestOf('1.0.0').slice(0, 12)}…, which is that of 1.1.0`,
    ],
    ['one that is let in', way({ unknownBuilds: 'update' }), host({ digest: 'f'.repeat(64) }), 'none'],
    [
      'below the lowest version',
      way({ from: '1.4.0' }),
      host(),
      'unsupported_from runs 1.0.0, agents are updated from 1.4.0 up',
    ],
    ['at the lowest version', way({ from: '1.0.0' }), host(), 'none'],
    [
      'a kernel that is too old',
      way({ stops: [stop('2.0.0', { requirements: [KERNEL] })] }),
      host({ facts: { kernel: '4.19' } }),
      'requirement_unmet kernel: wanted at least 5.10, found 4.19',
    ],
    [
      'a kernel that will do',
      way({ stops: [stop('2.0.0', { requirements: [KERNEL] })] }),
      host({ facts: { kernel: '5.10' } }),
      'none',
    ],
    ['unhealthy, held', way(), host(UNWELL), 'unhealthy the disk is full'],
    ['unhealthy without a reason', way(), host({ health: 'unhealthy' }), 'unhealthy it does not say why'],
    ['unhealthy, updated', way({ unhealthy: 'update' }), host(UNWELL), 'none'],
    ['unhealthy, first', way({ unhealthy: 'first' }), host(UNWELL), 'none'],
    ['a floor on the way', way({ stops: [stop('1.5.0'), stop('2.0.0')] }), host(), 'none'],
    [
      'a floor without a release',
      way({ stops: [stop('1.5.0', { artifacts: [] }), stop('2.0.0')] }),
      host(),
      `no_path 1.5.0 must not be jumped over, and there is no release of it for ${PLATFORM}`,
    ],
    ['beyond that floor already', way({ stops: [stop('0.5.0', { artifacts: [] }), stop('2.0.0')] }), host(), 'none'],
    [
      'a floor that requires what the host lacks',
      way({ stops: [stop('1.5.0', { requirements: [KERNEL] }), stop('2.0.0')] }),
      host({ facts: {} }),
      'requirement_unmet kernel: wanted at least 5.10, not reported',
    ],
  ];
  for (const [title, to, from, expected] of rows) {
    test(`${title}: ${expected}`, () => {
      const objection = hostObjection(to, from)?.objection;
      assert.equal(objection ? `${objection.reason} ${objection.detail}` : 'none', expected);
    });
  }
});

test('hostChecks says what passed, and ends with the first objection', () => {
  const to = way({ from: '1.0.0', stops: [stop('1.5.0'), stop('2.0.0', { requirements: [KERNEL] })] });
  assert.deepEqual(
    hostChecks(to, host({ facts: { kernel: '6.1' }, ...UNWELL })).map(({ rule, sentence }) => `${rule}: ${sentence}`),
    [
      'build: runs a published build',
      'from: runs 1.0.0, agents are updated from 1.0.0 up',
      'path: goes to 1.5.0 first, which must not be jumped over',
      'requirement: the host has what is required of it: kernel',
      'health: the disk is full',
    ],
  );
});

test('floorsBelow: as releases, without those at or above the version, with what has come between', () => {
  const floors = ['1.2.0', '1.5.0', '2.0.0'].map((version) => ({ version, reason: 'the format of its state changed' }));
  const found = floorsBelow(
    rules(testPolicy(), { floors }),
    '2.0.0',
    (version) => (version === '1.2.0' ? testRelease(version) : undefined),
    (version) => (version === '1.2.0' ? vetoOf('1.2.0') : undefined),
  );
  assert.deepEqual(
    found.map(({ version, artifacts, trouble }) => [version, artifacts.length, trouble !== null]),
    [
      ['1.2.0', 1, true],
      ['1.5.0', 0, false],
    ],
  );
});

test('law: each stop is the lowest that is left, none is jumped over, and the last is the release', () => {
  const part = fc.integer({ min: 0, max: 4 });
  const version = fc.tuple(part, part).map(([minor, patch]) => `1.${minor}.${patch}`);
  fc.assert(
    fc.property(fc.uniqueArray(version, { maxLength: 6 }), version, (floors, from) => {
      const order = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true });
      const stops = [...floors.sort(order), '2.0.0'].map((one) => ({ version: one }));
      const left = stopsFrom('semver', stops, from).map((one) => one.version);
      assert.equal(left.at(-1), '2.0.0');
      assert.deepEqual(left, [...floors.filter((one) => order(from, one) < 0), '2.0.0']);
      const next = stopsFrom('semver', stops, left[0] as string).map((one) => one.version);
      assert.deepEqual(next, left.slice(1));
    }),
    { numRuns: 200 },
  );
});
