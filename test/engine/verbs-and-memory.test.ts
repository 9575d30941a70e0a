// What operators' verbs do to memory: nobody may be answered from what the verb has ended.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 30_000 })] });

async function laneOf(fleet: Fleet, version: string) {
  const rollouts = await listRollouts(fleet.database.db, {});
  const lane = rollouts.find((rollout) => rollout.version === version)?.lanes[0];
  assert(lane !== undefined, `a lane of ${version}`);
  return lane;
}

/** Stages and says so while another agent has the only permission. */
async function stageBehind(first: ModelAgent, second: ModelAgent): Promise<void> {
  assert.equal(await first.run(() => 'vanishes'), 'vanished');
  assert.equal(await second.run(), 'budget');
}

test('an agent that had staged when a person halted drops it, and gets the release that comes after', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [first, second] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  assert(first !== undefined && second !== undefined);
  await fleet.publish('1.1.0');
  await stageBehind(first, second);
  const { rolloutId } = await laneOf(fleet, '1.1.0');
  await fleet.engine.operator.halt(rolloutId, { region: null, vetoRelease: true, actor: 'me', reason: 'looks odd' });
  const { answer } = await second.checkIn();
  assert(answer.kind === 'instruction', `answered ${JSON.stringify(answer)}`);
  assert.equal(answer.action, 'withdraw');
  second.attempts = [];
  first.products = first.products.map((one) => ({ ...one }));
  first.attempts = first.attempts.map((one) => ({ ...one, state: 'rolled_back', cause: 'interrupted' }));
  await first.checkIn();
  await fleet.publish('1.1.1');
  assert.equal(await second.run(), 'none');
  assert.equal(second.products[0]?.version, '1.1.1');
});

test('time under two brakes that overlap is not soaked, whichever goes first', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  const brake = (scope: string, on: boolean) =>
    fleet.engine.operator.setBrake({ scope, on, actor: 'me', reason: 'look at it' });
  fleet.clock.advance(5_000);
  await brake('fleet', true);
  fleet.clock.advance(15_000);
  await brake('region:eu-west-1', true);
  fleet.clock.advance(5_000);
  await brake('fleet', false);
  fleet.clock.advance(5_000);
  await brake('region:eu-west-1', false);
  // 5 of 30 seconds are soaked.
  fleet.clock.advance(24_000);
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'soaking');
  fleet.clock.advance(2_000);
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'completed');
});
