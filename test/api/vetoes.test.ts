// A person's veto and its end through the real routes: of a release that goes out, and of one that never did.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RolloutsReply, type RolloutView, VerbReply, VetoReply } from '../../src/protocol/operator.ts';
import { listAudit } from '../../src/store/audit.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type ServedFleet, serveFleet } from './real-engine.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 0 })] });
const VETO = { product: 'agentd', version: '1.1.0', on: true, reason: 'it eats disks' };
const LIFT = { ...VETO, on: false, reason: 'it was the disk' };

async function lanesOf({ ok }: ServedFleet, version: string): Promise<string[]> {
  const { rollouts } = await ok(RolloutsReply, '/rollouts');
  const found = rollouts.find((one: RolloutView) => one.version === version);
  return (found?.lanes ?? []).map((lane: { state: string }) => lane.state);
}

test('a release that was never rolled out is vetoed, and goes out once a person lifts it', async (t) => {
  const served = await serveFleet(t, rules(POLICY));
  const { fleet, ok, refused } = served;
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  // Known before it is complete: a release is vetoed as soon as somebody knows.
  await fleet.publish('1.1.0', { state: 'announced', artifacts: [] });
  const first = await ok(VetoReply, '/vetoes', { ...VETO, version: 'v1.1.0' });
  assert.deepEqual(
    [first.version, first.changed, first.veto.reason, first.rollout],
    ['1.1.0', true, VETO.reason, null],
  );
  const again = await ok(VetoReply, '/vetoes', { ...VETO, reason: 'another' });
  assert.deepEqual([again.changed, again.veto.reason], [false, VETO.reason], 'who vetoed first, and why, stays');
  await fleet.publish('1.1.0');
  const unknown = await refused('/vetoes', { ...VETO, version: '7.0.0' });
  assert.deepEqual([unknown.code, unknown.hint], ['not_found', 'The newest are: 1.1.0, 1.0.0.']);
  assert.equal((await refused('/vetoes', { ...VETO, product: 'agentx' })).hint, 'There are: agentd.');
  await fleet.restart();
  assert.deepEqual(await lanesOf(served, '1.1.0'), []);

  await fleet.engine.operator.setVeto({ ...LIFT, actor: 'me' });
  assert.equal((await agent.checkIn()).answer.kind, 'instruction');
});

test('a veto halts what goes on, and lifting it leaves the lanes to a person', async (t) => {
  const served = await serveFleet(t, rules(POLICY));
  const { fleet, ok } = served;
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  const { answer } = await agent.checkIn();
  assert(answer.kind === 'instruction');
  const held = [{ id: answer.attempt.id, product: 'agentd', state: 'staged' as const, cause: null, detail: null }];
  const { rollout } = await ok(VetoReply, '/vetoes', VETO);
  assert.equal(rollout.lanes[0].state, 'halted');
  agent.attempts = held;
  const told = (await agent.checkIn()).answer;
  assert.equal(told.kind === 'instruction' && told.action, 'withdraw');
  agent.attempts = [];
  assert.equal(await agent.run(), 'halted');
  const lifted = await ok(VetoReply, '/vetoes', LIFT);
  assert.deepEqual(
    [lifted.changed, lifted.veto, lifted.lifted.automatic, lifted.lifted.reason],
    [true, null, false, VETO.reason],
  );
  assert.equal((await ok(VetoReply, '/vetoes', LIFT)).lifted, null);
  assert.equal(await agent.run(), 'halted');
  await ok(VerbReply, `/rollouts/${rollout.id}/verbs`, { verb: 'retry', reason: 'again' });
  assert.equal(await agent.run(), 'none');
  assert.equal(agent.products[0]?.version, '1.1.0');
  const entries = await listAudit(fleet.database.db, { limit: 500 });
  assert.deepEqual(
    entries.filter(({ action }) => action.startsWith('release.')).map(({ action, subject }) => `${action} ${subject}`),
    ['release.unvetoed agentd@1.1.0', 'release.vetoed agentd@1.1.0'],
  );
});

test('the veto of an automatic halt: a person takes it over, or lifts it', async (t) => {
  const served = await serveFleet(t, rules(POLICY));
  const { fleet, ok } = served;
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  await agent.run(() => 'crashes');
  const taken = await ok(VetoReply, '/vetoes', VETO);
  assert.deepEqual([taken.changed, taken.lifted.automatic, taken.veto.automatic], [true, true, false]);
  const { lifted } = await ok(VetoReply, '/vetoes', LIFT);
  assert.equal(lifted.reason, VETO.reason);
  assert.deepEqual(await lanesOf(served, '1.1.0'), ['halted']);
});
