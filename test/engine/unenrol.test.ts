// An agent that a person has taken out of the fleet counts nowhere and is let in no more; what it did, and has at risk, stays true.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Policy } from '../../src/domain/policy.ts';
import { foldCounters } from '../../src/store/attempts.ts';
import { listAudit } from '../../src/store/audit.ts';
import { transaction } from '../../src/store/database.ts';
import { listPins } from '../../src/store/pins.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { listStale, markAllStale } from '../../src/store/stale-agents.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';

const HOUR = 3_600_000;
const GONE = { code: 'unenrolled', status: 410 };

async function opened(t: TestContext, overrides: Partial<Policy> = {}) {
  const fleet = await openFleet(t, rules(testPolicy({ steps: [stepPolicy({ soakMs: 0 })], ...overrides })));
  await fleet.publish('1.0.0');
  const agents = { a: await fleet.enrol('a'), b: await fleet.enrol('b'), c: await fleet.enrol('c') };
  return { fleet, ...agents };
}

async function unenrol(fleet: Fleet, { id }: ModelAgent, reason = 'scrapped') {
  return await fleet.engine.operator.unenrol({ agentId: id, actor: 'anna', reason });
}

/** Of the newest rollout; its counters are the fold of the attempts. */
async function laneOf(fleet: Fleet) {
  const [rollout] = await listRollouts(fleet.database.db, {});
  const lane = rollout?.lanes[0];
  assert(lane !== undefined);
  for (const { step, counters } of lane.steps)
    assert.deepEqual(counters, await foldCounters(fleet.database.db, lane.id, step, lane.budgetEpoch));
  return lane;
}

test('what was staged is taken back at once; once is enough; who it was stays in the audit, its pins do not', async (t) => {
  const { fleet, a, b, c } = await opened(t);
  await fleet.publish('1.1.0');
  assert.equal((await a.checkIn()).answer.kind, 'instruction');
  assert.equal((await laneOf(fleet)).steps[0]?.counters.pending, 1);
  await fleet.engine.operator.setPin({
    ...{ agentId: b.id, product: 'agentd', on: true, version: null, actor: 'ben', reason: 'x' },
  });

  const { changed, unenrolment, hot } = await unenrol(fleet, a);
  assert.deepEqual([changed, unenrolment.name, unenrolment.reason, hot], [true, 'a', 'scrapped', null]);
  assert.equal((await unenrol(fleet, b)).changed, true);
  const again = await unenrol(fleet, a, 'again');
  assert.deepEqual([again.changed, again.unenrolment.reason], [false, 'scrapped']);
  assert.equal((await laneOf(fleet)).steps[0]?.counters.pending, 0);
  assert.deepEqual(await listPins(fleet.database.db), []);
  assert.deepEqual(fleet.engine.operator.counts(), { enrolled: 1, present: 1, stale: 0 });
  const rows = (await listAudit(fleet.database.db, { limit: 50 })).filter(({ action }) =>
    action.endsWith('unenrolled'),
  );
  assert.deepEqual(
    rows.map(({ actor, subject, data }) => [actor, subject, data]),
    [
      ['anna', b.id, { agent: 'b', region: 'eu-west-1', reason: 'scrapped' }],
      ['anna', a.id, { agent: 'a', region: 'eu-west-1', reason: 'scrapped' }],
    ],
  );

  await assert.rejects(a.checkIn(), GONE);
  await assert.rejects(fleet.engine.operator.explain(a.id), { code: 'not_found' });
  await assert.rejects(unenrol(fleet, { ...a, id: 'nobody' }), { code: 'not_found' });
  // Two of three are out: half of the members must succeed all the same, or a person takes that on.
  await c.run();
  await fleet.engine.plan();
  const lane = await laneOf(fleet);
  assert.equal(lane.state.name, 'open');
  const accept = { verb: 'accept', region: 'eu-west-1', expectedStep: null, vetoRelease: false, count: 1 } as const;
  await fleet.engine.operator.verb(lane.rolloutId, { ...accept, actor: 'anna', reason: 'they are scrapped' });
  assert.equal((await laneOf(fleet)).state.name, 'completed');
});

test('a long poll that is parked is ended, and the report of a batch that was already in the queue is not booked', async (t) => {
  const { fleet, a, b } = await opened(t);
  const polling = fleet.engine.agents.checkIn(a.report(), 25_000, new AbortController().signal);
  await unenrol(fleet, a);
  await assert.rejects(polling, GONE);
  const out = unenrol(fleet, b);
  const late = b.checkIn({ health: 'unhealthy', healthReason: 'the disk' });
  await Promise.all([out, assert.rejects(late, GONE)]);
  await fleet.publish('1.1.0');
  assert.equal((await laneOf(fleet)).steps[0]?.size, 1);
});

test('a hot attempt keeps its slot and its deadline, then is lost, which is bad; also after a restart', async (t) => {
  const { fleet, a, b, c } = await opened(t, { maxHot: 1 });
  await fleet.publish('1.1.0');
  assert.equal(await a.run(() => 'vanishes'), 'vanished');
  const { hot } = await unenrol(fleet, a);
  assert.deepEqual(hot, { product: 'agentd', version: '1.1.0', state: 'granted' });
  const heard = { attempts: [{ ...a.attempts[0], state: 'succeeded' } as (typeof a.attempts)[number]] };
  await assert.rejects(a.checkIn(heard), GONE);
  assert.equal((await laneOf(fleet)).steps[0]?.counters.hotMembers, 1);
  assert.match(await b.run(), /^(budget|at_limit)$/);
  await fleet.restart();
  assert.match(await b.run(), /^(budget|at_limit)$/);
  await assert.rejects(a.checkIn(), GONE);
  for (let hours = 0; hours < 3; hours += 1) {
    for (let minute = 0; minute < 60; minute += 1) {
      fleet.clock.advance(HOUR / 60);
      await fleet.engine.plan();
    }
  }
  const lane = await laneOf(fleet);
  assert.deepEqual([lane.state.name, lane.steps[0]?.counters.bad], ['halted', 1]);
  assert.equal(await c.run(), 'halted');
});

test('the same key may enrol again as another agent, and nothing of the first comes with it', async (t) => {
  const { fleet, a } = await opened(t, { attemptsPerAgent: 1 });
  await fleet.publish('1.1.0');
  await a.run(() => 'download_fails');
  assert.equal(await a.run(), 'quarantined');
  await unenrol(fleet, a);
  const publicKey = (await fleet.engine.agents.findAgent(a.id))?.publicKey ?? '';
  const back = await fleet.enrol('a', { publicKey });
  assert.notEqual(back.id, a.id);
  assert.notEqual(back.handle, a.handle);
  assert.deepEqual(
    [await fleet.engine.agents.findAgent(a.id), await fleet.engine.agents.findAgent(back.id)].map((one) => [
      one?.unenrolled,
      one?.publicKey === publicKey,
    ]),
    [
      [true, true],
      [false, true],
    ],
  );
  assert.equal(await back.run(), 'none');
  await fleet.restart();
  assert.deepEqual(fleet.engine.operator.counts().enrolled, 3);
  await assert.rejects(a.checkIn(), GONE);
  assert.equal((await unenrol(fleet, a)).changed, false);
  assert.equal((await back.checkIn()).answer.kind, 'none');
  // A restore waits for the report of nobody who is gone.
  await transaction(fleet.database, markAllStale);
  assert.equal((await listStale(fleet.database.db)).includes(a.id), false);
});

test('one that this server has never heard of is told that it is unknown here, not that it was taken out', async (t) => {
  const { fleet, a } = await opened(t);
  const report = { ...a.report(), handle: 4711 };
  assert.throws(() => fleet.engine.agents.answerAtOnce(report), { code: 'auth_invalid' });
  await assert.rejects(fleet.engine.agents.checkIn(report, 0, new AbortController().signal), { code: 'auth_invalid' });
});
