// Regions that the policies of a product leave out: what is said of them, and to whom.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftOut, leftOutHold } from '../../src/domain/left-out.ts';
import { plan } from '../../src/domain/plan.ts';
import type { ProductRules, Snapshot } from '../../src/domain/snapshot.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { NOW } from '../support/plans.ts';
import { laneIn, rolloutOf, snapshotOf, stateNamed, vetoOf } from '../support/snapshots.ts';

const EVERYWHERE = testPolicy({ waves: [['eu'], ['us']] });
const EU_ONLY = testPolicy({ name: 'fast', waves: [['eu']] });
const BOTH = rules(EVERYWHERE, { policies: { patch: EU_ONLY } });

const minor = rolloutOf('1.1.0', [laneIn('eu', stateNamed('completed')), laneIn('us', stateNamed('completed'))], {
  policy: EVERYWHERE,
  endedAt: START,
});
const patch = rolloutOf('1.1.1', [laneIn('eu', stateNamed('completed'))], {
  policy: EU_ONLY,
  createdAt: START + 1,
  endedAt: START,
});

function after(product: ProductRules, overrides: Partial<Snapshot> = {}): Snapshot {
  return snapshotOf({
    products: [product],
    regions: ['eu', 'us'],
    releases: [testRelease('1.1.0'), testRelease('1.1.1')],
    rollouts: [minor, patch],
    census: [runs('eu', '1.1.1', 3), runs('us', '1.1.0', 2)],
    ...overrides,
  });
}

function runs(region: string, version: string, agents: number) {
  return { product: 'agentd', region, version, platform: 'linux-x64', agents, present: agents };
}

const FAST = '1.1.1 goes out under the policy fast, which has us in no wave';

test('leftOut: a region in no wave of the policy of the newest release, or of any of the product', () => {
  assert.deepEqual(leftOut(after(BOTH), BOTH).get('us'), { version: '1.1.1', detail: FAST });
  assert.equal(leftOut(after(BOTH), BOTH).get('eu'), undefined);
  const never = rules(EU_ONLY);
  assert.deepEqual(leftOut(after(never), never).get('us'), {
    version: null,
    detail: 'no policy of agentd has us in a wave',
  });
  assert.equal(leftOut(after(BOTH, { rollouts: [minor] }), BOTH).get('us'), undefined);
});

test('leftOut: what went out to nobody, or may not go out any more, goes past nobody', () => {
  const cancelled = rolloutOf('1.1.1', [laneIn('eu', stateNamed('cancelled'))], { policy: EU_ONLY });
  assert.equal(leftOut(after(BOTH, { rollouts: [minor, cancelled] }), BOTH).get('us'), undefined);
  assert.equal(leftOut(after(BOTH, { vetoes: [vetoOf('1.1.1')] }), BOTH).get('us'), undefined);
});

test('leftOutHold: names the release and how many stand there, where somebody runs less', () => {
  const hold = leftOutHold(after(BOTH), BOTH);
  assert.deepEqual([hold?.reason, hold?.subject], ['not_assigned', { product: 'agentd' }]);
  assert.match(hold?.sentence ?? '', new RegExp(`: ${FAST}, and 2 of its agents stand there$`));
  assert.equal(leftOutHold(after(BOTH, { census: [runs('us', '1.1.1', 2)] }), BOTH), undefined);
  assert.equal(leftOutHold(after(BOTH, { census: [] }), BOTH), undefined);
});

test('plan reports it while nothing of the product goes out', () => {
  assert.deepEqual(
    plan(after(BOTH), NOW).report.map(({ reason }) => reason),
    ['not_assigned'],
  );
  const going = { ...patch, lanes: [laneIn('eu', stateNamed('waiting'))], endedAt: null };
  const busy = plan(after(BOTH, { rollouts: [minor, going] }), NOW).report;
  assert.ok(busy.every(({ reason }) => reason !== 'not_assigned'));
});
