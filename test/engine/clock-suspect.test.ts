// A clock that jumps, through the real engine and store: everything holds, halts still halt, and quiet or a person ends it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listAudit } from '../../src/store/audit.ts';
import { openHolds } from '../../src/store/holds.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const POLICY = testPolicy({ steps: [stepPolicy({ count: 1, percent: null }), stepPolicy()] });

const laneOf = async (fleet: Fleet, version: string) =>
  (await listRollouts(fleet.database.db, {})).find((one) => one.version === version)?.lanes[0];
const clockAudit = async (fleet: Fleet) =>
  (await listAudit(fleet.database.db, { limit: 50 }))
    .filter((entry) => entry.subject === 'clock')
    .map(({ action, actor }) => `${actor} ${action}`)
    .reverse();
const TOLD =
  'the server’s clock has jumped: it went 2 h forward; goes on after five quiet minutes, or when a person trusts the clock';

test('after a jump nothing is granted, opened or passed until five quiet minutes have gone by', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  const member = await firstMember(agents);
  assert.equal((await laneOf(fleet, '1.1.0'))?.state.name, 'open');
  // Before the next planning pass: the ledger sees it by itself.
  fleet.clock.jump(2 * HOUR);
  assert.equal(await member.run(), 'clock_suspect');
  await fleet.engine.plan();
  const explained = await fleet.engine.operator.explain(member.id);
  assert.equal(explained[0]?.sentence, TOLD);
  const [hold] = await openHolds(fleet.database.db);
  assert.deepEqual(
    [hold?.reason, hold?.sentence, hold?.until],
    ['clock_suspect', TOLD, fleet.clock.now() + 5 * MINUTE],
  );
  const rolloutId = (await laneOf(fleet, '1.1.0'))?.rolloutId as string;
  const [lane] = (await fleet.engine.operator.explainLanes(rolloutId)).values();
  assert.deepEqual([lane?.gates[0]?.gate, lane?.sentence], ['clock', TOLD]);
  // A newer release is found meanwhile: it waits, too.
  await fleet.publish('1.2.0');
  assert.equal(await laneOf(fleet, '1.2.0'), undefined);
  for (let minute = 0; minute < 5; minute += 1) {
    await fleet.engine.plan();
    assert.notEqual(fleet.engine.operator.clockDoubt(), null);
    fleet.clock.advance(MINUTE);
  }
  await fleet.engine.plan();
  assert.equal(fleet.engine.operator.clockDoubt(), null);
  assert.equal(await member.run(), 'none');
  assert.deepEqual(await clockAudit(fleet), ['tidegate clock.suspected', 'tidegate clock.trusted']);
});

test('a soak does not go on, a bad outcome halts all the same, and a person may trust the clock at once', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  const member = await firstMember(agents);
  const { answer } = await member.checkIn();
  assert.equal(answer.kind === 'instruction' && answer.action, 'stage');
  await member.run(() => 'vanishes');
  fleet.clock.jump(HOUR / 2);
  await fleet.engine.plan();
  const id = answer.kind === 'instruction' ? answer.attempt.id : '';
  member.attempts = [{ id, product: 'agentd', state: 'rolled_back', cause: 'crash_loop', detail: null }];
  await member.checkIn();
  assert.equal((await laneOf(fleet, '1.1.0'))?.state.name, 'halted');
  const trust = () => fleet.engine.operator.trustClock({ actor: 'dana', reason: 'the time service was mended' });
  assert.equal(await trust(), true);
  assert.equal(await trust(), false);
  assert.deepEqual(await clockAudit(fleet), ['tidegate clock.suspected', 'dana clock.trusted']);
  // The fix goes out and soaks; then the clock jumps again.
  await fleet.publish('1.1.1');
  const healthy = await firstMember(agents);
  await healthy.run();
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.1'))?.state.name, 'soaking');
  fleet.clock.jump(HOUR);
  for (let half = 0; half < 8; half += 1) {
    await fleet.engine.plan();
    fleet.clock.advance(30_000);
  }
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.1'))?.state.name, 'soaking');
  await trust();
  // None of its minute has gone by in doubt.
  assert.equal((await laneOf(fleet, '1.1.1'))?.state.name, 'soaking');
  fleet.clock.advance(MINUTE);
  await healthy.checkIn();
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.1'))?.state.name, 'open');
});

test('a doubt outlives a restart, a clock behind the database is doubted at the start, one that went on is not', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  await fleet.enrol('a');
  await fleet.restart(3 * HOUR);
  assert.equal(fleet.engine.operator.clockDoubt(), null);
  fleet.clock.jump(HOUR);
  await fleet.engine.plan();
  await fleet.restart(MINUTE);
  assert.equal(fleet.engine.operator.clockDoubt()?.why, 'it went 1 h forward');
  assert.deepEqual(await clockAudit(fleet), ['tidegate clock.suspected']);
  await fleet.engine.operator.trustClock({ actor: 'dana', reason: 'looked at it' });
  await fleet.restart(0, -90 * MINUTE);
  assert.match(fleet.engine.operator.clockDoubt()?.why ?? '', /^it is 1 h 30 min behind/);
  assert.equal(await (await fleet.enrol('b')).run(), 'clock_suspect');
});

/** The one of the first step. */
async function firstMember<T extends { checkIn(): ReturnType<import('../support/fleet.ts').ModelAgent['checkIn']> }>(
  agents: readonly T[],
): Promise<T> {
  for (const agent of agents) if ((await agent.checkIn()).answer.kind === 'instruction') return agent;
  throw new Error('nobody is in the first step');
}
