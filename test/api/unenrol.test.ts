// A host that was taken out of the fleet, on the wire: its session and its key open nothing, and a new token takes it in again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Identity } from '../../src/protocol/agent.ts';
import { generateSigningKey, IDENTITY_TYPE, openEnvelope, type SigningKey } from '../../src/protocol/envelope.ts';
import { UnenrolReply } from '../../src/protocol/operator.ts';
import { digestOf, rules, testPolicy } from '../support/fixtures.ts';
import { checkInRequest, enrolRequest, sessionRequest } from './agent-client.ts';
import { type ServedFleet, serveFleet } from './real-engine.ts';

const products = [{ product: 'agentd', version: '1.0.0', digest: digestOf('1.0.0') }];

async function post({ app }: ServedFleet, url: string, payload: object, token: string) {
  const response = await app.inject({ method: 'POST', url, payload, headers: { authorization: `Bearer ${token}` } });
  return { status: response.statusCode, body: response.json() };
}

async function enrolWith(served: ServedFleet, key: SigningKey): Promise<Identity> {
  const created = await post(served, '/api/v1/enrol-tokens', { region: 'eu-west-1' }, served.token);
  const { status, body } = await post(
    served,
    '/agent/v1/enrol',
    enrolRequest(key, created.body.token, { products }),
    '',
  );
  assert.equal(status, 201, JSON.stringify(body));
  const { directorKeys } = JSON.parse(Buffer.from(body.envelope.payload, 'base64url').toString()) as Identity;
  return JSON.parse(openEnvelope(body.envelope, IDENTITY_TYPE, [directorKeys.current])) as Identity;
}

test('its session token is answered 410 at once, and so is its key; with a new token it is another agent', async (t) => {
  const served = await serveFleet(t, rules(testPolicy()));
  const key = generateSigningKey();
  const identity = await enrolWith(served, key);
  const checkIn = async ({ session }: Identity) =>
    await post(served, '/agent/v1/check-in', checkInRequest({ products }), session.token);
  assert.equal((await checkIn(identity)).status, 200);

  const path = `/agents/${identity.agent}/unenrol`;
  assert.equal((await served.refused(path, {})).code, 'bad_request');
  const done = await served.ok(UnenrolReply, path, { reason: 'scrapped' });
  assert.deepEqual([done.changed, done.agent, done.hot], [true, identity.agent, null]);
  assert.equal((await served.ok(UnenrolReply, path, { reason: 'again' })).changed, false);
  assert.equal((await served.refused('/agents/nobody/unenrol', { reason: 'x' })).code, 'not_found');

  const refused = await checkIn(identity);
  assert.deepEqual([refused.status, refused.body.code], [410, 'unenrolled']);
  const open = async (by: SigningKey) => {
    const { body } = await post(served, '/agent/v1/challenge', { agent: identity.agent }, '');
    const agent = { key: by, identity, token: '' };
    return await post(served, '/agent/v1/session', sessionRequest(agent, body.challenge, by), '');
  };
  const session = await open(key);
  assert.deepEqual([session.status, session.body.code], [410, 'unenrolled']);
  assert.equal((await open(generateSigningKey())).status, 401, 'who does not hold the key is told nothing');
  assert.match((await served.refused(`/agents/${identity.agent}/explain`)).detail, /has taken host-1 out of the fleet/);

  const back = await enrolWith(served, key);
  assert.notEqual(back.agent, identity.agent);
  assert.equal((await checkIn(back)).status, 200);
  assert.equal((await checkIn(identity)).status, 410);
});
