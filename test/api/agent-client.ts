// Speaks the agent's side of the wire for tests: right in every field, so that a test can make one of them wrong.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import {
  type CheckInRequest,
  ENROL_PURPOSE,
  type EnrolRequest,
  formatEnrolToken,
  type Identity,
  SESSION_PURPOSE,
  type SessionRequest,
} from '../../src/protocol/agent.ts';
import {
  generateSigningKey,
  IDENTITY_TYPE,
  openEnvelope,
  type SigningKey,
  signBytes,
} from '../../src/protocol/envelope.ts';
import type { Harness } from './harness.ts';

export function nonce(): string {
  return randomBytes(16).toString('base64url');
}

export function enrolToken(harness: Harness, id = uuidv7()): string {
  const secret = randomBytes(32).toString('base64url');
  return formatEnrolToken({ id, secret, fingerprint: harness.keys.current.keyId });
}

export function enrolRequest(key: SigningKey, token: string, fields: Partial<EnrolRequest> = {}): EnrolRequest {
  const fresh = nonce();
  return {
    token,
    publicKey: key.publicKey,
    nonce: fresh,
    proof: signBytes(key, ENROL_PURPOSE, Buffer.from(`${fresh}.${token}`)),
    name: 'host-1',
    platform: 'linux-x64',
    products: [{ product: 'collector', version: '1.3.0', digest: 'a'.repeat(64) }],
    ...fields,
  };
}

export interface EnrolledAgent {
  key: SigningKey;
  identity: Identity;
  token: string;
}

export async function enrol(harness: Harness): Promise<EnrolledAgent> {
  const key = generateSigningKey();
  const response = await harness.app.inject({
    method: 'POST',
    url: '/agent/v1/enrol',
    payload: enrolRequest(key, enrolToken(harness)),
  });
  assert.equal(response.statusCode, 201, response.body);
  const identity = openIdentity(harness, response.json());
  return { key, identity, token: identity.session.token };
}

export function openIdentity(harness: Harness, reply: { envelope: Parameters<typeof openEnvelope>[0] }): Identity {
  return JSON.parse(openEnvelope(reply.envelope, IDENTITY_TYPE, [harness.keys.current.publicKey])) as Identity;
}

export function sessionRequest(agent: EnrolledAgent, challenge: string, key = agent.key): SessionRequest {
  const fresh = nonce();
  const proof = signBytes(key, SESSION_PURPOSE, Buffer.from(`${fresh}.${challenge}`));
  return { agent: agent.identity.agent, challenge, nonce: fresh, proof };
}

export function checkInRequest(fields: Partial<CheckInRequest> = {}): CheckInRequest {
  return {
    nonce: nonce(),
    boot: nonce(),
    platform: 'linux-x64',
    epoch: 1,
    sequence: 0,
    products: [{ product: 'collector', version: '1.3.0', digest: 'a'.repeat(64) }],
    health: { status: 'ok' },
    attempts: [],
    ...fields,
  };
}
