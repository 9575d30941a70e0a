// Agents held for reasons of their own: what their hosts lack, how they feel, what they run; and that no lane waits for them for ever.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policy } from '../../src/domain/policy.ts';
import type { Requirement } from '../../src/domain/requirement.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 0 })], badRatio: 2000, badCount: 2 });
const KERNEL: Requirement = { versions: '>=1.1', fact: 'kernel', rule: 'atLeast', wanted: ['5.10'], reason: null };
const REQUIRING = rules(POLICY, { requirements: [KERNEL] });

async function laneOf(fleet: Fleet, version: string) {
  const rollouts = await listRollouts(fleet.database.db, {});
  const lane = rollouts.find((rollout) => rollout.version === version)?.lanes[0];
  return { state: lane?.state.name, size: lane?.steps[0]?.size };
}

async function passedOver(fleet: Fleet, version: string) {
  const rollouts = (await listRollouts(fleet.database.db, {})).filter((rollout) => rollout.version === version);
  const found = await fleet.engine.operator.passedOver(rollouts);
  return [...found.values()].flat();
}

async function enrolThree(fleet: Fleet): Promise<[ModelAgent, ModelAgent, ModelAgent]> {
  return [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
}

/** As long as a lane waits for who is held; the others check in meanwhile. */
async function letStaleTimePass(fleet: Fleet, present: readonly ModelAgent[]): Promise<void> {
  for (let minute = 0; minute < 11; minute += 1) {
    fleet.clock.advance(60_000);
    for (const agent of present) await agent.checkIn();
  }
  await fleet.engine.plan();
}

test('who does not have what the release requires is no member, is told so, and the lane completes without it', async (t) => {
  const fleet = await openFleet(t, REQUIRING);
  await fleet.publish('1.0.0');
  const [a, b, c] = await enrolThree(fleet);
  await a.checkIn({ facts: { kernel: '5.10.0-21' } });
  await b.checkIn({ facts: { kernel: '6.1', other: 'x' } });
  await c.checkIn({ facts: { kernel: '4.19' } });
  await fleet.publish('1.1.0');
  assert.deepEqual(await laneOf(fleet, '1.1.0'), { state: 'open', size: 2 });
  assert.equal(await c.run(), 'requirement_unmet');
  const [explained] = await fleet.engine.operator.explain(c.id);
  assert.equal(
    explained?.trace.at(-1)?.sentence,
    'the host does not meet what the release requires: kernel: wanted at least 5.10, found 4.19',
  );
  for (const agent of [a, b]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.deepEqual(await laneOf(fleet, '1.1.0'), { state: 'completed', size: 2 });
  assert.deepEqual(await passedOver(fleet, '1.1.0'), [
    { reason: 'requirement_unmet', agents: 1, detail: 'kernel: wanted at least 5.10, found 4.19' },
  ]);
  // The facts are in force from the check-in that brings them; by then the region has the release as its baseline.
  await c.checkIn({ facts: { kernel: '5.15' } });
  assert.deepEqual(await passedOver(fleet, '1.1.0'), []);
  assert.equal(await c.run(), 'none');
  assert.equal(c.products[0]?.version, '1.1.0');
});

test('a lane that is open leaves out who is pinned or lacks something, and a rehearsal knows of it too', async (t) => {
  const fleet = await openFleet(t, REQUIRING);
  await fleet.publish('1.0.0');
  const [a, b, c] = await enrolThree(fleet);
  for (const agent of [a, b]) await agent.checkIn({ facts: { kernel: '6.1' } });
  await c.checkIn({ facts: { kernel: '4.19' } });
  const pin = { agentId: b.id, product: 'agentd', version: null, on: true, actor: 'dana', reason: 'under test' };
  await fleet.engine.operator.setPin(pin);
  await fleet.publish('1.1.0');
  const expected = [
    { reason: 'pinned', agents: 1, detail: null },
    { reason: 'requirement_unmet', agents: 1, detail: 'kernel: wanted at least 5.10, found 4.19' },
  ];
  assert.deepEqual(await passedOver(fleet, '1.1.0'), expected);
  const { rehearsal, assumptions } = await fleet.engine.operator.rehearse({ product: 'agentd', version: '1.2.0' });
  assert.equal(rehearsal.agents.total, 1);
  assert(assumptions.includes('1 agent is passed over: kernel: wanted at least 5.10, found 4.19'), assumptions.join());
  assert(assumptions.includes('1 agent is passed over: pinned'));
  assert(assumptions.includes('every other host meets what is required of it, by the facts that it reports now'));
  const all = await fleet.engine.operator.rehearse({ product: 'agentd', version: '1.0.5' });
  assert.equal(all.rehearsal.agents.total, 2, 'nothing is required of 1.0.5');
});

test('a rehearsal leaves out who would not be brought to the release, and sends the others over the floors', async (t) => {
  const floors = [{ version: '1.0.5', reason: 'it moves the state' }];
  const fleet = await openFleet(t, { ...REQUIRING, requirements: [], floors });
  for (const version of ['1.0.0', '1.0.5']) await fleet.publish(version);
  const [, b, c] = await enrolThree(fleet);
  await b.checkIn({ health: 'unhealthy', healthReason: 'its disk is full' });
  await c.checkIn({ products: [{ product: 'agentd', version: '1.0.0', digest: 'e'.repeat(64) }] });
  const { operator } = fleet.engine;
  const { rehearsal, assumptions } = await operator.rehearse({ product: 'agentd', version: '1.2.0' });
  assert.deepEqual([rehearsal.agents.total, rehearsal.agents.updated], [1, 1]);
  assert.deepEqual(
    assumptions.filter((one) => /passed over|floor|stop/.test(one)),
    [
      '1 agent is passed over: the agent reports itself unhealthy',
      '1 agent is passed over: the agent runs a build that no release has',
      'every region has 1.0.5, where agents below stop first',
    ],
  );
  const described = [
    { region: 'eu-west-1', platform: 'linux-x64', version: '1.0.0', labels: {}, agents: 3 },
    { region: 'eu-west-1', platform: 'linux-arm64', version: '1.0.0', labels: {}, agents: 2 },
  ];
  const given = await operator.rehearse({ product: 'agentd', version: '1.2.0', fleet: described });
  assert.equal(given.rehearsal.agents.updated, 3);
  assert(
    given.assumptions.includes(
      '2 agents are passed over: 1.0.5 must not be jumped over, and there is no release of it for linux-arm64',
    ),
    given.assumptions.join(),
  );
});

test('a restart forgets no facts', async (t) => {
  const fleet = await openFleet(t, REQUIRING);
  await fleet.publish('1.0.0');
  const a = await fleet.enrol('a');
  assert.equal((await a.checkIn()).wantFacts, true);
  await a.checkIn({ facts: { kernel: '5.10' } });
  await fleet.restart();
  await fleet.publish('1.1.0');
  assert.equal(await a.run(), 'none');
  assert.equal(a.products[0]?.version, '1.1.0');
});

test('a member that comes to lack something is waited for, then out', async (t) => {
  const fleet = await openFleet(t, REQUIRING);
  await fleet.publish('1.0.0');
  const agents = await enrolThree(fleet);
  for (const agent of agents) await agent.checkIn({ facts: { kernel: '5.10' } });
  await fleet.publish('1.1.0');
  const [a, b, c] = agents;
  // Staged, and not granted since the facts have changed.
  await c.checkIn();
  const { answer } = await c.checkIn({ facts: { kernel: '4.19' } });
  assert.equal(answer.kind === 'hold' && answer.reason, 'requirement_unmet');
  for (const agent of [a, b]) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.deepEqual(await laneOf(fleet, '1.1.0'), { state: 'open', size: 3 });
  await letStaleTimePass(fleet, agents);
  assert.deepEqual(await laneOf(fleet, '1.1.0'), { state: 'completed', size: 3 });
});

const SICK = { health: 'unhealthy', healthReason: 'the metadata service is closed to it' } as const;

function underPolicy(unhealthy: Policy['unhealthy']) {
  const steps = [stepPolicy({ percent: 34, soakMs: 0 }), stepPolicy({ soakMs: 0 })];
  return rules({ ...POLICY, unhealthy, steps });
}

test('unhealthy under hold: no member, told why, brought to the release once it is well', async (t) => {
  const fleet = await openFleet(t, underPolicy('hold'));
  await fleet.publish('1.0.0');
  const [a, b, c] = await enrolThree(fleet);
  await c.checkIn(SICK);
  await fleet.publish('1.1.0');
  const { answer } = await c.checkIn(SICK);
  assert.deepEqual(answer, {
    kind: 'hold',
    reason: 'unhealthy',
    sentence: 'the agent reports itself unhealthy: the metadata service is closed to it',
  });
  for (let round = 0; round < 3; round += 1) {
    for (const agent of [a, b]) await agent.run();
    await fleet.engine.plan();
  }
  assert.equal((await laneOf(fleet, '1.1.0')).state, 'completed');
  assert.equal(await c.run(), 'none');
  assert.equal(c.products[0]?.version, '1.1.0');
});

test('a region in which everybody is unhealthy waits, and does not pass as if there were nothing to do', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const a = await fleet.enrol('a');
  await a.checkIn(SICK);
  await fleet.publish('1.1.0');
  assert.deepEqual(await laneOf(fleet, '1.1.0'), { state: 'waiting', size: undefined });
  assert.equal(await a.run(), 'not_in_step');
  await fleet.engine.plan();
  assert.equal(await a.run(), 'none');
  await fleet.engine.plan();
  assert.deepEqual(await laneOf(fleet, '1.1.0'), { state: 'completed', size: 1 });
});

test('unhealthy under update: like any other', async (t) => {
  const fleet = await openFleet(t, rules({ ...POLICY, unhealthy: 'update' }));
  await fleet.publish('1.0.0');
  const agents = await enrolThree(fleet);
  await agents[2].checkIn(SICK);
  await fleet.publish('1.1.0');
  assert.deepEqual(await laneOf(fleet, '1.1.0'), { state: 'open', size: 3 });
});

test('unhealthy under first: in the first step, whatever its rank', async (t) => {
  const fleet = await openFleet(t, underPolicy('first'));
  await fleet.publish('1.0.0');
  const agents = await enrolThree(fleet);
  for (const agent of agents) await agent.checkIn(SICK);
  await fleet.publish('1.1.0');
  assert.deepEqual(await laneOf(fleet, '1.1.0'), { state: 'open', size: 3 });
  for (const agent of agents) assert.equal((await agent.checkIn(SICK)).answer.kind, 'instruction');
});

test('unknown builds that the product lets be updated are members, and are updated', async (t) => {
  const fleet = await openFleet(t, rules(POLICY, { unknownBuilds: 'update' }));
  await fleet.publish('1.0.0');
  const a = await fleet.enrol('a');
  a.products = [{ product: 'agentd', version: '1.0.0', digest: 'f'.repeat(64) }];
  await a.checkIn();
  await fleet.publish('1.1.0');
  assert.equal(await a.run(), 'none');
  assert.equal(a.products[0]?.version, '1.1.0');
});

test('unknown builds that are held are no members, also at the version that goes out', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [a, b, c] = await enrolThree(fleet);
  b.products = [{ product: 'agentd', version: '1.0.0', digest: 'f'.repeat(64) }];
  c.products = [{ product: 'agentd', version: '1.1.0', digest: 'f'.repeat(64) }];
  for (const agent of [b, c]) await agent.checkIn();
  await fleet.publish('1.1.0');
  assert.deepEqual(await laneOf(fleet, '1.1.0'), { state: 'open', size: 1 });
  for (const agent of [b, c]) assert.equal(await agent.run(), 'unknown_build');
  assert.equal(await a.run(), 'none');
});
