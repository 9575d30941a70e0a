// What may be granted by what is known of where a release can be had: never on what was absent last, nor opened on old news.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Availability } from '../../src/domain/availability.ts';
import { transaction } from '../../src/store/database.ts';
import { listAvailability, saveAvailability, saveSource } from '../../src/store/releases.ts';
import { rules, testPolicy } from '../support/fixtures.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

async function mark(fleet: Fleet, status: Availability['status'], why: string): Promise<void> {
  const rows = await listAvailability(fleet.database.db, 'agentd', ['1.1.0']);
  const marked = rows.map((row) => ({ ...row, status, why, checkedAt: fleet.clock.now() }));
  await transaction(fleet.database, (tx) => saveAvailability(tx, marked));
  await fleet.engine.plan();
}

/** Failed in a row since the last success, which was as long ago. */
async function poll(fleet: Fleet, failures: number, successAgoMs: number): Promise<void> {
  const now = fleet.clock.now();
  const polled = { lastAttemptAt: now, lastSuccessAt: now - successAgoMs, nextPollAt: now + 60_000, failures };
  const quiet = { etag: null, errorCode: null, error: null, rejectedTags: [], rejectedCount: 0 };
  await transaction(fleet.database, (tx) => saveSource(tx, { product: 'agentd', ...polled, ...quiet }));
}

async function stateOf(fleet: Fleet): Promise<string | undefined> {
  const rows = await fleet.database.db.selectFrom('lanes').select('state').where('kind', '=', 'rollout').execute();
  return rows.at(-1)?.state;
}

test('what has turned absent is not granted while nobody knows, and is once it is seen again', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy()));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  assert.equal(await stateOf(fleet), 'open');
  await mark(fleet, 'absent', 'the mirror answers 404');
  assert.equal(await agent.run(), 'not_available');
  await mark(fleet, 'unknown', 'the mirror does not answer');
  assert.equal(await agent.run(), 'not_available');
  await fleet.restart();
  assert.equal(await agent.run(), 'not_available');
  await mark(fleet, 'available', 'the mirror has it');
  assert.equal(await agent.run(), 'none');
  assert.equal(agent.products[0]?.version, '1.1.0');
});

test('what nobody could check since the lane opened goes on: unknown is not absent', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy()));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  await mark(fleet, 'unknown', 'the mirror does not answer');
  assert.equal(await agent.run(), 'none');
});

test('no lane opens while the polls of GitHub have failed for longer than their word is good', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy()));
  await fleet.publish('1.0.0');
  await fleet.enrol('a');
  fleet.clock.advance(3_600_000);
  await poll(fleet, 3, 1_200_000);
  await fleet.publish('1.1.0');
  assert.equal(await stateOf(fleet), 'waiting');
  const [held] = await fleet.database.db.selectFrom('lane_holds').selectAll().where('ended_at', 'is', null).execute();
  assert.equal(held?.reason, 'availability_unknown');
  await poll(fleet, 0, 0);
  await fleet.engine.plan();
  assert.equal(await stateOf(fleet), 'open');
});
