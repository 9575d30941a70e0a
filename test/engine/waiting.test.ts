// Agents that wait for their turn: they keep what they have downloaded, and a free slot wakes as many as it can serve.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CheckInResult } from '../../src/domain/check-in.ts';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import { historyOfAgent } from '../../src/store/attempts.ts';
import { digestOf, rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type ModelAgent, openFleet } from '../support/fleet.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 30_000 })] });

test('an agent that has staged keeps its attempt however long its turn takes to come', async (t) => {
  // The one before it takes its time: an attempt may run for two hours here, staging may take half an hour.
  const fleet = await openFleet(
    t,
    rules(testPolicy({ ...POLICY, activateWithinMs: 3_600_000, proveWithinMs: 3_600_000 })),
  );
  await fleet.publish('1.0.0');
  const [first, second] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  assert(first !== undefined && second !== undefined);
  await fleet.publish('1.1.0');
  assert.equal(await first.run(() => 'vanishes'), 'vanished');
  assert.equal(await second.run(), 'budget');
  for (let minute = 0; minute < 60; minute += 1) {
    fleet.clock.advance(60_000);
    for (const agent of [first, second]) await agent.checkIn();
    await fleet.engine.plan();
  }
  assert.equal(await second.run(), 'budget');
  const history = await historyOfAgent(fleet.database.db, second.id, 10);
  assert.deepEqual(
    history.map((attempt) => attempt.state),
    ['staged'],
  );
});

test('an agent that has lost what it had staged begins anew, at a sequence that it has not seen', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [first, second] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  assert(first !== undefined && second !== undefined);
  await fleet.publish('1.1.0');
  assert.equal(await first.run(() => 'vanishes'), 'vanished');
  assert.equal(await second.run(), 'budget');
  second.attempts = [];
  const { answer } = await second.checkIn();
  assert(answer.kind === 'instruction');
  assert.deepEqual([answer.action, answer.attempt.sequence], ['stage', 2]);
  const history = await historyOfAgent(fleet.database.db, second.id, 10);
  assert.deepEqual(
    history.map((attempt) => attempt.state),
    ['offered', 'expired'],
  );
});

test('a slot that becomes free wakes one of those that wait for it, not all', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agents: ModelAgent[] = [];
  for (let i = 0; i < 12; i += 1) agents.push(await fleet.enrol(`a${i}`));
  await fleet.publish('1.1.0');
  const [first, ...others] = agents;
  assert(first !== undefined);
  assert.equal(await first.run(() => 'vanishes'), 'vanished');
  for (const agent of others) assert.equal(await agent.run(), 'budget');
  const waiting = others.map((agent) =>
    fleet.engine.agents.checkIn(agent.report(), 25_000, new AbortController().signal),
  );
  const { items } = fleet.engine.ledgerStats();
  first.products = first.products.map((one) => ({ ...one, version: '1.1.0', digest: digestOf('1.1.0') }));
  first.attempts = first.attempts.map((one) => ({ ...one, state: 'succeeded' }));
  await first.checkIn();
  const { answer } = await Promise.any(waiting);
  assert(answer.kind === 'instruction');
  assert.equal(answer.action, 'activate');
  assert.equal(fleet.engine.ledgerStats().items - items, 2, 'the report, and one grant');
});

test('who was woken and finds another one faster waits on, and is not sent away for a whole interval', async (t) => {
  const limits = { ...NO_LIMITS, downloads: { fleet: 1, region: null } };
  const loose = testPolicy({ steps: [stepPolicy({ soakMs: 0, budget: 'loose' })] });
  const fleet = await openFleet(t, rules(loose), undefined, undefined, { limits });
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  const brake = { scope: 'fleet', actor: 'me', reason: 'wait' };
  await fleet.engine.operator.setBrake({ ...brake, on: true });
  const answered: { agent: ModelAgent; result: CheckInResult }[] = [];
  const waiting = agents.map(async (agent) => {
    const result = await fleet.engine.agents.checkIn(agent.report(), 25_000, new AbortController().signal);
    answered.push({ agent, result });
  });
  // Both are woken, and both ask the books for the one slot.
  await fleet.engine.operator.setBrake({ ...brake, on: false });
  await Promise.any(waiting);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const [first, ...others] = answered;
  assert(first?.result.answer.kind === 'instruction' && others.length === 0);
  const { id } = first.result.answer.attempt;
  first.agent.attempts = [{ id, product: 'agentd', state: 'staged', cause: null, detail: null }];
  await first.agent.checkIn();
  await Promise.all(waiting);
  assert.deepEqual(
    answered.map(({ result }) => result.answer.kind),
    ['instruction', 'instruction'],
  );
});
