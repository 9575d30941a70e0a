// A baseline lane that has halted, as people see it and begin it anew: real routes, real engine, real database.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RolloutsReply, type RolloutView, VerbReply } from '../../src/protocol/operator.ts';
import { listAudit } from '../../src/store/audit.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { serveFleet } from './real-engine.ts';

const POLICY = testPolicy({
  waves: [['eu-west-1']],
  steps: [stepPolicy({ soakMs: 0 })],
  baseline: { maxHot: 1, badCount: 1, windowMs: 86_400_000 },
});

/** 1.1.0 is the baseline; a newcomer has gone bad with it, which has halted the lane. */
async function halted(t: Parameters<typeof serveFleet>[0]) {
  const served = await serveFleet(t, rules(POLICY));
  const { fleet } = served;
  await fleet.publish('1.0.0');
  const first = await fleet.enrol('first');
  await fleet.publish('1.1.0');
  assert.equal(await first.run(), 'none');
  await fleet.engine.plan();
  const bad = await fleet.enrol('bad');
  assert.equal(await bad.run(() => 'crashes'), 'halted');
  await fleet.engine.plan();
  const { rollouts } = await served.ok(RolloutsReply, '/rollouts');
  const rollout = rollouts.find((one: RolloutView) => one.version === '1.1.0') as RolloutView;
  return { ...served, rollout, path: `/rollouts/${rollout.id}/verbs` };
}

test('a halted baseline lane is shown with its rollout, and a retry forgives what went bad', async (t) => {
  const { fleet, ok, rollout, path } = await halted(t);
  const [shown] = rollout.baselines ?? [];
  assert.deepEqual(
    [shown?.region, shown?.state, shown?.sentence, shown?.hold?.reason],
    ['eu-west-1', 'halted', 'halted by tidegate: the baseline: 1 bad of 1 that halt it', 'halted'],
  );
  const body = { verb: 'retry', lane: 'baseline', region: 'eu-west-1', reason: 'the host was to blame' };
  const { changed, rollout: after } = await ok(VerbReply, path, body);
  assert.deepEqual([changed, after.baselines[0].state], [true, 'open']);
  // The one that went bad before does not halt it again.
  await fleet.engine.plan();
  const next = await fleet.enrol('next');
  assert.equal(await next.run(), 'none');
  assert.equal(next.products[0]?.version, '1.1.0');
  const { rollouts } = await ok(RolloutsReply, '/rollouts');
  const view = rollouts.find((one: RolloutView) => one.id === rollout.id) as RolloutView;
  assert.deepEqual([view.baselines?.[0]?.state, view.lanes[0]?.state], ['open', 'completed']);
  const entries = await listAudit(fleet.database.db, { limit: 50 });
  const { actor, data } = entries.find(({ action }) => action === 'lane.retried') ?? {};
  assert.deepEqual(
    [actor, data],
    ['operator', { region: 'eu-west-1', baseline: true, reason: 'the host was to blame', was: 'halted' }],
  );
});

test('another bad one halts it anew, and what is not for a baseline lane is refused', async (t) => {
  const { fleet, ok, refused, path } = await halted(t);
  const about = { lane: 'baseline', reason: 'because' };
  assert.equal((await ok(VerbReply, path, { ...about, verb: 'retry' })).changed, true);
  // Sent again: its reply was lost.
  assert.equal((await ok(VerbReply, path, { ...about, verb: 'retry' })).changed, false);
  const again = await fleet.enrol('again');
  assert.equal(await again.run(() => 'crashes'), 'halted');
  assert.equal((await ok(VerbReply, path, { ...about, verb: 'retry' })).changed, true);
  const cancel = await refused(path, { ...about, verb: 'cancel' });
  assert.deepEqual([cancel.code, cancel.hint], ['illegal_transition', 'They can be: halted, retried.']);
  const elsewhere = await refused(path, { ...about, verb: 'retry', region: 'us-east-1' });
  assert.equal(elsewhere.detail, '1.1.0 is not the baseline of us-east-1');
});
