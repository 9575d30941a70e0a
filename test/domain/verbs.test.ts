// The verbs on a lane: every verb in every state, twice as once, and against an old picture.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lastStep } from '../../src/domain/apply.ts';
import { consentTo, subjectOf } from '../../src/domain/approval.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Release } from '../../src/domain/release.ts';
import type { Lane, LaneState, LaneStateName } from '../../src/domain/rollout.ts';
import { applyVerb, LANE_VERBS, type LaneVerb, type VerbInput } from '../../src/domain/verbs.ts';
import { NO_SILENCE, verdict } from '../../src/domain/verdict.ts';
import type { AppError } from '../../src/errors.ts';
import fc from '../support/fast-check.ts';
import { START, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { counts, laneIn, OBSERVED, openedStep, stateNamed } from '../support/snapshots.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ percent: 50, manual: true }), stepPolicy()] });
const RELEASE = testRelease('1.1.0');
const DAY = 86_400_000;
const NEVER =
  'No number is enough: it takes agents that succeed. Halt and retry it, or let a newer release take its place.';

const input = (overrides: Partial<VerbInput> = {}): VerbInput => ({
  actor: 'ana',
  reason: 'because',
  now: START,
  observedMs: OBSERVED,
  expectedStep: null,
  expectedRevision: null,
  count: 0,
  policy: POLICY,
  release: RELEASE,
  silence: () => NO_SILENCE,
  presence: () => undefined,
  ...overrides,
});

const STATES: LaneStateName[] = [
  ...(['waiting', 'open', 'soaking', 'approval', 'paused', 'halted', 'rolling_back', 'rolled_back'] as const),
  ...(['completed', 'superseded', 'cancelled'] as const),
];

/** In its first step, with one bad outcome of three, which one acceptance makes up for. */
function laneAs(name: LaneStateName, overrides: Partial<Lane> = {}): Lane {
  const done = name === 'soaking' || name === 'approval' || name === 'completed';
  const counters = done ? { succeeded: 3 } : { succeeded: 2, bad: 1, badMembers: 1 };
  const steps = name === 'waiting' ? [] : [openedStep({ done, counters: counts(counters) })];
  return laneIn('eu', stateNamed(name), { steps, revision: 5, ...overrides });
}

/** What each verb makes of a lane; what is not here is refused with `illegal_transition`, `=` changes nothing. */
const TABLE: Partial<Record<LaneVerb, Partial<Record<LaneStateName, LaneStateName | '=' | 'conflict'>>>> = {
  approve: { open: 'open', soaking: 'soaking', approval: 'approval' },
  promote: { approval: 'approval' },
  accept: { open: 'open', halted: 'open' },
  'skip-region': {
    ...{ waiting: 'cancelled', open: 'cancelled', soaking: 'cancelled', approval: 'cancelled', paused: 'cancelled' },
    ...{ halted: 'cancelled', rolled_back: 'rolled_back', cancelled: 'cancelled' },
  },
  pause: { open: 'paused', soaking: 'paused', approval: 'paused', paused: '=' },
  resume: { paused: 'open', open: '=', soaking: '=', approval: '=' },
  halt: {
    waiting: 'halted',
    open: 'halted',
    soaking: 'halted',
    approval: 'halted',
    paused: 'halted',
    rolling_back: 'halted',
    halted: '=',
  },
  retry: { halted: 'open' },
  cancel: {
    ...{ waiting: 'cancelled', open: 'cancelled', soaking: 'cancelled', approval: 'cancelled', paused: 'cancelled' },
    ...{ halted: 'cancelled', cancelled: '=' },
  },
};

describe('applyVerb: every verb in every state', () => {
  for (const verb of LANE_VERBS) {
    const row = TABLE[verb];
    if (row === undefined) continue;
    for (const name of STATES) {
      const expected = row[name];
      test(`${verb} of a lane that is ${name}: ${expected ?? 'refused'}`, () => {
        const lane = laneAs(name);
        const act = () => applyVerb(lane, verb, input({ count: verb === 'accept' ? 1 : 0 }));
        if (expected === undefined) return void assert.throws(act, { code: 'illegal_transition' });
        const after = act();
        if (expected === '=') return void assert.equal(after, undefined);
        assert(after !== undefined);
        assert.deepEqual([after.state.name, after.revision], [expected, 6]);
        assert.deepEqual(applyVerb(lane, verb, input({ count: verb === 'accept' ? 1 : 0 })), after, 'the same again');
      });
    }
  }
});

describe('a promotion that is refused says what would help', () => {
  const rows: [name: LaneStateName, manual: boolean, hint: RegExp][] = [
    ['open', true, /^A person is asked once step 1 is done .* rollout approve --step 1\.$/],
    ['soaking', true, /rollout approve --step 1\.$/],
    ['soaking', false, /^The policy asks no person after step 1/],
    ['paused', true, /^Resume it first/],
    ['halted', true, /^A promotion does not lift a halt/],
    ['waiting', true, /tidegate explain/],
    ['completed', true, /^promote is for lanes that are waiting for approval\.$/],
  ];
  for (const [name, manual, hint] of rows) {
    test(`${name}, manual ${manual}`, () => {
      const policy = { ...POLICY, steps: POLICY.steps.map((step) => ({ ...step, manual })) };
      const act = () => applyVerb(laneAs(name), 'promote', input({ policy }));
      assert.throws(act, (error: AppError) => error.code === 'illegal_transition' && hint.test(error.hint ?? ''));
    });
  }
});

describe('twice is once', () => {
  const rows: [LaneVerb, LaneStateName][] = [
    ['approve', 'open'],
    ['approve', 'soaking'],
    ['promote', 'approval'],
    ['accept', 'halted'],
    ['retry', 'halted'],
    ['skip-region', 'waiting'],
    ['skip-region', 'cancelled'],
    ['skip-region', 'rolled_back'],
    ['pause', 'open'],
    ['halt', 'open'],
    ['cancel', 'open'],
  ];
  for (const [verb, name] of rows) {
    test(`${verb} of a lane that is ${name}`, () => {
      const given = input({ count: verb === 'accept' ? 1 : 0 });
      const once = applyVerb(laneAs(name), verb, given);
      assert(once !== undefined);
      assert.equal(applyVerb(once, verb, given), undefined);
    });
  }
});

describe('an old picture', () => {
  const rows: [title: string, verb: LaneVerb, name: LaneStateName, Partial<VerbInput>, code: string | undefined][] = [
    ['the revision that was seen', 'pause', 'open', { expectedRevision: 5 }, undefined],
    ['an older revision', 'pause', 'open', { expectedRevision: 4 }, 'revision_mismatch'],
    ['an older revision of what is illegal now', 'promote', 'halted', { expectedRevision: 4 }, 'revision_mismatch'],
    ['another step', 'approve', 'open', { expectedStep: 1 }, 'conflict'],
    ['another step', 'promote', 'approval', { expectedStep: 1 }, 'conflict'],
    ['another step', 'accept', 'halted', { expectedStep: 1, count: 1 }, 'conflict'],
    ['another step', 'skip-region', 'open', { expectedStep: 1 }, 'conflict'],
  ];
  for (const [title, verb, name, overrides, code] of rows) {
    test(`${verb} of a lane that is ${name}, ${title}: ${code ?? 'done'}`, () => {
      const act = () => applyVerb(laneAs(name), verb, input(overrides));
      if (code === undefined) assert(act() !== undefined);
      else assert.throws(act, { code });
    });
  }
});

describe('approve', () => {
  const two = (policy: Partial<Policy> = {}) => ({ ...POLICY, approvals: { approvers: 2, expireMs: DAY }, ...policy });
  const approved = (lane: Lane, overrides: Partial<VerbInput> = {}): Lane => {
    const next = applyVerb(lane, 'approve', input(overrides));
    assert(next !== undefined, 'the approval is new');
    return next;
  };

  test('a step that asks no person: conflict, unless a person was asked all the same', () => {
    const automatic = testPolicy();
    assert.throws(() => approved(laneAs('open'), { policy: automatic }), { code: 'conflict' });
    assert.equal(approved(laneAs('approval'), { policy: automatic }).approvals.length, 1);
  });

  test('two people: the same one counts once, and a third is not needed', () => {
    const policy = two();
    const first = approved(laneAs('approval'), { policy });
    assert.equal(consentTo(first, 0, { policy, release: RELEASE }, START).given, false);
    assert.equal(applyVerb(first, 'approve', input({ policy })), undefined);
    assert.equal(applyVerb(first, 'promote', input({ policy })), undefined);
    const second = approved(first, { policy, actor: 'ben' });
    assert.equal(consentTo(second, 0, { policy, release: RELEASE }, START).given, true);
    assert.equal(applyVerb(second, 'approve', input({ policy, actor: 'cleo' })), undefined);
  });

  test('one that has expired is given anew, and drops out', () => {
    const policy = two();
    const first = approved(laneAs('approval'), { policy });
    const again = approved(first, { policy, now: START + DAY });
    assert.deepEqual(
      again.approvals.map(({ by, at }) => [by, at]),
      [['ana', START + DAY]],
    );
  });

  test('what is approved is forgotten when the step begins anew', () => {
    const approval = { step: 0, by: 'ana', at: START, expiresAt: START + DAY, subject: 'x' };
    for (const verb of ['retry', 'accept'] as const) {
      const after = applyVerb(laneAs('halted', { approvals: [approval] }), verb, input({ count: 1 }));
      assert.deepEqual(after?.approvals, [], verb);
    }
  });

  test('the text is that of the release, the policy and the step, in whatever order they are written', () => {
    const text = subjectOf({ policy: POLICY, release: RELEASE }, 0);
    const turned = Object.fromEntries(Object.entries(POLICY).reverse()) as unknown as Policy;
    const artifacts = RELEASE.artifacts.toReversed();
    assert.equal(subjectOf({ policy: turned, release: { ...RELEASE, artifacts } }, 0), text);
    assert.notEqual(subjectOf({ policy: POLICY, release: RELEASE }, 1), text);
  });
});

describe('accept', () => {
  const halted = (counters: Parameters<typeof counts>[0], size = 10, overrides: Partial<Lane> = {}) =>
    laneIn('eu', stateNamed('halted'), { steps: [openedStep({ size, counters: counts(counters) })], ...overrides });
  const open = (counters: Parameters<typeof counts>[0], size: number, overrides: Partial<Lane> = {}): Lane => ({
    ...halted(counters, size, overrides),
    state: stateNamed('open'),
  });
  const gone = (number: number) => ({ silence: () => ({ ...NO_SILENCE, gone: number }) });
  const rows: [title: string, lane: Lane, count: number, overrides: Partial<VerbInput>, hint: string | null][] = [
    ['one bad of a budget of one', halted({ bad: 1, badMembers: 1 }), 1, {}, null],
    ['three bad, one accepted', halted({ bad: 3, badMembers: 3 }), 1, {}, 'Accept at least 3.'],
    ['three bad, three accepted', halted({ bad: 3, badMembers: 3 }), 3, {}, null],
    ['none', halted({ bad: 1, badMembers: 1 }), 0, {}, 'Accept between 1 and 10 outcomes.'],
    ['more than there are', halted({ bad: 1, badMembers: 1 }), 11, {}, 'Accept between 1 and 10 outcomes.'],
    ['too few successes', open({ succeeded: 1, declined: 1, exhausted: 2 }, 3), 1, {}, null],
    ['nobody has succeeded', open({ declined: 1, exhausted: 1 }, 1), 1, {}, NEVER],
    ['inconclusive', open({ inconclusive: 2 }, 10), 1, {}, null],
    ['inconclusive beyond that', open({ inconclusive: 4 }, 10), 1, {}, 'Accept at least 3.'],
    ['silent', open({}, 10), 1, gone(3), null],
    ['halted by a person, nothing bad', halted({ succeeded: 1 }), 1, {}, null],
    ['nothing stands against it', open({ succeeded: 1 }, 10), 1, {}, 'There is nothing to accept.'],
    ['it has not opened', laneIn('eu', stateNamed('halted')), 1, {}, 'Retry it instead.'],
  ];
  for (const [title, lane, count, overrides, hint] of rows) {
    test(`accept ${count}: ${title}: ${hint ?? 'goes on'}`, () => {
      const act = () => applyVerb(lane, 'accept', input({ count, ...overrides }));
      if (hint !== null) return void assert.throws(act, { code: 'conflict', hint });
      const after = act();
      assert(after !== undefined);
      assert.deepEqual([after.state.name, after.allowance, after.budgetEpoch], ['open', count, 0]);
      assert.deepEqual(after.steps[0]?.counters, lane.steps[0]?.counters, 'what was counted stays counted');
    });
  }

  test('the step that halted while it soaked has to pass again, those before it need not', () => {
    const first = openedStep({ done: true, counters: counts({ succeeded: 3 }) });
    const second = openedStep({ step: 1, done: true, counters: counts({ succeeded: 2, bad: 1, badMembers: 1 }) });
    const lane = laneIn('eu', stateNamed('halted', 1), { steps: [first, second] });
    const after = applyVerb(lane, 'accept', input({ count: 1 }));
    assert(after !== undefined);
    assert.deepEqual([after.steps.map((step) => step.done), lastStep(after)], [[true, false], 1]);
  });
});

describe('accept while it soaks', () => {
  const SOAK_MS = POLICY.steps[0]?.soakMs ?? 0;
  const soaking = (soakedMs: number, accepted?: number) =>
    laneAs('soaking', {
      state: {
        ...{ name: 'soaking', step: 0, since: START, observedMs: OBSERVED - soakedMs },
        ...(accepted === undefined ? {} : { accepted }),
      },
      allowance: accepted ?? 0,
      approvals: [{ step: 0, by: 'ben', at: START, expiresAt: START + DAY, subject: 'x' }],
    });
  const seen = (updated: number, updatedPresent: number, unheard = 0) => ({
    presence: () => ({ updated, updatedPresent, unheard }),
  });
  const silent = soaking(2 * SOAK_MS);
  const NOT = /^It goes on by itself/;
  const rows: [title: string, lane: Lane, count: number, overrides: Partial<VerbInput>, hint: RegExp | number][] = [
    ['eight of ten', silent, 1, seen(10, 8), 1],
    ['all that are away', silent, 2, seen(10, 8), 2],
    ['more than are away', silent, 3, seen(10, 8), /^Accept between 1 and 2\.$/],
    ['too few', silent, 2, seen(10, 5), /^Accept between 4 and 5\.$/],
    ['one of two', silent, 1, seen(2, 1), 1],
    ['two of one', silent, 2, seen(2, 1), /^Accept 1\.$/],
    ['nobody is there', silent, 10, seen(10, 0), /^No number is enough: .*tidegate agent unenrol/],
    ['after others', soaking(2 * SOAK_MS, 2), 3, seen(10, 4), 5],
    ['after others, too few', soaking(2 * SOAK_MS, 2), 2, seen(10, 4), /^Accept between 3 and 4\.$/],
    ['sent again', soaking(2 * SOAK_MS, 2), 2, seen(10, 7), 0],
    ['nobody is away', silent, 1, seen(10, 9), NOT],
    ['they are waited for', soaking(2 * SOAK_MS - 1), 1, seen(10, 8), NOT],
    ['not heard yet', silent, 1, seen(10, 8, 1), NOT],
    ['nobody has counted', silent, 1, {}, NOT],
  ];
  for (const [title, lane, count, overrides, expected] of rows) {
    test(`accept ${count}: ${title}: ${expected}`, () => {
      const act = () => applyVerb(lane, 'accept', input({ count, ...overrides }));
      if (expected instanceof RegExp) {
        const code = expected === NOT ? 'illegal_transition' : 'conflict';
        return void assert.throws(act, (error: AppError) => error.code === code && expected.test(error.hint ?? ''));
      }
      const after = act();
      if (expected === 0) return void assert.equal(after, undefined);
      assert(after?.state.name === 'soaking' && lane.state.name === 'soaking');
      assert.deepEqual(after.state, { ...lane.state, accepted: expected });
      assert.deepEqual([after.allowance, after.approvals, after.revision], [expected, [], lane.revision + 1]);
    });
  }
});

describe('accept sent again, with the revision that was seen then', () => {
  const bad = (number: number) => [openedStep({ counters: counts({ succeeded: 2, bad: number, badMembers: number }) })];
  const given = input({ count: 1, expectedRevision: 5 });

  test('while nothing else has ended it is done: nothing changes', () => {
    const once = applyVerb(laneAs('halted'), 'accept', given);
    assert(once !== undefined);
    assert.equal(applyVerb(once, 'accept', given), undefined);
  });

  test('after another outcome it is not counted on that one: it must be looked at', () => {
    const once = applyVerb(laneAs('halted'), 'accept', given);
    const halted = { ...once, steps: bad(2), state: stateNamed('halted'), revision: 7 } as Lane;
    assert.throws(() => applyVerb(halted, 'accept', given), { code: 'revision_mismatch' });
    assert.equal(applyVerb(halted, 'accept', { ...given, expectedRevision: 7 })?.allowance, 2);
  });
});

describe('a retry of what may not go out any more is refused', () => {
  const WAIT = 'Wait until GitHub lists it again as it was, or publish a higher version.';
  const rows: [release: Release | undefined, message: string, hint: string][] = [
    [testRelease('1.1.0', { state: 'withdrawn', why: 'deleted' }), 'the release 1.1.0 is withdrawn: deleted', WAIT],
    [
      testRelease('1.1.0', { state: 'altered', why: 'other bytes' }),
      'the release 1.1.0 is altered: other bytes',
      'Publish a higher version.',
    ],
    [undefined, 'the release is not known any more', 'Publish a higher version.'],
  ];
  for (const [release, message, hint] of rows) {
    test(message, () => {
      const act = () => applyVerb(laneAs('halted'), 'retry', input({ release }));
      assert.throws(act, { code: 'conflict', message: `retry: ${message}`, hint });
    });
  }
});

for (const [hot, message] of [
  [1, '1 attempt of the lane in eu is still at risk'],
  [2, '2 attempts of the lane in eu are still at risk'],
] as const) {
  test(`retry: ${message}`, () => {
    const lane = laneAs('halted', { steps: [openedStep({ counters: counts({ hot, hotMembers: hot }) })] });
    assert.throws(() => applyVerb(lane, 'retry', input()), { code: 'conflict', message });
  });
}

test('skip-region marks what has ended, and keeps who ended it', () => {
  const state: LaneState = { name: 'cancelled', since: START, by: 'ben', reason: 'no' };
  const after = applyVerb(laneIn('eu', state), 'skip-region', input());
  assert.deepEqual(after?.state, { ...state, skipped: true });
});

test('a lane that was rolled back goes forward no more', () => {
  const lane = laneAs('halted', { back: [openedStep({ step: -1 })] });
  for (const verb of ['retry', 'accept'] as const)
    assert.throws(() => applyVerb(lane, verb, input({ count: 1 })), { code: 'illegal_transition' });
});

test('law: an acceptance leaves nothing that halts, grows the allowance by its count, and forgets who approved', () => {
  const nat = (max: number) => fc.nat({ max });
  fc.assert(
    fc.property(nat(6), nat(6), nat(6), fc.integer({ min: 1, max: 10 }), (succeeded, bad, declined, count) => {
      const counters = counts({ succeeded, bad, badMembers: bad, declined, exhausted: declined });
      const step = openedStep({ size: 10, counters });
      const lane = laneIn('eu', stateNamed('halted'), { steps: [step] });
      let accepted: Lane | undefined;
      try {
        accepted = applyVerb(lane, 'accept', input({ count }));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'conflict');
        return;
      }
      assert(accepted !== undefined);
      assert.deepEqual([accepted.allowance, accepted.approvals], [lane.allowance + count, []]);
      assert(['open', 'done'].includes(verdict(10, counters, NO_SILENCE, POLICY, accepted.allowance).kind));
    }),
    { numRuns: 200 },
  );
});
