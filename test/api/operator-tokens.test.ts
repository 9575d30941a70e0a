// Operators' tokens through the real routes: made, listed without their secrets, revoked at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AuditReply,
  type CreateOperatorTokenReply,
  OperatorTokensReply,
  RevokeOperatorTokenReply,
} from '../../src/protocol/operator.ts';
import { transaction } from '../../src/store/database.ts';
import { insertOperatorToken } from '../../src/store/tokens.ts';
import { rules, testPolicy } from '../support/fixtures.ts';
import { serveFleet } from './real-engine.ts';

test('a token that is revoked counts no more, although it was used just now; the last one stays', async (t) => {
  const { app, ok, refused, token } = await serveFleet(t, rules(testPolicy()));
  const send = async (url: string, bearer: string, payload?: object) =>
    await app.inject({
      method: payload === undefined ? 'GET' : 'POST',
      url: `/api/v1${url}`,
      headers: { authorization: `Bearer ${bearer}` },
      ...(payload === undefined ? {} : { payload }),
    });
  const made = await send('/operator-tokens', token, { name: 'ben' });
  const ben: CreateOperatorTokenReply = made.json();
  assert.equal((await send('/status', ben.token)).statusCode, 200);
  const listed = await send('/operator-tokens', ben.token);
  assert(!listed.body.includes(ben.token.split('.')[2] ?? ''), 'no secret is shown');
  const { tokens }: OperatorTokensReply = await ok(OperatorTokensReply, '/operator-tokens');
  assert.deepEqual(
    new Set(tokens.map(({ name, revokedAt }) => `${name} ${revokedAt}`)),
    new Set(['ben null', 'operator null']),
  );

  const path = '/operator-tokens/ben/revoke';
  assert.equal((await ok(RevokeOperatorTokenReply, path, { reason: 'it leaked' })).changed, true);
  assert.deepEqual(
    [(await send('/status', ben.token)).statusCode, (await send('/status', token)).statusCode],
    [401, 200],
  );
  assert.equal((await ok(RevokeOperatorTokenReply, path, { reason: 'it leaked' })).changed, false);
  const [act]: AuditReply['entries'] = (await ok(AuditReply, '/audit?limit=1')).entries;
  assert.deepEqual(
    [act?.actor, act?.action, act?.data],
    ['operator', 'operator_token.revoked', { name: 'ben', reason: 'it leaked' }],
  );

  assert.equal((await send('/operator-tokens', token, { name: 'ben' })).statusCode, 201, 'the name is free again');
  assert.equal((await ok(RevokeOperatorTokenReply, path, { reason: 'the new one' })).changed, true);
  const last = await refused('/operator-tokens/operator/revoke', { reason: 'bye' });
  assert.deepEqual(
    [last.status, last.code, last.detail],
    [409, 'conflict', 'the token of operator is the last one that counts'],
  );
  const unknown = await refused('/operator-tokens/kim/revoke', { reason: 'bye' });
  assert.deepEqual([unknown.code, unknown.hint], ['not_found', 'There are: operator.']);
  assert.equal((await refused(path, { reason: '' })).code, 'bad_request');
});

test('an old token can be revoked however many have been made since', async (t) => {
  const { fleet, ok } = await serveFleet(t, rules(testPolicy()));
  const now = fleet.clock.now();
  await ok(OperatorTokensReply, '/operator-tokens');
  await transaction(fleet.database, async (tx) => {
    for (let made = 1; made <= 600; made += 1) {
      const expiresAt = made === 600 ? null : now - 1;
      const token = {
        id: `token-${made}`,
        name: made === 600 ? 'kim' : 'robot',
        secretHash: `hash-${made}`,
        expiresAt,
      };
      await insertOperatorToken(tx, { ...token, createdAt: now + made, revokedAt: null });
    }
  });
  const path = '/operator-tokens/operator/revoke';
  assert.equal((await ok(RevokeOperatorTokenReply, path, { reason: 'it is old' })).changed, true);
});
