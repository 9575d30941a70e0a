// Limits over all lanes, windows at the grant, and seats that pass on: through the real engine and store.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import { hotPlaces } from '../../src/store/attempts.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import fc from '../support/fast-check.ts';
import { rules, START, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type ModelAgent, openFleet } from '../support/fleet.ts';

const LOOSE = testPolicy({
  waves: [['eu-west-1', 'us-east-1']],
  steps: [stepPolicy({ soakMs: 0, budget: 'loose' })],
  badCount: 50,
});
const REGIONS = ['eu-west-1', 'us-east-1'];

test('the fleet’s, a region’s and a site’s limit each hold a grant back, and a free slot lets it go', async (t) => {
  const limits = { ...NO_LIMITS, fleet: 2, region: 2, site: { label: 'rack', max: 1 } };
  const fleet = await openFleet(t, rules(LOOSE), REGIONS, undefined, { limits });
  await fleet.publish('1.0.0');
  const a = await fleet.enrol('a', { labels: { rack: 'r1' } });
  const b = await fleet.enrol('b', { labels: { rack: 'r1' } });
  const c = await fleet.enrol('c', { labels: { rack: 'r2' } });
  const d = await fleet.enrol('d', { region: 'us-east-1' });
  await fleet.publish('1.1.0');
  assert.equal(await a.run(() => 'vanishes'), 'vanished');
  assert.equal(await b.run(), 'site_limit');
  assert.equal(await c.run(() => 'vanishes'), 'vanished');
  assert.equal(await d.run(), 'at_limit');
  a.products = [{ product: 'agentd', version: '1.1.0', digest: c.products[0]?.digest as string }];
  assert.equal((await hotPlaces(fleet.database.db)).length, 2);
});

test('nothing is granted outside a window, staging goes on, and no grant is made that the window cannot cover', async (t) => {
  // 1 January 2026 is a Thursday; the fleet's clock begins at midnight UTC.
  const windows = { allow: [{ days: ['thu' as const], from: 60, to: 120 }], deny: [] };
  const calendars = [{ region: 'eu-west-1', timeZone: 'UTC', windows }];
  const policy = testPolicy({
    waves: [['eu-west-1']],
    steps: [stepPolicy({ soakMs: 0, budget: 'loose' })],
    badCount: 9,
  });
  const fleet = await openFleet(t, rules(policy), ['eu-west-1'], undefined, { calendars });
  await fleet.publish('1.0.0');
  const [a, b] = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  const lane = async () => (await listRollouts(fleet.database.db, {})).find((one) => one.version === '1.1.0')?.lanes[0];
  assert.equal((await lane())?.state.name, 'waiting');
  fleet.clock.advance(60 * 60_000);
  await fleet.engine.plan();
  assert.equal((await lane())?.state.name, 'open');
  assert.equal(await a.run(), 'none');
  // 21 minutes are an attempt's time: at 1:45 the rest of the window is too short.
  fleet.clock.advance(45 * 60_000);
  b.attempts = [];
  await fleet.engine.plan();
  assert.equal(await b.run(), 'outside_window');
  assert.equal(fleet.clock.now(), START + 105 * 60_000);
});

test('a member that falls silent gives its seat to the next by rank, and the step completes at its size', async (t) => {
  const policy = testPolicy({ steps: [stepPolicy({ count: 2, percent: null, soakMs: 0 }), stepPolicy({ soakMs: 0 })] });
  const fleet = await openFleet(t, rules(policy));
  await fleet.publish('1.0.0');
  const agents: ModelAgent[] = [];
  for (const name of ['a', 'b', 'c', 'd', 'e']) agents.push(await fleet.enrol(name));
  await fleet.publish('1.1.0');
  const inside = [];
  for (const agent of agents) {
    const { answer } = await agent.checkIn();
    if (answer.kind === 'instruction') inside.push(agent);
  }
  assert.equal(inside.length, 2);
  const [silent] = inside;
  // Eleven minutes in which everybody but one member keeps checking in.
  for (let minute = 0; minute < 11; minute += 1) {
    fleet.clock.advance(60_000);
    for (const agent of agents) if (agent !== silent) await agent.checkIn();
  }
  await fleet.engine.plan();
  const laneNow = async () =>
    (await listRollouts(fleet.database.db, {})).find((one) => one.version === '1.1.0')?.lanes[0];
  // Back again it is a late joiner: its success is no evidence.
  assert.equal(await silent?.run(), 'none');
  assert.equal(silent?.products[0]?.version, '1.1.0');
  assert.equal((await laneNow())?.steps[0]?.counters.succeeded, 0);
  for (const agent of agents) if (agent !== silent) await agent.run();
  await fleet.engine.plan();
  const lane = await laneNow();
  assert.deepEqual([lane?.steps[0]?.size, lane?.steps[0]?.counters.succeeded, lane?.steps[0]?.done], [2, 2, true]);
});

test('however check-ins interleave, no limit is ever overshot', async (t) => {
  const limits = { fleet: 3, region: 2, site: { label: 'rack', max: 1 } };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 7 }), { minLength: 20, maxLength: 40 }), async (order) => {
      const fleet = await openFleet(t, rules(LOOSE), REGIONS, undefined, { limits: { ...NO_LIMITS, ...limits } });
      await fleet.publish('1.0.0');
      const agents: ModelAgent[] = [];
      for (let index = 0; index < 8; index += 1) {
        const region = REGIONS[index % 2] as string;
        agents.push(await fleet.enrol(`a${index}`, { region, labels: { rack: `r${index % 3}` } }));
      }
      await fleet.publish('1.1.0');
      // Several at once go into one batch of the ledger, each some steps further.
      for (let at = 0; at < order.length; at += 3) {
        const group = [...new Set(order.slice(at, at + 3))].map((index) => agents[index]);
        await Promise.all(group.map((agent, index) => agent?.run(() => (index % 2 === 0 ? 'vanishes' : 'works'))));
        const hot = await hotPlaces(fleet.database.db);
        assert(hot.length <= 3, `${hot.length} in the fleet`);
        for (const region of REGIONS) assert(hot.filter((one) => one.region === region).length <= 2, region);
        for (const rack of ['r0', 'r1', 'r2'])
          assert(hot.filter((one) => one.labels['rack'] === rack).length <= 1, rack);
      }
    }),
    { numRuns: 8 },
  );
});
