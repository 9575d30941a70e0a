// The verbs on lanes through the real engine: promotion, pause, retry, cancel, each with its audit row and its limits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LaneVerb } from '../../src/domain/verbs.ts';
import { foldCounters } from '../../src/store/attempts.ts';
import { listVetoes } from '../../src/store/controls.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

const TWO_STEPS = testPolicy({
  steps: [
    stepPolicy({ percent: null, labels: { ring: 'canary' }, soakMs: 10_000, manual: true }),
    stepPolicy({ soakMs: 0 }),
  ],
});

async function rolloutOf(fleet: Fleet, version: string) {
  const found = (await listRollouts(fleet.database.db, {})).find((rollout) => rollout.version === version);
  assert(found?.lanes[0] !== undefined);
  return { id: found.id, lane: found.lanes[0] };
}

async function verb(
  fleet: Fleet,
  version: string,
  name: LaneVerb,
  expectedStep: number | null = null,
): Promise<boolean> {
  const { id } = await rolloutOf(fleet, version);
  return await fleet.engine.operator.verb(id, {
    verb: name,
    region: null,
    expectedStep,
    vetoRelease: false,
    actor: 'me',
    reason: 'because',
  });
}

async function openCanary(t: Parameters<typeof openFleet>[0]) {
  const fleet = await openFleet(t, rules(TWO_STEPS));
  await fleet.publish('1.0.0');
  const canary = await fleet.enrol('canary', { labels: { ring: 'canary' } });
  const others = [await fleet.enrol('b'), await fleet.enrol('c')];
  await fleet.publish('1.1.0');
  return { fleet, canary, others };
}

test('a canary by label goes first, and a person lets the rest go', async (t) => {
  const { fleet, canary, others } = await openCanary(t);
  for (const agent of others) assert.equal(await agent.run(), 'not_in_step');
  assert.equal(await canary.run(), 'none');
  await fleet.engine.plan();
  fleet.clock.advance(11_000);
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'approval');
  for (const agent of others) assert.equal(await agent.run(), 'not_in_step');
  await assert.rejects(verb(fleet, '1.1.0', 'promote', 1), { code: 'conflict' });
  assert.equal(await verb(fleet, '1.1.0', 'promote', 0), true);
  const { lane } = await rolloutOf(fleet, '1.1.0');
  assert.deepEqual([lane.state.name, lane.steps.length], ['open', 2]);
  for (const agent of others) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'completed');
});

test('a promotion whose reply was lost is done already, also once the next step has opened or all has ended', async (t) => {
  const { fleet, canary, others } = await openCanary(t);
  await canary.run();
  await fleet.engine.plan();
  fleet.clock.advance(11_000);
  await fleet.engine.plan();
  assert.equal(await verb(fleet, '1.1.0', 'promote', 0), true);
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'open');
  assert.equal(await verb(fleet, '1.1.0', 'promote', 0), false);
  // The present step waits for nobody's promotion.
  await assert.rejects(verb(fleet, '1.1.0', 'promote', 1), { code: 'illegal_transition' });
  for (const agent of others) await agent.run();
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'completed');
  assert.equal(await verb(fleet, '1.1.0', 'promote', 0), false);
  await assert.rejects(verb(fleet, '1.1.0', 'promote', 1), { code: 'illegal_transition' });
});

test('promoting twice opens one step, and promoting what does not wait is refused', async (t) => {
  const { fleet, canary } = await openCanary(t);
  await assert.rejects(verb(fleet, '1.1.0', 'promote', 0), { code: 'illegal_transition' });
  await canary.run();
  await fleet.engine.plan();
  fleet.clock.advance(11_000);
  await fleet.engine.plan();
  await verb(fleet, '1.1.0', 'promote', 0);
  assert.equal(await verb(fleet, '1.1.0', 'promote', 0), false);
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.steps.length, 2);
});

test('a paused lane grants nothing, its soak stands still, and resuming goes on where it was', async (t) => {
  const { fleet, canary } = await openCanary(t);
  await canary.run();
  await fleet.engine.plan();
  fleet.clock.advance(6_000);
  assert.equal(await verb(fleet, '1.1.0', 'pause'), true);
  assert.equal(await verb(fleet, '1.1.0', 'pause'), false);
  fleet.clock.advance(60_000);
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'paused');
  assert.equal(await verb(fleet, '1.1.0', 'resume'), true);
  fleet.clock.advance(3_000);
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'soaking');
  fleet.clock.advance(2_000);
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'approval');
});

test('a retry begins a new budget epoch: the automatic veto goes, successes stay, hosts are told to try again', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 0 })] })));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  const [a, b, c] = agents;
  assert(a !== undefined && b !== undefined && c !== undefined);
  await fleet.publish('1.1.0');
  assert.equal(await a.run(), 'none');
  assert.equal(await b.run(() => 'crashes'), 'halted');
  assert.equal((await listVetoes(fleet.database.db)).length, 1);
  assert.equal(await verb(fleet, '1.1.0', 'retry'), true);
  assert.deepEqual(await listVetoes(fleet.database.db), []);
  const offered = await b.checkIn();
  assert(offered.answer.kind === 'instruction');
  assert.equal(offered.answer.override, true);
  b.attempts = [{ id: offered.answer.attempt.id, product: 'agentd', state: 'staged', cause: null, detail: null }];
  assert.equal(await b.run(), 'none');
  assert.equal(await c.run(), 'none');
  await fleet.engine.plan();
  const { lane } = await rolloutOf(fleet, '1.1.0');
  assert.deepEqual([lane.state.name, lane.budgetEpoch, lane.steps[0]?.counters.succeeded], ['completed', 1, 3]);
  assert.deepEqual(lane.steps[0]?.counters, await foldCounters(fleet.database.db, lane.id, 0, 1));
});

test('cancelling ends a lane for good, and its region takes no further part', async (t) => {
  const { fleet, canary } = await openCanary(t);
  assert.equal(await verb(fleet, '1.1.0', 'cancel'), true);
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'cancelled');
  assert.equal(await canary.run(), 'none');
  await assert.rejects(verb(fleet, '1.1.0', 'retry'), { code: 'illegal_transition' });
});
