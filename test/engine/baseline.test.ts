// Newcomers and agents that return are brought to what their region has completed, under a limit and a budget of their own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldCounters } from '../../src/store/attempts.ts';
import { listBaselineLanes, listRollouts } from '../../src/store/rollouts.ts';
import { digestOf, rules, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

const POLICY = testPolicy({
  steps: [stepPolicy({ soakMs: 0, percent: 50 }), stepPolicy({ soakMs: 0 })],
  baseline: { maxHot: 1, badCount: 2, windowMs: 3_600_000 },
});

/** 1.0.0 is known, two agents have completed 1.1.0: the region's baseline. */
async function openSettled(t: Parameters<typeof openFleet>[0], policy = POLICY): Promise<Fleet> {
  const fleet = await openFleet(t, rules(policy));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  for (let round = 0; round < 3; round += 1) {
    for (const agent of agents) await agent.run();
    await fleet.engine.plan();
  }
  const [rollout] = await listRollouts(fleet.database.db, { limit: 1 });
  assert.equal(rollout?.lanes[0]?.state.name, 'completed');
  assert(rollout?.endedAt !== null);
  return fleet;
}

async function lanesOf(fleet: Fleet) {
  return await listBaselineLanes(fleet.database.db);
}

test('a newcomer with an old version is brought to the baseline although no rollout is going on', async (t) => {
  const fleet = await openSettled(t);
  const late = await fleet.enrol('late');
  assert.equal(await late.run(), 'none');
  assert.equal(late.products[0]?.version, '1.1.0');
  const [lane] = await lanesOf(fleet);
  assert.deepEqual([lane?.kind, lane?.state.name], ['baseline', 'open']);
  assert.deepEqual(lane?.steps[0]?.counters, await foldCounters(fleet.database.db, lane?.id ?? '', 0, 0));
});

test('newcomers go one after another where the limit is one, and a restart changes nothing', async (t) => {
  const fleet = await openSettled(t);
  const [first, second] = [await fleet.enrol('n1'), await fleet.enrol('n2')];
  assert.equal(await first.run(() => 'vanishes'), 'vanished');
  assert.equal(await second.run(), 'at_limit');
  await fleet.restart();
  assert.equal(await second.run(), 'at_limit');
});

test('of a whole image of old agents no more download at a time than may activate, and the next begins at once', async (t) => {
  const fleet = await openSettled(t, { ...POLICY, baseline: { ...POLICY.baseline, maxHot: 2 } });
  const newcomers = [];
  for (const name of ['n1', 'n2', 'n3', 'n4', 'n5']) newcomers.push(await fleet.enrol(name));
  const answers = await Promise.all(newcomers.map((one) => one.checkIn()));
  assert.deepEqual(
    answers.map(({ answer }) => (answer.kind === 'hold' ? answer.reason : answer.kind)),
    ['instruction', 'instruction', 'bandwidth', 'bandwidth', 'bandwidth'],
  );
  const [first, , third] = newcomers;
  assert(first !== undefined && third !== undefined);
  const [told] = await fleet.engine.operator.explain(third.id);
  assert.equal(told?.sentence, 'as many agents as allowed are downloading now: 2 of 2 newcomers in eu-west-1');
  await fleet.restart();
  assert.equal(await third.run(), 'bandwidth');
  const parked = fleet.engine.agents.checkIn(third.report() as never, 25_000, new AbortController().signal);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await first.run(), 'none');
  const { answer } = await parked;
  assert.equal(answer.kind === 'instruction' && answer.action, 'stage');
  const [lane] = await lanesOf(fleet);
  assert.deepEqual(lane?.steps[0]?.counters, await foldCounters(fleet.database.db, lane?.id ?? '', 0, 0));
  assert.equal(lane?.steps[0]?.counters.downloading, 2);
});

test('newcomers that go bad halt the baseline lane alone, within the window only, and nothing is vetoed', async (t) => {
  const fleet = await openSettled(t);
  const [one, two, three, four] = [
    await fleet.enrol('n1'),
    await fleet.enrol('n2'),
    await fleet.enrol('n3'),
    await fleet.enrol('n4'),
  ];
  assert(one !== undefined && two !== undefined && three !== undefined && four !== undefined);
  // The first goes bad, and again when it is offered the release again: still one agent.
  await one.run(() => 'crashes');
  // From when the attempt should have ended at the latest, and as time that was observed.
  for (let minute = 0; minute < 120; minute += 1) {
    fleet.clock.advance(60_000);
    await fleet.engine.plan();
  }
  assert.equal(await two.run(() => 'crashes'), 'quarantined');
  assert.equal((await lanesOf(fleet))[0]?.state.name, 'open');
  // Step by step, since the very reply to the report must know of the halt: it stands in the same transaction.
  const report = (id: string, state: 'staged' | 'rolled_back') => {
    three.attempts = [{ id, product: 'agentd', state, cause: null, detail: null }];
    return three.checkIn();
  };
  const offered = await three.checkIn();
  assert(offered.answer.kind === 'instruction');
  const granted = await report(offered.answer.attempt.id, 'staged');
  assert(granted.answer.kind === 'instruction' && granted.answer.action === 'activate');
  const { answer } = await report(offered.answer.attempt.id, 'rolled_back');
  assert.equal(answer.kind === 'hold' && answer.reason, 'halted');
  assert.equal((await lanesOf(fleet))[0]?.state.name, 'halted');
  assert.equal(await four.run(), 'halted');
  assert.deepEqual(await fleet.database.db.selectFrom('vetoes').selectAll().execute(), []);
});

test('neither a clock that is put forward nor a server that was down forgives newcomers that went bad', async (t) => {
  const fleet = await openSettled(t, { ...POLICY, attemptsPerAgent: 1 });
  const [one, two] = [await fleet.enrol('n1'), await fleet.enrol('n2')];
  await one.run(() => 'crashes');
  fleet.clock.jump(30 * 86_400_000);
  await fleet.restart(86_400_000);
  await fleet.engine.operator.trustClock({ actor: 'dana', reason: 'it is right now' });
  await fleet.engine.plan();
  await two.run(() => 'crashes');
  assert.equal((await lanesOf(fleet))[0]?.state.name, 'halted');
});

test('an agent on its way to the baseline gets into a step that opens: its attempt is withdrawn', async (t) => {
  const ring = { labels: { ring: 'canary' } };
  const canary = stepPolicy({ soakMs: 0, percent: null, ...ring });
  const fleet = await openSettled(t, {
    ...POLICY,
    steps: [canary, stepPolicy({ soakMs: 0 })],
    baseline: { ...POLICY.baseline, maxHot: 2 },
  });
  const [holder, unheard] = [await fleet.enrol('holder', ring), await fleet.enrol('unheard', ring)];
  for (const agent of [holder, unheard]) {
    const { answer } = await agent.checkIn();
    assert(answer.kind === 'instruction' && answer.attempt.version === '1.1.0');
    // The reply to the other one is lost: it holds nothing.
    if (agent === holder)
      agent.attempts = [{ id: answer.attempt.id, product: 'agentd', state: 'offered', cause: null, detail: null }];
  }
  await fleet.publish('1.2.0');
  const dropped = await holder.checkIn();
  assert(dropped.answer.kind === 'instruction' && dropped.answer.action === 'withdraw');
  assert.equal(dropped.answer.attempt.state, 'withdrawn');
  // Twice in one batch: the second hears of the same attempt.
  const answers = await Promise.all([unheard.checkIn(), unheard.checkIn()]);
  const offers = answers.map(({ answer }) => (answer.kind === 'instruction' ? answer.attempt : undefined));
  assert.deepEqual([offers[0]?.version, offers[0]?.id], ['1.2.0', offers[1]?.id]);
  for (const agent of [holder, unheard]) {
    agent.attempts = [];
    assert.equal(await agent.run(), 'none');
    assert.equal(agent.products[0]?.version, '1.2.0');
  }
  const states = await fleet.database.db.selectFrom('attempts').select(['version', 'state']).orderBy('id').execute();
  assert.deepEqual(
    states.filter(({ state }) => state === 'withdrawn').map(({ version }) => version),
    ['1.1.0', '1.1.0'],
  );
  for (const lane of await listBaselineLanes(fleet.database.db))
    assert.deepEqual(lane.steps[0]?.counters, await foldCounters(fleet.database.db, lane.id, 0, 0));
});

test('a new baseline takes the place of the old one, and being inside an opened step beats the baseline', async (t) => {
  const fleet = await openSettled(t);
  const late = await fleet.enrol('late');
  await fleet.publish('1.2.0');
  const rollouts = await listRollouts(fleet.database.db, { liveOnly: true });
  assert.equal(rollouts[0]?.version, '1.2.0');
  // Inside the step or not: it ends at 1.2.0 by its step, or first at 1.1.0 by the baseline.
  const { answer } = await late.checkIn();
  assert(answer.kind === 'instruction');
  const inside = answer.attempt.version === '1.2.0';
  const lane = inside ? rollouts[0]?.lanes[0]?.id : (await lanesOf(fleet))[0]?.id;
  assert.equal(answer.attempt.laneId, lane);
});

test('a baseline lane that has to go because there is a newer one offers nothing more, and goes when nothing is hot', async (t) => {
  const policy = {
    ...POLICY,
    doneRatio: 5000,
    baseline: { ...POLICY.baseline, maxHot: 2 },
    steps: [stepPolicy({ soakMs: 0 })],
  };
  const fleet = await openFleet(t, rules(policy));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  for (const agent of agents) await agent.run();
  await fleet.engine.plan();
  const vanished = await fleet.enrol('vanished');
  assert.equal(await vanished.run(() => 'vanishes'), 'vanished');
  await fleet.publish('1.2.0');
  for (const agent of agents) await agent.run();
  await fleet.engine.plan();
  assert.equal((await listRollouts(fleet.database.db, { limit: 1 }))[0]?.lanes[0]?.state.name, 'completed');
  const late = await fleet.enrol('late');
  assert.equal(await late.run(), 'not_in_step');
  // What is hot ends by itself: the agent comes back and says so.
  assert.equal(await vanished.run(), 'none');
  assert.equal(vanished.products[0]?.version, '1.1.0');
  await fleet.engine.plan();
  for (const agent of [late, vanished]) {
    assert.equal(await agent.run(), 'none');
    assert.equal(agent.products[0]?.version, '1.2.0');
  }
});

test('an agent whose platform the newer release has no file for is brought to the baseline meanwhile', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 3_600_000 })] })));
  const [artifact] = testRelease('1.1.0').artifacts;
  assert(artifact !== undefined);
  const arm = { ...artifact, platform: 'linux-arm64', sha256: digestOf('arm'), assetId: 'arm' };
  await fleet.publish('1.0.0');
  const first = await fleet.enrol('a');
  await fleet.publish('1.1.0', { artifacts: [artifact, arm] });
  await first.run();
  await fleet.engine.plan();
  for (let minute = 0; minute < 61; minute += 1) {
    fleet.clock.advance(60_000);
    await first.checkIn();
    await fleet.engine.plan();
  }
  await fleet.publish('1.2.0');
  const late = await fleet.enrol('late');
  const { answer } = await late.checkIn({ platform: 'linux-arm64' });
  assert.equal(answer.kind === 'instruction' && answer.attempt.version, '1.1.0');
});
