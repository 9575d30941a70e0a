// What may be granted by what is known of where a release can be had: never on what was absent last, nor opened on old news.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Availability } from '../../src/domain/availability.ts';
import { transaction } from '../../src/store/database.ts';
import { listAvailability, saveAvailability, saveSource } from '../../src/store/releases.ts';
import { digestOf, rules, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

async function mark(fleet: Fleet, status: Availability['status'], why: string): Promise<void> {
  const rows = await listAvailability(fleet.database.db, 'agentd', ['1.1.0']);
  const now = fleet.clock.now();
  const marked = rows.map((row) => ({ ...row, status, why, since: now, checkedAt: now }));
  await transaction(fleet.database, (tx) => saveAvailability(tx, marked));
  await fleet.engine.plan();
}

/** Failed in a row since the last success, which was as long ago. */
async function poll(fleet: Fleet, failures: number, successAgoMs: number): Promise<void> {
  const now = fleet.clock.now();
  const polled = { lastAttemptAt: now, lastSuccessAt: now - successAgoMs, nextPollAt: now + 60_000, failures };
  const quiet = { etag: null, errorCode: null, error: null, rejectedTags: [], rejectedCount: 0, notice: null };
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
  // Nothing is granted on it; nor is it said to be absent, which nobody knows now.
  await mark(fleet, 'unknown', 'the mirror does not answer');
  assert.equal(await agent.run(), 'availability_unknown');
  await fleet.restart();
  assert.equal(await agent.run(), 'availability_unknown');
  await mark(fleet, 'available', 'the mirror has it');
  assert.equal(await agent.run(), 'none');
  assert.equal(agent.products[0]?.version, '1.1.0');
});

test('what nobody could check since the lane opened goes on: unknown is not absent', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy()));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  fleet.clock.advance(1);
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

const ARM = 'linux-arm64';

/** Both platforms, as a release has them; what is known of the other one is written as it is told. */
async function publishWide(fleet: Fleet, version: string): Promise<void> {
  const [artifact] = testRelease(version).artifacts;
  assert(artifact !== undefined);
  const arm = { ...artifact, platform: ARM, sha256: digestOf(`${version} ${ARM}`), assetId: `arm-${version}` };
  await fleet.publish(version, { artifacts: [artifact, arm] });
}

async function markPlatform(fleet: Fleet, version: string, platform: string, status: Availability['status']) {
  const now = fleet.clock.now();
  const row = {
    product: 'agentd',
    version,
    region: 'eu-west-1',
    platform,
    status,
    why: 'so',
    since: now,
    checkedAt: now,
  };
  await transaction(fleet.database, (tx) => saveAvailability(tx, [row]));
  await fleet.engine.plan();
}

/** What an agent on the other platform is held for. */
async function askAs(agent: ModelAgent, platform: string): Promise<string> {
  const { answer } = await agent.checkIn({ platform });
  return answer.kind === 'hold' ? answer.reason : answer.kind;
}

test('a late joiner on a platform of which nobody knew when the lane opened waits until it is seen there', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 3_600_000 })] })));
  await fleet.publish('1.0.0');
  await fleet.enrol('a');
  await publishWide(fleet, '1.1.0');
  await markPlatform(fleet, '1.1.0', ARM, 'unknown');
  assert.equal(await stateOf(fleet), 'open');
  // As a platform that a release gets later is written first, and as one that was seen long before.
  const { database } = fleet;
  await database.db.deleteFrom('availability').where('platform', '=', ARM).execute();
  const late = await fleet.enrol('late');
  await fleet.engine.plan();
  assert.equal(await askAs(late, ARM), 'availability_unknown');
  await markPlatform(fleet, '1.1.0', ARM, 'unknown');
  assert.equal(await askAs(late, ARM), 'availability_unknown');
  await markPlatform(fleet, '1.1.0', ARM, 'available');
  assert.equal(await askAs(late, ARM), 'instruction');
});

test('a baseline whose mirror has lost it brings nobody to it until it is there again, and goes on being probed', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 0 })] })));
  await fleet.publish('1.0.0');
  const first = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  await first.run();
  await fleet.engine.plan();
  assert.equal(await stateOf(fleet), 'completed');
  const late = await fleet.enrol('late');
  await mark(fleet, 'absent', 'the mirror answers 404');
  assert.equal(await late.run(), 'not_available');
  await mark(fleet, 'unknown', 'the mirror does not answer');
  await fleet.restart();
  assert.equal(await late.run(), 'availability_unknown');
  // A newer one is the choice now: the baseline is still asked for.
  await fleet.publish('1.2.0', { state: 'complete', publishedAt: fleet.clock.now() });
  assert(fleet.engine.wanted().some(({ version }) => version === '1.1.0'));
});
