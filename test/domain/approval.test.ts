// Approvals in the plan: what voids them, when they expire, who is still asked, and a wave that goes on without a region.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Approval, consentTo, sayConsent, subjectOf } from '../../src/domain/approval.ts';
import { violations } from '../../src/domain/check.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Release } from '../../src/domain/release.ts';
import { type Lane, rolloutState } from '../../src/domain/rollout.ts';
import fc from '../support/fast-check.ts';
import { START, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { going, NOW, RELEASE, seen, shown, soaking, waiting } from '../support/plans.ts';
import { laneIn, stateNamed } from '../support/snapshots.ts';

const MANUAL = testPolicy({ steps: [stepPolicy({ percent: 50, manual: true }), stepPolicy()] });
const TWO = { ...MANUAL, approvals: { approvers: 2, expireMs: 1000 } };
const ARM = { platform: 'linux-arm64', name: 'arm', size: 1, sha256: 'c'.repeat(64), assetId: '9' };
const left = { previews: [{ step: 1, members: 2, eligible: 2 }] };

function approvalOf(by: string, overrides: Partial<Approval> = {}, policy: Policy = MANUAL): Approval {
  const subject = subjectOf({ policy, release: RELEASE }, 0);
  return { step: 0, by, at: NOW, expiresAt: NOW + 1000, subject, ...overrides };
}

describe('a step that asks a person', () => {
  const rows: [title: string, lane: Lane, policy: Policy, release: Release, expected: string[]][] = [
    ['nobody has approved', soaking(0, 'approval'), MANUAL, RELEASE, ['hold eu needs_approval']],
    ['one has', with_(approvalOf('ana')), MANUAL, RELEASE, ['open eu 1']],
    ['one has, until now', with_(approvalOf('ana', { expiresAt: NOW })), MANUAL, RELEASE, ['hold eu needs_approval']],
    ['one has, just now', with_(approvalOf('ana', { at: NOW })), MANUAL, RELEASE, ['open eu 1']],
    [
      'one has, in what is the future again',
      with_(approvalOf('ana', { at: NOW + 1, expiresAt: NOW + 1001 })),
      MANUAL,
      RELEASE,
      ['hold eu needs_approval'],
    ],
    ['one has, for another step', with_(approvalOf('ana', { step: 1 })), MANUAL, RELEASE, ['hold eu needs_approval']],
    [
      'a platform has arrived since',
      with_(approvalOf('ana')),
      MANUAL,
      { ...RELEASE, artifacts: [...RELEASE.artifacts, ARM] },
      ['hold eu needs_approval'],
    ],
    ['another policy', with_(approvalOf('ana')), { ...MANUAL, maxHot: 11 }, RELEASE, ['hold eu needs_approval']],
    ['one of two', with_(approvalOf('ana', {}, TWO)), TWO, RELEASE, ['hold eu needs_approval']],
    ['two of two', with_(approvalOf('ana', {}, TWO), approvalOf('ben', {}, TWO)), TWO, RELEASE, ['open eu 1']],
    ['one has ahead, and it soaks', ahead(59_999, approvalOf('ana')), MANUAL, RELEASE, ['hold eu soaking']],
    ['one has ahead, and it has soaked', ahead(60_000, approvalOf('ana')), MANUAL, RELEASE, ['open eu 1']],
    [
      'one has ahead, too long ago',
      ahead(60_000, approvalOf('ana', { expiresAt: NOW })),
      MANUAL,
      RELEASE,
      ['ask eu 0', 'hold eu needs_approval'],
    ],
  ];
  for (const [title, lane, policy, release, expected] of rows) {
    test(`${title}: ${expected.join(', ')}`, () => {
      const snapshot = going({ lanes: [lane], policy, census: { eu: seen(3, 3, left) } });
      const availability = [
        ...snapshot.availability,
        ...snapshot.availability.map((row) => ({ ...row, platform: ARM.platform })),
      ];
      assert.deepEqual(shown({ ...snapshot, releases: [release], availability }), expected);
    });
  }

  function with_(...approvals: Approval[]): Lane {
    return { ...soaking(0, 'approval'), approvals };
  }

  function ahead(soakedMs: number, ...approvals: Approval[]): Lane {
    return { ...soaking(soakedMs), approvals };
  }
});

describe('sayConsent', () => {
  const release = { ...RELEASE, artifacts: [...RELEASE.artifacts, ARM] };
  const at = '2026-01-01 00:00:01Z';
  const inTime = { at: START, expiresAt: START + 1000 };
  const late = { at: START - 1000, expiresAt: START };
  const [first] = RELEASE.artifacts;
  const rows: [Policy, Release, Approval[], string | undefined][] = [
    [MANUAL, RELEASE, [], undefined],
    [TWO, RELEASE, [], '0 of 2 approvals'],
    [TWO, RELEASE, [approvalOf('ana', inTime, TWO)], `1 of 2 approvals, by ana, expires ${at}`],
    [MANUAL, RELEASE, [approvalOf('ana', late)], 'the approval of ana has expired at 2026-01-01 00:00:00Z'],
    [MANUAL, release, [approvalOf('ana', inTime)], 'the approval of ana is void: linux-arm64 has arrived since'],
    [
      MANUAL,
      { ...RELEASE, artifacts: [{ ...(first as typeof ARM), sha256: 'd'.repeat(64) }] },
      [approvalOf('ana', inTime)],
      `the approval of ana is void: the file for ${first?.platform} has changed since`,
    ],
    [
      MANUAL,
      { ...RELEASE, artifacts: [] },
      [approvalOf('ana', inTime)],
      `the approval of ana is void: the file for ${first?.platform} is gone since`,
    ],
    [
      { ...MANUAL, maxHot: 11 },
      RELEASE,
      [approvalOf('ana', inTime)],
      'the approval of ana is void: the policy has changed since',
    ],
    [
      MANUAL,
      testRelease('1.1.0', { artifacts: RELEASE.artifacts, tag: 'moved' }),
      [approvalOf('ana', inTime)],
      'the approval of ana is void: the release has changed since',
    ],
  ];
  for (const [policy, known, approvals, expected] of rows) {
    test(expected ?? 'nothing to say', () => {
      assert.equal(sayConsent(consentTo({ approvals }, 0, { policy, release: known }, START)), expected);
    });
  }
});

describe('a wave whose region is skipped', () => {
  const cancelled = (skipped: boolean) =>
    laneIn('eu', {
      ...(stateNamed('cancelled') as { name: 'cancelled' } & ReturnType<typeof stateNamed>),
      ...(skipped ? { skipped: true } : {}),
    } as Lane['state']);
  for (const [skipped, expected] of [
    [false, ['hold us previous_wave']],
    [true, ['open us 0']],
  ] as const) {
    test(`${skipped ? 'skipped' : 'cancelled'}: ${expected}`, () => {
      const snapshot = going({ lanes: [cancelled(skipped), waiting('us', 1)] });
      assert.deepEqual(shown(snapshot), expected);
    });
  }

  test('a live lane behind it breaks no promise', () => {
    const live = laneIn('us', stateNamed('open'), { wave: 1, steps: soaking(0).steps });
    assert.equal(violations(going({ lanes: [cancelled(true), live] })).length, 0);
    assert.equal(violations(going({ lanes: [cancelled(false), live] })).length, 1);
  });

  test('the rollout is what the others are', () => {
    const done = laneIn('us', stateNamed('completed'));
    assert.equal(rolloutState({ lanes: [cancelled(true), done] }), 'completed');
    assert.equal(rolloutState({ lanes: [cancelled(true)] }), 'cancelled');
  });
});

test('law: whatever changes of files or policy voids every approval, and the order of the files changes nothing', () => {
  const person = fc.constantFrom('ana', 'ben', 'cleo');
  const hex = fc.stringMatching(/^[0-9a-f]{8}$/);
  fc.assert(
    fc.property(
      fc.uniqueArray(person),
      hex,
      fc.integer({ min: 11, max: 99 }),
      fc.boolean(),
      (people, sha256, maxHot, ofFiles) => {
        const release = { ...RELEASE, artifacts: [...RELEASE.artifacts, ARM] };
        const subject = subjectOf({ policy: TWO, release }, 0);
        const approvals = people.map((by) => approvalOf(by, { subject }, TWO));
        const turned = { ...release, artifacts: release.artifacts.toReversed() };
        const consent = consentTo({ approvals }, 0, { policy: TWO, release: turned }, NOW);
        assert.deepEqual([consent.standing.length, consent.given], [people.length, people.length >= 2]);
        const changed = ofFiles
          ? { policy: TWO, release: { ...release, artifacts: [...RELEASE.artifacts, { ...ARM, sha256 }] } }
          : { policy: { ...TWO, maxHot }, release };
        const { standing, given, lapsed } = consentTo({ approvals }, 0, changed, NOW);
        assert.deepEqual([standing, given, lapsed.length], [[], false, people.length]);
      },
    ),
    { numRuns: 60 },
  );
});
