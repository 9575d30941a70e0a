// When lanes give way to a newer release, in the three modes: the actions by name, or the holds.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Availability } from '../../src/domain/availability.ts';
import type { MetricPolicy } from '../../src/domain/metric.ts';
import { plan } from '../../src/domain/plan.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Lane, Rollout, StepCounters } from '../../src/domain/rollout.ts';
import type { BackCensus, Snapshot } from '../../src/domain/snapshot.ts';
import { givesWayTo, successorOf, undisplaced } from '../../src/domain/supersede.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { NOW, open, RELEASE, seen, shown, soaking, waiting } from '../support/plans.ts';
import {
  availabilityOf,
  counts,
  laneIn,
  OBSERVED,
  openedStep,
  PLATFORM,
  rolloutOf,
  snapshotOf,
  stateNamed,
  vetoOf,
} from '../support/snapshots.ts';

describe('a newer release', () => {
  const NEWER = testRelease('1.2.0');
  /** 1.1.0 with these lanes under this mode, and 1.2.0 with waiting lanes in the same regions. */
  function both(mode: Policy['supersede'], lanes: Lane[], snapshot: Partial<Snapshot> = {}): Snapshot {
    const policy = testPolicy({ supersede: mode });
    const older = rolloutOf('1.1.0', lanes, { policy });
    const newer = rolloutOf(
      '1.2.0',
      lanes.map(({ region }) => waiting(region)),
      { policy },
    );
    const rollouts: Rollout[] = [older, newer];
    return snapshotOf({ releases: [testRelease('1.0.0'), RELEASE, NEWER], rollouts, ...snapshot });
  }
  const gone = (region: string) => `supersede rollout-1.1.0/${region} by rollout-1.2.0`;
  const hot = open({ hot: 1, hotMembers: 1 });
  const hotPaused = laneIn('eu', stateNamed('paused'), { steps: hot.steps });
  const halted = (hotCount = 0) =>
    laneIn('eu', stateNamed('halted'), { steps: [openedStep({ counters: counts({ hot: hotCount }) })] });
  const stuck = open({ declined: 1, exhausted: 1 }, { size: 1 });
  const silent = laneIn('eu', { ...stateNamed('soaking'), observedMs: OBSERVED - 120_000 } as Lane['state'], {
    steps: [openedStep({ done: true, counters: counts({ succeeded: 3 }) })],
  });
  const silentCensus = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    lanes: snapshot.lanes.map((one) => (one.laneId === 'rollout-1.1.0/eu' ? { ...one, ...seen(10, 8) } : one)),
  });
  const cancelledNewer = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    rollouts: snapshot.rollouts.map((one) =>
      one.version === '1.2.0'
        ? { ...one, lanes: one.lanes.map((lane) => ({ ...lane, state: stateNamed('cancelled') })) }
        : one,
    ),
  });
  const newerAs = (snapshot: Snapshot, region: string, state: Lane['state']['name']): Snapshot => ({
    ...snapshot,
    rollouts: snapshot.rollouts.map((one) => ({
      ...one,
      lanes: one.lanes.map((lane) =>
        one.version === '1.2.0' && lane.region === region ? { ...lane, state: stateNamed(state) } : lane,
      ),
    })),
  });
  const ERRORS: MetricPolicy = {
    name: 'errors',
    query: 'errors',
    everyMs: 60_000,
    passWhen: null,
    failWhen: { op: '>', limit: 0.05 },
    samples: 3,
    failures: 1,
    maxInconclusive: 1,
    onFail: 'hold',
    dryRun: false,
  };
  const metricHolds = (snapshot: Snapshot): Snapshot => {
    const metrics = [ERRORS];
    const policies = snapshot.rollouts.map((one) => ({ ...one, policy: { ...one.policy, metrics } }));
    const laneId = 'rollout-1.1.0/eu';
    const tally = {
      laneId,
      step: 0,
      budgetEpoch: 0,
      metric: 'errors',
      good: 0,
      failed: 1,
      inconclusive: 0,
      errors: 0,
      at: START,
      shown: '0.07',
    };
    const lanes = snapshot.lanes.map((one) => (one.laneId === laneId ? { ...one, ...seen(3, 3) } : one));
    return { ...snapshot, rollouts: policies, metrics: [tally], lanes };
  };
  /** 1.1.0 goes back to 1.0.0, of which these rows are known. */
  function wayBack(rows: Partial<Availability>[], back: Partial<BackCensus>, hot = 0): Snapshot {
    const way = openedStep({ step: -1, counters: counts({ hot }) });
    const lane = laneIn('eu', stateNamed('rolling_back'), { back: [way] });
    const snapshot = both('finish', [lane], { vetoes: [vetoOf('1.1.0')] });
    const known = snapshot.availability.filter(({ version }) => version !== '1.0.0');
    return {
      ...snapshot,
      availability: [...known, ...rows.map((row) => ({ ...availabilityOf(testRelease('1.0.0'), 'eu'), ...row }))],
      lanes: snapshot.lanes.map((one) =>
        one.laneId === 'rollout-1.1.0/eu'
          ? { ...one, back: { left: 0, out: 0, gone: 0, platforms: [], ...back } }
          : one,
      ),
    };
  }
  const rows: [title: string, snapshot: Snapshot, expected: string[]][] = [
    ['finish: the newer waits for the live one', both('finish', [open()]), ['hold eu older_lane']],
    [
      'finish: and for those that wait',
      both('finish', [open(), waiting('us', 1)]),
      ['hold us previous_wave', 'hold eu older_lane', 'hold us older_lane'],
    ],
    [
      'replace-unstarted: what waits is superseded, what is live finishes',
      both('replace-unstarted', [open(), waiting('us', 1)]),
      [gone('us'), 'open us 0', 'hold eu older_lane'],
    ],
    [
      'replace: what is live is superseded too',
      both('replace', [open(), waiting('us', 1)]),
      [gone('eu'), gone('us'), 'open us 0', 'end', 'open eu 0'],
    ],
    [
      'replace: not before the hot attempts have ended',
      both('replace', [hot]),
      ['hold eu older_lane', 'hold eu older_lane'],
    ],
    [
      'replace: and no step is passed meanwhile',
      both('replace', [open({ succeeded: 3, hot: 1 })]),
      ['hold eu older_lane', 'hold eu older_lane'],
    ],
    ['replace: a paused lane too', both('replace', [soaking(0, 'paused')]), [gone('eu'), 'end', 'open eu 0']],
    [
      'replace: a paused lane with a hot attempt stays paused',
      both('replace', [hotPaused]),
      ['hold eu paused', 'hold eu older_lane'],
    ],
    [
      'replace: a soaking lane with a hot attempt opens nothing',
      both('replace', [
        { ...soaking(60_000), steps: [openedStep({ done: true, counters: counts({ succeeded: 3, hot: 1 }) })] },
      ]),
      ['hold eu older_lane', 'hold eu older_lane'],
    ],
    [
      'replace: a lane that rolls back is left alone',
      both('replace', [laneIn('eu', stateNamed('rolling_back'))]),
      ['hold eu older_lane'],
    ],
    [
      'a lane that rolls a vetoed release back is left alone',
      both('replace', [laneIn('eu', stateNamed('rolling_back'))], { vetoes: [vetoOf('1.1.0')] }),
      ['hold eu older_lane'],
    ],
    [
      'replace: a spent budget halts and vetoes before it is superseded',
      both('replace', [open({ bad: 1 })]),
      ['halt eu veto', gone('eu'), 'open eu 0', 'end'],
    ],
    ...(['finish', 'replace-unstarted', 'replace'] as const).flatMap((mode): [string, Snapshot, string[]][] => [
      [
        `${mode}: a halted lane is superseded`,
        both(mode, [halted()]),
        // It is not live, so only under finish does the newer one wait for the end of the rollout.
        [gone('eu'), ...(mode === 'finish' ? ['end', 'open eu 0'] : ['open eu 0', 'end'])],
      ],
      [`${mode}: a lane with too few successes is superseded`, both(mode, [stuck]), [gone('eu'), 'end', 'open eu 0']],
      [
        `${mode}: a lane that is silent after its soak is superseded`,
        silentCensus(both(mode, [silent])),
        [gone('eu'), 'end', 'open eu 0'],
      ],
    ]),
    [
      'finish: what waits behind a halted lane is superseded with it',
      both('finish', [halted(), waiting('us', 1)]),
      [gone('eu'), gone('us'), 'end', 'open eu 0', 'open us 0'],
    ],
    [
      'finish: what waits beside it is not',
      both('finish', [halted(), waiting('us')]),
      [gone('eu'), 'open us 0', 'hold eu older_lane', 'hold us older_lane'],
    ],
    [
      'finish: what waits behind a cancelled lane is superseded',
      both('finish', [laneIn('eu', stateNamed('cancelled')), waiting('us', 1)]),
      [gone('us'), 'end', 'open eu 0', 'open us 0'],
    ],
    [
      'a halted lane with a hot attempt stays until it has ended, and does not stand in the way',
      both('replace-unstarted', [halted(1)]),
      ['open eu 0', 'hold eu halted'],
    ],
    ['finish: it does stand in the way', both('finish', [halted(1)]), ['hold eu halted', 'hold eu older_lane']],
    [
      'the older release is vetoed while it waits',
      both('finish', [waiting('eu')], { vetoes: [vetoOf('1.1.0')] }),
      [gone('eu'), 'end', 'open eu 0'],
    ],
    [
      'the older release is withdrawn while it goes out',
      both('finish', [open()], { releases: [testRelease('1.1.0', { state: 'withdrawn' }), NEWER] }),
      ['halt eu', gone('eu'), 'end', 'open eu 0'],
    ],
    [
      'a newer release that is vetoed takes nobody’s place',
      both('replace', [halted()], { vetoes: [vetoOf('1.2.0')] }),
      ['hold eu halted', 'hold eu vetoed'],
    ],
    [
      'a newer rollout that a person has cancelled everywhere takes nobody’s place',
      cancelledNewer(both('replace', [halted()])),
      ['end', 'hold eu halted'],
    ],
    [
      'a newer rollout that was cancelled here, and goes on elsewhere, takes nobody’s place here',
      newerAs(both('replace', [halted(), { ...halted(), region: 'us' }]), 'eu', 'cancelled'),
      ['supersede rollout-1.1.0/us by rollout-1.2.0', 'open us 0', 'hold eu halted'],
    ],
    [
      'a newer rollout that gave its own place away, to one that was cancelled, takes nobody’s place',
      newerAs(both('replace', [open()]), 'eu', 'superseded'),
      ['end'],
    ],
    [
      'a newer rollout that has completed here does',
      newerAs(both('finish', [halted()]), 'eu', 'completed'),
      [gone('eu'), 'end', 'end'],
    ],
    ...(['finish', 'replace-unstarted', 'replace'] as const).map((mode): [string, Snapshot, string[]] => [
      `${mode}: a soak that a metric holds for good is superseded`,
      metricHolds(both(mode, [soaking(60_000)])),
      [gone('eu'), 'end', 'open eu 0'],
    ]),
    [
      'a way back on which nobody is left whom it can bring anywhere is superseded',
      wayBack([{ status: 'absent' }], { left: 1, platforms: [PLATFORM] }),
      [gone('eu'), 'end', 'open eu 0'],
    ],
    [
      'while somebody else can go back it is not',
      wayBack([{ status: 'absent' }, { platform: 'linux-arm64' }], { left: 2, platforms: ['linux-arm64', PLATFORM] }),
      ['hold eu not_available', 'hold eu older_lane'],
    ],
    [
      'nor while one is at risk',
      wayBack([{ status: 'absent' }], { left: 1, platforms: [PLATFORM] }, 1),
      ['hold eu not_available', 'hold eu older_lane'],
    ],
    [
      'nor where nobody has looked yet',
      wayBack([], { left: 1, platforms: [PLATFORM] }),
      ['hold eu availability_unknown', 'hold eu older_lane'],
    ],
    [
      'a newer release that is withdrawn takes nobody’s place',
      both('replace', [waiting('eu')], { releases: [RELEASE, testRelease('1.2.0', { state: 'withdrawn' })] }),
      ['open eu 0', 'hold eu older_lane'],
    ],
  ];
  for (const [title, snapshot, expected] of rows) {
    test(`${title}: ${expected.join(', ')}`, () => assert.deepEqual(shown(snapshot), expected));
  }

  test('a newer release is created and supersedes what has not started in the same plan', () => {
    const older = rolloutOf('1.1.0', [open(), waiting('us', 1)]);
    const products = [rules(testPolicy({ waves: [['eu'], ['us']] }))];
    assert.deepEqual(shown(snapshotOf({ products, releases: [RELEASE, NEWER], rollouts: [older] })), [
      'create 1.2.0',
      'supersede rollout-1.1.0/us by new:1',
      'hold new:2 older_lane',
      'hold new:3 previous_wave',
    ]);
  });

  test('the veto of a superseded lane stays', () => {
    const { actions } = plan(both('replace', [open({ bad: 1 })]), NOW);
    assert.deepEqual(actions[0], {
      kind: 'halt_lane',
      laneId: 'rollout-1.1.0/eu',
      reason: 'step 1: 1 bad of 1 that halt it',
      veto: true,
    });
  });

  test('givesWayTo: only live lanes under replace, to the newest that may go out', () => {
    const named = (mode: Policy['supersede'], lane: Lane, snapshot: Partial<Snapshot> = {}) => {
      const found = both(mode, [lane], snapshot);
      const older = found.rollouts[0] as Rollout;
      return givesWayTo(found, older, older.lanes[0] as Lane);
    };
    assert.equal(named('replace', open()), '1.2.0');
    assert.equal(named('replace', waiting('eu')), undefined);
    assert.equal(named('replace', laneIn('eu', stateNamed('rolling_back'))), undefined);
    assert.equal(named('replace', open(), { vetoes: [vetoOf('1.2.0')] }), undefined);
    assert.equal(named('replace-unstarted', open()), undefined);
    assert.equal(named('finish', open()), undefined);
  });

  test('successorOf: the newest of several, of the same product, and nobody for the newest', () => {
    const rollouts = [
      rolloutOf('1.1.0', []),
      rolloutOf('1.2.0', []),
      rolloutOf('1.3.0', []),
      rolloutOf('9.0.0', [], { product: 'proxyd' }),
    ];
    const releases = ['1.1.0', '1.2.0', '1.3.0'].map((version) => testRelease(version));
    const after = (index: number, vetoes = [] as ReturnType<typeof vetoOf>[]) =>
      successorOf({ rollouts, releases, vetoes }, rollouts[index] as Rollout, 'eu')?.version;
    assert.equal(after(0), '1.3.0');
    assert.equal(after(0, [vetoOf('1.3.0')]), '1.2.0');
    assert.equal(after(2), undefined);
    assert.equal(after(3), undefined);
  });
});

describe('a region that releases keep passing by', () => {
  const RELEASES = ['1.0.0', '1.0.1', '1.0.2', '1.1.0', '1.2.0'].map((version) => testRelease(version));
  type Past = { skipped?: number; completedLast?: true; begun?: true; counters?: Partial<StepCounters> };
  const at = (name: 'superseded' | 'completed', since: number, overrides: Partial<Lane> = {}) =>
    laneIn('us', { ...stateNamed(name), since } as Lane['state'], { wave: 1, ...overrides });

  /** Older rollouts that `us` never got, then 1.1.0 with these lanes and 1.2.0 in the same regions. */
  function passedBy(past: Past, lanes: Lane[], policy: Partial<Policy> = {}, snapshot: Partial<Snapshot> = {}) {
    const stored = testPolicy({ maxSkips: 2, ...policy });
    const earlier = Array.from({ length: past.skipped ?? 2 }, (_, index) =>
      rolloutOf(
        `1.0.${index}`,
        [
          at(
            'superseded',
            START + index,
            past.begun ? { steps: [openedStep({ counters: counts(past.counters ?? {}) })] } : {},
          ),
        ],
        {
          policy: stored,
          endedAt: START,
        },
      ),
    );
    if (past.completedLast) earlier.push(rolloutOf('0.9.0', [at('completed', START + 10)], { endedAt: START }));
    const present = rolloutOf('1.1.0', lanes, { policy: stored });
    const newer = rolloutOf(
      '1.2.0',
      lanes.map(({ region, wave }) => waiting(region, wave)),
      { policy: stored },
    );
    return snapshotOf({ releases: RELEASES, rollouts: [...earlier, present, newer], ...snapshot });
  }
  const lanes = [open(), waiting('us', 1)];
  const gone = (region: string) => `supersede rollout-1.1.0/${region} by rollout-1.2.0`;
  const kept = ['hold us previous_wave', 'hold eu older_lane', 'hold us older_lane'];
  const hotOpen = laneIn('us', stateNamed('open'), { wave: 1, steps: [openedStep({ counters: counts({ hot: 1 }) })] });
  const rows: [title: string, snapshot: Snapshot, expected: string[]][] = [
    ['twice: its waiting lane stays', passedBy({}, lanes), kept],
    [
      'once: it is superseded again',
      passedBy({ skipped: 1 }, lanes),
      [gone('us'), 'hold eu older_lane', 'hold us previous_wave'],
    ],
    [
      'and completed since: it is superseded',
      passedBy({ completedLast: true }, lanes),
      [gone('us'), 'hold eu older_lane', 'hold us previous_wave'],
    ],
    [
      'it had got a part of them: no skips',
      passedBy({ begun: true }, lanes),
      [gone('us'), 'hold eu older_lane', 'hold us previous_wave'],
    ],
    [
      'replace: the part that it had of each was all that it ever gets, so what goes out there finishes',
      passedBy({ begun: true }, [laneIn('eu', stateNamed('completed')), hotOpen], { supersede: 'replace' }),
      ['open eu 0', 'hold us older_lane'],
    ],
    [
      'replace: but not what was vetoed',
      passedBy(
        { begun: true },
        [laneIn('eu', stateNamed('completed')), { ...hotOpen, steps: [openedStep()] }],
        { supersede: 'replace' },
        { vetoes: [vetoOf('1.0.0')] },
      ),
      [gone('us'), 'open eu 0', 'end', 'hold us previous_wave'],
    ],
    [
      'replace: nor what ended by what its own agents said',
      passedBy(
        { begun: true, counters: { bad: 1 } },
        [laneIn('eu', stateNamed('completed')), { ...hotOpen, steps: [openedStep()] }],
        { supersede: 'replace' },
      ),
      [gone('us'), 'open eu 0', 'end', 'hold us previous_wave'],
    ],
    [
      'the waiting lanes of the earlier waves stay with it',
      passedBy({}, [waiting('eu'), waiting('us', 1)]),
      ['open eu 0', ...kept],
    ],
    [
      'those of its own wave do not',
      passedBy({}, [waiting('us', 1), waiting('ap', 1)]),
      ['open us 0', gone('ap'), 'open ap 0', 'hold us older_lane'],
    ],
    [
      'replace: nor do lanes give way that have begun',
      passedBy({}, [laneIn('eu', stateNamed('completed')), hotOpen], { supersede: 'replace' }),
      ['open eu 0', 'hold us older_lane'],
    ],
    [
      'behind a lane that is halted it cannot finish',
      passedBy({}, [laneIn('eu', stateNamed('halted'), { steps: [openedStep()] }), waiting('us', 1)]),
      [gone('eu'), gone('us'), 'open eu 0', 'end', 'hold us previous_wave'],
    ],
    [
      'never with a vetoed release',
      passedBy({}, [waiting('us', 1)], {}, { vetoes: [vetoOf('1.1.0')] }),
      [gone('us'), 'open us 0', 'end'],
    ],
    [
      'never with an altered release',
      passedBy(
        {},
        [waiting('us', 1)],
        {},
        { releases: [testRelease('1.1.0', { state: 'altered' }), testRelease('1.2.0')] },
      ),
      [gone('us'), 'open us 0', 'end'],
    ],
  ];
  for (const [title, snapshot, expected] of rows) {
    test(`${title}: ${expected.join(', ')}`, () => assert.deepEqual(shown(snapshot), expected));
  }

  test('the newest is passed by meanwhile, since it is not its turn', () => {
    const snapshot = passedBy({}, lanes);
    const third = rolloutOf('1.3.0', [waiting('eu'), waiting('us', 1)], { policy: testPolicy({ maxSkips: 2 }) });
    const rollouts = [...snapshot.rollouts, third];
    const releases = [...RELEASES, testRelease('1.3.0')];
    const superseded = plan(snapshotOf({ releases, rollouts }), NOW).actions.filter(
      (action) => action.kind === 'supersede_lane',
    );
    assert.deepEqual(
      superseded.map(({ laneId }) => laneId),
      ['rollout-1.2.0/eu', 'rollout-1.2.0/us'],
    );
  });

  test('the sentence says who goes first, and why', () => {
    const { report } = plan(passedBy({}, lanes), NOW);
    const held = report.find(({ subject }) => 'laneId' in subject && subject.laneId === 'rollout-1.2.0/us');
    assert.match(held?.sentence ?? '', /: 1\.1\.0 finishes first, since 2 releases in a row have passed us by$/);
  });

  test('undisplaced: the lanes that go on under replace', () => {
    const named = (past: Past) => [
      ...undisplaced(passedBy(past, [laneIn('eu', stateNamed('completed')), hotOpen], { supersede: 'replace' }), NOW),
    ];
    assert.deepEqual(named({}), ['rollout-1.1.0/us']);
    assert.deepEqual(named({ skipped: 1 }), []);
  });
});
