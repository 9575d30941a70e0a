// Hard ceilings and bandwidth through the real engine and store: held with a reason, over restarts, never overshot.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Limits, NO_LIMITS } from '../../src/domain/limits.ts';
import { downloadingPlaces, listGrants } from '../../src/store/grants.ts';
import { openHolds } from '../../src/store/holds.ts';
import fc from '../support/fast-check.ts';
import { rules, START, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;
const REGIONS = ['eu-west-1', 'us-east-1'];
// Wide open: only what these tests are about holds anything back.
const WIDE = testPolicy({
  waves: [REGIONS],
  steps: [stepPolicy({ soakMs: 0, budget: 'loose' })],
  badCount: 50,
  maxHot: 100,
});

async function fleetOf(t: test.TestContext, limits: Partial<Limits>, names: string[], regions = REGIONS) {
  const fleet = await openFleet(t, rules(WIDE), regions, undefined, { limits: { ...NO_LIMITS, ...limits } });
  await fleet.publish('1.0.0');
  const agents: ModelAgent[] = [];
  for (const [index, name] of names.entries()) {
    agents.push(await fleet.enrol(name, { region: regions[index % regions.length] as string }));
  }
  await fleet.publish('1.1.0');
  return { fleet, agents };
}

const explained = async (fleet: Fleet, agent: ModelAgent | undefined) =>
  (await fleet.engine.operator.explain(agent?.id ?? ''))[0]?.trace.at(-1)?.sentence;

test('the ceiling of an hour holds agents and lanes of all regions, over a restart, and says until when', async (t) => {
  const { fleet, agents } = await fleetOf(t, { perHour: 2 }, ['a', 'b', 'c', 'd']);
  assert.equal(await agents[0]?.run(), 'none');
  fleet.clock.advance(10 * MINUTE);
  assert.equal(await agents[1]?.run(), 'none');
  assert.equal(await agents[2]?.run(), 'ceiling');
  const told = 'the ceiling of changes per hour or day is reached: 2 of 2 within an hour';
  assert.equal(await explained(fleet, agents[2]), `${told}; the next one may go at 2026-01-01 01:00:00Z`);
  await fleet.engine.plan();
  const holds = await openHolds(fleet.database.db);
  assert.deepEqual(
    holds.filter((hold) => hold.reason === 'ceiling').map(({ sentence, until }) => [sentence, until]),
    [
      [told, START + HOUR],
      [told, START + HOUR],
    ],
  );
  await fleet.restart(20 * MINUTE);
  assert.equal(await agents[2]?.run(), 'ceiling');
  fleet.clock.advance(30 * MINUTE);
  assert.equal(await agents[2]?.run(), 'none');
  assert.equal(await agents[3]?.run(), 'ceiling');
});

test('after the clock went back a grant counts for an hour, not until that time comes again, and explain agrees', async (t) => {
  const { fleet, agents } = await fleetOf(t, { perHour: 1 }, ['a', 'b'], ['eu-west-1']);
  assert.equal(await agents[0]?.run(), 'none');
  fleet.clock.jump(-5 * HOUR);
  await fleet.engine.plan();
  await fleet.engine.operator.trustClock({ actor: 'me', reason: 'it is right now' });
  assert.equal(await agents[1]?.run(), 'ceiling');
  assert.match((await explained(fleet, agents[1])) ?? '', /1 of 1 within an hour/);
  fleet.clock.advance(HOUR);
  await fleet.engine.plan();
  assert.match((await explained(fleet, agents[1])) ?? '', /0 of 1 updates within an hour/);
  assert.equal(await agents[1]?.run(), 'none');
});

test('an agent that a ceiling holds on the line is answered as soon as there is room', async (t) => {
  const { fleet, agents } = await fleetOf(t, { perHour: 1 }, ['a', 'b'], ['eu-west-1']);
  assert.equal(await agents[0]?.run(), 'none');
  assert.equal(await agents[1]?.run(), 'ceiling');
  const parked = fleet.engine.agents.checkIn(agents[1]?.report() as never, 25_000, new AbortController().signal);
  await new Promise((resolve) => setImmediate(resolve));
  fleet.clock.advance(HOUR);
  await fleet.engine.plan();
  const { answer } = await parked;
  assert.equal(answer.kind === 'instruction' && answer.action, 'activate');
});

test('as many download as there are slots; who has one keeps it, and it is free once the bytes are there', async (t) => {
  const { fleet, agents } = await fleetOf(t, { downloads: { fleet: 2, region: 1 } }, ['a', 'b', 'c', 'd']);
  const [a, b, c] = agents as [ModelAgent, ModelAgent, ModelAgent, ModelAgent];
  const first = await a.checkIn();
  assert.equal(first.answer.kind, 'instruction');
  // c stands in a's region, d in b's.
  assert.equal(await c.run(), 'bandwidth');
  assert.equal(await explained(fleet, c), 'as many agents as allowed are downloading now: 1 of 1 in eu-west-1');
  await fleet.restart();
  const again = await a.checkIn();
  assert.deepEqual(
    [again.answer, first.answer].map((one) => one.kind === 'instruction' && one.attempt.id)[0],
    first.answer.kind === 'instruction' && first.answer.attempt.id,
  );
  assert.equal((await b.checkIn()).answer.kind, 'instruction');
  assert.equal(await c.run(), 'bandwidth');
  // Staged and done: the slot is free.
  assert.equal(await a.run(), 'none');
  assert.equal(await c.run(), 'none');
});

test('a download that fails, or that takes too long, gives its slot back', async (t) => {
  const { fleet, agents } = await fleetOf(t, { downloads: { fleet: 1, region: null } }, ['a', 'b']);
  const [a, b] = agents as [ModelAgent, ModelAgent];
  assert.equal(await a.run(() => 'download_fails'), 'quarantined');
  assert.equal((await b.checkIn()).answer.kind, 'instruction');
  assert.equal((await downloadingPlaces(fleet.database.db)).length, 1);
  for (let minute = 0; minute <= 31; minute += 1) {
    fleet.clock.advance(MINUTE);
    await fleet.engine.plan();
  }
  assert.equal((await downloadingPlaces(fleet.database.db)).length, 0);
  const third = await fleet.enrol('c');
  assert.equal((await third.checkIn()).answer.kind, 'instruction');
});

test('however check-ins interleave, neither ceilings nor slots for downloads are overshot', async (t) => {
  const command = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('ask' as const), of: fc.array(fc.nat({ max: 7 })) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), of: fc.constant([]) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), of: fc.constant([]) }) },
  );
  const held = { ceiling: 0, bandwidth: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 15, maxLength: 25 }), async (commands) => {
      const limits = { perHour: 2, perDay: 5, downloads: { fleet: 3, region: 2 } };
      const { fleet, agents } = await fleetOf(t, limits, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
      const grants: number[] = [];
      for (const { kind, of } of commands) {
        if (kind === 'restart') await fleet.restart(MINUTE);
        if (kind === 'wait') fleet.clock.advance(20 * MINUTE);
        // One check-in each, all at once: some begin a download, some end one, some are granted.
        const asked = [...new Set(of)].map(async (index) => {
          const agent = agents[index] as ModelAgent;
          const { answer } = await agent.checkIn();
          if (answer.kind === 'hold' && answer.reason in held) held[answer.reason as keyof typeof held] += 1;
          if (answer.kind !== 'instruction') return;
          const { id, product } = answer.attempt;
          if (answer.action === 'activate') agent.attempts = [];
          else agent.attempts = [{ id, product, state: 'staged', cause: null, detail: null }];
        });
        await Promise.all(asked);
        const places = await downloadingPlaces(fleet.database.db);
        assert(places.length <= 3, `${places.length} download`);
        for (const region of REGIONS) assert(places.filter((one) => one.region === region).length <= 2, region);
      }
      grants.push(...(await listGrants(fleet.database.db, 100)));
      for (const at of grants) {
        assert(grants.filter((one) => one > at - HOUR && one <= at).length <= 2, 'an hour');
        assert(grants.filter((one) => one > at - 24 * HOUR && one <= at).length <= 5, 'a day');
      }
    }),
    { numRuns: 6 },
  );
  assert(held.ceiling > 5 && held.bandwidth > 5, JSON.stringify(held));
});

test('a free slot for a download wakes one of those that wait for it on the line, wherever it became free', async (t) => {
  const { fleet, agents } = await fleetOf(t, { downloads: { fleet: 1, region: null } }, ['a', 'b', 'c', 'd']);
  const [a, b, c, d] = agents as [ModelAgent, ModelAgent, ModelAgent, ModelAgent];
  const { answer } = await a.checkIn();
  assert(answer.kind === 'instruction');
  // c stands in a's region, b and d in the other one.
  const answered: string[] = [];
  const waiting = [b, d, c].map(async (agent, index) => {
    const found = await fleet.engine.agents.checkIn(agent.report(), 25_000, new AbortController().signal);
    answered.push(`${'bdc'[index]} ${found.answer.kind}`);
  });
  await new Promise((resolve) => setImmediate(resolve));
  a.attempts = [{ id: answer.attempt.id, product: 'agentd', state: 'staged', cause: null, detail: null }];
  await a.checkIn();
  await Promise.any(waiting);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(answered.length, 1, answered.join(', '));
  assert.match(answered[0] ?? '', /^[bc] instruction$/);
});
