// Agent × release: attempts used up in one lane hold in every lane of the release, until a person clears them or retries the lane.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldCounters } from '../../src/store/attempts.ts';
import { listAudit } from '../../src/store/audit.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 0 })], attemptsPerAgent: 2, badRatio: 5000, badCount: 5 });

async function laneOf(fleet: Fleet, version: string) {
  const found = (await listRollouts(fleet.database.db, {})).find((rollout) => rollout.version === version);
  const lane = found?.lanes[0];
  assert(lane !== undefined);
  return lane;
}

async function clear(fleet: Fleet, agent: ModelAgent, version = '1.1.0') {
  const words = { product: 'agentd', actor: 'anna', reason: 'new disk' };
  return await fleet.engine.operator.clearQuarantine({ agentId: agent.id, version, ...words });
}

/** Ten agents; the first has failed twice, the others have the release. */
async function failing(t: Parameters<typeof openFleet>[0], how: 'crashes' | 'download_fails') {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agents: ModelAgent[] = [];
  for (let index = 0; index < 10; index += 1) agents.push(await fleet.enrol(`a${index}`));
  await fleet.publish('1.1.0');
  const [first, ...others] = agents as [ModelAgent, ...ModelAgent[]];
  assert.equal(await first.run(() => how), 'quarantined');
  return { fleet, first, others };
}

test('what was used up in the rollout holds in the baseline lane, after a restart as well, until it is cleared', async (t) => {
  const { fleet, first, others } = await failing(t, 'download_fails');
  for (const agent of others) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'completed');
  for (const again of [false, true]) {
    if (again) await fleet.restart();
    assert.equal(await first.run(), 'quarantined');
    assert.equal(fleet.engine.agents.answerAtOnce(first.report())?.answer.kind, 'hold', 'memory knows it too');
    const { quarantined } = fleet.engine.operator.quarantined('agentd', 10);
    assert.deepEqual(
      quarantined.map(({ agentId, version, attempts, limit }) => ({ agentId, version, attempts, limit })),
      [{ agentId: first.id, version: '1.1.0', attempts: 2, limit: 2 }],
    );
  }
  assert.deepEqual(await clear(fleet, first), { version: '1.1.0', changed: true, attempts: 2 });
  assert.deepEqual(await clear(fleet, first), { version: '1.1.0', changed: false, attempts: 0 });
  assert.deepEqual(fleet.engine.operator.quarantined(null, 10).quarantined, []);
  await fleet.restart();
  assert.equal(await first.run(() => 'download_fails'), 'quarantined', 'two more tries, and no third');
  await clear(fleet, first);
  assert.equal(await first.run(), 'none');
  assert.equal(first.products[0]?.version, '1.1.0');
  const entries = await listAudit(fleet.database.db, { limit: 500 });
  assert.equal(
    entries.filter(({ action, subject }) => action === 'quarantine.cleared' && subject === first.id).length,
    2,
  );
});

test('a bad attempt stays counted in the step after it is cleared, and a success beside it changes nothing', async (t) => {
  const { fleet, first, others } = await failing(t, 'crashes');
  const before = await laneOf(fleet, '1.1.0');
  assert.equal(before.steps[0]?.counters.bad, 1);
  await clear(fleet, first);
  assert.equal(await first.run(), 'none');
  const { id, budgetEpoch, steps } = await laneOf(fleet, '1.1.0');
  assert.deepEqual([steps[0]?.counters.bad, steps[0]?.counters.succeeded], [1, 0]);
  assert.deepEqual(steps[0]?.counters, await foldCounters(fleet.database.db, id, 0, budgetEpoch));
  for (const agent of others) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'completed');
});

test('a retry of the lane forgives what was tried in it', async (t) => {
  const { fleet, first } = await failing(t, 'download_fails');
  const { rolloutId } = await laneOf(fleet, '1.1.0');
  const words = { region: null, expectedStep: null, vetoRelease: false, actor: 'me', reason: 'because' };
  for (const verb of ['halt', 'retry'] as const) await fleet.engine.operator.verb(rolloutId, { ...words, verb });
  assert.equal((await clear(fleet, first)).changed, false);
  assert.equal(await first.run(), 'none');
});

test('what is refused: a release that nobody has tried, or that there is none', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await assert.rejects(clear(fleet, agent, '3.0.0'), { code: 'not_found', hint: 'The newest are: 1.0.0.' });
  await fleet.publish('0.9.0');
  await assert.rejects(clear(fleet, agent, '0.9.0'), { code: 'not_found', hint: 'See `tidegate quarantine list`.' });
  assert.equal((await clear(fleet, agent, '1.0.0')).changed, false);
});

test('a member that declined and then fell silent is out once, not twice', async (t) => {
  const fleet = await openFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  const agents: ModelAgent[] = [];
  for (let index = 0; index < 10; index += 1) agents.push(await fleet.enrol(`a${index}`));
  await fleet.publish('1.1.0');
  const [declining, slow, ...rest] = agents as [ModelAgent, ModelAgent, ...ModelAgent[]];
  const { answer } = await declining.checkIn();
  assert(answer.kind === 'instruction');
  const { id } = answer.attempt;
  declining.attempts = [{ id, product: 'agentd', state: 'declined', cause: 'host_policy', detail: null }];
  await declining.checkIn();
  for (let minute = 0; minute < 12; minute += 1) {
    fleet.clock.advance(60_000);
    for (const agent of [slow, ...rest]) await agent.checkIn();
  }
  for (const agent of rest) assert.equal(await agent.run(), 'none');
  await fleet.engine.plan();
  // Nine can still give evidence, so nine must: eight would do for eight.
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'open');
  assert.equal(await slow.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '1.1.0')).state.name, 'completed');
});
