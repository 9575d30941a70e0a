// A rollout begun by hand through the real engine: audited with who and why, once, also beside the planner.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AuditEntry, listAudit } from '../../src/store/audit.ts';
import { transaction } from '../../src/store/database.ts';
import { saveRelease } from '../../src/store/releases.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, START, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

const DAY = 86_400_000;
const OLD = { publishedAt: START - 10 * DAY };

async function create(fleet: Fleet, version: string, actor = 'me') {
  return await fleet.engine.operator.createRollout({ product: 'agentd', version, actor, reason: 'it cannot wait' });
}

async function creations(fleet: Fleet): Promise<AuditEntry[]> {
  return (await listAudit(fleet.database.db, { limit: 100 })).filter((row) => row.action === 'rollout.created');
}

async function versions(fleet: Fleet): Promise<string[]> {
  return (await listRollouts(fleet.database.db)).map((rollout) => rollout.version);
}

test('what is too young for the planner goes out when a person says so, and the agent gets it', async (t) => {
  const policy = testPolicy({ minAgeMs: DAY, steps: [stepPolicy({ soakMs: 0 })] });
  const fleet = await openFleet(t, rules(policy));
  await fleet.publish('1.0.0', OLD);
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  assert.deepEqual(await versions(fleet), ['1.0.0']);
  const { id, changed } = await create(fleet, 'v1.1.0');
  assert.equal(changed, true);
  const audit = (await creations(fleet)).find((row) => row.subject === id);
  assert.deepEqual(
    [audit?.actor, audit?.data],
    ['me', { product: 'agentd', version: '1.1.0', policy: 'standard', reason: 'it cannot wait' }],
  );
  // The lane is open when the reply comes, and memory knows it.
  assert.equal(fleet.engine.operator.regions()[0]?.lanes[0]?.version, '1.1.0');
  assert.equal(await agent.run(), 'none');
  assert.equal(agent.products[0]?.version, '1.1.0');
  await fleet.engine.plan();
  assert.deepEqual(await versions(fleet), ['1.1.0', '1.0.0']);
});

test('again, and after a restart, there is the same rollout and no second row of audit', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ schedule: { cron: '0 3 * * 2', timeZone: 'UTC' } })));
  await fleet.publish('1.1.0');
  assert.deepEqual(await versions(fleet), []);
  const { id } = await create(fleet, '1.1.0');
  assert.deepEqual(await create(fleet, '1.1.0', 'somebody else'), { id, changed: false });
  await fleet.restart();
  assert.deepEqual(await create(fleet, '1.1.0'), { id, changed: false });
  assert.equal((await creations(fleet)).length, 1);
});

test('what is refused leaves nothing behind', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy(), { accept: '<1.1.0' }));
  await fleet.publish('1.1.0');
  await assert.rejects(create(fleet, '1.1.0'), { code: 'conflict' });
  await assert.rejects(create(fleet, '9.9.9'), { code: 'not_found' });
  assert.deepEqual([await versions(fleet), await creations(fleet)], [[], []]);
});

test('three people and the planner at once: one rollout, one row of audit, nothing lost', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 0 })] })));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  for (const minor of [1, 2, 3, 4, 5]) {
    const version = `1.${minor}.0`;
    // Known, but not planned yet: whoever comes first creates the rollout.
    await transaction(fleet.database, (tx) => saveRelease(tx, testRelease(version)));
    const planner = [fleet.engine.plan(), fleet.engine.plan()];
    const people = ['x', 'y', 'z'].map((actor) => create(fleet, version, actor));
    // Reports of the release before are booked in between.
    await Promise.all([...planner, ...agents.map((agent) => agent.checkIn())]);
    const made = await Promise.all(people);
    assert.equal(new Set(made.map((one) => one.id)).size, 1);
    assert.ok(made.filter((one) => one.changed).length <= 1);
    await fleet.publish(version);
    for (const agent of agents) assert.equal(await agent.run(), 'none');
    await fleet.engine.plan();
  }
  assert.deepEqual(await versions(fleet), ['1.5.0', '1.4.0', '1.3.0', '1.2.0', '1.1.0', '1.0.0']);
  assert.equal((await creations(fleet)).length, 6);
  assert.deepEqual(
    agents.map((agent) => agent.products[0]?.version),
    ['1.5.0', '1.5.0'],
  );
});
