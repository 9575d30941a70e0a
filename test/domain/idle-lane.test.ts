// A lane that completed because nobody in its region could take the release: when it stands for it still, and when it opens anew.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { idleLanes } from '../../src/domain/idle-lane.ts';
import type { LaneState } from '../../src/domain/rollout.ts';
import type { LaneCensus, Snapshot } from '../../src/domain/snapshot.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { RELEASE, shown } from '../support/plans.ts';
import {
  brakeOf,
  censusOf,
  laneIn,
  openedStep,
  rolloutOf,
  snapshotOf,
  stateNamed,
  vetoOf,
} from '../support/snapshots.ts';

const NOTHING: LaneState = { name: 'completed', since: START, evidence: false };
const POLICY = testPolicy({ waves: [['eu'], ['us']] });

interface Case {
  eu?: LaneState;
  us?: LaneState;
  /** Of eu. */
  census?: Partial<LaneCensus>;
  /** What runs in eu. */
  version?: string;
  snapshot?: Partial<Snapshot>;
}

/** 1.1.0 in eu and us, in two waves; in eu three agents run 1.0.0 and can take it now. */
function idle({ eu = NOTHING, us = NOTHING, census = {}, version = '1.0.0', snapshot = {} }: Case = {}): Snapshot {
  const steps = ['open', 'halted'].includes(us.name) ? [openedStep()] : [];
  const rollout = rolloutOf('1.1.0', [laneIn('eu', eu), laneIn('us', us, { wave: 1, steps })], {
    policy: POLICY,
    endedAt: [eu, us].every(({ name }) => name === 'completed') ? START : null,
  });
  const row = { product: 'agentd', region: 'eu', version, platform: 'linux-x64', agents: 3, present: 3 };
  return snapshotOf({
    products: [rules(POLICY)],
    releases: [testRelease('1.0.0'), RELEASE],
    rollouts: [rollout],
    lanes: rollout.lanes.map((lane) => censusOf(rollout, lane, lane.region === 'eu' ? census : {})),
    census: [row],
    ...snapshot,
  });
}

function baseline(region: string, version = '1.1.0') {
  return { product: 'agentd', region, version, releaseId: `release-${version}`, at: START };
}

const NOBODY = { eligible: 0, platforms: [], previews: [] };
const later = rolloutOf('1.2.0', [laneIn('eu', stateNamed('waiting'))], { policy: POLICY, createdAt: START + 1 });
const elsewhere = rolloutOf('1.2.0', [laneIn('us', stateNamed('waiting'))], { policy: POLICY, createdAt: START + 1 });

describe('plan: a lane in which nobody could take the release', () => {
  test('opens by its steps once somebody can, and its rollout goes on', () => {
    assert.deepEqual(shown(idle()), ['reopen eu', 'open eu 0']);
  });

  test('goes through every gate: it waits where the brake is set', () => {
    assert.deepEqual(shown(idle({ snapshot: { brakes: [brakeOf('region:eu')] } })), ['reopen eu', 'hold eu braked']);
  });

  test('what waits for its wave waits again', () => {
    const found = shown(idle({ us: stateNamed('waiting') }));
    assert.deepEqual(found, ['reopen eu', 'open eu 0', 'hold us previous_wave']);
  });

  const stays: [string, Case][] = [
    ['nobody can', { census: NOBODY }],
    ['who could is away', { census: { previews: [{ step: 0, members: 0, eligible: 3 }] } }],
    ['who could has used up its attempts', { census: { previews: [{ step: 0, members: 0, eligible: 0 }] } }],
    ['a later wave is at it', { us: stateNamed('open') }],
    ['a later wave has halted', { us: stateNamed('halted') }],
    ['the release is vetoed', { snapshot: { vetoes: [vetoOf('1.1.0')] } }],
    ['the product does not accept it any more', { snapshot: { products: [rules(POLICY, { accept: '<1.1' })] } }],
    [
      'the clock is doubted',
      { snapshot: { clock: { since: START, why: 'it went 2 h forward', until: START + 300_000 } } },
    ],
    ['it had completed with evidence', { eu: stateNamed('completed') }],
    ['a person has cancelled it', { eu: stateNamed('cancelled') }],
    ['everybody is beyond it', { version: '1.2.0' }],
  ];
  for (const [what, given] of stays) {
    test(`stays completed: ${what}`, () => {
      const found = shown(idle(given));
      assert.deepEqual(
        found.filter((one) => one.startsWith('reopen')),
        [],
      );
    });
  }

  test('stays completed where the release, or a higher one, is the baseline already', () => {
    for (const baselines of [[baseline('eu')], [baseline('us')], [baseline('eu', '1.2.0')]]) {
      const releases = [testRelease('1.0.0'), RELEASE, testRelease('1.2.0')];
      const snapshot = idle({ snapshot: { baselines, releases, products: [rules(POLICY, { accept: '<1.2' })] } });
      assert.ok(!shown(snapshot).includes('reopen eu'), JSON.stringify(baselines));
    }
  });

  test('opens above a lower baseline', () => {
    const found = shown(idle({ snapshot: { baselines: [baseline('eu', '1.0.0')] } }));
    assert.ok(found.includes('open eu 0'), found.join());
  });

  test('gives way to what is newer there, or goes there', () => {
    for (const newer of [later, elsewhere]) {
      const before = idle({ snapshot: { releases: [testRelease('1.0.0'), RELEASE, testRelease('1.2.0')] } });
      const snapshot = { ...before, rollouts: [...before.rollouts, newer] };
      assert.ok(!shown(snapshot).includes('reopen eu'));
    }
  });
});

test('idleLanes: one for each region whose agents are told why they do not get the release', () => {
  const named = (given: Case) => {
    const snapshot = idle(given);
    return idleLanes(snapshot, snapshot.products[0] as never).map(({ lane }) => lane.region);
  };
  assert.deepEqual(named({ census: NOBODY }), ['eu']);
  assert.deepEqual(named({ census: NOBODY, version: 'not a version' }), ['eu']);
  assert.deepEqual(named({ census: NOBODY, us: stateNamed('open') }), ['eu']);
  assert.deepEqual(named({ census: NOBODY, version: '1.1.0' }), []);
  assert.deepEqual(named({ snapshot: { baselines: [baseline('eu')] } }), []);
});
