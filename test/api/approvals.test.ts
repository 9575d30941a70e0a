// A person's word over the operator API: two people by their tokens, what a request must name, and If-Match.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type CreateOperatorTokenReply,
  RolloutsReply,
  type RolloutView,
  VerbReply,
} from '../../src/protocol/operator.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type ServedFleet, serveFleet } from './real-engine.ts';

const POLICY = testPolicy({
  waves: [['eu-west-1'], ['us-east-1']],
  approvals: { approvers: 2, expireMs: 86_400_000 },
  steps: [
    stepPolicy({ percent: null, labels: { ring: 'canary' }, soakMs: 10_000, manual: true }),
    stepPolicy({ soakMs: 0 }),
  ],
});

async function opened(t: TestContext) {
  const served = await serveFleet(t, rules(POLICY));
  const { fleet } = served;
  await fleet.publish('1.0.0');
  const canary = await fleet.enrol('canary', { labels: { ring: 'canary' } });
  await fleet.enrol('other');
  await fleet.enrol('far', { region: 'us-east-1' });
  await fleet.publish('1.1.0');
  return { ...served, canary, path: `/rollouts/${(await rolloutOf(served)).id}/verbs` };
}

async function rolloutOf({ ok }: Pick<ServedFleet, 'ok'>): Promise<RolloutView> {
  const { rollouts } = await ok(RolloutsReply, '/rollouts');
  return rollouts.find((one: RolloutView) => one.version === '1.1.0');
}

function post({ app, token }: Pick<ServedFleet, 'app' | 'token'>, url: string, payload: object, more: object = {}) {
  const headers = { authorization: `Bearer ${token}`, ...more };
  return app.inject({ method: 'POST', url: `/api/v1${url}`, headers, payload });
}

test('two people by their tokens; one name is one person', async (t) => {
  const served = await opened(t);
  const made = await post(served, '/operator-tokens', { name: 'ben' });
  assert.equal(made.statusCode, 201, made.body);
  const ben: CreateOperatorTokenReply = made.json();
  const twin = await post(served, '/operator-tokens', { name: 'ben' });
  assert.deepEqual([twin.statusCode, twin.json().code], [409, 'conflict']);

  const body = { verb: 'approve', reason: 'looks good', region: 'eu-west-1', expectedStep: 0 };
  const first = (await served.ok(VerbReply, served.path, body)) as VerbReply;
  const [lane] = first.rollout.lanes;
  assert.deepEqual(
    [first.changed, lane?.state, lane?.next, lane?.approval?.needed, lane?.approval?.given.map(({ by }) => by)],
    [true, 'open', '1 of 2 approvals, by operator, expires 2026-01-02 00:00:00Z', 2, ['operator']],
  );
  assert.equal((await served.ok(VerbReply, served.path, body)).changed, false);
  const second = await post({ ...served, token: ben.token }, served.path, body);
  assert.deepEqual([second.json().changed, second.json().rollout.lanes[0].approval.given.length], [true, 2]);

  await served.canary.run();
  await served.fleet.engine.plan();
  const [soaking] = (await rolloutOf(served)).lanes;
  assert.equal(soaking?.next, 'promoted by operator and ben: after the soak step 2 of 2 opens');
  served.fleet.clock.advance(11_000);
  await served.fleet.engine.plan();
  assert.deepEqual((await rolloutOf(served)).lanes[0]?.step, 1);
});

test('what waits for two says so, and who is missing', async (t) => {
  const served = await opened(t);
  await served.canary.run();
  await served.fleet.engine.plan();
  served.fleet.clock.advance(11_000);
  await served.fleet.engine.plan();
  const next = async () => (await rolloutOf(served)).lanes[0]?.next;
  assert.equal(await next(), '2 people promote step 1; then step 2 of 2 opens');
  await served.ok(VerbReply, served.path, { verb: 'promote', reason: 'x', expectedStep: 0 });
  assert.equal(await next(), 'another person promotes step 1; then step 2 of 2 opens');
  assert.equal(
    (await rolloutOf(served)).lanes[0]?.hold?.sentence,
    'a person must promote the step: step 1: 1 of 2 approvals, by operator, expires 2026-01-02 00:00:11Z',
  );
});

test('If-Match and expectedRevision: what was seen must still be there', async (t) => {
  const served = await opened(t);
  const revision = (await rolloutOf(served)).lanes[0]?.revision;
  assert(revision !== undefined);
  const body = { verb: 'pause', reason: 'x', region: 'eu-west-1' };
  const match = (value: string) => post(served, served.path, body, { 'if-match': value });
  const stale = await match(`"${revision - 1}"`);
  assert.deepEqual([stale.statusCode, stale.json().code], [412, 'revision_mismatch']);
  assert.equal((await match('7')).statusCode, 400);
  assert.equal((await match(`"${revision}"`)).statusCode, 200);
  const resume = { ...body, verb: 'resume' };
  assert.equal((await served.refused(served.path, { ...resume, expectedRevision: revision })).status, 412);
  assert.equal((await post(served, served.path, resume, { 'if-match': '*' })).statusCode, 200);
  const everywhere = { verb: 'pause', reason: 'x', expectedRevision: revision };
  assert.equal((await served.refused(served.path, everywhere)).where, 'body/region');
});

test('what a request must name', async (t) => {
  const served = await opened(t);
  const rows: [body: object, where: string][] = [
    [{ verb: 'approve' }, 'body/expectedStep'],
    [{ verb: 'accept', count: 1 }, 'body/region'],
    [{ verb: 'accept', region: 'eu-west-1' }, 'body/count'],
    [{ verb: 'accept', region: 'eu-west-1', count: 0 }, 'body/count'],
    [{ verb: 'accept', region: 'eu-west-1', count: 1 }, 'body/expectedRevision'],
    [{ verb: 'skip-region' }, 'body/region'],
    [{ verb: 'pause', count: 1 }, 'body/count'],
  ];
  for (const [body, where] of rows) {
    const refused = await served.refused(served.path, { reason: 'x', ...body });
    assert.deepEqual([refused.code, refused.where], ['bad_request', where], JSON.stringify(body));
  }
  const expectedRevision = (await rolloutOf(served)).lanes[0]?.revision;
  const nothing = { verb: 'accept', region: 'eu-west-1', count: 1, expectedRevision, reason: 'x' };
  assert.equal((await served.refused(served.path, nothing)).hint, 'There is nothing to accept.');
});

test('a region that is skipped says so, and the next one has its turn', async (t) => {
  const served = await opened(t);
  const body = { verb: 'skip-region', region: 'eu-west-1', reason: 'its mirror is gone' };
  const reply = (await served.ok(VerbReply, served.path, body)) as VerbReply;
  assert.deepEqual(
    reply.rollout.lanes.map(({ state, sentence }) => [state, sentence]),
    [
      ['cancelled', 'skipped by operator: its mirror is gone'],
      ['open', 'step 2 of 2 is open'],
    ],
  );
});
