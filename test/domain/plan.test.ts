// What plan does in one situation after the other: the actions by name, or the hold that says why there are none.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { subjectOf } from '../../src/domain/approval.ts';
import { plan } from '../../src/domain/plan.ts';

import type { Snapshot } from '../../src/domain/snapshot.ts';
import { rules, START, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { going, NOW, open, RELEASE, seen, shown, soaking, waiting } from '../support/plans.ts';
import {
  availabilityOf,
  brakeOf,
  counts,
  laneIn,
  OBSERVED,
  openedStep,
  rolloutOf,
  snapshotOf,
  stateNamed,
  vetoOf,
} from '../support/snapshots.ts';

const nobody = { eligible: 0, platforms: [], previews: [{ step: 0, members: 0, eligible: 0 }] };
const everybodyHas = (region: string) => ({
  product: 'agentd',
  region,
  version: '1.1.0',
  platform: 'linux-x64',
  agents: 3,
  present: 3,
});
const TWO_STEPS = { steps: [stepPolicy({ percent: 50 }), stepPolicy()] };

describe('creating a rollout', () => {
  test('the choice gets one, with a waiting lane per region of the policy and its wave', () => {
    const policy = testPolicy({ waves: [['eu'], ['us', 'ap']] });
    const snapshot = snapshotOf({ products: [rules(policy)], releases: [testRelease('1.0.0'), RELEASE] });
    assert.deepEqual(plan(snapshot, NOW), {
      actions: [
        {
          kind: 'create_rollout',
          product: 'agentd',
          releaseId: RELEASE.id,
          version: '1.1.0',
          policy,
          lanes: [
            { region: 'eu', wave: 0 },
            { region: 'us', wave: 1 },
            { region: 'ap', wave: 1 },
          ],
        },
      ],
      // The roster counts the new lanes in the next pass; what waits for a wave is known already.
      report: ['us', 'ap'].map((_, index) => ({
        subject: { laneId: `new:${index + 3}` },
        reason: 'previous_wave',
        sentence: 'an earlier wave has not completed: eu is waiting',
        until: null,
      })),
    });
  });
  test('a version has one rollout, ever', () => {
    const ended = rolloutOf('1.1.0', [laneIn('eu', stateNamed('cancelled'))], { endedAt: START });
    assert.deepEqual(shown(snapshotOf({ releases: [RELEASE], rollouts: [ended] })), []);
  });
  test('the product says why nothing is chosen', () => {
    const young = testRelease('1.1.0', { publishedAt: NOW - 1000 });
    const snapshot = snapshotOf({ products: [rules(testPolicy({ minAgeMs: 5000 }))], releases: [young] });
    assert.deepEqual(plan(snapshot, NOW), {
      actions: [],
      report: [
        {
          subject: { product: 'agentd' },
          reason: 'too_young',
          sentence: 'the release is younger than the policy lets out: 1.1.0',
          since: young.firstSeenAt,
          until: NOW + 4000,
        },
      ],
    });
    assert.deepEqual(shown(snapshotOf()), ['hold agentd not_available']);
  });
  test('every product has its own', () => {
    const proxyd = testRelease('3.0.0', { product: 'proxyd', id: 'release-proxyd-3.0.0' });
    const products = [rules(testPolicy()), rules(testPolicy(), { name: 'proxyd' })];
    assert.deepEqual(shown(snapshotOf({ products, releases: [RELEASE, proxyd] })), ['create 1.1.0', 'create 3.0.0']);
  });
  test('without an agent anywhere it passes through all waves at once', () => {
    const lanes = [waiting('eu'), waiting('us', 1)];
    const census = { eu: { ...nobody, agents: 0 }, us: { ...nobody, agents: 0 } };
    assert.deepEqual(shown(going({ lanes, census })), [
      'complete eu nothing_to_do',
      'complete us nothing_to_do',
      'end',
    ]);
  });
});

describe('opening a lane', () => {
  const rows: [title: string, snapshot: Snapshot, expected: string[]][] = [
    ['the first step', going({ lanes: [waiting('eu')] }), ['open eu 0']],
    [
      'regions of one wave open together, the next wave waits',
      going({ lanes: [waiting('eu'), waiting('us'), waiting('ap', 1)] }),
      ['open eu 0', 'open us 0', 'hold ap previous_wave'],
    ],
    [
      'the next wave opens when all of the one before have completed',
      going({ lanes: [laneIn('eu', stateNamed('completed')), waiting('us', 1)] }),
      ['open us 0'],
    ],
    ...(['halted', 'superseded', 'cancelled', 'rolled_back', 'open'] as const).map(
      (name): [string, Snapshot, string[]] => [
        `a lane that is ${name} does not pass its wave`,
        going({ lanes: [laneIn('eu', stateNamed(name), { steps: [openedStep()] }), waiting('us', 1)] }),
        name === 'halted' ? ['hold eu halted', 'hold us previous_wave'] : ['hold us previous_wave'],
      ],
    ),
    [
      'not probed yet',
      going({ lanes: [waiting('eu')], snapshot: { availability: [] } }),
      ['hold eu availability_unknown'],
    ],
    [
      'a failed probe is unknown, never absent',
      going({ lanes: [waiting('eu')], snapshot: { availability: [availabilityOf(RELEASE, 'eu', 'unknown')] } }),
      ['hold eu availability_unknown'],
    ],
    [
      'absent in the region',
      going({ lanes: [waiting('eu')], snapshot: { availability: [availabilityOf(RELEASE, 'eu', 'absent')] } }),
      ['hold eu not_available'],
    ],
    [
      'available elsewhere only',
      going({ lanes: [waiting('eu')], snapshot: { availability: [availabilityOf(RELEASE, 'us')] } }),
      ['hold eu availability_unknown'],
    ],
    [
      'available for one of two platforms that have eligible agents',
      going({ lanes: [waiting('eu')], census: { eu: { platforms: ['linux-x64', 'linux-arm64'] } } }),
      ['hold eu availability_unknown'],
    ],
    ...['fleet', 'product:agentd', 'region:eu'].map((scope): [string, Snapshot, string[]] => [
      `a brake on ${scope}`,
      going({ lanes: [waiting('eu')], snapshot: { brakes: [brakeOf(scope)] } }),
      ['hold eu braked'],
    ]),
    [
      'a brake elsewhere',
      going({ lanes: [waiting('eu')], snapshot: { brakes: [brakeOf('region:us')] } }),
      ['open eu 0'],
    ],
    [
      'vetoed before it opened',
      going({ lanes: [waiting('eu')], snapshot: { vetoes: [vetoOf('1.1.0')] } }),
      ['hold eu vetoed'],
    ],
    ...(['withdrawn', 'altered', 'refused'] as const).map((state): [string, Snapshot, string[]] => [
      `${state} before it opened`,
      going({ lanes: [waiting('eu')], snapshot: { releases: [testRelease('1.1.0', { state })] } }),
      ['hold eu not_available'],
    ]),
    [
      'eligible agents, none of them there',
      going({ lanes: [waiting('eu')], census: { eu: { previews: [{ step: 0, members: 0, eligible: 3 }] } } }),
      ['hold eu no_agents'],
    ],
    [
      'a step that adds nobody is skipped',
      going({
        lanes: [waiting('eu')],
        policy: TWO_STEPS,
        census: {
          eu: {
            previews: [
              { step: 0, members: 0, eligible: 0 },
              { step: 1, members: 2, eligible: 3 },
            ],
          },
        },
      }),
      ['open eu 1'],
    ],
    [
      'a step whose agents are away is not skipped for a later one',
      going({
        lanes: [waiting('eu')],
        policy: TWO_STEPS,
        census: {
          eu: {
            previews: [
              { step: 0, members: 0, eligible: 1 },
              { step: 1, members: 2, eligible: 3 },
            ],
          },
        },
      }),
      ['hold eu no_agents'],
    ],
    [
      'nobody is eligible, nobody has it: nothing to do, no baseline',
      going({
        lanes: [waiting('eu')],
        census: { eu: nobody },
        snapshot: { census: [{ ...everybodyHas('eu'), version: '0.9.0' }] },
      }),
      ['complete eu nothing_to_do', 'end'],
    ],
    [
      'everybody has it already: nothing to do, and the baseline',
      going({ lanes: [waiting('eu')], census: { eu: nobody }, snapshot: { census: [everybodyHas('eu')] } }),
      ['complete eu nothing_to_do baseline', 'baseline eu', 'end'],
    ],
    [
      'a wave with nothing to do passes its turn',
      going({ lanes: [waiting('eu'), waiting('us', 1)], census: { eu: nobody } }),
      ['complete eu nothing_to_do baseline', 'baseline eu', 'open us 0'],
    ],
    [
      'the census of a new lane comes with the next pass',
      going({ lanes: [waiting('eu')], snapshot: { lanes: [] } }),
      [],
    ],
  ];
  for (const [title, snapshot, expected] of rows) {
    test(`${title}: ${expected.join(', ') || 'nothing'}`, () => assert.deepEqual(shown(snapshot), expected));
  }
});

describe('an open lane', () => {
  const rows: [title: string, snapshot: Snapshot, expected: string[]][] = [
    ['in progress', going({ lanes: [open({ succeeded: 1, hot: 1, hotMembers: 1 })] }), []],
    ['enough successes', going({ lanes: [open({ succeeded: 3 })] }), ['soak eu 0', 'hold eu soaking']],
    [
      'enough, but a member is at risk',
      going({
        lanes: [open({ succeeded: 3, hot: 1, hotMembers: 1 }, { size: 4, done: false })],
        policy: { doneRatio: 7500 },
      }),
      [],
    ],
    ['done is sticky', going({ lanes: [open({ declined: 3 }, { done: true })] }), ['soak eu 0', 'hold eu soaking']],
    ['one bad', going({ lanes: [open({ bad: 1, badMembers: 1 })] }), ['halt eu veto', 'hold eu halted']],
    ['one bad of a hundred', going({ lanes: [open({ bad: 1, badMembers: 1 }, { size: 100 })] }), []],
    [
      'the veto halts the other regions too, and holds those that wait',
      going({
        lanes: [open({ bad: 1 }), { ...open(), region: 'us' }, waiting('ap', 1)],
      }),
      ['halt eu veto', 'halt us', 'hold eu halted', 'hold us halted', 'hold ap vetoed'],
    ],
    [
      'a spent budget of an earlier step',
      going({
        lanes: [
          laneIn('eu', stateNamed('open', 1), {
            steps: [openedStep({ done: true, counters: counts({ bad: 1 }) }), openedStep({ step: 1 })],
          }),
        ],
        policy: TWO_STEPS,
      }),
      ['halt eu veto', 'hold eu halted'],
    ],
    [
      'vetoed by a person',
      going({ lanes: [open()], snapshot: { vetoes: [vetoOf('1.1.0')] } }),
      ['halt eu', 'hold eu halted'],
    ],
    ...(['withdrawn', 'altered', 'refused'] as const).map((state): [string, Snapshot, string[]] => [
      `${state} while it goes out: halted without a veto`,
      going({ lanes: [open()], snapshot: { releases: [testRelease('1.1.0', { state })] } }),
      ['halt eu', 'hold agentd not_available'].filter((one) => one.startsWith('halt')).concat('hold eu halted'),
    ]),
    [
      'the release is not known any more',
      going({ lanes: [open()], snapshot: { releases: [] } }),
      ['halt eu', 'hold eu halted'],
    ],
    ['braked', going({ lanes: [open()], snapshot: { brakes: [brakeOf('fleet')] } }), ['hold eu braked']],
    [
      'it cannot be had any more',
      going({ lanes: [open()], snapshot: { availability: [availabilityOf(RELEASE, 'eu', 'absent')] } }),
      ['hold eu not_available'],
    ],
    [
      'the probe fails after it opened',
      going({
        lanes: [open()],
        snapshot: { availability: [{ ...availabilityOf(RELEASE, 'eu', 'unknown'), since: START + 1 }] },
      }),
      [],
    ],
    [
      'silent',
      going({
        lanes: [open()],
        census: {
          eu: {
            steps: [{ step: 0, gone: 3, ineligible: 0, replaceable: 0, updated: 0, updatedPresent: 0, unheard: 0 }],
          },
        },
      }),
      ['hold eu silent'],
    ],
    ['inconclusive', going({ lanes: [open({ inconclusive: 2 })] }), ['hold eu inconclusive']],
    ['too few', going({ lanes: [open({ declined: 1, exhausted: 1 }, { size: 1 })] }), ['hold eu too_few_successes']],
  ];
  for (const [title, snapshot, expected] of rows) {
    test(`${title}: ${expected.join(', ') || 'nothing'}`, () => assert.deepEqual(shown(snapshot), expected));
  }
});

describe('soak, approval, pause, halt', () => {
  const left = { previews: [{ step: 1, members: 2, eligible: 2 }] };
  const none = { previews: [{ step: 1, members: 0, eligible: 0 }] };
  const away = { previews: [{ step: 1, members: 0, eligible: 2 }] };
  const manual = { steps: [stepPolicy({ percent: 50, manual: true }), stepPolicy()] };
  const asked = soaking(0, 'approval');
  const silentOf = (accepted: number) => {
    const lane = soaking(500_000);
    return { ...lane, state: { ...lane.state, accepted } as typeof lane.state };
  };
  const subject = { policy: testPolicy(manual), release: testRelease('1.1.0') };
  const approval = { step: 0, by: 'somebody', at: NOW, expiresAt: NOW + 1, subject: subjectOf(subject, 0) };
  const promoted = { ...asked, approvals: [approval] };
  const rows: [title: string, snapshot: Snapshot, expected: string[]][] = [
    ['a millisecond before the end', going({ lanes: [soaking(59_999)] }), ['hold eu soaking']],
    [
      'after the last step it completes',
      going({ lanes: [soaking(60_000)] }),
      ['complete eu evidence baseline', 'baseline eu', 'end'],
    ],
    [
      'then comes the next step',
      going({ lanes: [soaking(60_000)], policy: TWO_STEPS, census: { eu: seen(3, 3, left) } }),
      ['open eu 1'],
    ],
    [
      'a next step that adds nobody',
      going({ lanes: [soaking(60_000)], policy: TWO_STEPS, census: { eu: seen(3, 3, none) } }),
      ['complete eu evidence baseline', 'baseline eu', 'end'],
    ],
    [
      'a last step whose agents are all away',
      going({ lanes: [soaking(60_000)], policy: TWO_STEPS, census: { eu: seen(3, 3, away) } }),
      ['complete eu evidence baseline', 'baseline eu', 'end'],
    ],
    [
      'a middle step whose agents are all away',
      going({
        lanes: [soaking(60_000)],
        policy: { steps: [stepPolicy({ percent: 10 }), stepPolicy({ percent: 50 }), stepPolicy()] },
        census: { eu: seen(3, 3, { previews: [...away.previews, { step: 2, members: 2, eligible: 2 }] }) },
      }),
      ['hold eu no_agents'],
    ],
    [
      'a middle step whose agents are all away, and nobody is there for the last one',
      going({
        lanes: [soaking(60_000)],
        policy: { steps: [stepPolicy({ percent: 10 }), stepPolicy({ percent: 50 }), stepPolicy()] },
        census: { eu: seen(3, 3, { previews: [...away.previews, { step: 2, members: 0, eligible: 4 }] }) },
      }),
      ['complete eu evidence baseline', 'baseline eu', 'end'],
    ],
    [
      'nine of ten updated are there',
      going({ lanes: [soaking(60_000)], census: { eu: seen(10, 9) } }),
      ['complete eu evidence baseline', 'baseline eu', 'end'],
    ],
    [
      'eight of ten: it is waited for them',
      going({ lanes: [soaking(60_000)], census: { eu: seen(10, 8) } }),
      ['hold eu soaking'],
    ],
    ['as long again', going({ lanes: [soaking(119_999)], census: { eu: seen(10, 8) } }), ['hold eu soaking']],
    ['then they are silent', going({ lanes: [soaking(120_000)], census: { eu: seen(10, 8) } }), ['hold eu silent']],
    [
      'but nobody is who may be heard yet by a server that has just started',
      going({
        lanes: [soaking(120_000)],
        census: { eu: { steps: seen(10, 8).steps.map((one) => ({ ...one, unheard: 1 })) } },
      }),
      ['hold eu soaking'],
    ],
    [
      'one of ten is accepted: two are away',
      going({ lanes: [silentOf(1)], census: { eu: seen(10, 7) } }),
      ['hold eu silent'],
    ],
    [
      'both are',
      going({ lanes: [silentOf(2)], census: { eu: seen(10, 7) } }),
      ['complete eu evidence baseline', 'baseline eu', 'end'],
    ],
    ['and then another falls silent', going({ lanes: [silentOf(2)], census: { eu: seen(10, 6) } }), ['hold eu silent']],
    ['all are: one must be there', going({ lanes: [silentOf(10)], census: { eu: seen(10, 0) } }), ['hold eu silent']],
    [
      'they come back late',
      going({ lanes: [soaking(500_000)], census: { eu: seen(10, 9) } }),
      ['complete eu evidence baseline', 'baseline eu', 'end'],
    ],
    [
      'unenrolled ones leave both sides',
      going({ lanes: [soaking(60_000)], census: { eu: seen(0, 0) } }),
      ['complete eu evidence baseline', 'baseline eu', 'end'],
    ],
    ['braked', going({ lanes: [soaking(60_000)], snapshot: { brakes: [brakeOf('region:eu')] } }), ['hold eu braked']],
    [
      'a manual step asks a person',
      going({ lanes: [soaking(60_000)], policy: manual, census: { eu: seen(3, 3, left) } }),
      ['ask eu 0', 'hold eu needs_approval'],
    ],
    [
      'but only once they are there',
      going({ lanes: [soaking(60_000)], policy: manual, census: { eu: seen(10, 8, left) } }),
      ['hold eu soaking'],
    ],
    ['approval waits for a person', going({ lanes: [soaking(0, 'approval')] }), ['hold eu needs_approval']],
    [
      'promoted, but braked: nothing opens',
      going({ lanes: [promoted], policy: manual, snapshot: { brakes: [brakeOf('region:eu')] }, census: { eu: left } }),
      ['hold eu braked'],
    ],
    ['paused by a person', going({ lanes: [soaking(0, 'paused')] }), ['hold eu paused']],
    ...(['soaking', 'approval', 'paused'] as const).map((name): [string, Snapshot, string[]] => {
      const lane = soaking(0, name);
      const bad = {
        ...lane,
        steps: lane.steps.map((step) => ({ ...step, counters: counts({ succeeded: 2, bad: 1, badMembers: 1 }) })),
      };
      return [`a bad one while ${name}`, going({ lanes: [bad] }), ['halt eu veto', 'hold eu halted']];
    }),
    ...(['soaking', 'approval', 'paused'] as const).map((name): [string, Snapshot, string[]] => [
      `vetoed while ${name}`,
      going({ lanes: [soaking(0, name)], snapshot: { vetoes: [vetoOf('1.1.0')] } }),
      ['halt eu', 'hold eu halted'],
    ]),
    ['halted stays halted', going({ lanes: [laneIn('eu', stateNamed('halted'))] }), ['hold eu halted']],
    [
      'all lanes have ended',
      going({ lanes: [laneIn('eu', stateNamed('completed')), laneIn('us', stateNamed('cancelled'))] }),
      ['end'],
    ],
    [
      'one has not',
      going({ lanes: [laneIn('eu', stateNamed('completed')), laneIn('us', stateNamed('halted'))] }),
      ['hold us halted'],
    ],
  ];
  for (const [title, snapshot, expected] of rows) {
    test(`${title}: ${expected.join(', ')}`, () => assert.deepEqual(shown(snapshot), expected));
  }

  test('a soak says when it ends, reckoned from observed time', () => {
    const { report } = plan(going({ lanes: [soaking(20_000)] }), NOW);
    assert.equal(report[0]?.until, NOW + 40_000);
    const late = plan(going({ lanes: [soaking(90_000)], census: { eu: seen(10, 8) } }), NOW);
    assert.equal(late.report[0]?.until, NOW + 30_000);
  });
});

test('an overdue attempt is lost after the grant and expired before it', () => {
  const overdue = [
    { id: 'a', laneId: 'rollout-1.1.0/eu', hot: true, deadlineObserved: OBSERVED - 1 },
    { id: 'b', laneId: 'rollout-1.1.0/eu', hot: false, deadlineObserved: OBSERVED - 1 },
  ];
  assert.deepEqual(shown(going({ lanes: [open({ hot: 1, pending: 1 })], snapshot: { overdue } })), [
    'lost a',
    'expired b',
  ]);
});
