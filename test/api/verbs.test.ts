// The verbs, regions and availability through the real routes, the real engine and a real database.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AgentsReply,
  AvailabilityReply,
  RegionsReply,
  RolloutsReply,
  type RolloutView,
  VerbReply,
} from '../../src/protocol/operator.ts';
import { listAudit } from '../../src/store/audit.ts';
import { transaction } from '../../src/store/database.ts';
import { saveAvailability } from '../../src/store/releases.ts';
import { rules, START, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type ServedFleet, serveFleet } from './real-engine.ts';

const POLICY = testPolicy({
  waves: [['eu-west-1'], ['us-east-1']],
  steps: [
    stepPolicy({ percent: null, labels: { ring: 'canary' }, soakMs: 10_000, manual: true }),
    stepPolicy({ soakMs: 0 }),
  ],
});

async function opened(t: Parameters<typeof serveFleet>[0], surroundings: Parameters<typeof serveFleet>[2] = {}) {
  const served = await serveFleet(t, rules(POLICY), surroundings);
  const { fleet } = served;
  await fleet.publish('1.0.0');
  const canary = await fleet.enrol('canary', { labels: { ring: 'canary' } });
  const other = await fleet.enrol('other');
  await fleet.enrol('far', { region: 'us-east-1' });
  await fleet.publish('1.1.0');
  return { ...served, canary, other };
}

async function rolloutOf({ ok }: Pick<ServedFleet, 'ok'>): Promise<RolloutView> {
  const { rollouts } = await ok(RolloutsReply, '/rollouts');
  return rollouts.find((one: RolloutView) => one.version === '1.1.0');
}

async function soaked(served: Awaited<ReturnType<typeof opened>>) {
  assert.equal(await served.canary.run(), 'none');
  await served.fleet.engine.plan();
  served.fleet.clock.advance(11_000);
  await served.fleet.engine.plan();
}

test('a promotion: what is needed next is said, the step is named, and the next one opens', async (t) => {
  const served = await opened(t);
  const { id } = await rolloutOf(served);
  assert.equal(await served.canary.run(), 'none');
  await served.fleet.engine.plan();
  const [soaking] = (await rolloutOf(served)).lanes;
  assert.deepEqual(
    [soaking?.wave, soaking?.state, soaking?.next],
    [0, 'soaking', 'after the soak a person must promote it; then step 2 of 2 opens'],
  );
  served.fleet.clock.advance(11_000);
  await served.fleet.engine.plan();
  const [waiting] = (await rolloutOf(served)).lanes;
  assert.deepEqual([waiting?.state, waiting?.next], ['approval', 'a person promotes step 1; then step 2 of 2 opens']);

  const path = `/rollouts/${id}/verbs`;
  const wrong = await served.refused(path, { verb: 'promote', reason: 'looks good', expectedStep: 1 });
  assert.deepEqual([wrong.code, wrong.detail], ['conflict', 'the lane in eu-west-1 is in step 1, not in step 2']);
  const reply = await served.ok(VerbReply, path, { verb: 'promote', reason: 'looks good', expectedStep: 0 });
  assert.deepEqual([reply.changed, reply.rollout.lanes[0].state, reply.rollout.lanes[0].step], [true, 'open', 1]);
  const audit = (await listAudit(served.fleet.database.db, { limit: 50 })).find(
    (row) => row.action === 'lane.promoted',
  );
  assert.equal(audit?.actor, 'operator');
  assert.equal(await served.other.run(), 'none');
});

test('pause, resume, halt, retry, cancel; each again changes nothing, or is refused by the states that it is for', async (t) => {
  const served = await opened(t);
  const { id } = await rolloutOf(served);
  const region = 'eu-west-1';
  const perform = async (verb: string) =>
    (await served.ok(VerbReply, `/rollouts/${id}/verbs`, { verb, region, reason: 'x' })) as VerbReply;
  const rows: [verb: string, state: string, changed: boolean][] = [
    ['pause', 'paused', true],
    ['pause', 'paused', false],
    ['resume', 'open', true],
    ['halt', 'halted', true],
    ['halt', 'halted', false],
    ['retry', 'open', true],
    ['cancel', 'cancelled', true],
    ['cancel', 'cancelled', false],
  ];
  for (const [verb, state, changed] of rows) {
    const reply = await perform(verb);
    assert.deepEqual([verb, reply.rollout.lanes[0]?.state, reply.changed], [verb, state, changed]);
  }
  const refused = await served.refused(`/rollouts/${id}/verbs`, { verb: 'retry', region, reason: 'x' });
  assert.deepEqual([refused.code, refused.hint], ['illegal_transition', 'retry is for lanes that are halted.']);
  const whole = { verb: 'promote', expectedStep: 0, reason: 'x' };
  const none = await served.refused(`/rollouts/${id}/verbs`, whole);
  assert.deepEqual(
    [none.code, none.hint],
    ['illegal_transition', 'promote is for lanes that are waiting for approval.'],
  );
  assert.equal((await served.refused(`/rollouts/${id}/verbs`, { ...whole, region: 'nix' })).code, 'not_found');
});

test('the halt route is the same verb, and its release scope vetoes', async (t) => {
  const served = await opened(t);
  const { id } = await rolloutOf(served);
  const reply = await served.ok(VerbReply, `/rollouts/${id}/halt`, { reason: 'it crashes', scope: 'release' });
  assert.deepEqual(
    reply.rollout.lanes.map((lane: { state: string }) => lane.state),
    ['halted', 'halted'],
  );
  const refused = await served.refused(`/rollouts/${id}/verbs`, { verb: 'retry', reason: 'again' });
  assert.equal(refused.detail, '1.1.0 is vetoed by operator: it crashes');
});

test('regions: who is there, which lane is live, when the window changes', async (t) => {
  const served = await opened(t, {
    freezes: [{ from: '2026-01-01', to: '2026-01-01', reason: 'new year', regions: ['us-east-1'] }],
  });
  const { regions } = await served.ok(RegionsReply, '/regions');
  const { id } = await rolloutOf(served);
  const lane = { product: 'agentd', version: '1.1.0', rollout: id, wave: 0, state: 'open', step: 0, steps: 2 };
  assert.deepEqual(regions, [
    {
      name: 'eu-west-1',
      timeZone: 'UTC',
      mirror: false,
      agents: { enrolled: 2, present: 2 },
      window: { open: true, reason: null, detail: null, changesAt: null },
      lanes: [lane],
    },
    {
      name: 'us-east-1',
      timeZone: 'UTC',
      mirror: false,
      agents: { enrolled: 1, present: 1 },
      window: {
        open: false,
        reason: 'frozen',
        detail: 'new year, until 2026-01-01',
        changesAt: START + 86_400_000,
      },
      lanes: [],
    },
  ]);
});

test('availability: the newest and what goes out; a mirror that is not heard of any more reads as unknown', async (t) => {
  const mirror = { base: 'https://mirror.example/', path: '{product}/{version}/{file}', headers: {} } as never;
  const served = await opened(t, {
    mirrors: { regions: [{ name: 'us-east-1', mirror }], maxAgeMs: 600_000 },
  });
  const statuses = async (query: string) =>
    ((await served.ok(AvailabilityReply, `/availability${query}`)) as AvailabilityReply).availability.map(
      ({ version, region, status, why }) => [version, region, status, why],
    );
  assert.deepEqual(await statuses(''), [
    ['1.1.0', 'eu-west-1', 'available', 'uploaded'],
    ['1.1.0', 'us-east-1', 'available', 'uploaded'],
  ]);
  const absent = { product: 'agentd', version: '1.0.0', region: 'eu-west-1', platform: 'linux-x64' };
  await transaction(served.fleet.database, (tx) =>
    saveAvailability(tx, [{ ...absent, status: 'absent', why: 'HTTP 404', since: START, checkedAt: START }]),
  );
  served.fleet.clock.advance(700_000);
  assert.deepEqual(await statuses('?product=agentd&version=1.0.0'), [
    ['1.0.0', 'eu-west-1', 'absent', 'HTTP 404'],
    ['1.0.0', 'us-east-1', 'unknown', 'not confirmed for more than 600 s; last seen: uploaded'],
  ]);
  assert.equal((await served.refused('/availability?version=9.9.9')).code, 'not_found');
});

test('agents by region and product, page by page', async (t) => {
  const served = await opened(t);
  const names = async (query: string) => {
    const { agents, next } = (await served.ok(AgentsReply, `/agents?${query}`)) as AgentsReply;
    return { names: agents.map((agent) => agent.name), next };
  };
  assert.deepEqual(await names('region=us-east-1'), { names: ['far'], next: null });
  assert.deepEqual((await names('product=nix')).names, []);
  const first = await names('region=eu-west-1&product=agentd&limit=1');
  assert.deepEqual(first.names, ['canary']);
  assert.deepEqual(await names(`region=eu-west-1&limit=1&after=${first.next}`), { names: ['other'], next: null });
});

test('a soak ends, and a promotion is audited, once', async (t) => {
  const served = await opened(t);
  await soaked(served);
  const { id } = await rolloutOf(served);
  const body = { verb: 'promote', reason: 'x', expectedStep: 0 };
  assert.equal((await served.ok(VerbReply, `/rollouts/${id}/verbs`, body)).changed, true);
  // As a client does whose reply was lost: the next step is open by then.
  assert.equal((await served.ok(VerbReply, `/rollouts/${id}/verbs`, body)).changed, false);
  const rows = await listAudit(served.fleet.database.db, { limit: 50 });
  assert.equal(rows.filter((row) => row.action === 'lane.promoted').length, 1);
});
