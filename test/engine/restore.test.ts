// A restored database through the real engine: nothing granted until a person resumes, agents stale until they have
// reported, and what they did meanwhile adopted.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ReportedAttempt } from '../../src/domain/agent.ts';
import { attemptsById, foldCounters } from '../../src/store/attempts.ts';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import { listVetoes } from '../../src/store/controls.ts';
import { transaction } from '../../src/store/database.ts';
import { setMeta } from '../../src/store/meta.ts';
import { markRestored } from '../../src/store/restored.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { listStale } from '../../src/store/stale-agents.ts';
import { digestOf, rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 0 })], badCount: 2 });
const RELEASE_BRAKE = { scope: 'fleet', on: false, actor: 'dana', reason: 'looked at it' } as const;

test('nothing is granted until a person resumes, and each agent is stale until it has reported', async (t) => {
  const fleet = await twoAgents(t);
  const [a, b] = fleet.agents;
  assert.equal((await a.checkIn()).answer.kind, 'instruction');
  await restore(fleet);
  assert.equal(fleet.engine.agents.epoch(), 8);
  assert.equal(await explained(fleet, b), 'the agent has not reported since the server was restored');
  assert.equal(await b.run(), 'braked');
  assert.match(await explained(fleet, b), /^a person has set the brake: fleet: restored from nightly\.db/);
  assert.deepEqual(await listStale(fleet.database.db), [a.id]);
  await fleet.restart();
  assert.equal(await b.run(), 'braked');
  await fleet.engine.operator.setBrake(RELEASE_BRAKE);
  assert.equal(fleet.engine.operator.isPresent(a.handle), false);
  assert.equal(await a.run(), 'none');
  assert.equal(await b.run(), 'none');
  assert.deepEqual([a.products[0]?.version, b.products[0]?.version], ['1.1.0', '1.1.0']);
  assert.deepEqual(await listStale(fleet.database.db), []);
  const restored = (await listAudit(fleet.database.db, { limit: 100 })).find(
    (one) => one.action === 'database.restored',
  );
  assert.deepEqual(restored?.data, { from: 'nightly.db', was: 1, epoch: 8, stale: 2 });
  assert.equal((await verifyAudit(fleet.database.db)).ok, true);
});

test('an agent that is stale is no member of a step that opens', async (t) => {
  const fleet = await twoAgents(t);
  const [a, b] = fleet.agents;
  for (const agent of [a, b]) await agent.run();
  await restore(fleet);
  await b.checkIn();
  await fleet.engine.operator.setBrake(RELEASE_BRAKE);
  await fleet.publish('1.2.0');
  const lane = await laneOf(fleet, '1.2.0');
  assert.deepEqual([lane?.state.name, lane?.steps[0]?.size], ['open', 1]);
  assert.equal(await a.run(), 'none');
  assert.equal(a.products[0]?.version, '1.2.0');
});

test('a success that was acknowledged after the backup counts, at whichever state the backup has the attempt', async (t) => {
  for (const behaviour of ['offered', 'staged', 'granted'] as const) {
    const fleet = await twoAgents(t);
    const [a] = fleet.agents;
    const id = await until(fleet, a, behaviour);
    await restore(fleet);
    a.attempts = [];
    a.products = [{ product: 'agentd', version: '1.1.0', digest: digestOf('1.1.0') }];
    await a.checkIn();
    assert.equal(await stateOf(fleet, id), 'succeeded', behaviour);
    assert.equal((await counters(fleet))?.succeeded, 1);
  }
});

test('what was granted and is neither held nor run is lost, and a lost one is bad', async (t) => {
  const fleet = await twoAgents(t);
  const [a] = fleet.agents;
  const id = await until(fleet, a, 'granted');
  await restore(fleet);
  a.attempts = [];
  await a.checkIn();
  assert.equal(await stateOf(fleet, id), 'lost');
  assert.deepEqual([(await counters(fleet))?.bad, (await counters(fleet))?.hot], [1, 0]);
});

test('an attempt that the backup has as staged is adopted as the agent tells it, once', async (t) => {
  const rows: [ReportedAttempt['state'], string][] = [
    ['activating', 'activating'],
    ['proving', 'proving'],
    ['rolled_back', 'rolled_back'],
    ['failed', 'failed'],
    ['inconclusive', 'inconclusive'],
  ];
  for (const [state, expected] of rows) {
    const fleet = await twoAgents(t);
    const [a] = fleet.agents;
    const id = await until(fleet, a, 'staged');
    await restore(fleet);
    a.attempts = [{ ...(a.attempts[0] as ReportedAttempt), state, cause: 'crash_loop' }];
    const report = a.report();
    await a.checkIn();
    await fleet.engine.agents.checkIn(report, 0, new AbortController().signal);
    assert.equal(await stateOf(fleet, id), expected);
    assert.notEqual((await attemptsById(fleet.database.db, [id]))[0]?.grantedAt, null);
    assert.equal((await adopted(fleet)).length, 1);
    const bad = ['rolled_back', 'failed'].includes(state) ? 1 : 0;
    assert.equal((await counters(fleet))?.bad, bad, state);
  }
});

test('without a restore no agent can tell more than it was granted', async (t) => {
  const fleet = await twoAgents(t);
  const [a] = fleet.agents;
  await until(fleet, a, 'staged');
  a.attempts = [{ ...(a.attempts[0] as ReportedAttempt), state: 'proving' }];
  await assert.rejects(a.checkIn(), { code: 'illegal_transition' });
  a.attempts = [unknown('rolled_back')];
  await a.checkIn();
  assert.deepEqual(await adopted(fleet), []);
});

test('the outcome of an attempt that the backup does not know is booked in the step, and spends its budget', async (t) => {
  const fleet = await twoAgents(t);
  const [a, b] = fleet.agents;
  await restore(fleet);
  a.attempts = [unknown('proving', 1)];
  assert.equal((await a.checkIn()).answer.kind === 'hold', true);
  assert.equal(await explained(fleet, a), 'the agent has not reported since the server was restored');
  a.attempts = [unknown('rolled_back', 1)];
  const again = a.report();
  await a.checkIn();
  assert.deepEqual(a.attempts, [], 'acknowledged');
  await fleet.engine.agents.checkIn(again, 0, new AbortController().signal);
  assert.equal((await counters(fleet))?.bad, 1);
  b.attempts = [unknown('rolled_back', 2)];
  await b.checkIn();
  const lane = await laneOf(fleet, '1.1.0');
  assert.equal(lane?.state.name, 'halted');
  assert.equal((await listVetoes(fleet.database.db)).length, 1);
  const step = lane?.steps[0];
  assert.deepEqual(await foldCounters(fleet.database.db, lane?.id as string, 0, 0), step?.counters);
  assert.deepEqual([step?.counters.bad, step?.counters.badMembers], [2, 2]);
  assert.equal((await adopted(fleet)).length, 2);
});

test('a success that the backup does not know counts, and a bad outcome that no lane can count vetoes the release', async (t) => {
  const fleet = await twoAgents(t);
  const [a, b] = fleet.agents;
  await restore(fleet);
  a.products = [{ product: 'agentd', version: '1.1.0', digest: digestOf('1.1.0') }];
  a.attempts = [{ id: unknown('succeeded').id, product: 'agentd', state: 'succeeded', cause: null, detail: null }];
  await a.checkIn();
  assert.equal((await counters(fleet))?.succeeded, 1);
  await fleet.publish('1.2.0');
  b.attempts = [{ ...unknown('rolled_back', 2), version: '1.2.0', digest: digestOf('1.2.0') }];
  await b.checkIn();
  const [veto] = await listVetoes(fleet.database.db);
  assert.deepEqual([veto?.version, veto?.automatic], ['1.2.0', true]);
  assert.match(veto?.reason ?? '', /after the restore agent b reports 1\.2\.0 as bad \(crash_loop\)/);
});

test('of what the backup knows nothing of, or a way back, the audit alone has the outcome', async (t) => {
  const rows = [
    { version: '9.9.9', digest: digestOf('9.9.9') },
    { version: '1.1.0', digest: digestOf('another build') },
    { version: '1.0.0', digest: digestOf('1.0.0') },
    {},
  ];
  for (const said of rows) {
    const fleet = await twoAgents(t);
    const [a] = fleet.agents;
    await restore(fleet);
    const { version: _, digest: __, ...rest } = unknown('rolled_back');
    a.attempts = [{ ...rest, ...said }];
    await a.checkIn();
    assert.deepEqual(a.attempts, []);
    assert.equal((await adopted(fleet))[0]?.booked, false);
    assert.deepEqual(await listVetoes(fleet.database.db), []);
    assert.equal((await counters(fleet))?.bad, 0);
  }
});

test('a brake that stood at the backup stays, with its reason', async (t) => {
  const fleet = await twoAgents(t);
  await fleet.engine.operator.setBrake({ ...RELEASE_BRAKE, on: true, reason: 'the exchange is open' });
  await restore(fleet);
  assert.match(await explainedAfter(fleet), /restored from nightly\.db.*on before that because: the exchange is open/);
});

test('where nobody can read how far the epoch had come, it leaps', async (t) => {
  const fleet = await twoAgents(t);
  assert.equal((await markRestored(fleet.database, { now: 1, from: 'x', lastEpoch: null })).epoch, 1_001);
  // The same backup again, over a damaged database again: agents have heard of 1001.
  await transaction(fleet.database, (tx) => setMeta(tx, 'epoch', '1'));
  assert.equal((await markRestored(fleet.database, { now: 1_001_999, from: 'x', lastEpoch: null })).epoch, 1_001);
  await transaction(fleet.database, (tx) => setMeta(tx, 'epoch', '1'));
  assert.equal((await markRestored(fleet.database, { now: 1_002_000, from: 'x', lastEpoch: null })).epoch, 1_002);
});

interface Two extends Fleet {
  agents: [ModelAgent, ModelAgent];
}

/** Both at 1.0.0, in the one step of 1.1.0. */
async function twoAgents(t: TestContext, policy = POLICY): Promise<Two> {
  const fleet = await openFleet(t, rules(policy));
  await fleet.publish('1.0.0');
  const agents: [ModelAgent, ModelAgent] = [await fleet.enrol('a'), await fleet.enrol('b')];
  for (const agent of agents) await agent.checkIn();
  await fleet.publish('1.1.0');
  return Object.assign(fleet, { agents });
}

/** The database as it is now was the backup; the one that is lost had come to epoch 7. */
async function restore(fleet: Fleet): Promise<void> {
  await fleet.engine.close();
  await markRestored(fleet.database, { now: fleet.clock.now(), from: 'nightly.db', lastEpoch: 7 });
  await fleet.restart();
}

/** Takes the agent's attempt there; returns its id. */
async function until(fleet: Fleet, agent: ModelAgent, state: 'offered' | 'staged' | 'granted'): Promise<string> {
  const { answer } = await agent.checkIn();
  assert(answer.kind === 'instruction');
  const { id, product } = answer.attempt;
  agent.attempts = [{ id, product, state: state === 'offered' ? 'offered' : 'staged', cause: null, detail: null }];
  if (state === 'offered') return id;
  // Else the report that it is staged brings the grant at once.
  if (state === 'staged') await fleet.engine.operator.setBrake({ ...RELEASE_BRAKE, on: true });
  await agent.checkIn();
  await fleet.engine.operator.setBrake(RELEASE_BRAKE);
  assert.equal(await stateOf(fleet, id), state);
  return id;
}

function unknown(state: ReportedAttempt['state'], nth = 1): ReportedAttempt {
  const id = `01890000-0000-7000-8000-00000000000${nth}`;
  return {
    id,
    product: 'agentd',
    state,
    version: '1.1.0',
    digest: digestOf('1.1.0'),
    cause: 'crash_loop',
    detail: null,
  };
}

async function laneOf(fleet: Fleet, version: string) {
  return (await listRollouts(fleet.database.db, {})).find((one) => one.version === version)?.lanes[0];
}
async function counters(fleet: Fleet) {
  return (await laneOf(fleet, '1.1.0'))?.steps[0]?.counters;
}
async function stateOf(fleet: Fleet, id: string) {
  return (await attemptsById(fleet.database.db, [id]))[0]?.state;
}
async function explained(fleet: Fleet, agent: ModelAgent) {
  return (await fleet.engine.operator.explain(agent.id))[0]?.sentence ?? '';
}
async function explainedAfter(fleet: Two) {
  await fleet.agents[0].checkIn();
  return await explained(fleet, fleet.agents[0]);
}
async function adopted(fleet: Fleet): Promise<Record<string, unknown>[]> {
  const rows = await listAudit(fleet.database.db, { limit: 200 });
  return rows.filter((one) => one.action === 'attempt.adopted').map((one) => one.data as Record<string, unknown>);
}
