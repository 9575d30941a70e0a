// What violations objects to, one broken promise at a time, and that a sound state has none.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Approval, subjectOf } from '../../src/domain/approval.ts';
import { violations } from '../../src/domain/check.ts';
import type { Lane, LaneStateName, Rollout, Step } from '../../src/domain/rollout.ts';
import { START, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { counts, laneIn, openedStep, rolloutOf, snapshotOf, stateNamed } from '../support/snapshots.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ percent: 50 }), stepPolicy({ budget: 'loose' })] });

function promises(...rollouts: Rollout[]): string[] {
  return violations(snapshotOf({ rollouts })).map(({ promise, sentence, subject }) => {
    assert(sentence.length > 0 && subject.length > 0);
    return promise;
  });
}

function lane(name: LaneStateName, steps: Step[] = [], overrides: Partial<Lane> = {}): Lane {
  return laneIn('eu', stateNamed(name, steps.at(-1)?.step ?? 0), { steps, ...overrides });
}

const step = (counters = {}, overrides: Partial<Step> = {}) => openedStep({ counters: counts(counters), ...overrides });
const passed = (counters = {}, overrides: Partial<Step> = {}) =>
  step({ succeeded: 3, ...counters }, { done: true, ...overrides });
const second = (counters = {}, overrides: Partial<Step> = {}) => step(counters, { step: 1, ...overrides });

const ROWS: [title: string, lanes: Lane[], expected: string[]][] = [
  ['waiting', [lane('waiting')], []],
  ['open with one at risk', [lane('open', [step({ hot: 1, hotMembers: 1, pending: 2 })])], []],
  ['the second step after the first has passed', [lane('open', [passed(), second()])], []],
  ['soaking after a step that is done', [lane('soaking', [passed()])], []],
  ['halted with a spent budget', [lane('halted', [step({ bad: 1 })])], []],
  ['a completed lane', [lane('completed', [passed()])], []],
  ['S1: the second step before the first has passed', [lane('open', [step(), second()])], ['S1']],
  [
    'S1: steps out of order',
    [
      lane('open', [
        { ...passed(), step: 1 },
        { ...second(), step: 0 },
      ]),
    ],
    ['S1'],
  ],
  ['S1: open in a step that was not opened', [{ ...lane('open', [step()]), state: stateNamed('open', 1) }], ['S1']],
  ['S1: open without a step', [lane('open')], ['S1']],
  ['S1: soaking after a step that is not done', [lane('soaking', [step()])], ['S1']],
  ['S1: approval after a step that is not done', [lane('approval', [step()])], ['S1']],
  ['S1: paused in a step that was not opened', [lane('paused')], ['S1']],
  [
    'S1: live although an earlier wave waits',
    [lane('waiting'), { ...lane('open', [step()]), region: 'us', wave: 1 }],
    ['S1'],
  ],
  [
    'live after an earlier wave that has completed',
    [lane('completed'), { ...lane('open', [step()]), region: 'us', wave: 1 }],
    [],
  ],
  [
    'live while an earlier wave, which had completed, rolls back',
    [lane('rolling_back', [passed()]), { ...lane('open', [step()]), region: 'us', wave: 1 }],
    [],
  ],
  ['S2: done without a member', [lane('soaking', [step({}, { done: true, size: 0 })])], ['S2']],
  ['S3: the second step reaches less far', [lane('open', [passed(), second({}, { threshold: 5 })])], ['S3']],
  ['S4: strict and overshot', [lane('open', [step({ hot: 2, hotMembers: 2 })])], ['S4']],
  ['loose: many at risk', [lane('open', [passed(), second({ hot: 2, hotMembers: 2 })])], []],
  ['S4: the budget is spent and the lane is open', [lane('open', [step({ bad: 1 })])], ['S4']],
  ['S4: the budget of an earlier step is spent', [lane('open', [passed({ bad: 1 }), second()])], ['S4']],
  ['an accepted bad one', [lane('open', [step({ bad: 1 })], { allowance: 1 })], []],
  ['S5: halted with an offered attempt', [lane('halted', [step({ pending: 1 })])], ['S5']],
  ['S5: superseded with a staged attempt', [lane('superseded', [step({ pending: 1 })])], ['S5']],
  ['D2: a negative counter', [lane('open', [step({ pending: -1 })])], ['D2']],
  ['D2: more hot members than hot', [lane('open', [step({ hotMembers: 1 })])], ['D2']],
  ['D2: more bad members than bad', [lane('open', [step({ badMembers: 1 })])], ['D2']],
  ['D2: more members with an outcome than members', [lane('open', [step({ succeeded: 4 })])], ['D2']],
];

describe('violations', () => {
  for (const [title, lanes, expected] of ROWS) {
    test(`${title}: ${expected.join(', ') || 'none'}`, () => {
      assert.deepEqual(promises(rolloutOf('1.1.0', lanes, { policy: POLICY })), expected);
    });
  }

  test('S8: two live lanes of one product in one region, also of two rollouts', () => {
    const live = () => [lane('open', [step()])];
    assert.deepEqual(promises(rolloutOf('1.1.0', live()), rolloutOf('1.2.0', live())), ['S8']);
    const proxyd = rolloutOf('1.2.0', live(), { product: 'proxyd' });
    assert.deepEqual(promises(rolloutOf('1.1.0', live()), proxyd), []);
  });

  const MANUAL = testPolicy({
    steps: [stepPolicy({ percent: 50 }), stepPolicy({ manual: true })],
    approvals: { approvers: 2, expireMs: 1_000 },
  });
  const consent = (by: string, overrides: Partial<Approval> = {}): Approval => {
    const subject = subjectOf({ policy: MANUAL, release: testRelease('1.1.0') }, 1);
    return { step: 1, by, at: START - 1, expiresAt: START + 1_000, subject, ...overrides };
  };
  const stale = { subject: subjectOf({ policy: MANUAL, release: testRelease('1.1.0', { tag: 'v0' }) }, 1) };
  const nothingToDo = { name: 'completed', since: START, evidence: false } as const;
  const consents: [title: string, name: LaneStateName, approvals: Approval[], expected: string[]][] = [
    ['one of two has approved so far', 'approval', [consent('ana')], []],
    ['passed by two people', 'completed', [consent('ana'), consent('ben')], []],
    ['S9: passed by one of two', 'completed', [consent('ana')], ['S9']],
    ['S9: passed by nobody', 'completed', [], ['S9']],
    [
      'S9: passed by two of whom one approved other files',
      'completed',
      [consent('ana'), consent('ben', stale)],
      ['S9'],
    ],
    ['S9: passed when one had expired', 'completed', [consent('ana'), consent('ben', { expiresAt: START })], ['S9']],
    ['S9: one person twice', 'approval', [consent('ana'), consent('ana')], ['S9']],
    ['S9: an approval of the step before', 'approval', [consent('ana', { step: 0 })], ['S9', 'S9']],
    ['S9: an approval that is bound to nothing', 'soaking', [consent('ana', { subject: 'yes' })], ['S9']],
  ];
  for (const [title, name, approvals, expected] of consents) {
    test(`${title}: ${expected.join(', ') || 'none'}`, () => {
      const lanes = [lane(name, [passed(), second({ succeeded: 3 }, { done: true })], { approvals })];
      assert.deepEqual(promises(rolloutOf('1.1.0', lanes, { policy: MANUAL })), expected);
    });
  }

  test('a lane in which there was nothing to do needs nobody', () => {
    const lanes = [laneIn('eu', nothingToDo)];
    assert.deepEqual(promises(rolloutOf('1.1.0', lanes, { policy: MANUAL })), []);
  });

  test('L1: a rollout that has ended while a lane has not', () => {
    assert.deepEqual(promises(rolloutOf('1.1.0', [lane('waiting')], { endedAt: 1 })), ['L1']);
    assert.deepEqual(promises(rolloutOf('1.1.0', [lane('completed')], { endedAt: 1 })), []);
  });
});
