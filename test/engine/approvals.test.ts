// A person's word through the real engine: two approvers, what voids and ends an approval, accepting, skipping a region.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Policy } from '../../src/domain/policy.ts';
import type { LaneVerb } from '../../src/domain/verbs.ts';
import { listAudit } from '../../src/store/audit.ts';
import { listVetoes } from '../../src/store/controls.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

const HOUR = 3_600_000;
const STEPS = [
  stepPolicy({ percent: null, labels: { ring: 'canary' }, soakMs: 10_000, manual: true }),
  stepPolicy({ soakMs: 0 }),
];
const ARM = { platform: 'linux-arm64', name: 'arm.tar.gz', size: 1, sha256: 'c'.repeat(64), assetId: '9' };

interface Ask {
  actor?: string;
  region?: string | null;
  expectedStep?: number | null;
  count?: number;
}

async function rolloutOf(fleet: Fleet) {
  const [found] = await listRollouts(fleet.database.db, {});
  assert(found?.lanes[0] !== undefined);
  return { id: found.id, lane: found.lanes[0], lanes: found.lanes };
}

async function verb(fleet: Fleet, name: LaneVerb, ask: Ask = {}): Promise<boolean> {
  const { id } = await rolloutOf(fleet);
  return await fleet.engine.operator.verb(id, {
    ...{ verb: name, region: ask.region ?? null, expectedStep: ask.expectedStep ?? null, vetoRelease: false },
    ...(ask.count === undefined ? {} : { count: ask.count }),
    ...{ actor: ask.actor ?? 'ana', reason: 'because' },
  });
}

async function openCanary(t: TestContext, overrides: Partial<Policy> = {}, regions = ['eu-west-1']) {
  const policy = testPolicy({ steps: STEPS, waves: regions.map((region) => [region]), ...overrides });
  const fleet = await openFleet(t, rules(policy), regions);
  await fleet.publish('1.0.0');
  const canary = await fleet.enrol('canary', { labels: { ring: 'canary' } });
  await fleet.enrol('other');
  for (const region of regions.slice(1)) await fleet.enrol(region, { region });
  await fleet.publish('1.1.0');
  return { fleet, canary };
}

async function soak({ fleet, canary }: Awaited<ReturnType<typeof openCanary>>): Promise<void> {
  await canary.run();
  await fleet.engine.plan();
  fleet.clock.advance(11_000);
  await fleet.engine.plan();
}

async function holdOf(fleet: Fleet): Promise<string> {
  const { id, lane } = await rolloutOf(fleet);
  return (await fleet.engine.operator.explainLanes(id)).get(lane.id)?.sentence ?? '';
}

test('two approvers: the same person twice is one, and the second opens the step; both are in the audit with one hash', async (t) => {
  const opened = await openCanary(t, { approvals: { approvers: 2, expireMs: 24 * HOUR } });
  const { fleet } = opened;
  await soak(opened);
  assert.equal(await verb(fleet, 'promote', { expectedStep: 0 }), true);
  assert.equal(await verb(fleet, 'promote', { expectedStep: 0 }), false);
  const { lane } = await rolloutOf(fleet);
  assert.deepEqual([lane.state.name, lane.approvals.length], ['approval', 1]);
  assert.equal(
    await holdOf(fleet),
    'a person must promote the step: step 1: 1 of 2 approvals, by ana, expires 2026-01-02 00:00:11Z; passes when another person does',
  );
  assert.equal(await verb(fleet, 'approve', { expectedStep: 0, actor: 'ben' }), true);
  const after = await rolloutOf(fleet);
  assert.deepEqual([after.lane.state.name, after.lane.steps.length, after.lane.approvals], ['open', 2, []]);
  const rows = (await listAudit(fleet.database.db, { limit: 50 }))
    .filter(({ action }) => ['lane.promoted', 'lane.approved'].includes(action))
    .map(({ actor, data }) => ({ actor, data: data as Record<string, unknown> }));
  assert.deepEqual(rows.map(({ actor, data }) => [actor, data['standing'], data['needed']]).sort(), [
    ['ana', 1, 2],
    ['ben', 2, 2],
  ]);
  const hashes = new Set(rows.map(({ data }) => data['hash']));
  assert.equal(hashes.size, 1);
  assert.match(String([...hashes][0]), /^[0-9a-f]{64}$/);
});

test('an approval given ahead outlives a restart and opens the next step by itself', async (t) => {
  const opened = await openCanary(t);
  const { fleet, canary } = opened;
  await assert.rejects(verb(fleet, 'promote', { expectedStep: 0 }), { code: 'illegal_transition' });
  assert.equal(await verb(fleet, 'approve', { expectedStep: 0 }), true);
  assert.equal(await verb(fleet, 'approve', { expectedStep: 0, actor: 'ben' }), false);
  await fleet.restart();
  await canary.run();
  await fleet.engine.plan();
  fleet.clock.advance(9_000);
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet)).lane.state.name, 'soaking');
  fleet.clock.advance(2_000);
  await fleet.engine.plan();
  assert.deepEqual((await rolloutOf(fleet)).lane.steps.length, 2);
  assert.equal(await verb(fleet, 'approve', { expectedStep: 0 }), false);
});

test('an approval that has run out is asked for again', async (t) => {
  const opened = await openCanary(t, { approvals: { approvers: 1, expireMs: 5_000 } });
  const { fleet } = opened;
  assert.equal(await verb(fleet, 'approve', { expectedStep: 0 }), true);
  await soak(opened);
  assert.equal((await rolloutOf(fleet)).lane.state.name, 'approval');
  assert.match(await holdOf(fleet), /step 1: the approval of ana has expired at 2026-01-01 00:00:05Z; passes when/);
  assert.equal(await verb(fleet, 'promote', { expectedStep: 0 }), true);
  assert.equal((await rolloutOf(fleet)).lane.steps.length, 2);
});

test('a platform that arrives voids an approval', async (t) => {
  const opened = await openCanary(t);
  const { fleet } = opened;
  assert.equal(await verb(fleet, 'approve', { expectedStep: 0 }), true);
  const { artifacts } = testRelease('1.1.0');
  await fleet.publish('1.1.0', { artifacts: [...artifacts, ARM] });
  await soak(opened);
  assert.match(await holdOf(fleet), /the approval of ana is void: linux-arm64 has arrived since/);
  assert.equal(await verb(fleet, 'promote', { expectedStep: 0 }), true);
  assert.equal((await rolloutOf(fleet)).lane.steps.length, 2);
});

test('accepting goes on with the step, lifts the automatic veto, and is refused where the halt would stand', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 0 })] })));
  await fleet.publish('1.0.0');
  const a = await fleet.enrol('a');
  const b = await fleet.enrol('b');
  const c = await fleet.enrol('c');
  await fleet.publish('1.1.0');
  await a.run();
  assert.equal(await b.run(() => 'crashes'), 'halted');
  assert.equal((await listVetoes(fleet.database.db)).length, 1);
  const region = 'eu-west-1';
  await assert.rejects(verb(fleet, 'accept', { region, count: 4 }), { code: 'conflict' });
  assert.equal(await verb(fleet, 'accept', { region, count: 1 }), true);
  assert.equal(await verb(fleet, 'accept', { region, count: 1 }), false);
  assert.deepEqual(await listVetoes(fleet.database.db), []);
  const { lane } = await rolloutOf(fleet);
  assert.deepEqual([lane.state.name, lane.allowance, lane.budgetEpoch], ['open', 1, 0]);
  assert.equal(await c.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet)).lane.state.name, 'completed');
});

test('skipping a region lets the next wave go, a cancelled one too; again, also once all has ended, it changes nothing', async (t) => {
  const { fleet } = await openCanary(t, {}, ['eu-west-1', 'us-east-1']);
  const states = async () => (await rolloutOf(fleet)).lanes.map(({ state }) => state.name);
  assert.equal(await verb(fleet, 'cancel', { region: 'eu-west-1' }), true);
  assert.deepEqual(await states(), ['cancelled', 'waiting']);
  assert.equal(await verb(fleet, 'skip-region', { region: 'eu-west-1' }), true);
  assert.equal(await verb(fleet, 'skip-region', { region: 'eu-west-1' }), false);
  assert.deepEqual(await states(), ['cancelled', 'open']);
  assert.equal(await verb(fleet, 'skip-region', { region: 'us-east-1' }), true);
  await fleet.engine.plan();
  assert.equal(await verb(fleet, 'skip-region', { region: 'us-east-1' }), false);
});
