// If-Match on every verb: what a person saw must still be there; what says nothing of it stops things all the same.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { BrakeReply, PinReply, RolloutsReply, VetoReply } from '../../src/protocol/operator.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type ServedFleet, serveFleet } from './real-engine.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 0 })], attemptsPerAgent: 1, minSample: 1, badRatio: 10_000 });

async function opened(t: TestContext) {
  const served = await serveFleet(t, rules(POLICY));
  await served.fleet.publish('1.0.0');
  return served;
}

/** Status and code of a request with what was seen. */
async function asked({ app, token }: ServedFleet, path: string, payload: object, seen: string | number) {
  const headers = { authorization: `Bearer ${token}`, 'if-match': typeof seen === 'number' ? `"${seen}"` : seen };
  const response = await app.inject({ method: 'POST', url: `/api/v1${path}`, payload, headers });
  return [response.statusCode, response.json().code ?? response.json().changed];
}

const STALE = [412, 'revision_mismatch'];

test('brake, veto and pin: told by when they were set', async (t) => {
  const served = await opened(t);
  const { fleet } = served;
  const agent = await fleet.enrol('edge-1');
  const rows: [path: string, body: object, at: (reply: never) => number | undefined, schema: typeof BrakeReply][] = [
    ['/brakes', { scope: 'fleet' }, ({ brakes }: BrakeReply) => brakes[0]?.at, BrakeReply],
    ['/vetoes', { product: 'agentd', version: '1.0.0' }, ({ veto }: VetoReply) => veto?.at, VetoReply as never],
    [`/agents/${agent.id}/pins`, { product: 'agentd' }, ({ pin }: PinReply) => pin?.at, PinReply as never],
  ];
  for (const [path, body, at, schema] of rows) {
    const set = async () => at((await served.ok(schema, path, { ...body, on: true, reason: 'x' })) as never) ?? 0;
    const off = { ...body, on: false, reason: 'y' };
    const first = await set();
    assert.deepEqual(await asked(served, path, off, first - 1), STALE, path);
    assert.deepEqual(await asked(served, path, off, 'abc'), [400, 'bad_request'], path);
    assert.deepEqual(await asked(served, path, off, first), [200, true], path);
    assert.deepEqual(await asked(served, path, off, first), [200, false], `${path}: sent again`);
    fleet.clock.advance(60_000);
    const second = await set();
    assert.deepEqual(await asked(served, path, off, first), STALE, `${path}: of somebody else, set since`);
    assert.equal((await served.refused(path, { ...off, expectedAt: first })).status, 412, path);
    assert.deepEqual(await asked(served, path, { ...body, on: true, reason: 'x' }, first), STALE, path);
    assert.deepEqual(await asked(served, path, off, second), [200, true], path);
    assert.equal((await served.ok(schema, path, { ...off, on: true })).changed, true, `${path}: nothing was said`);
    assert.deepEqual(await asked(served, path, off, '*'), [200, true], path);
  }
});

test('halt takes a revision and a step, and goes without; a quarantine is told by its attempts; accept needs a revision', async (t) => {
  const served = await opened(t);
  const { fleet } = served;
  const [a, b, c] = [await fleet.enrol('edge-1'), await fleet.enrol('edge-2'), await fleet.enrol('edge-3')];
  await fleet.enrol('edge-4');
  await fleet.publish('1.1.0');
  await b.run(() => 'download_fails');
  const clear = { product: 'agentd', version: '1.1.0', reason: 'x' };
  assert.deepEqual(await asked(served, `/agents/${b.id}/quarantine/clear`, clear, 2), STALE);
  assert.deepEqual(await asked(served, `/agents/${b.id}/quarantine/clear`, clear, 1), [200, true]);
  assert.deepEqual(await asked(served, `/agents/${b.id}/quarantine/clear`, clear, 1), [200, false]);

  const lane = async () => {
    const { rollouts } = (await served.ok(RolloutsReply, '/rollouts')) as RolloutsReply;
    const found = rollouts[0]?.lanes.find(({ region }) => region === 'eu-west-1');
    return { path: `/rollouts/${rollouts[0]?.id}`, revision: found?.revision ?? -1, state: found?.state };
  };
  await a.run(() => 'crashes');
  const halted = await lane();
  assert.equal(halted.state, 'halted');
  const accept = { verb: 'accept', region: 'eu-west-1', count: 1, reason: 'x' };
  const verbs = `${halted.path}/verbs`;
  assert.equal((await served.refused(verbs, accept)).where, 'body/expectedRevision');
  assert.deepEqual(await asked(served, verbs, accept, halted.revision), [200, true]);
  assert.deepEqual(await asked(served, verbs, accept, halted.revision), [200, false], 'its reply was lost');
  await c.run(() => 'crashes');
  assert.equal((await lane()).state, 'halted');
  assert.deepEqual(await asked(served, verbs, accept, halted.revision), STALE, 'another outcome was not meant');

  const { path, revision } = await lane();
  assert.deepEqual(await asked(served, verbs, { verb: 'retry', region: 'eu-west-1', reason: 'x' }, revision), [
    200,
    true,
  ]);
  const halt = { reason: 'x', region: 'eu-west-1' };
  assert.deepEqual(await asked(served, `${path}/halt`, halt, revision), STALE);
  assert.equal((await served.refused(`${path}/halt`, { ...halt, expectedStep: 3 })).status, 409);
  assert.deepEqual(await asked(served, `${path}/halt`, { reason: 'x' }, revision), [400, 'bad_request']);
  assert.deepEqual(await asked(served, `${path}/halt`, halt, (await lane()).revision), [200, true]);
  assert.equal((await lane()).state, 'halted');
});
