// Contract: what people keep single agents from.
import assert from 'node:assert/strict';
import { insertAgent } from '../../src/store/agents.ts';
import { listClearances, putClearance } from '../../src/store/clearances.ts';
import { transaction } from '../../src/store/database.ts';
import { deletePin, listPins, putPin } from '../../src/store/pins.ts';
import { insertEnrolToken } from '../../src/store/tokens.ts';
import type { Cases } from './contract.ts';
import { makeAgent, makeEnrolToken, makeWorld, T0 } from './fixtures.ts';

export const restraintCases: Cases = {
  'putPin: the first stays; deletePin: once': async (database) => {
    const token = makeEnrolToken();
    const [first, second] = [makeAgent(token.id), makeAgent(token.id)];
    const pin = { agentId: first.id, product: 'agentd', version: '1.0.0', actor: 'anna', reason: 'kernel bug', at: T0 };
    await transaction(database, async (tx) => {
      await insertEnrolToken(tx, token);
      for (const agent of [first, second]) await insertAgent(tx, agent);
      assert.equal(await putPin(tx, pin), true);
      assert.equal(await putPin(tx, { ...pin, actor: 'ben' }), false);
      assert.equal(await putPin(tx, { ...pin, agentId: second.id, product: 'proxyd' }), true);
    });
    assert.deepEqual(await listPins(database.db, [first.id]), [pin]);
    assert.equal((await listPins(database.db)).length, 2);
    assert.deepEqual(await listPins(database.db, []), []);
    await transaction(database, async (tx) => {
      assert.equal(await deletePin(tx, first.id, 'proxyd'), false);
      assert.equal(await deletePin(tx, first.id, 'agentd'), true);
      assert.equal(await deletePin(tx, first.id, 'agentd'), false);
    });
  },
  'putClearance: the last one counts': async (database) => {
    const { rollout, agents } = await makeWorld(database, 2);
    const [first, second] = agents.map((agent) => agent.id) as [string, string];
    const word = { rolloutId: rollout.id, actor: 'anna', reason: 'new disk', at: T0 };
    await transaction(database, async (tx) => {
      await putClearance(tx, { ...word, agentId: first, sequence: 2 });
      await putClearance(tx, { ...word, agentId: second, sequence: 3 });
      await putClearance(tx, { ...word, agentId: first, sequence: 4 });
    });
    assert.deepEqual(await listClearances(database.db, [first]), [
      { agentId: first, rolloutId: rollout.id, sequence: 4 },
    ]);
    assert.equal((await listClearances(database.db)).length, 2);
  },
};
