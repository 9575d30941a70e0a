// Rollbacks through the real engine: by hand and by policy, their budget, who is away, and what comes after.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policy } from '../../src/domain/policy.ts';
import { foldCounters } from '../../src/store/attempts.ts';
import { listVetoes } from '../../src/store/controls.ts';
import { transaction } from '../../src/store/database.ts';
import { listAvailability, saveAvailability } from '../../src/store/releases.ts';
import { listRollouts, loadRollout } from '../../src/store/rollouts.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

const REGION = 'eu-west-1';

async function rolloutOf(fleet: Fleet, version: string, region = REGION) {
  const found = (await listRollouts(fleet.database.db, {})).find((rollout) => rollout.version === version);
  const lane = found?.lanes.find((one) => one.region === region);
  assert(found !== undefined && lane !== undefined);
  return { id: found.id, rollout: found, lane };
}

async function rollBack(fleet: Fleet, version: string, region: string | null = null): Promise<boolean> {
  const { id } = await rolloutOf(fleet, version, region ?? REGION);
  return await fleet.engine.operator.verb(id, {
    verb: 'rollback',
    region,
    expectedStep: null,
    vetoRelease: false,
    actor: 'me',
    reason: 'it eats the disk',
  });
}

/** Agents at 1.1.0, which the region has completed after 1.0.0. */
async function completed(t: Parameters<typeof openFleet>[0], policy: Partial<Policy> = {}, names = ['a', 'b', 'c']) {
  const fleet = await openFleet(
    t,
    rules(testPolicy({ steps: [stepPolicy({ soakMs: 0, budget: 'loose' })], ...policy })),
  );
  const agents: ModelAgent[] = [];
  for (const name of names) agents.push(await fleet.enrol(name));
  await fleet.publish('1.0.0');
  await fleet.publish('1.1.0');
  for (const agent of agents) await agent.run();
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'completed');
  return { fleet, agents };
}

const versions = (agents: readonly ModelAgent[]) => agents.map((agent) => agent.products[0]?.version);

async function checkBooks(fleet: Fleet, version: string): Promise<void> {
  const { lane } = await rolloutOf(fleet, version);
  for (const { step, counters } of [...lane.steps, ...lane.back]) {
    const epoch = step < 0 ? step : lane.budgetEpoch;
    assert.deepEqual(counters, await foldCounters(fleet.database.db, lane.id, step, epoch), `step ${step}`);
  }
}

test('a completed region goes back to what it had completed before, and the release is vetoed for good', async (t) => {
  const { fleet, agents } = await completed(t);
  assert.equal(await rollBack(fleet, '1.1.0'), true);
  assert.equal(await rollBack(fleet, '1.1.0'), false);
  const { rollout, lane } = await rolloutOf(fleet, '1.1.0');
  assert.equal(rollout.endedAt, null);
  assert.deepEqual([lane.state.name, lane.back.map((way) => way.size)], ['rolling_back', [3]]);
  const [first, ...others] = agents as [ModelAgent, ...ModelAgent[]];
  const { answer } = await first.checkIn();
  assert(answer.kind === 'instruction');
  assert.deepEqual(
    [answer.action, answer.attempt.version, answer.rollback, answer.override],
    ['stage', '1.0.0', true, false],
  );
  for (const agent of [first, ...others]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.deepEqual(versions(agents), ['1.0.0', '1.0.0', '1.0.0']);
  const after = await rolloutOf(fleet, '1.1.0');
  assert.deepEqual(after.lane.state.name === 'rolled_back' && after.lane.state.to, '1.0.0');
  assert.notEqual(after.rollout.endedAt, null);
  assert.deepEqual(
    after.lane.steps.map((step) => step.counters.succeeded),
    [3],
    'what went forward stays counted',
  );
  await checkBooks(fleet, '1.1.0');
  const [veto] = await listVetoes(fleet.database.db);
  assert.deepEqual([veto?.version, veto?.automatic, veto?.actor], ['1.1.0', false, 'me']);
  // Who comes with the version that was taken back is taken back too.
  const newcomer = await fleet.enrol('new', { version: '1.1.0' });
  const { answer: brought } = await newcomer.checkIn();
  assert(brought.kind === 'instruction');
  assert.deepEqual([brought.attempt.version, brought.rollback], ['1.0.0', true]);
});

test('an open lane goes back: what was offered is withdrawn, what is at risk ends first, a fix waits until then', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 0, budget: 'loose' })] })));
  await fleet.publish('1.0.0');
  // The baseline is not known of a region without agents: what they came from is.
  const [a, b, c] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  await fleet.publish('1.1.0');
  await a.run();
  assert.equal(await b.run(() => 'vanishes'), 'vanished');
  assert.equal((await c.checkIn()).answer.kind, 'instruction');
  assert.equal(await rollBack(fleet, '1.1.0', REGION), true);
  await fleet.publish('1.1.1');
  assert.equal((await rolloutOf(fleet, '1.1.1')).lane.state.name, 'waiting');
  assert.equal(await c.run(), 'none', 'its attempt was withdrawn, and it runs what is gone back to');
  assert.equal(await a.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'rolling_back', 'one attempt forward is at risk');
  const [attempt] = b.attempts;
  assert(attempt !== undefined);
  b.attempts = [{ ...attempt, state: 'rolled_back', cause: 'crash_loop' }];
  await b.checkIn();
  await fleet.engine.plan();
  await checkBooks(fleet, '1.1.0');
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'rolled_back');
  await fleet.engine.plan();
  for (const agent of [a, b, c]) await agent.run();
  assert.deepEqual(versions([a, b, c]), ['1.1.1', '1.1.1', '1.1.1']);
});

test('the policy takes a region back that has spent its budget, once nothing is at risk, and once only', async (t) => {
  const steps = [stepPolicy({ percent: 100, soakMs: 0, budget: 'loose' })];
  const { fleet, agents } = await completed(t, { steps, onHalt: 'rollback', attemptsPerAgent: 1 });
  const [a, b, c] = agents as [ModelAgent, ModelAgent, ModelAgent];
  await fleet.publish('1.2.0');
  await a.run();
  assert.equal(await b.run(() => 'vanishes'), 'vanished');
  await c.run(() => 'crashes');
  await fleet.engine.plan();
  const halted = await rolloutOf(fleet, '1.2.0');
  assert.equal(halted.lane.state.name, 'halted');
  const gates = (await fleet.engine.operator.explainLanes(halted.id)).get(halted.lane.id);
  assert.match(gates?.sentence ?? '', /it goes back when 1 attempt at risk has ended/);
  b.attempts = b.attempts.map((one) => ({ ...one, state: 'rolled_back', cause: 'crash_loop' }));
  await b.checkIn();
  await fleet.engine.plan();
  const { lane } = await rolloutOf(fleet, '1.2.0');
  assert.deepEqual([lane.state.name, 'by' in lane.state && lane.state.by], ['rolling_back', 'tidegate']);
  // The way back fails too: it halts, and nobody takes that back by itself.
  await a.run(() => 'crashes');
  await fleet.engine.plan();
  const stopped = await rolloutOf(fleet, '1.2.0');
  assert.equal(stopped.lane.state.name, 'halted');
  assert.match('reason' in stopped.lane.state ? stopped.lane.state.reason : '', /the way back: 1 bad of 1/);
  await checkBooks(fleet, '1.2.0');
  // Forward it goes no more: those who proved it there may be back already.
  for (const verb of ['retry', 'accept'] as const) {
    const options = { verb, expectedStep: null, count: 1, vetoRelease: false, actor: 'me', reason: 'again' };
    for (const region of [REGION, null]) {
      await assert.rejects(fleet.engine.operator.verb(stopped.id, { ...options, region }), {
        code: 'illegal_transition',
        message: /has halted on its way back/,
      });
    }
  }
  const told = (await fleet.engine.operator.explainLanes(stopped.id)).get(stopped.lane.id);
  assert.match(told?.sentence ?? '', /goes on when a person rolls it back again/);
  // A person may try again, with a budget of its own.
  assert.equal(await rollBack(fleet, '1.2.0'), true);
  assert.equal(await a.run(), 'none');
  await fleet.engine.plan();
  assert.deepEqual(versions(agents), ['1.1.0', '1.1.0', '1.1.0']);
  const done = await rolloutOf(fleet, '1.2.0');
  assert.deepEqual([done.lane.state.name, done.lane.back.map((way) => way.counters.bad)], ['rolled_back', [1, 0]]);
});

test('nobody waits for who is away: it is brought back by the baseline when it returns, also after a restart', async (t) => {
  const { fleet, agents } = await completed(t);
  const [a, b, c] = agents as [ModelAgent, ModelAgent, ModelAgent];
  for (let minute = 0; minute < 11; minute += 1) {
    fleet.clock.advance(60_000);
    for (const agent of [a, b]) await agent.checkIn();
    await fleet.engine.plan();
  }
  await rollBack(fleet, '1.1.0');
  for (const agent of [a, b]) await agent.run();
  await fleet.engine.plan();
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'rolled_back');
  await fleet.restart();
  // It may be unwell for what is taken back.
  const { answer } = await c.checkIn({ health: 'unhealthy', healthReason: 'the disk is full' });
  assert(answer.kind === 'instruction');
  assert.deepEqual([answer.attempt.version, answer.rollback], ['1.0.0', true]);
  const [explained] = await fleet.engine.operator.explain(c.id);
  assert(explained?.trace.some(({ sentence }) => sentence.includes('downloads and verifies 1.0.0')));
  assert.equal(await c.run(), 'none');
  assert.deepEqual(versions(agents), ['1.0.0', '1.0.0', '1.0.0']);
});

test('a brake holds a rollback, an agent that declines is left, and what cannot go back is refused with the reason', async (t) => {
  const { fleet, agents } = await completed(t, { attemptsPerAgent: 1 });
  const [a, b, c] = agents as [ModelAgent, ModelAgent, ModelAgent];
  await rollBack(fleet, '1.1.0');
  await fleet.engine.operator.setBrake({ scope: 'fleet', on: true, actor: 'me', reason: 'wait' });
  assert.equal(await a.run(), 'braked');
  await fleet.engine.operator.setBrake({ scope: 'fleet', on: false, actor: 'me', reason: 'go' });
  for (const agent of [a, b]) await agent.run();
  const { answer } = await c.checkIn();
  assert(answer.kind === 'instruction');
  const { id, product } = answer.attempt;
  c.attempts = [{ id, product, state: 'declined', cause: 'downgrade', detail: null }];
  await c.checkIn();
  await fleet.engine.plan();
  const { lane, rollout } = await rolloutOf(fleet, '1.1.0');
  assert.equal(lane.state.name, 'rolled_back');
  await checkBooks(fleet, '1.1.0');
  assert.notEqual((await loadRollout(fleet.database.db, rollout.id))?.endedAt, null);
  await assert.rejects(rollBack(fleet, '1.0.0'), {
    code: 'conflict',
    message: /eu-west-1 has nothing to go back to: eu-west-1 has completed nothing below 1\.0\.0/,
  });
});

test('of a whole rollout the regions that wait are cancelled, and one where a newer release goes out is refused', async (t) => {
  const policy = testPolicy({ waves: [['eu'], ['us']], steps: [stepPolicy({ soakMs: 0 })] });
  const fleet = await openFleet(t, rules(policy), ['eu', 'us']);
  const [eu, us] = [await fleet.enrol('eu', { region: 'eu' }), await fleet.enrol('us', { region: 'us' })];
  await fleet.publish('1.0.0');
  await fleet.publish('1.1.0');
  for (const agent of [eu, us]) {
    await agent.run();
    await fleet.engine.plan();
  }
  assert.equal((await rolloutOf(fleet, '1.1.0', 'us')).lane.state.name, 'completed');
  await fleet.publish('1.2.0');
  await assert.rejects(rollBack(fleet, '1.1.0', 'eu'), { code: 'conflict', message: /1\.2\.0 is open in eu/ });
  await assert.rejects(rollBack(fleet, '1.2.0', 'us'), { code: 'illegal_transition' });
  const { id } = await rolloutOf(fleet, '1.2.0', 'eu');
  const options = { verb: 'rollback', expectedStep: null, vetoRelease: false, actor: 'me', reason: 'bad' } as const;
  assert.equal(await fleet.engine.operator.verb(id, { ...options, region: null }), true);
  const after = await loadRollout(fleet.database.db, id);
  // Nobody in eu had taken it yet.
  assert.deepEqual(
    after?.lanes.map((lane) => lane.state.name),
    ['rolled_back', 'cancelled'],
  );
  assert.equal(await fleet.engine.operator.verb(id, { ...options, region: null }), false);
});

test('an agent that is pinned on the way back is out of the count, and the lane is rolled back without it', async (t) => {
  const { fleet, agents } = await completed(t);
  const [a, ...others] = agents as [ModelAgent, ModelAgent, ModelAgent];
  await rollBack(fleet, '1.1.0');
  assert.equal((await a.checkIn()).answer.kind, 'instruction');
  await fleet.engine.operator.setPin({
    ...{ agentId: a.id, product: 'agentd', on: true, version: null },
    ...{ actor: 'me', reason: 'it must not move' },
  });
  await checkBooks(fleet, '1.1.0');
  assert.equal(await a.run(), 'pinned');
  for (const agent of others) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  const { lane } = await rolloutOf(fleet, '1.1.0');
  assert.deepEqual([lane.state.name, lane.back.map((way) => way.counters.pending)], ['rolled_back', [0]]);
});

test('a fix takes the place of a way back whose target is gone for those that are left', async (t) => {
  const { fleet, agents } = await completed(t);
  const [a, b, c] = agents as [ModelAgent, ModelAgent, ModelAgent];
  await rollBack(fleet, '1.1.0');
  assert.equal(await a.run(), 'none');
  const [row] = (await listAvailability(fleet.database.db)).filter((one) => one.version === '1.0.0');
  assert(row !== undefined);
  const gone = { ...row, status: 'absent' as const, why: 'HTTP 404', since: fleet.clock.now() };
  await transaction(fleet.database, (tx) => saveAvailability(tx, [gone]));
  await fleet.engine.plan();
  assert.equal(await b.run(), 'not_available');
  const stuck = await rolloutOf(fleet, '1.1.0');
  const told = (await fleet.engine.operator.explainLanes(stuck.id)).get(stuck.lane.id)?.sentence ?? '';
  assert.match(told, /1\.0\.0 for linux-x64: HTTP 404; .*a newer release takes this one’s place/);
  await fleet.publish('1.1.1');
  assert.equal((await rolloutOf(fleet, '1.1.0')).lane.state.name, 'superseded');
  for (const agent of [a, b, c]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.deepEqual(versions(agents), ['1.1.1', '1.1.1', '1.1.1']);
  assert.equal((await rolloutOf(fleet, '1.1.1')).lane.state.name, 'completed');
  await checkBooks(fleet, '1.1.0');
});
