// A pinned agent gets nothing, is no agent of a lane, and loses what it was not granted; all of it survives a restart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldCounters } from '../../src/store/attempts.ts';
import { listAudit } from '../../src/store/audit.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 0 })] });

async function laneOf(fleet: Fleet, version: string) {
  const found = (await listRollouts(fleet.database.db, {})).find((rollout) => rollout.version === version);
  return found?.lanes[0];
}

async function pin(fleet: Fleet, agent: ModelAgent, on = true, version: string | null = null) {
  const words = { product: 'agentd', actor: 'anna', reason: 'kernel bug' };
  return await fleet.engine.operator.setPin({ agentId: agent.id, on, version, ...words });
}

async function countersAreTheFold(fleet: Fleet, version: string): Promise<void> {
  const lane = await laneOf(fleet, version);
  for (const { step, counters } of lane?.steps ?? []) {
    assert.deepEqual(counters, await foldCounters(fleet.database.db, lane?.id ?? '', step, lane?.budgetEpoch ?? 0));
  }
}

async function opened(t: Parameters<typeof openFleet>[0], agents = 3) {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].slice(0, agents).map((name) => fleet.enrol(name)));
  assert(a !== undefined);
  return { fleet, a, b: b as ModelAgent, c: c as ModelAgent };
}

test('pinned before: the lane goes on without it, after a restart as well, and the baseline passes it by', async (t) => {
  const { fleet, a, b, c } = await opened(t);
  assert.equal((await pin(fleet, a)).changed, true);
  const again = await pin(fleet, a);
  assert.deepEqual([again.changed, again.pin?.reason], [false, 'kernel bug']);
  await fleet.publish('1.1.0');
  assert.equal((await laneOf(fleet, '1.1.0'))?.steps[0]?.size, 2);
  await fleet.restart();
  assert.equal(await a.run(), 'pinned');
  for (const agent of [b, c]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0'))?.state.name, 'completed');
  assert.equal(await a.run(), 'pinned', 'the baseline lane passes it by');
  const [explained] = await fleet.engine.operator.explain(a.id);
  assert.equal(explained?.sentence, 'the agent is pinned to its version: 1.0.0, by anna: kernel bug');

  assert.equal((await pin(fleet, a, false)).lifted?.actor, 'anna');
  assert.equal((await pin(fleet, a, false)).changed, false);
  assert.equal(await a.run(), 'none');
  assert.equal(a.products[0]?.version, '1.1.0');
  const actions = (await listAudit(fleet.database.db, { limit: 200 })).filter(({ subject }) => subject === a.id);
  assert.deepEqual(
    actions.map(({ action }) => action).filter((action) => action.includes('pinned')),
    ['agent.unpinned', 'agent.pinned'],
  );
});

test('pinned in the middle of a step: what was staged is taken back at once, and the step ends without it', async (t) => {
  const { fleet, a, b, c } = await opened(t);
  await fleet.publish('1.1.0');
  const { answer } = await a.checkIn();
  assert(answer.kind === 'instruction');
  assert.equal((await laneOf(fleet, '1.1.0'))?.steps[0]?.counters.pending, 1);
  await pin(fleet, a);
  assert.equal((await laneOf(fleet, '1.1.0'))?.steps[0]?.counters.pending, 0);
  await countersAreTheFold(fleet, '1.1.0');
  a.attempts = [{ id: answer.attempt.id, product: 'agentd', state: 'staged', cause: null, detail: null }];
  const told = (await a.checkIn()).answer;
  assert.equal(told.kind === 'instruction' && told.action, 'withdraw');
  a.attempts = [];
  assert.equal(await a.run(), 'pinned');
  for (const agent of [b, c]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0'))?.state.name, 'completed');
});

test('a pinned agent that falls silent keeps its seat and is out once', async (t) => {
  const { fleet, a, b, c } = await opened(t);
  await fleet.publish('1.1.0');
  await pin(fleet, a);
  for (let minute = 0; minute < 11; minute += 1) {
    fleet.clock.advance(60_000);
    for (const agent of [b, c]) await agent.checkIn();
    await fleet.engine.plan();
  }
  assert.equal((await laneOf(fleet, '1.1.0'))?.state.name, 'open');
  for (const agent of [b, c]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0'))?.state.name, 'completed');
});

test('pinned after its grant: the update runs to its end', async (t) => {
  const { fleet, a } = await opened(t, 1);
  await fleet.publish('1.1.0');
  assert.equal(await a.run(() => 'vanishes'), 'vanished');
  const done = await pin(fleet, a, true, '1.0.0');
  assert.deepEqual(done.hot, { version: '1.1.0', state: 'granted' });
  assert.equal(await a.run(), 'pinned');
  assert.equal(a.products[0]?.version, '1.1.0');
});

test('a lane whose agents are all pinned has nothing to do and leaves no baseline; unpinned, they are its step', async (t) => {
  const { fleet, a } = await opened(t, 1);
  await pin(fleet, a);
  await fleet.publish('1.1.0');
  const state = (await laneOf(fleet, '1.1.0'))?.state;
  assert.deepEqual([state?.name, state?.name === 'completed' && state.evidence], ['completed', false]);
  await pin(fleet, a, false);
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0'))?.state.name, 'open', 'nobody else has it: no baseline leads there');
  assert.equal(await a.run(), 'none');
  assert.equal(a.products[0]?.version, '1.1.0');
  await fleet.engine.plan();
  const ended = (await laneOf(fleet, '1.1.0'))?.state;
  assert.equal(ended?.name === 'completed' && ended.evidence, true);
});

test('what is refused: another version than the one that was seen, a product that does not run there', async (t) => {
  const { fleet, a } = await opened(t, 1);
  await assert.rejects(pin(fleet, a, true, '0.9.0'), { code: 'conflict', message: 'a runs agentd 1.0.0, not 0.9.0' });
  const words = { agentId: a.id, version: null, actor: 'anna', reason: 'x' };
  const other = fleet.engine.operator.setPin({ ...words, product: 'agentx', on: true });
  await assert.rejects(other, { code: 'not_found', hint: 'It runs: agentd.' });
  assert.equal((await pin(fleet, a, false)).changed, false);
});

test('an agent that waits on the line goes on as soon as it is unpinned', async (t) => {
  const { fleet, a } = await opened(t, 2);
  await pin(fleet, a);
  await fleet.publish('1.1.0');
  const waiting = fleet.engine.agents.checkIn(a.report(), 20_000, new AbortController().signal);
  await new Promise((resolve) => setImmediate(resolve));
  await pin(fleet, a, false);
  const late = new Promise<never>((_, fail) => setTimeout(fail, 5_000, new Error('it was not woken')).unref());
  const { answer } = await Promise.race([waiting, late]);
  assert.equal(answer.kind === 'instruction' && answer.action, 'stage');
});

test('a region whose agents were all pinned: who is unpinned later is brought to what the other regions have completed', async (t) => {
  const regions = ['eu', 'us'];
  const fleet = await openFleet(t, rules({ ...POLICY, waves: [['eu'], ['us']] }), regions);
  const [a, b] = [await fleet.enrol('a', { region: 'eu' }), await fleet.enrol('b', { region: 'us' })];
  await fleet.publish('1.0.0');
  await pin(fleet, a);
  await fleet.publish('1.1.0');
  const state = (await laneOf(fleet, '1.1.0'))?.state;
  assert.deepEqual([state?.name, state?.name === 'completed' && state.evidence], ['completed', false]);
  assert.equal(await b.run(), 'none');
  await fleet.engine.plan();
  assert.equal(await a.run(), 'pinned');
  await pin(fleet, a, false);
  await fleet.restart();
  assert.equal(await a.run(), 'none');
  assert.equal(a.products[0]?.version, '1.1.0');
  // Its own is the newer one from then on.
  await fleet.publish('1.2.0');
  assert.equal(await a.run(), 'none');
  fleet.clock.advance(60_000);
  await fleet.engine.plan();
  assert.equal(await b.run(), 'none');
  assert.deepEqual([a.products[0]?.version, b.products[0]?.version], ['1.2.0', '1.2.0']);
});
