// Which release is the one to let out, and the reason that is given for the highest one that is not.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chooseRelease } from '../../src/domain/choose.ts';
import type { Release } from '../../src/domain/release.ts';
import type { ProductRules, Snapshot } from '../../src/domain/snapshot.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { rolloutOf, snapshotOf, vetoOf } from '../support/snapshots.ts';

const DAY = 86_400_000;

interface Row {
  title: string;
  releases: Release[];
  product?: Partial<ProductRules>;
  minAgeMs?: number;
  snapshot?: Partial<Snapshot>;
  expected: string;
}

const old = testRelease('1.0.0');

const ROWS: Row[] = [
  { title: 'no release at all', releases: [], expected: 'not_available: no release of the product is known' },
  { title: 'the highest, not the newest', releases: [testRelease('1.10.0'), testRelease('1.9.0')], expected: '1.10.0' },
  { title: 'a release of another product', releases: [{ ...old, product: 'proxyd' }], expected: 'not_available' },
  {
    title: 'a prerelease is passed over',
    releases: [old, testRelease('1.1.0-rc.1')],
    expected: '1.0.0',
  },
  {
    title: 'nothing but a prerelease',
    releases: [testRelease('1.1.0-rc.1')],
    expected: 'out_of_range: 1.1.0-rc.1 is a prerelease',
  },
  {
    title: 'a prerelease by GitHub’s word alone',
    releases: [testRelease('1.1.0', { prerelease: true })],
    expected: 'out_of_range',
  },
  {
    title: 'a prerelease where the product takes them',
    releases: [old, testRelease('1.1.0-rc.1')],
    product: { prereleases: true },
    expected: '1.1.0-rc.1',
  },
  ...(
    [
      ['1.1.0-rc', ['rc']],
      ['1.1.0-rc.1', ['rc']],
      ['1.1.0-rc1', ['rc']],
      ['1.1.0-rc1', ['rc1']],
      ['1.1.0-rc-broken', ['rc-broken']],
      ['1.1.0-rc-broken.2', ['beta', 'rc-broken']],
    ] as const
  ).map(([version, prereleases]) => ({
    title: `the prerelease ${version} where ${prereleases} are let in`,
    releases: [old, testRelease(version)],
    product: { prereleases, accept: '>=1.0.0 <2' },
    expected: version,
  })),
  ...(
    [
      ['1.1.0-rc1', 'beta', 'rc1; let in are: beta'],
      ['1.1.0-rc.1', 'rc1', 'rc; let in are: rc1'],
      ['1.1.0-rc2', 'rc1', 'rc2; let in are: rc1'],
      ['1.1.0-rc-broken', 'rc', 'rc-broken; let in are: rc'],
      ['1.1.0-rcx', 'rc', 'rcx; let in are: rc'],
    ] as const
  ).map(([version, identifier, said]) => ({
    title: `the prerelease ${version} where ${identifier} is let in`,
    releases: [testRelease(version)],
    product: { prereleases: [identifier] },
    expected: `out_of_range: ${version} is a prerelease ${said}`,
  })),
  {
    title: 'the prerelease of a release that accept ends before',
    releases: [testRelease('2.0.0-rc.1'), testRelease('1.19.0-rc.3')],
    product: { prereleases: ['rc'], accept: '>=1.4 <2.0.0' },
    expected: '1.19.0-rc.3',
  },
  {
    title: 'the highest inside accept',
    releases: [old, testRelease('1.1.0'), testRelease('2.0.0')],
    product: { accept: '<2.0.0' },
    expected: '1.1.0',
  },
  {
    title: 'nothing inside accept',
    releases: [testRelease('2.0.0')],
    product: { accept: '<2.0.0' },
    expected: 'out_of_range: 2.0.0 is not in <2.0.0',
  },
  {
    title: 'too young',
    releases: [testRelease('1.1.0', { publishedAt: START - DAY + 1 })],
    minAgeMs: DAY,
    expected: `too_young: 1.1.0 until ${START + 1}`,
  },
  {
    title: 'old enough to the millisecond',
    releases: [testRelease('1.1.0', { publishedAt: START - DAY })],
    minAgeMs: DAY,
    expected: '1.1.0',
  },
  {
    title: 'the older one while the newer is too young',
    releases: [testRelease('1.0.0', { publishedAt: START - 2 * DAY }), testRelease('1.1.0')],
    minAgeMs: DAY,
    expected: '1.0.0',
  },
  {
    title: 'lag 1: the one before the newest',
    releases: [old, testRelease('1.1.0'), testRelease('1.2.0')],
    product: { lag: 1 },
    expected: '1.1.0',
  },
  {
    title: 'lag 2 counts only what could be let out',
    releases: [old, testRelease('1.1.0'), testRelease('1.2.0'), testRelease('1.3.0'), testRelease('1.4.0-rc.1')],
    product: { lag: 2 },
    snapshot: { vetoes: [vetoOf('1.3.0')] },
    expected: '1.0.0',
  },
  {
    title: 'lag 1 and nothing newer yet',
    releases: [old],
    product: { lag: 1 },
    expected: 'too_young: 1.0.0: the product lets one out when a newer release is there (lag 1)',
  },
  {
    title: 'lag 1, and a person has begun the newest',
    releases: [old, testRelease('1.1.0')],
    product: { lag: 1 },
    snapshot: { rollouts: [rolloutOf('1.1.0', [])] },
    expected: '1.1.0',
  },
  {
    title: 'vetoed',
    releases: [old],
    snapshot: { vetoes: [vetoOf('1.0.0')] },
    expected: 'vetoed: 1.0.0: harmful',
  },
  {
    title: 'the one below a vetoed one',
    releases: [old, testRelease('1.1.0')],
    snapshot: { vetoes: [vetoOf('1.1.0')] },
    expected: '1.0.0',
  },
  {
    title: 'a veto of the same version of another product',
    releases: [old],
    snapshot: { vetoes: [vetoOf('1.0.0', { product: 'proxyd' })] },
    expected: '1.0.0',
  },
  {
    title: 'announced without an artifact',
    releases: [testRelease('1.1.0', { state: 'announced', artifacts: [], why: 'no asset yet' })],
    expected: 'not_available: v1.1.0: no asset yet',
  },
  {
    title: 'pending, complete for one platform',
    releases: [testRelease('1.1.0', { state: 'pending', why: 'linux-arm64: missing' })],
    expected: '1.1.0',
  },
  {
    title: 'pending, complete for none',
    releases: [testRelease('1.1.0', { state: 'pending', artifacts: [], why: 'missing' })],
    expected: 'not_available: v1.1.0: missing',
  },
  ...(['withdrawn', 'altered', 'refused'] as const).map((state) => ({
    title: `the one below a ${state} one`,
    releases: [old, testRelease('1.1.0', { state })],
    expected: '1.0.0',
  })),
  {
    title: 'a version that another scheme has read',
    releases: [old, testRelease('1.1.0', { version: '1.2.3.4' })],
    expected: '1.0.0',
  },
  {
    title: 'the reason is that of the highest refused one',
    releases: [testRelease('1.0.0', { state: 'withdrawn', why: 'gone' }), testRelease('1.1.0')],
    snapshot: { vetoes: [vetoOf('1.1.0')] },
    expected: 'vetoed: 1.1.0: harmful',
  },
];

describe('chooseRelease', () => {
  for (const { title, releases, product = {}, minAgeMs = 0, snapshot = {}, expected } of ROWS) {
    test(`${title}: ${expected}`, () => {
      const wanted = rules(testPolicy({ minAgeMs }), product);
      const choice = chooseRelease(snapshotOf({ releases, ...snapshot }), wanted, START);
      if (choice.release !== null) {
        assert.equal(choice.release.version, expected);
        return;
      }
      const until = choice.until === null ? '' : ` until ${choice.until}`;
      const [reason, detail] = expected.split(/: (.*)/s);
      assert.equal(choice.reason, reason);
      assert(`${choice.sentence}${until}`.includes(detail ?? ''), choice.sentence);
    });
  }
});
