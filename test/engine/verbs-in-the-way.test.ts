// Verbs that meet what is under way besides: a brake, another rollout in the region, an outcome from before the retry.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LaneVerb } from '../../src/domain/verbs.ts';
import { foldCounters } from '../../src/store/attempts.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { digestOf, rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

async function rolloutOf(fleet: Fleet, version: string) {
  const found = (await listRollouts(fleet.database.db, {})).find((rollout) => rollout.version === version);
  assert(found?.lanes[0] !== undefined);
  return { id: found.id, lane: found.lanes[0] };
}

async function verb(fleet: Fleet, version: string, name: LaneVerb): Promise<boolean> {
  const { id } = await rolloutOf(fleet, version);
  const whole = { region: null, expectedStep: null, vetoRelease: false };
  return await fleet.engine.operator.verb(id, { verb: name, ...whole, actor: 'me', reason: 'because' });
}

async function brake(fleet: Fleet, on: boolean): Promise<void> {
  await fleet.engine.operator.setBrake({ scope: 'fleet', on, actor: 'me', reason: 'because' });
}

async function pass(fleet: Fleet, seconds: number): Promise<void> {
  fleet.clock.advance(seconds * 1000);
  await fleet.engine.plan();
}

test('braked time is no soak, also where the lane was paused meanwhile', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 10_000 })] })));
  const state = async () => (await rolloutOf(fleet, '1.1.0')).lane.state.name;
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  await agent.run();
  await fleet.engine.plan();
  await pass(fleet, 3);
  await brake(fleet, true);
  await pass(fleet, 20);
  await verb(fleet, '1.1.0', 'pause');
  await pass(fleet, 20);
  await brake(fleet, false);
  await verb(fleet, '1.1.0', 'resume');
  assert.equal(await state(), 'soaking');
  await agent.checkIn();
  await pass(fleet, 6);
  assert.equal(await state(), 'soaking', 'nine of ten seconds');
  await pass(fleet, 2);
  assert.equal(await state(), 'completed');
});

test('a halted lane is not retried while another one is live in its region', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 0 })] })));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  await fleet.publish('1.2.0');
  assert.equal(await agent.run(() => 'crashes'), 'halted');
  assert.equal(await verb(fleet, '1.1.0', 'rollback'), true);
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'rolling_back');
  await assert.rejects(verb(fleet, '1.2.0', 'retry'), { code: 'conflict', message: /1\.1\.0/ });
});

test('a success that was booked lost before the retry counts in the step after it', async (t) => {
  const policy = testPolicy({ steps: [stepPolicy({ soakMs: 0 })] });
  const fleet = await openFleet(t, rules(policy));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  assert.equal(await agent.run(() => 'vanishes'), 'vanished');
  const { lane: opened } = await rolloutOf(fleet, '1.1.0');
  for (let minute = 0; minute < 60; minute += 1) await pass(fleet, 60);
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'halted');
  await verb(fleet, '1.1.0', 'retry');
  const [id] = agent.attempts.map((one) => one.id);
  assert(id !== undefined);
  agent.products = [{ product: 'agentd', version: '1.1.0', digest: digestOf('1.1.0') }];
  agent.attempts = [{ id, product: 'agentd', state: 'succeeded', cause: null, detail: null }];
  await agent.checkIn();
  const { lane } = await rolloutOf(fleet, '1.1.0');
  const counters = lane.steps[0]?.counters;
  assert.equal(counters?.succeeded, 1);
  assert.deepEqual(counters, await foldCounters(fleet.database.db, opened.id, 0, lane.budgetEpoch));
});
