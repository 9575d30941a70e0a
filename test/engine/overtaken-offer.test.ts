// An offer whose reply was lost, and that the agent left behind by accepting a later one for another product.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attemptsById } from '../../src/store/attempts.ts';
import { rules, testPolicy } from '../support/fixtures.ts';
import { openFleet } from '../support/fleet.ts';

test('the same attempt is offered at a sequence that the agent can still accept, once', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy()));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  const { answer: lost } = await agent.checkIn();
  assert(lost.kind === 'instruction');
  agent.attempts = [];
  const overtaken = { sequence: lost.attempt.sequence + 1 };
  const { answer: again } = await agent.checkIn(overtaken);
  assert(again.kind === 'instruction');
  assert.equal(again.attempt.id, lost.attempt.id);
  assert(again.attempt.sequence > overtaken.sequence);
  const [stored] = await attemptsById(fleet.database.db, [lost.attempt.id]);
  assert.deepEqual([stored?.sequence, stored?.state], [again.attempt.sequence, 'offered']);

  agent.attempts = [];
  const { batches } = fleet.engine.ledgerStats();
  const { answer: repeated } = await agent.checkIn(overtaken);
  assert.equal(repeated.kind === 'instruction' && repeated.attempt.sequence, again.attempt.sequence);
  assert.equal(fleet.engine.ledgerStats().batches, batches, 'nothing more to write');
  agent.attempts = [];
  assert.equal(await agent.run(), 'none');
  assert.equal(agent.products[0]?.version, '1.1.0');
});
