// Contract: agents, last-seen and tokens.
import assert from 'node:assert/strict';
import type { Agent } from '../../src/domain/agent.ts';
import {
  findAgent,
  findAgentByKey,
  flushSeen,
  insertAgent,
  listAgents,
  loadAgentsByHandles,
  loadAllAgents,
  loadSeen,
  saveAgents,
} from '../../src/store/agents.ts';
import { type Database, transaction } from '../../src/store/database.ts';
import {
  countOperatorTokens,
  findEnrolToken,
  findOperatorTokenByHash,
  insertEnrolToken,
  insertOperatorToken,
  revokeOperatorToken,
  useEnrolToken,
} from '../../src/store/tokens.ts';
import { type Cases, refuses } from './contract.ts';
import { makeAgent, makeEnrolToken, makeWorld, T0 } from './fixtures.ts';

export const fleetCases: Cases = {
  'insertAgent: hands out handles from 1 and gives back what it was given': async (database) => {
    const token = makeEnrolToken();
    const given = [makeAgent(token.id, { facts: { os: 'Debian' } }), makeAgent(token.id, { products: [] })];
    const inserted = await transaction(database, async (tx) => {
      await insertEnrolToken(tx, token);
      return [await insertAgent(tx, given[0]!), await insertAgent(tx, given[1]!)];
    });
    assert.deepEqual(
      inserted,
      given.map((agent, index) => ({ ...agent, handle: index + 1 })),
    );
    assert.deepEqual(await findAgent(database.db, given[0]!.id), inserted[0]);
    assert.deepEqual(await findAgentByKey(database.db, given[1]!.publicKey), inserted[1]);
    assert.equal(await findAgent(database.db, token.id), undefined);
    assert.equal(await findAgentByKey(database.db, 'unknown'), undefined);
  },

  'insertAgent: at once, each gets a handle of its own': async (database) => {
    const token = makeEnrolToken();
    await transaction(database, (tx) => insertEnrolToken(tx, token));
    const agents = await Promise.all(
      Array.from({ length: 4 }, () => transaction(database, (tx) => insertAgent(tx, makeAgent(token.id)))),
    );
    assert.deepEqual(agents.map((agent) => agent.handle).sort(), [1, 2, 3, 4]);
  },

  'insertAgent: refuses a key that is enrolled': async (database) => {
    const { agents } = await makeWorld(database, 1);
    const twin = makeAgent(agents[0]!.enrolTokenId, { publicKey: agents[0]!.publicKey });
    assert.ok(await refuses(() => transaction(database, (tx) => insertAgent(tx, twin))));
  },

  'loadAllAgents, listAgents, loadAgentsByHandles: pages and sets': async (database) => {
    const { agents } = await makeWorld(database, 5);
    const handles = (list: Agent[]) => list.map((agent) => agent.handle);
    assert.deepEqual(await loadAllAgents(database.db, 0, 2), agents.slice(0, 2));
    assert.deepEqual(handles(await loadAllAgents(database.db, 2, 10)), [3, 4, 5]);
    assert.deepEqual(await loadAllAgents(database.db, 5, 10), []);
    const first = await listAgents(database.db, { limit: 3 });
    const rest = await listAgents(database.db, { after: first[2]!.id, limit: 3 });
    assert.deepEqual(
      [...first, ...rest].map((agent) => agent.id),
      agents.map((agent) => agent.id).sort(),
    );
    assert.deepEqual(handles(await loadAgentsByHandles(database.db, [5, 2, 99])), [2, 5]);
    assert.deepEqual(await loadAgentsByHandles(database.db, []), []);
  },

  'saveAgents: writes what changed, replaces the products, never lowers the sequence': async (database) => {
    const { agents } = await makeWorld(database, 3);
    const changed: Agent = {
      ...agents[0]!,
      platform: 'linux-arm64',
      health: 'unhealthy',
      healthReason: 'no route',
      facts: { kernel: '6.12', 'os.name': 'Debian "13"' },
      sequence: 7,
      revision: 1,
      products: [
        { product: 'probe', version: '1.2.3', digest: 'd'.repeat(64) },
        { product: 'relay', version: '2.0.0', digest: 'e'.repeat(64) },
      ],
    };
    const emptied: Agent = { ...agents[1]!, revision: 1, products: [] };
    await save(database, [changed, emptied]);
    assert.deepEqual(await loadAllAgents(database.db, 0, 10), [changed, emptied, agents[2]]);
    await save(database, [{ ...changed, sequence: 6, facts: null, health: 'ok', healthReason: null }]);
    assert.deepEqual(await findAgent(database.db, changed.id), {
      ...changed,
      facts: null,
      health: 'ok',
      healthReason: null,
    });
  },

  'saveAgents: text that a database cannot hold does not fail the batch': async (database) => {
    const { agents } = await makeWorld(database, 2);
    const odd = { ...agents[0]!, healthReason: 'a\ud800b\0c', facts: { odd: 'a\ud800b\0c' } };
    const fine = { ...agents[1]!, healthReason: '\\u0000 𝒳 \\ud800' };
    await save(database, [odd, fine]);
    assert.deepEqual(await loadAllAgents(database.db, 0, 10), [{ ...odd, healthReason: 'a\ufffdb\ufffdc' }, fine]);
  },

  'saveAgents: hundreds at once': async (database) => {
    const { agents } = await makeWorld(database, 1);
    const token = agents[0]!.enrolTokenId;
    const many = await transaction(database, async (tx) => {
      const list: Agent[] = [];
      for (let index = 0; index < 300; index += 1) list.push(await insertAgent(tx, makeAgent(token)));
      await saveAgents(
        tx,
        list.map((agent) => ({ ...agent, revision: 1 })),
      );
      return list;
    });
    const loaded = await loadAllAgents(database.db, 1, 5000);
    assert.deepEqual(
      loaded,
      many.map((agent) => ({ ...agent, revision: 1 })),
    );
  },

  'flushSeen: any number, later times win': async (database) => {
    const rows = Array.from({ length: 2500 }, (_, index) => ({ handle: index + 1, seenAt: T0 + index }));
    await transaction(database, (tx) => flushSeen(tx, rows));
    assert.deepEqual(await loadSeen(database.db), rows);
    await transaction(database, (tx) =>
      flushSeen(tx, [
        { handle: 1, seenAt: T0 - 1 },
        { handle: 2, seenAt: T0 + 9 },
      ]),
    );
    assert.deepEqual((await loadSeen(database.db)).slice(0, 2), [rows[0], { handle: 2, seenAt: T0 + 9 }]);
  },

  'useEnrolToken: counts, then says why not': async (database) => {
    const token = makeEnrolToken({ maxUses: 1 });
    await transaction(database, (tx) => insertEnrolToken(tx, token));
    assert.deepEqual(await findEnrolToken(database.db, token.id), token);
    const use = (id: string, hash: string, now: number) =>
      transaction(database, (tx) => useEnrolToken(tx, id, hash, now));
    assert.deepEqual(await use(token.id, 'f'.repeat(64), T0), { ok: false, reason: 'unknown' });
    assert.deepEqual(await use('nothing', token.secretHash, T0), { ok: false, reason: 'unknown' });
    assert.deepEqual(await use(token.id, token.secretHash, token.expiresAt), { ok: false, reason: 'expired' });
    assert.deepEqual(await use(token.id, token.secretHash, T0), { ok: true, token: { ...token, uses: 1 } });
    assert.deepEqual(await use(token.id, token.secretHash, T0), { ok: false, reason: 'used_up' });
    assert.deepEqual(await use(token.id, 'f'.repeat(64), T0), { ok: false, reason: 'unknown' });
  },

  'useEnrolToken: never more uses than the token has, however they interleave': async (database) => {
    const token = makeEnrolToken({ maxUses: 3 });
    await transaction(database, (tx) => insertEnrolToken(tx, token));
    const results = await Promise.all(
      Array.from({ length: 9 }, () => transaction(database, (tx) => useEnrolToken(tx, token.id, token.secretHash, T0))),
    );
    const reasons = results.map((result) => (result.ok ? 'ok' : result.reason)).sort();
    assert.deepEqual(reasons, ['ok', 'ok', 'ok', ...Array(6).fill('used_up')]);
    assert.equal((await findEnrolToken(database.db, token.id))?.uses, 3);
  },

  'operator tokens: found by hash, revoked once, counted while not revoked': async (database) => {
    const token = { id: 'op-1', name: 'anna', secretHash: 'a1', createdAt: T0, expiresAt: null, revokedAt: null };
    await transaction(database, (tx) => insertOperatorToken(tx, token));
    assert.deepEqual(await findOperatorTokenByHash(database.db, 'a1'), token);
    assert.equal(await findOperatorTokenByHash(database.db, 'a2'), undefined);
    assert.equal(await countOperatorTokens(database.db), 1);
    const revoke = (at: number) => transaction(database, (tx) => revokeOperatorToken(tx, 'op-1', at));
    assert.deepEqual([await revoke(T0 + 1), await revoke(T0 + 2)], [true, false]);
    assert.equal((await findOperatorTokenByHash(database.db, 'a1'))?.revokedAt, T0 + 1);
    assert.equal(await countOperatorTokens(database.db), 0);
  },
};

async function save(database: Database, agents: Agent[]): Promise<void> {
  await transaction(database, (tx) => saveAgents(tx, agents));
}
