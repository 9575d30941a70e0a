// What a row is worth when nobody has confirmed it for a while.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Availability,
  confirmedRow,
  effectiveRow,
  effectiveStatus,
  isLastAbsent,
  objectionToGrant,
} from '../../src/domain/availability.ts';
import fc from '../support/fast-check.ts';

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

test('isLastAbsent: what was absent stays so while nobody knows, and what was available is never so', () => {
  const stale = effectiveRow({ ...ROW, status: 'absent' }, NOW + MAX_AGE + 1, MAX_AGE);
  assert.deepEqual([stale.status, isLastAbsent(stale)], ['unknown', true]);
  assert.equal(isLastAbsent(effectiveRow(ROW, NOW + MAX_AGE + 1, MAX_AGE)), false);
  assert.equal(isLastAbsent({ status: 'available', wasAbsent: true }), false);
});

const polled: [failures: number, successAgo: number, nextPollIn: number, expected: Availability['status']][] = [
  [0, 0, 1, 'available'],
  [0, 10 * MAX_AGE, 1, 'available'],
  [1, MAX_AGE, 1, 'available'],
  [1, MAX_AGE + 1, 1, 'unknown'],
  [0, 3 * MAX_AGE, -MAX_AGE, 'available'],
  // As after the server has been down: due, and not asked yet.
  [0, 3 * MAX_AGE, -MAX_AGE - 1, 'unknown'],
];
for (const [failures, successAgo, nextPollIn, expected] of polled) {
  test(`confirmedRow with ${failures} failures, a success ${successAgo} ms ago, the next poll in ${nextPollIn} ms: ${expected}`, () => {
    const now = NOW + 20 * MAX_AGE;
    const polls = { product: 'agent', lastSuccessAt: now - successAgo, nextPollAt: now + nextPollIn, failures };
    assert.equal(confirmedRow(ROW, polls, now, MAX_AGE).status, expected);
  });
}

test('confirmedRow of a product whose repository has never been read is the row', () => {
  assert.equal(confirmedRow(ROW, undefined, NOW, MAX_AGE), ROW);
});

test('law: time makes nothing available, and what was absent when somebody last knew is never granted', () => {
  const time = fc.nat({ max: 3 * MAX_AGE });
  fc.assert(
    fc.property(
      fc.constantFrom('available', 'absent', 'unknown'),
      time,
      time,
      time,
      (status, checkedAt, now, openedAt) => {
        const row = { ...ROW, status, checkedAt };
        const seen = effectiveRow(row, now, MAX_AGE);
        assert(seen.status === status || seen.status === 'unknown');
        // Held either way; what nobody has confirmed since is not said to be absent.
        const held = seen.status === 'unknown' ? 'availability_unknown' : 'not_available';
        if (status === 'absent') assert.equal(objectionToGrant(seen, openedAt), held);
        if (seen.status === 'unknown' && seen.since <= openedAt)
          assert.notEqual(objectionToGrant(seen, openedAt), undefined);
      },
    ),
    { numRuns: 300 },
  );
});
