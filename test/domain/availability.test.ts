// What a row is worth when nobody has confirmed it for a while.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Availability, effectiveRow, effectiveStatus } from '../../src/domain/availability.ts';

const NOW = 1_000_000;
const MAX_AGE = 600_000;
const ROW: Availability = {
  product: 'agent',
  version: '1.0.0',
  region: 'eu',
  platform: 'linux-x64',
  status: 'available',
  why: 'https://m.example/a: there',
  since: 0,
  checkedAt: NOW,
};

const table: [Availability['status'], number, Availability['status'], why?: string][] = [
  ['available', NOW, 'available'],
  ['available', NOW - MAX_AGE, 'available'],
  ['available', NOW - MAX_AGE - 1, 'unknown'],
  ['absent', NOW - MAX_AGE, 'absent'],
  ['absent', NOW - MAX_AGE - 1, 'unknown'],
  ['unknown', NOW, 'unknown'],
  ['available', NOW + 5, 'available'],
  ['available', NOW + MAX_AGE + 1, 'unknown'],
  // GitHub's word is written when it changes; that something is missing there no mirror can make untrue.
  ['absent', NOW - MAX_AGE - 1, 'absent', 'withdrawn: deleted on GitHub'],
  ['available', NOW - MAX_AGE - 1, 'unknown', 'uploaded on GitHub'],
];
for (const [status, checkedAt, expected, why = ROW.why] of table) {
  test(`effectiveStatus of ${status} (${why}), checked ${NOW - checkedAt} ms ago, is ${expected}`, () => {
    assert.equal(effectiveStatus({ status, checkedAt, why }, NOW, MAX_AGE), expected);
  });
}

test('effectiveRow of a fresh row is the row, of a stale one says since when it is', () => {
  assert.equal(effectiveRow(ROW, NOW, MAX_AGE), ROW);
  const stale = effectiveRow(ROW, NOW + MAX_AGE + 1, MAX_AGE);
  const why = 'not confirmed for more than 600 s; last seen: https://m.example/a: there';
  assert.deepEqual(stale, { ...ROW, status: 'unknown', why, since: NOW + MAX_AGE });
  assert.deepEqual(effectiveRow(ROW, NOW + 2 * MAX_AGE, MAX_AGE), stale, 'the same at every look');
});
