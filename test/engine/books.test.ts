// The books under reports that no honest agent sends, losses, products that leave the config, and rollouts that have ended.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { AttemptState } from '../../src/domain/attempt.ts';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import { openEngine } from '../../src/engine/engine.ts';
import { attemptsById, foldCounters } from '../../src/store/attempts.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { digestOf, rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';
import { createIds } from '../support/ids.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 30_000 })] });

async function checkBooks(fleet: Fleet): Promise<void> {
  for (const rollout of await listRollouts(fleet.database.db, {})) {
    for (const lane of rollout.lanes) {
      for (const step of lane.steps) {
        const folded = await foldCounters(fleet.database.db, lane.id, step.step, lane.budgetEpoch);
        assert.deepEqual(step.counters, folded, `${rollout.version} step ${step.step}`);
      }
    }
  }
}

function says(agent: ModelAgent, state: AttemptState, product = 'agentd') {
  const id = agent.attempts[0]?.id;
  assert(id !== undefined, 'the agent has an attempt');
  return { id, product, state, cause: null, detail: null };
}

async function passMinutes(fleet: Fleet, minutes: number, present: ModelAgent[]): Promise<void> {
  for (let minute = 0; minute < minutes; minute += 1) {
    fleet.clock.advance(60_000);
    for (const agent of present) await agent.checkIn();
    await fleet.engine.plan();
  }
}

test('one report cannot book two outcomes for one attempt, under whatever product names', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  assert.equal(await agent.run(() => 'vanishes'), 'vanished');
  const twice = [says(agent, 'rolled_back'), says(agent, 'succeeded', 'other')];
  const products = [{ product: 'agentd', version: '1.1.0', digest: digestOf('1.1.0') }];
  await assert.rejects(agent.checkIn({ products, attempts: twice }), { code: 'conflict' });
  const [attempt] = await attemptsById(fleet.database.db, [says(agent, 'staged').id]);
  assert.equal(attempt?.state, 'granted');
  await checkBooks(fleet);
});

test('an agent whose attempt was lost is held from memory, as after a restart', async (t) => {
  const policy = testPolicy({
    ...POLICY,
    badCount: 3,
    minSample: 2,
    badRatio: 10_000,
    doneRatio: 5_000,
    attemptsPerAgent: 1,
  });
  const fleet = await openFleet(t, rules(policy));
  await fleet.publish('1.0.0');
  const agents: ModelAgent[] = [];
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) agents.push(await fleet.enrol(name));
  await fleet.publish('1.1.0');
  const [lost] = agents;
  assert(lost !== undefined);
  assert.equal(await lost.run(() => 'vanishes'), 'vanished');
  await passMinutes(fleet, 45, agents.slice(1, 2));
  lost.attempts = [];
  const { batches } = fleet.engine.ledgerStats();
  const { answer } = await lost.checkIn();
  assert.equal(answer.kind === 'hold' && answer.reason, 'quarantined');
  assert.equal(fleet.engine.ledgerStats().batches, batches, 'nothing had to be asked of the database');
  await checkBooks(fleet);
});

test('an outcome that comes after its rollout has ended is counted as the policy says', async (t) => {
  const fleet = await openFleet(
    t,
    rules(testPolicy({ ...POLICY, doneRatio: 5_000, badCount: 3, minSample: 2, badRatio: 10_000 })),
  );
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c'), await fleet.enrol('d')];
  await fleet.publish('1.1.0');
  for (const agent of agents.slice(0, 3)) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  const late = agents[3];
  assert(late !== undefined);
  assert.equal(await late.run(() => 'vanishes'), 'vanished');
  await passMinutes(fleet, 2, agents.slice(0, 3));
  const [rollout] = await listRollouts(fleet.database.db, {});
  assert(rollout?.endedAt !== null, 'the rollout has ended');
  late.attempts = [{ ...says(late, 'inconclusive'), cause: 'power_lost' }];
  await late.checkIn();
  await checkBooks(fleet);
});

test('a slot is free again when its agent was lost while the config did not name the product', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [lost] = [await fleet.enrol('a'), await fleet.enrol('b')];
  assert(lost !== undefined);
  await fleet.publish('1.1.0');
  assert.equal(await lost.run(() => 'vanishes'), 'vanished');
  await fleet.engine.close();
  const { database, clock } = fleet;
  const other = await openEngine({
    database,
    clock,
    logger: pino({ level: 'silent' }),
    newId: createIds(),
    random: () => 0.5,
    products: [rules(POLICY, { name: 'other' })],
    regions: ['eu-west-1'],
    surroundings: { calendars: [], freezes: [], limits: NO_LIMITS, mirrors: { regions: [], maxAgeMs: 600_000 } },
    pollMs: 60_000,
    maxWaitMs: 25_000,
  });
  for (let minute = 0; minute < 45; minute += 1) {
    clock.advance(60_000);
    await other.plan();
  }
  await other.close();
  await fleet.restart();
  const [rollout] = await listRollouts(database.db, {});
  assert.equal(rollout?.lanes[0]?.steps[0]?.counters.hot, 0);
  assert.equal(rollout?.lanes[0]?.state.name, 'halted');
  await checkBooks(fleet);
});

test('an agent that could not stage is offered its second attempt in the reply to that very report', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  let tries = 0;
  assert.equal(await agent.run(() => ((tries += 1) === 1 ? 'download_fails' : 'works')), 'none');
  assert.equal(agent.products[0]?.version, '1.1.0');
  await checkBooks(fleet);
});

test('an agent that declined and is trying again counts as out, also when the lane ends and takes its attempt back', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ ...POLICY, doneRatio: 5_000, maxHot: 10 })));
  await fleet.publish('1.0.0');
  const [one, two, unwilling] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  assert(one !== undefined && two !== undefined && unwilling !== undefined);
  await fleet.publish('1.1.0');
  const { answer } = await unwilling.checkIn();
  assert(answer.kind === 'instruction');
  const declined = { product: 'agentd', state: 'declined', cause: 'host_policy', detail: null } as const;
  unwilling.attempts = [{ id: answer.attempt.id, ...declined }];
  const again = await unwilling.checkIn();
  assert(again.answer.kind === 'instruction' && again.answer.action === 'stage');
  await checkBooks(fleet);
  for (const agent of [one, two]) assert.equal(await agent.run(), 'none');
  await passMinutes(fleet, 2, [one, two]);
  const [rollout] = await listRollouts(fleet.database.db, {});
  assert.equal(rollout?.lanes[0]?.state.name, 'completed');
  await checkBooks(fleet);
});
