// Members that can give no evidence any more do not hold a step up for ever.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { foldCounters } from '../../src/store/attempts.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { digestOf, rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 0 })], doneRatio: 9000, badRatio: 2000, badCount: 2 });

async function stateOf(fleet: Fleet, version: string): Promise<string | undefined> {
  const rollouts = await listRollouts(fleet.database.db, {});
  return rollouts.find((rollout) => rollout.version === version)?.lanes[0]?.state.name;
}

async function laneOf(fleet: Fleet, version: string) {
  const found = (await listRollouts(fleet.database.db, {})).find((rollout) => rollout.version === version);
  const [lane] = found?.lanes ?? [];
  assert(found !== undefined && lane !== undefined);
  return { id: found.id, lane };
}

test('a member that runs a build of no release is out: the others complete the step', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [a, b, c] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  await fleet.publish('1.1.0');
  c.products = [{ product: 'agentd', version: '1.0.0', digest: 'f'.repeat(64) }];
  assert.equal(await c.run(), 'unknown_build');
  assert.equal(await a.run(), 'none');
  assert.equal(await b.run(), 'none');
  await fleet.engine.plan();
  assert.equal(await stateOf(fleet, '1.1.0'), 'completed');
});

test('a member that was brought to the release by hand is out, and counts as no success', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [a, b, c] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  await fleet.publish('1.1.0');
  c.products = [{ product: 'agentd', version: '1.1.0', digest: digestOf('1.1.0') }];
  assert.equal(await c.run(), 'none');
  assert.equal(await a.run(), 'none');
  assert.equal(await stateOf(fleet, '1.1.0'), 'open');
  assert.equal(await b.run(), 'none');
  await fleet.engine.plan();
  assert.equal(await stateOf(fleet, '1.1.0'), 'completed');
});

test('a member that somebody has brought beyond the release is out', async (t) => {
  const fleet = await openFleet(t, rules(POLICY, { accept: '<1.2' }));
  await fleet.publish('1.0.0');
  const [a, b, c] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  await fleet.publish('1.2.0');
  await fleet.publish('1.1.0');
  c.products = [{ product: 'agentd', version: '1.2.0', digest: digestOf('1.2.0') }];
  for (const agent of [a, b, c]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.equal(await stateOf(fleet, '1.1.0'), 'completed');
});

test('a member that has used up its attempts and then falls silent is out once, not twice', async (t) => {
  const fleet = await openFleet(t, rules({ ...POLICY, attemptsPerAgent: 1 }));
  await fleet.publish('1.0.0');
  const agents = [];
  for (let index = 0; index < 10; index += 1) agents.push(await fleet.enrol(`a${index}`));
  await fleet.publish('1.1.0');
  const [failing, slow, ...others] = agents;
  assert.equal(await failing?.run(() => 'download_fails'), 'quarantined');
  for (let minute = 0; minute < 12; minute += 1) {
    fleet.clock.advance(60_000);
    for (const agent of [slow, ...others]) await agent?.checkIn();
  }
  for (const agent of others) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  // Nine can still give evidence, so nine must: eight would do for eight.
  assert.equal(await stateOf(fleet, '1.1.0'), 'open');
  assert.equal(await slow?.run(), 'none');
  await fleet.engine.plan();
  assert.equal(await stateOf(fleet, '1.1.0'), 'completed');
});

test('a loss that spends the budget halts in the pass that books it', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy()));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  await agent.run(() => 'vanishes');
  for (let minute = 0; minute < 45 && (await stateOf(fleet, '1.1.0')) === 'open'; minute += 1) {
    fleet.clock.advance(60_000);
    await fleet.engine.plan();
  }
  assert.equal(await stateOf(fleet, '1.1.0'), 'halted');
  assert.deepEqual(fleet.violations, []);
});

test('after a restart a soak passes only on agents that have been heard of since', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 5_000 })] })));
  await fleet.publish('1.0.0');
  const [a, b] = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  for (const agent of [a, b]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  await fleet.restart();
  fleet.clock.advance(6_000);
  await fleet.engine.plan();
  assert.equal(await stateOf(fleet, '1.1.0'), 'soaking');
  for (const agent of [a, b]) await agent.checkIn();
  await fleet.engine.plan();
  assert.equal(await stateOf(fleet, '1.1.0'), 'completed');
});

/** Minutes go by; these agents check in as they are, and the engine plans. */
async function pass(fleet: Fleet, minutes: number, agents: readonly (ModelAgent | undefined)[] = []): Promise<void> {
  for (let minute = 0; minute < minutes; minute += 1) {
    fleet.clock.advance(60_000);
    for (const agent of agents) await agent?.checkIn();
    await fleet.engine.plan();
  }
}

test('a download that never ends uses up the attempts of a host that is there, and the others go on without it', async (t) => {
  const fleet = await openFleet(t, rules({ ...POLICY, stageWithinMs: 1_200_000 }));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('hung'), await fleet.enrol('b'), await fleet.enrol('c')];
  const [hung, ...others] = agents;
  await fleet.publish('1.1.0');
  for (const agent of others) assert.equal(await agent.run(), 'none');
  const hangs = async () => await hung?.run(() => 'download_hangs');
  const said = async () => (await fleet.engine.operator.explain(hung?.id ?? ''))[0]?.trace.at(-1)?.sentence;
  assert.equal(await hangs(), 'downloads');
  await pass(fleet, 21, agents);
  const [explained] = await fleet.engine.operator.explain(hung?.id ?? '');
  const tries = explained?.trace.find(({ rule }) => rule === 'attempts')?.sentence;
  assert.equal(tries, '1 of 2 attempts spent, 1 of them not staged in time');
  assert.equal(await hangs(), 'downloads');
  assert.equal(await stateOf(fleet, '1.1.0'), 'open');
  await fleet.restart();
  await pass(fleet, 21, agents);
  assert.equal(await hangs(), 'quarantined');
  assert.equal(
    await said(),
    'the agent has used up its attempts at this release: 2 of 2 attempts, 2 of them not staged in time',
  );
  assert.equal(await stateOf(fleet, '1.1.0'), 'completed');
  const { lane } = await laneOf(fleet, '1.1.0');
  const [step] = lane.steps;
  assert.deepEqual([step?.counters.inconclusive, step?.counters.exhausted], [1, 1]);
  assert.deepEqual(step?.counters, await foldCounters(fleet.database.db, lane.id, 0, 0));
  await fleet.restart();
  assert.equal(await hangs(), 'quarantined');
});

test('an offer that expires while its host is away costs it nothing', async (t) => {
  const fleet = await openFleet(t, rules({ ...POLICY, stageWithinMs: 1_200_000 }));
  await fleet.publish('1.0.0');
  const [away, other] = [await fleet.enrol('away'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  for (let round = 0; round < 3; round += 1) {
    assert.equal(await away.run(() => 'download_hangs'), 'downloads');
    await pass(fleet, 25, [other]);
  }
  assert.equal(await away.run(), 'none');
});

test('a way back ends although a host that is there never has the old version on its disk', async (t) => {
  const fleet = await openFleet(t, rules({ ...POLICY, stageWithinMs: 1_200_000 }));
  const [hung, other] = [await fleet.enrol('hung'), await fleet.enrol('b')];
  await fleet.publish('1.0.0');
  await fleet.publish('1.1.0');
  for (const agent of [hung, other]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  const { id } = await laneOf(fleet, '1.1.0');
  const words = { actor: 'me', reason: 'it eats the disk', region: null, expectedStep: null, vetoRelease: false };
  await fleet.engine.operator.verb(id, { verb: 'rollback', ...words });
  assert.equal(await other.run(), 'none');
  for (let round = 0; round < 2; round += 1) {
    assert.equal(await stateOf(fleet, '1.1.0'), 'rolling_back');
    assert.equal(await hung.run(() => 'download_hangs'), 'downloads');
    await pass(fleet, 21, [hung]);
  }
  assert.equal(await stateOf(fleet, '1.1.0'), 'rolled_back');
});

test('a member that has succeeded is not out, though an old message denies it while it is pinned, or silent', async (t) => {
  for (const pinned of [true, false]) {
    const fleet = await openFleet(t, rules(POLICY));
    await fleet.publish('1.0.0');
    const agents = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c'), await fleet.enrol('late')];
    const [a, b, c, late] = agents as [ModelAgent, ModelAgent, ModelAgent, ModelAgent];
    await fleet.publish('1.1.0');
    for (const agent of [a, b, c]) assert.equal(await agent.run(), 'none');
    const words = { agentId: a.id, product: 'agentd', version: null, actor: 'anna', reason: 'kernel bug' };
    if (pinned) await fleet.engine.operator.setPin({ ...words, on: true });
    // Sent before it succeeded.
    await a.checkIn({ products: [{ product: 'agentd', version: '1.0.0', digest: digestOf('1.0.0') }] });
    await pass(fleet, pinned ? 1 : 15, [b, c, late]);
    const { lane } = await laneOf(fleet, '1.1.0');
    assert.deepEqual([lane.state.name, lane.steps[0]?.counters.succeeded], ['open', 3], `pinned: ${pinned}`);
  }
});

test('a member that succeeded, was set back and fell silent keeps its seat, and nothing is written for that', async (t) => {
  const steps = [stepPolicy({ count: 3, percent: null, soakMs: 0 }), stepPolicy({ soakMs: 0 })];
  const fleet = await openFleet(t, rules({ ...POLICY, steps }));
  await fleet.publish('1.0.0');
  const agents: ModelAgent[] = [];
  for (let index = 0; index < 6; index += 1) agents.push(await fleet.enrol(`a${index}`));
  await fleet.publish('1.1.0');
  const members: ModelAgent[] = [];
  for (const agent of agents) {
    const [explained] = await fleet.engine.operator.explain(agent.id);
    if (explained?.answer === 'stage') members.push(agent);
  }
  const [setBack, byHand] = members;
  assert(setBack !== undefined && byHand !== undefined);
  const was = setBack.products;
  assert.equal(await setBack.run(), 'none');
  // As many run the release as have succeeded: the count alone does not say that one is missing.
  byHand.products = [{ product: 'agentd', version: '1.1.0', digest: digestOf('1.1.0') }];
  await byHand.checkIn();
  setBack.products = was;
  await setBack.run(() => 'download_hangs');
  const others = agents.filter((agent) => agent !== setBack);
  await pass(fleet, 12, others);
  const { lane } = await laneOf(fleet, '1.1.0');
  await pass(fleet, 3, others);
  assert.equal((await laneOf(fleet, '1.1.0')).lane.revision, lane.revision);
  const { rows } = await sql<{ n: number }>`select count(*) as n from audit where action = 'step.reseated'`.execute(
    fleet.database.db,
  );
  assert.equal(rows[0]?.n, 0);
  assert.equal(lane.state.name, 'open');
});
