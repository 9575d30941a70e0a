// POST /api/v1/rollouts through the real routes, the real engine and a real database.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CreateRolloutReply } from '../../src/protocol/operator.ts';
import { listAudit } from '../../src/store/audit.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { serveFleet } from './real-engine.ts';

const POLICY = testPolicy({
  waves: [['eu-west-1'], ['us-east-1']],
  steps: [stepPolicy({ soakMs: 0 })],
  minAgeMs: 86_400_000,
});

test('a rollout begins now: its lanes stand in the reply as the planner has moved them; again, nothing changes', async (t) => {
  const { fleet, ok } = await serveFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  await fleet.publish('1.1.0');
  await fleet.enrol('a');
  const body = { product: 'agentd', version: '1.1.0', reason: 'it cannot wait' };
  const reply: CreateRolloutReply = await ok(CreateRolloutReply, '/rollouts', body);
  assert.deepEqual([reply.changed, reply.rollout.version, reply.rollout.state], [true, '1.1.0', 'active']);
  assert.deepEqual(
    reply.rollout.lanes.map((lane) => [lane.wave, lane.region, lane.state, lane.hold?.reason ?? null]),
    [
      [0, 'eu-west-1', 'open', null],
      [1, 'us-east-1', 'waiting', 'previous_wave'],
    ],
  );
  const again: CreateRolloutReply = await ok(CreateRolloutReply, '/rollouts', body);
  assert.deepEqual([again.changed, again.rollout.id], [false, reply.rollout.id]);
  const created = (await listAudit(fleet.database.db, { limit: 50 })).filter((row) => row.action === 'rollout.created');
  assert.deepEqual(
    created.map((row) => [row.actor, (row.data as { reason: string }).reason]),
    [['operator', 'it cannot wait']],
  );
});

test('a refusal says what, where and how to mend it', async (t) => {
  const { fleet, refused, app } = await serveFleet(t, rules(POLICY, { accept: '<1.0.0' }));
  await fleet.publish('1.1.0');
  const body = { product: 'agentd', version: '1.1.0', reason: 'x' };
  const outside = await refused('/rollouts', body);
  assert.deepEqual(
    [outside.status, outside.code, outside.detail, outside.where],
    [409, 'conflict', 'agentd 1.1.0 is outside of what the product accepts: <1.0.0', 'products[].accept'],
  );
  assert.equal((await refused('/rollouts', { ...body, version: '2.0.0' })).code, 'not_found');
  assert.equal((await refused('/rollouts', { ...body, product: 'nix' })).hint, 'There are: agentd.');
  for (const wrong of [
    { ...body, reason: '' },
    { product: 'agentd', version: '1.1.0' },
    { ...body, policy: 'fast' },
  ])
    assert.equal((await refused('/rollouts', wrong)).code, 'bad_request');
  const stranger = await app.inject({ method: 'POST', url: '/api/v1/rollouts', payload: body });
  assert.equal(stranger.statusCode, 401);
});
