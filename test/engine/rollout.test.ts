// Whole rollouts through the real engine and store: one product, one region, one step.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldCounters } from '../../src/store/attempts.ts';
import { listAudit, verifyAudit } from '../../src/store/audit.ts';
import { listBaselines, listVetoes } from '../../src/store/controls.ts';
import { transaction } from '../../src/store/database.ts';
import { saveRelease } from '../../src/store/releases.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { digestOf, rules, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 30_000 })] });

async function laneOf(fleet: Fleet, version: string) {
  const rollouts = await listRollouts(fleet.database.db, {});
  const lane = rollouts.find((rollout) => rollout.version === version)?.lanes[0];
  assert(lane !== undefined, `a lane of ${version}`);
  return lane;
}

async function checkBooks(fleet: Fleet): Promise<void> {
  for (const rollout of await listRollouts(fleet.database.db, {})) {
    for (const lane of rollout.lanes) {
      for (const step of lane.steps) {
        assert.deepEqual(
          step.counters,
          await foldCounters(fleet.database.db, lane.id, step.step, lane.budgetEpoch),
          `${rollout.version} step ${step.step}`,
        );
      }
    }
  }
  assert.equal((await verifyAudit(fleet.database.db)).ok, true);
}

test('a release reaches every agent, soaks in observed time, and becomes the baseline', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  await fleet.publish('1.1.0');
  for (const agent of agents) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'soaking');
  fleet.clock.advance(29_000);
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'soaking');
  fleet.clock.advance(2_000);
  await fleet.engine.plan();
  const lane = await laneOf(fleet, '1.1.0');
  assert.deepEqual([lane.state.name, 'evidence' in lane.state && lane.state.evidence], ['completed', true]);
  assert.equal(lane.steps[0]?.counters.succeeded, 3);
  assert.deepEqual(
    (await listBaselines(fleet.database.db)).map((one) => one.version),
    ['1.1.0'],
  );
  await checkBooks(fleet);
});

test('a strict budget lets one agent at a time take the risk', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [a, b] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  await fleet.publish('1.1.0');
  assert(a !== undefined && b !== undefined);
  assert.equal(await a.run(() => 'vanishes'), 'vanished');
  assert.equal(await b.run(), 'budget');
  await checkBooks(fleet);
});

test('a version that crashes is undone once: the lane halts, the release is vetoed, nobody else gets it', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  await fleet.publish('1.2.0');
  const [first, second, third] = agents;
  assert(first !== undefined && second !== undefined && third !== undefined);
  const staged = await second.checkIn();
  assert(staged.answer.kind === 'instruction' && staged.answer.action === 'stage');
  second.attempts = [{ id: staged.answer.attempt.id, product: 'agentd', state: 'staged', cause: null, detail: null }];
  assert.equal(await first.run(() => 'crashes'), 'halted');
  const lane = await laneOf(fleet, '1.2.0');
  assert.equal(lane.state.name, 'halted');
  assert.equal((await listVetoes(fleet.database.db))[0]?.version, '1.2.0');
  // The one that had it staged is told to drop it, the third never hears of it.
  const dropped = await second.checkIn();
  assert(dropped.answer.kind === 'instruction');
  assert.equal(dropped.answer.action, 'withdraw');
  assert.equal(await third.run(), 'halted');
  await checkBooks(fleet);

  await fleet.publish('1.2.1');
  for (const agent of agents) assert.equal(await agent.run(), 'none', agent.id);
  assert.deepEqual(
    agents.map((agent) => agent.products[0]?.version),
    ['1.2.1', '1.2.1', '1.2.1'],
  );
  assert.equal((await laneOf(fleet, '1.2.0')).state.name, 'superseded');
  await checkBooks(fleet);
});

test('halt and veto survive a restart of the server', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.2.0');
  await agents[0]?.run(() => 'crashes');
  await fleet.restart();
  assert.equal(await agents[1]?.run(), 'halted');
  assert.equal((await laneOf(fleet, '1.2.0')).state.name, 'halted');
});

test('a repeated check-in gets the same attempt and sequence, and writes nothing more', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  const once = await agent.checkIn();
  const batches = fleet.engine.ledgerStats().batches;
  const again = await agent.checkIn();
  assert(once.answer.kind === 'instruction' && again.answer.kind === 'instruction');
  assert.equal(again.answer.attempt.id, once.answer.attempt.id);
  assert.equal(again.answer.attempt.sequence, once.answer.attempt.sequence);
  assert.equal(fleet.engine.ledgerStats().batches, batches);
});

test('silence after the grant is lost, and lost is bad; a later true report corrects it once', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [agent] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  assert(agent !== undefined);
  await fleet.publish('1.1.0');
  await agent.run(() => 'vanishes');
  const attempt = agent.attempts[0];
  assert(attempt !== undefined);
  for (let minute = 0; minute < 45; minute += 1) {
    fleet.clock.advance(60_000);
    await fleet.engine.plan();
  }
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'halted');
  assert.equal((await laneOf(fleet, '1.1.0')).steps[0]?.counters.bad, 1);
  const written = await listAudit(fleet.database.db, { limit: 20 });
  assert(written.some((row) => row.action === 'release.vetoed' && row.subject === 'agentd@1.1.0'));
  agent.products = agent.products.map((one) => ({ ...one, version: '1.1.0', digest: digestOf('1.1.0') }));
  agent.attempts = [{ ...attempt, state: 'succeeded' }];
  await agent.checkIn();
  const lane = await laneOf(fleet, '1.1.0');
  assert.deepEqual([lane.state.name, lane.steps[0]?.counters.bad, lane.steps[0]?.counters.succeeded], ['halted', 0, 1]);
  agent.attempts = [{ ...attempt, state: 'rolled_back' }];
  await agent.checkIn();
  assert.equal((await laneOf(fleet, '1.1.0')).steps[0]?.counters.succeeded, 1);
  await checkBooks(fleet);
});

test("an agent cannot report on another agent's attempt, and nothing is changed by trying", async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const [a, b] = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  const offered = await a.checkIn();
  assert(offered.answer.kind === 'instruction');
  b.attempts = [
    { id: offered.answer.attempt.id, product: 'agentd', state: 'failed', cause: 'download_failed', detail: null },
  ];
  await assert.rejects(b.checkIn(), { code: 'foreign_attempt' });
  const again = await a.checkIn();
  assert(again.answer.kind === 'instruction');
  assert.equal(again.answer.attempt.id, offered.answer.attempt.id);
});

test('a success that the server never granted, or that the running version contradicts, is refused', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  const offered = await agent.checkIn();
  assert(offered.answer.kind === 'instruction');
  const { id } = offered.answer.attempt;
  agent.attempts = [{ id, product: 'agentd', state: 'succeeded', cause: null, detail: null }];
  await assert.rejects(agent.checkIn(), { code: 'illegal_transition' });
  agent.attempts = [{ id, product: 'agentd', state: 'staged', cause: null, detail: null }];
  await agent.checkIn();
  agent.attempts = [{ id, product: 'agentd', state: 'succeeded', cause: null, detail: null }];
  await assert.rejects(agent.checkIn(), { code: 'conflict' });
});

test('a version that the scheme cannot read is refused, an unknown build is held', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  await assert.rejects(agent.checkIn({ products: [{ product: 'agentd', version: '1.2', digest: 'a'.repeat(64) }] }), {
    code: 'unknown_version',
  });
  const { answer } = await agent.checkIn({
    products: [{ product: 'agentd', version: '1.0.0', digest: 'a'.repeat(64) }],
  });
  assert(answer.kind === 'hold');
  assert.equal(answer.reason, 'unknown_build');
});

test('a product or region that the config does not name is not assigned', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  const { answer } = await agent.checkIn({
    products: [{ product: 'other', version: 'whatever', digest: 'a'.repeat(64) }],
  });
  assert(answer.kind === 'hold');
  assert.equal(answer.reason, 'not_assigned');
});

test('a brake stops admissions and grants at once, and the braked time is not soaked', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  await fleet.engine.operator.setBrake({ scope: 'fleet', on: true, actor: 'me', reason: 'look at it' });
  for (const agent of agents) assert.equal(await agent.run(), 'braked');
  await fleet.engine.operator.setBrake({ scope: 'fleet', on: false, actor: 'me', reason: 'fine' });
  for (const agent of agents) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  fleet.clock.advance(10_000);
  assert.equal(
    await fleet.engine.operator.setBrake({ scope: 'region:eu-west-1', on: true, actor: 'me', reason: 'again' }),
    true,
  );
  assert.equal(
    await fleet.engine.operator.setBrake({ scope: 'region:eu-west-1', on: true, actor: 'me', reason: 'again' }),
    false,
  );
  fleet.clock.advance(50_000);
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'soaking');
  await fleet.engine.operator.setBrake({ scope: 'region:eu-west-1', on: false, actor: 'me', reason: 'fine' });
  fleet.clock.advance(19_000);
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'soaking');
  fleet.clock.advance(2_000);
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'completed');
});

test('a person halts: nothing is granted afterwards, and halting again changes nothing', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await fleet.publish('1.1.0');
  const offered = await agent.checkIn();
  assert(offered.answer.kind === 'instruction');
  agent.attempts = [{ id: offered.answer.attempt.id, product: 'agentd', state: 'staged', cause: null, detail: null }];
  const { rolloutId } = await laneOf(fleet, '1.1.0');
  const halt = { region: null, vetoRelease: false, actor: 'me', reason: 'looks odd' };
  assert.equal(await fleet.engine.operator.halt(rolloutId, halt), true);
  assert.equal(await fleet.engine.operator.halt(rolloutId, halt), false);
  const { answer } = await agent.checkIn();
  assert(answer.kind === 'instruction');
  assert.equal(answer.action, 'withdraw');
  await checkBooks(fleet);
});

test('planning with nothing to do writes nothing', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  if (fleet.database.kind !== 'sqlite') return t.skip('SQLite alone says how much it has written');
  await fleet.publish('1.0.0');
  await fleet.enrol('a');
  await fleet.engine.plan();
  const count = async () =>
    (
      await fleet.database.db
        .selectFrom('audit')
        .select((s) => s.fn.countAll<number>().as('n'))
        .executeTakeFirstOrThrow()
    ).n;
  const before = [await count(), await changes(fleet)];
  await fleet.engine.plan();
  assert.deepEqual([await count(), await changes(fleet)], before);
});

async function changes(fleet: Fleet): Promise<number> {
  const { sql } = await import('kysely');
  const result = await sql<{ n: number }>`select total_changes() as n`.execute(fleet.database.db);
  return result.rows[0]?.n as number;
}

test('what was passed over when a release began does not take its place when that halts: it can be retried', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  const [a, b] = [await fleet.enrol('a', { version: '0.9.0' }), await fleet.enrol('b', { version: '0.9.0' })];
  // Both are there at the first look at a repository; the higher one is the choice.
  await transaction(fleet.database, async (tx) => {
    for (const version of ['0.9.0', '1.0.0']) await saveRelease(tx, testRelease(version));
  });
  await fleet.publish('1.1.0');
  for (const agent of [a, b]) await agent.run(() => 'crashes');
  await fleet.engine.plan();
  const rollouts = await listRollouts(fleet.database.db, {});
  assert.deepEqual(
    rollouts.map(({ version, lanes }) => [version, lanes[0]?.state.name]),
    [['1.1.0', 'halted']],
  );
  // A fix of the line before, published since, does.
  fleet.clock.advance(1_000);
  await fleet.publish('1.0.1', { publishedAt: fleet.clock.now() });
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'superseded');
  assert.equal((await laneOf(fleet, '1.0.1')).state.name, 'open');
});
