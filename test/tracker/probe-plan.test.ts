// The prober's decisions as tables: what is due in which order, and which rows an answer writes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Availability } from '../../src/domain/availability.ts';
import { dueTargets, keyOf, rowsByKey, type Target, writesOf } from '../../src/tracker/probe-plan.ts';
import { NOW } from './world.ts';

const SECOND = 1000;
const TIMING = { everyMs: 30 * SECOND, maxAgeMs: 600 * SECOND };

function target(platform: string): Target {
  const url = `https://m.example/${platform}`;
  return { product: 'agent', version: '1.0.0', region: 'eu', platform, sha256: '', size: 1, url };
}

function row(platform: string, status: Availability['status'], secondsAgo: number): Availability {
  const { product, version, region, url } = target(platform);
  const at = NOW - secondsAgo * SECOND;
  return { product, version, region, platform, status, why: `${url}: said`, since: at, checkedAt: at };
}

test('dueTargets: the longest unasked first, those without a word of this mirror before all', () => {
  const rows = rowsByKey([
    row('absent-fresh', 'absent', 29),
    row('absent-due', 'absent', 30),
    row('unknown-due', 'unknown', 31),
    row('available-fresh', 'available', 299),
    row('available-due', 'available', 300),
    { ...row('github', 'available', 1), why: 'uploaded on GitHub' },
    row('asked-lately', 'absent', 59),
  ]);
  const targets = [...rows.keys()].map((key) => target(key.split('\n')[3] as string));
  const asked = new Map([[keyOf(target('asked-lately')), NOW - SECOND]]);
  const due = dueTargets([...targets, target('new')], rows, asked, NOW, TIMING);
  assert.deepEqual(
    due.map((one) => one.platform),
    ['github', 'new', 'available-due', 'unknown-due', 'absent-due'],
  );
});

const pauses: [status: Availability['status'], failingFor: number, askedAgo: number, isDue: boolean][] = [
  ['absent', 5000, 29, false],
  ['absent', 5000, 30, true],
  ['available', 5000, 299, false],
  ['available', 5000, 300, true],
  ['unknown', 0, 29, false],
  ['unknown', 0, 30, true],
  ['unknown', 100, 99, false],
  ['unknown', 100, 100, true],
  // Never longer than what is available is left alone.
  ['unknown', 5000, 299, false],
  ['unknown', 5000, 300, true],
];
for (const [status, failingFor, askedAgo, isDue] of pauses) {
  test(`dueTargets: ${status} for ${failingFor} s, asked ${askedAgo} s ago, is ${isDue ? '' : 'not '}due`, () => {
    const asked = row('a', status, askedAgo);
    const rows = rowsByKey([{ ...asked, since: asked.checkedAt - failingFor * SECOND }]);
    assert.equal(dueTargets([target('a')], rows, new Map(), NOW, TIMING).length, isDue ? 1 : 0);
  });
}

const table: [
  string,
  Availability['status'],
  string,
  number,
  { written: 'changed' | 'confirmed'; since: number } | null,
][] = [
  ['the same within a minute', 'absent', 'said', 59, null],
  ['the same after a minute', 'absent', 'said', 60, { written: 'confirmed', since: 60 }],
  ['the same status for another reason', 'absent', 'other', 10, { written: 'changed', since: 10 }],
  ['another status', 'available', 'other', 10, { written: 'changed', since: 0 }],
];
for (const [title, status, what, secondsAgo, expected] of table) {
  test(`writesOf: ${title}`, () => {
    const before = row('a', 'absent', secondsAgo);
    const why = `${target('a').url}: ${what}`;
    const writes = writesOf([{ target: target('a'), status, why }], rowsByKey([before]), NOW, TIMING.maxAgeMs);
    const since = NOW - (expected?.since ?? 0) * SECOND;
    const written = { ...before, status, why, since, checkedAt: NOW };
    assert.deepEqual(writes, { changed: [], confirmed: [], ...(expected && { [expected.written]: [written] }) });
  });
}
