// A policy that begins by hand: nothing of it goes out by itself, what comes before it is not kept waiting, and a person is told.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chooseRelease, considerReleases } from '../../src/domain/choose.ts';
import { plan } from '../../src/domain/plan.ts';
import type { ProductRules, Snapshot } from '../../src/domain/snapshot.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { NOW } from '../support/plans.ts';
import { laneIn, rolloutOf, snapshotOf, stateNamed, vetoOf } from '../support/snapshots.ts';

const AUTO = testPolicy({ name: 'fast', waves: [['eu']] });
const MANUAL = testPolicy({ name: 'careful', waves: [['eu']], begin: 'manual' });
const PRODUCT = rules(MANUAL, { policies: { patch: AUTO, minor: AUTO } });
const COMMAND =
  'a person must begin 2.0.0, since its policy careful begins by hand: tidegate rollout create agentd@2.0.0';

const done = rolloutOf('1.0.0', [laneIn('eu', stateNamed('completed'))], { policy: MANUAL, endedAt: START });

/** eu has completed 1.0.0, and all of these are published. */
function published(versions: readonly string[], overrides: Partial<Snapshot> = {}, product: ProductRules = PRODUCT) {
  return snapshotOf({
    products: [product],
    releases: ['1.0.0', ...versions].map((version) => testRelease(version)),
    rollouts: [done],
    baselines: [{ product: 'agentd', region: 'eu', version: '1.0.0', releaseId: done.releaseId, at: START }],
    ...overrides,
  });
}

function asked(snapshot: Snapshot): string | undefined {
  return considerReleases(snapshot, snapshot.products[0] as ProductRules, NOW).waiting?.sentence;
}

function chosen(snapshot: Snapshot): string | undefined {
  return chooseRelease(snapshot, snapshot.products[0] as ProductRules, NOW).release?.version;
}

describe('a release whose policy begins by hand', () => {
  test('is no choice, and is said with the command that begins it', () => {
    const { actions, report } = plan(published(['2.0.0']), NOW);
    assert.deepEqual(
      actions.filter(({ kind }) => kind === 'create_rollout'),
      [],
    );
    const [hold] = report.filter(({ subject }) => 'product' in subject);
    assert.equal(hold?.reason, 'needs_approval');
    assert.ok(hold?.sentence.startsWith(COMMAND), hold?.sentence);
  });

  test('keeps what comes before it from nothing, and is said beside that', () => {
    const snapshot = published(['1.1.0', '2.0.0']);
    assert.equal(chosen(snapshot), '1.1.0');
    const { actions, report } = plan(snapshot, NOW);
    assert.deepEqual(
      actions.flatMap((action) => (action.kind === 'create_rollout' ? [action.version] : [])),
      ['1.1.0'],
    );
    const holds = report.filter(({ subject }) => 'product' in subject);
    assert.deepEqual(
      holds.map(({ reason }) => reason),
      ['needs_approval'],
    );
  });

  test('counts as newer for those that lag behind it', () => {
    const snapshot = published(['1.0.1', '2.0.0'], {}, { ...PRODUCT, lag: 1 });
    assert.equal(chosen(snapshot), '1.0.1');
    assert.match(asked(snapshot) ?? '', /2\.0\.0: the product lets one out when a newer release is there \(lag 1\)/);
  });

  test('is the choice once a person has begun it', () => {
    const begun = rolloutOf('2.0.0', [laneIn('eu', stateNamed('waiting'))], { policy: MANUAL, createdAt: START + 1 });
    const snapshot = published(['1.1.0', '2.0.0'], { rollouts: [done, begun] });
    assert.deepEqual([chosen(snapshot), asked(snapshot)], ['2.0.0', undefined]);
  });

  test('is not asked for where something else stands against it, or something higher goes out', () => {
    const tooYoung = rules({ ...MANUAL, minAgeMs: 10 * 86_400_000 }, { policies: PRODUCT.policies });
    assert.equal(asked(published(['2.0.0'], {}, tooYoung)), 'the release is younger than the policy lets out: 2.0.0');
    assert.equal(asked(published(['2.0.0'], { vetoes: [vetoOf('2.0.0')] })), undefined);
    assert.equal(
      asked(published(['2.0.0'], {}, rules(MANUAL, { ...PRODUCT, accept: '<2', policy: MANUAL }))),
      undefined,
    );
    const higher = rolloutOf('2.1.0', [laneIn('eu', stateNamed('waiting'))], { policy: MANUAL, createdAt: START + 1 });
    assert.equal(asked(published(['2.0.0', '2.1.0'], { rollouts: [done, higher] })), undefined);
  });

  test('of several, the highest is asked for', () => {
    assert.ok(asked(published(['1.9.0', '2.0.0', '2.1.0']))?.includes('agentd@2.1.0'));
  });

  test('nothing is asked while the clock is doubted', () => {
    const clock = { since: START, why: 'it went 2 h forward', until: START + 300_000 };
    const { report } = plan(published(['2.0.0'], { clock }), NOW);
    assert.ok(report.every(({ reason }) => reason !== 'needs_approval'));
  });
});

test('a stored policy that has no word for it begins by itself', () => {
  const { begin: _, ...stored } = MANUAL;
  assert.equal(chosen(published(['2.0.0'], {}, rules(stored))), '2.0.0');
});
