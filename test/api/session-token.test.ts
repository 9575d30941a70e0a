// Session tokens and challenges: what they carry survives, and every single changed character is noticed.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { createChallenges, createSessionTokens, SESSION_MS } from '../../src/api/session-token.ts';
import { T0 } from './harness.ts';

const secret = randomBytes(32);
const agent = '0197a000-0000-7000-8000-000000000001';

describe('createSessionTokens', () => {
  const tokens = createSessionTokens(secret, () => 1);
  for (const handle of [1, 35, 36, 1_000_000, 2 ** 32]) {
    it(`verify(issue(${handle}))`, () => {
      const token = tokens.issue(handle, T0);
      assert.match(token, /^tgs1\.[0-9a-z]+\.[0-9a-z]+\.[A-Za-z0-9_-]{43}$/);
      assert.equal(tokens.verify(token, T0 + SESSION_MS - 1), handle);
      assert.throws(() => tokens.verify(token, T0 + SESSION_MS), { code: 'auth_expired' });
    });
  }

  it('notices every changed character, the spare bits of the last one included', () => {
    const token = tokens.issue(12_345, T0);
    // Also once the right one has been seen and is remembered.
    assert.equal(tokens.verify(token, T0), 12_345);
    for (let index = 0; index < token.length; index += 1) {
      for (const other of ['A', 'a', '0', '1', '_', '.']) {
        if (token[index] === other) continue;
        const changed = token.slice(0, index) + other + token.slice(index + 1);
        assert.throws(() => tokens.verify(changed, T0), { code: 'auth_invalid' }, changed);
      }
    }
    assert.equal(tokens.verify(token, T0), 12_345);
  });

  it('one that is remembered ends with its time, with the epoch, and stands beside a newer one', () => {
    let epoch = 1;
    const some = createSessionTokens(secret, () => epoch);
    const [older, newer] = [some.issue(7, T0), some.issue(7, T0 + 1000)];
    for (const token of [older, older, newer, older]) assert.equal(some.verify(token, T0 + 2000), 7);
    assert.throws(() => some.verify(older, T0 + SESSION_MS), { code: 'auth_expired' });
    assert.throws(() => some.verify(older.replace('.7.', '.07.'), T0), { code: 'auth_invalid' });
    assert.throws(() => some.verify(older.replace('.7.', '.8.'), T0), { code: 'auth_invalid' });
    epoch = 2;
    assert.throws(() => some.verify(older, T0 + 2000), { code: 'auth_invalid' });
    assert.equal(some.verify(some.issue(7, T0), T0), 7);
  });

  it('is void under another secret and another epoch', () => {
    const token = tokens.issue(1, T0);
    assert.throws(() => createSessionTokens(randomBytes(32), () => 1).verify(token, T0), { code: 'auth_invalid' });
    assert.throws(() => createSessionTokens(secret, () => 2).verify(token, T0), { code: 'auth_invalid' });
  });
});

describe('createChallenges', () => {
  it('is for one agent and one minute', () => {
    const challenges = createChallenges(secret, T0);
    const challenge = challenges.issue(agent, T0);
    challenges.verify(challenge, agent, T0 + 59_999);
    assert.throws(() => challenges.verify(challenge, agent, T0 + 60_000), { code: 'auth_expired' });
    assert.throws(() => challenges.verify(challenge, agent.replace('1', '2'), T0), { code: 'auth_invalid' });
  });

  it('serves once, and is forgotten after its minute', () => {
    const challenges = createChallenges(secret, T0);
    const challenge = challenges.issue(agent, T0);
    challenges.spend(challenge, T0);
    assert.throws(() => challenges.spend(challenge, T0 + 59_999), { code: 'auth_invalid' });
    challenges.spend(challenge, T0 + 60_000);
  });

  it('a session token is not a challenge and the other way round', () => {
    const token = createSessionTokens(secret, () => 1).issue(1, T0);
    const challenges = createChallenges(secret, T0);
    assert.throws(() => challenges.verify(token, agent, T0), { code: 'auth_invalid' });
    const challenge = challenges.issue(agent, T0);
    assert.throws(() => createSessionTokens(secret, () => 1).verify(challenge, T0), { code: 'auth_invalid' });
  });
});
