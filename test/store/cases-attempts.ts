// Contract: attempts, the hard rules that their indexes carry, and the fold of their counters.
import assert from 'node:assert/strict';
import type { Attempt } from '../../src/domain/agent.ts';
import { ATTEMPT_STATES, type AttemptState, isLive, weigh } from '../../src/domain/attempt.ts';
import { foldStep } from '../../src/domain/counters.ts';
import { NO_COUNTS } from '../../src/domain/rollout.ts';
import {
  attemptsById,
  attemptsOfAgentsInLanes,
  badCounts,
  countByState,
  foldCounters,
  historyOfAgent,
  insertAttempts,
  liveAttempts,
  liveAttemptsOfAgents,
  overdueAttempts,
  ungrantedOfLane,
  unsuccessfulAttempts,
  updateAttempts,
  withdrawUngranted,
} from '../../src/store/attempts.ts';
import { type Database, transaction } from '../../src/store/database.ts';
import { endRollout } from '../../src/store/rollouts.ts';
import { type Cases, refuses } from './contract.ts';
import { makeAttempt, makeWorld, policy, T0, type World } from './fixtures.ts';

export const attemptCases: Cases = {
  'insertAttempts, updateAttempts: give back what they were given': async (database) => {
    const world = await makeWorld(database, 2);
    const [one, two] = oneForEach(world, 'offered') as [Attempt, Attempt];
    await insert(database, [one, two]);
    assert.deepEqual(await attemptsById(database.db, [two.id, one.id, 'unknown']), [one, two]);
    const ended: Attempt = {
      ...one,
      state: 'failed',
      grantedAt: T0 + 1,
      endedAt: T0 + 2,
      deadlineObserved: 99,
      cause: 'crash_loop',
      detail: 'it said "no"',
      corrected: true,
    };
    const staged: Attempt = { ...two, state: 'staged' };
    await update(database, [ended, staged]);
    assert.deepEqual(await attemptsById(database.db, [one.id, two.id]), [ended, staged]);
    assert.deepEqual(await liveAttempts(database.db), [staged]);
    assert.deepEqual(await liveAttemptsOfAgents(database.db, [one.agentId]), []);
    assert.deepEqual(await liveAttemptsOfAgents(database.db, [one.agentId, two.agentId]), [staged]);
  },

  'updateAttempts: an attempt that does not exist is a bug, and nothing is written': async (database) => {
    const world = await makeWorld(database, 2);
    const [one, two] = oneForEach(world, 'offered') as [Attempt, Attempt];
    await insert(database, [one]);
    await assert.rejects(
      update(database, [
        { ...one, state: 'staged' },
        { ...two, state: 'staged' },
      ]),
      /exists/,
    );
    assert.deepEqual(await liveAttempts(database.db), [one]);
  },

  'T1: one live attempt for each agent and product': async (database) => {
    const world = await makeWorld(database, 1);
    for (const state of ATTEMPT_STATES.filter(isLive)) {
      const [first] = oneForEach(world, state) as [Attempt];
      const second = makeAttempt(world.agents[0]!, world.lane);
      assert.ok(await refuses(() => insert(database, [first, second])), state);
      assert.ok(await refuses(() => insert(database, [second, first])), state);
    }
    const [first] = oneForEach(world, 'staged') as [Attempt];
    const other = makeAttempt(world.agents[0]!, world.lane, { product: 'relay' });
    await insert(database, [first, other]);
    await update(database, [{ ...first, state: 'withdrawn', endedAt: T0 }]);
    await insert(database, [makeAttempt(world.agents[0]!, world.lane)]);
  },

  'T1: one hot attempt for each agent; the slot passes on within one batch': async (database) => {
    const world = await makeWorld(database, 1);
    const agent = world.agents[0]!;
    const probe = makeAttempt(agent, world.lane, { state: 'granted', grantedAt: T0 });
    const relay = makeAttempt(agent, world.lane, { state: 'staged', product: 'relay' });
    await insert(database, [probe, relay]);
    for (const state of ['granted', 'activating', 'proving'] as const) {
      assert.ok(await refuses(() => update(database, [{ ...relay, state, grantedAt: T0 }])), state);
    }
    const granted: Attempt = { ...relay, state: 'granted', grantedAt: T0 };
    await update(database, [granted, { ...probe, state: 'succeeded', endedAt: T0 }]);
    assert.deepEqual(await liveAttempts(database.db), [granted]);
  },

  'attempts: a state that is no state, and flags that do not fit it, are refused': async (database) => {
    const world = await makeWorld(database, 1);
    const [one] = oneForEach(world, 'staged') as [Attempt];
    await insert(database, [one]);
    for (const change of [{ state: 'odd' as AttemptState }, { live: 0 as const }, { hot: 1 as const }]) {
      const write = () => database.db.updateTable('attempts').set(change).where('id', '=', one.id).execute();
      assert.ok(await refuses(write), JSON.stringify(change));
    }
  },

  'insertAttempts: two thousand at once': async (database) => {
    const world = await makeWorld(database, 1);
    const many = Array.from({ length: 2000 }, (_, index) =>
      makeAttempt(world.agents[0]!, world.lane, { state: 'succeeded', endedAt: T0, sequence: index }),
    );
    await insert(database, many);
    await update(
      database,
      many.map((attempt) => ({ ...attempt, detail: 'seen' })),
    );
    const loaded = await attemptsOfAgentsInLanes(database.db, [world.agents[0]!.id], [world.lane.id]);
    assert.equal(loaded.length, 2000);
    assert.ok(loaded.every((attempt) => attempt.detail === 'seen'));
    assert.deepEqual(
      (await historyOfAgent(database.db, world.agents[0]!.id, 2)).map((attempt) => attempt.sequence),
      [1999, 1998],
    );
  },

  'attemptsOfAgentsInLanes: both must fit': async (database) => {
    const world = await makeWorld(database, 2);
    const [one, two] = oneForEach(world, 'declined') as [Attempt, Attempt];
    await insert(database, [one, two]);
    const find = (agents: string[], lanes: string[]) => attemptsOfAgentsInLanes(database.db, agents, lanes);
    assert.deepEqual(await find([one.agentId], [world.lane.id]), [one]);
    assert.deepEqual(await find([one.agentId, two.agentId], [world.lane.id, 'x']), [one, two]);
    assert.deepEqual(await find([one.agentId], ['x']), []);
    assert.deepEqual(await find([], [world.lane.id]), []);
  },

  'badCounts: counts exactly what the domain calls bad': async (database) => {
    const rows = ATTEMPT_STATES.flatMap((state) => [null, T0].map((grantedAt) => ({ state, grantedAt })));
    const world = await makeWorld(database, rows.length);
    const attempts = rows.map((row, index) => makeAttempt(world.agents[index]!, world.lane, row));
    await insert(database, attempts);
    for (const attempt of attempts) {
      const { agentId, product, version, state, grantedAt } = attempt;
      const expected = weigh(attempt) === 'bad' ? [{ agentId, product, version, bad: 1 }] : [];
      assert.deepEqual(await badCounts(database.db, [agentId]), expected, `${state}, granted ${grantedAt}`);
    }
  },

  'badCounts: by agent, product and version, over all time': async (database) => {
    const world = await makeWorld(database, 2);
    const [agent, other] = [world.agents[0]!, world.agents[1]!];
    const lost = { state: 'lost' as const, endedAt: T0 };
    await insert(database, [
      makeAttempt(agent, world.lane, lost),
      makeAttempt(agent, world.lane, { ...lost, budgetEpoch: 3 }),
      makeAttempt(agent, world.lane, { ...lost, version: '1.3.0' }),
      makeAttempt(other, world.lane, lost),
    ]);
    assert.deepEqual(await badCounts(database.db, [agent.id]), [
      { agentId: agent.id, product: 'probe', version: '1.2.3', bad: 2 },
      { agentId: agent.id, product: 'probe', version: '1.3.0', bad: 1 },
    ]);
  },

  'overdueAttempts: live ones past their deadline, the most overdue first': async (database) => {
    const world = await makeWorld(database, 4);
    const [late, later, inTime, ended] = oneForEach(world, 'proving', { grantedAt: T0 }) as Attempt[];
    const rows = [
      { ...late!, deadlineObserved: 900 },
      { ...later!, deadlineObserved: 100 },
      { ...inTime!, deadlineObserved: 1000 },
      { ...ended!, deadlineObserved: 100, state: 'succeeded' as const },
    ];
    await insert(database, rows);
    assert.deepEqual(await overdueAttempts(database.db, 1000, 10), [rows[1], rows[0]]);
    assert.deepEqual(await overdueAttempts(database.db, 1000, 1), [rows[1]]);
  },

  'ungrantedOfLane and countByState: by lane': async (database) => {
    const world = await makeWorld(database, 4);
    const states: AttemptState[] = ['offered', 'staged', 'granted', 'withdrawn'];
    const rows = oneForEach(world, 'offered').map((attempt, index) => ({ ...attempt, state: states[index]! }));
    await insert(database, rows);
    assert.deepEqual(await ungrantedOfLane(database.db, world.lane.id, 10), rows.slice(0, 2));
    assert.deepEqual(await ungrantedOfLane(database.db, world.lane.id, 1), rows.slice(0, 1));
    assert.deepEqual(await ungrantedOfLane(database.db, 'unknown', 10), []);
    const none = Object.fromEntries(ATTEMPT_STATES.map((state) => [state, 0]));
    assert.deepEqual(
      [...(await countByState(database.db, [world.lane.id, 'unknown']))],
      [
        [world.lane.id, { ...none, offered: 1, staged: 1, granted: 1, withdrawn: 1 }],
        ['unknown', none],
      ],
    );
  },

  'withdrawUngranted: ends what was offered or staged in the lane, and nothing else': async (database) => {
    const world = await makeWorld(database, 4);
    const states: AttemptState[] = ['offered', 'staged', 'granted', 'declined'];
    const rows = oneForEach(world, 'offered').map((attempt, index) => ({ ...attempt, state: states[index]! }));
    await insert(database, rows);
    const withdraw = (lane: string) => transaction(database, (tx) => withdrawUngranted(tx, lane, T0 + 9));
    assert.deepEqual([await withdraw('unknown'), await withdraw(world.lane.id)], [0, 2]);
    const withdrawn = rows.slice(0, 2).map((row) => ({ ...row, state: 'withdrawn' as const, endedAt: T0 + 9 }));
    assert.deepEqual(
      await attemptsById(
        database.db,
        rows.map((row) => row.id),
      ),
      [...withdrawn, ...rows.slice(2)],
    );
  },

  'unsuccessfulAttempts: of rollouts that have not ended': async (database) => {
    const world = await makeWorld(database, ATTEMPT_STATES.length);
    const rows = oneForEach(world, 'offered').map((attempt, index) => ({ ...attempt, state: ATTEMPT_STATES[index]! }));
    await insert(database, rows);
    const found = await unsuccessfulAttempts(database.db);
    assert.deepEqual(found.map((attempt) => attempt.state).sort(), [
      'declined',
      'failed',
      'inconclusive',
      'lost',
      'rolled_back',
    ]);
    await transaction(database, (tx) => endRollout(tx, world.rollout.id, T0));
    assert.deepEqual(await unsuccessfulAttempts(database.db), []);
  },

  'D2 foldCounters: the fold of the step’s attempts in the budget epoch': async (database) => {
    const world = await makeWorld(database, ATTEMPT_STATES.length);
    const rows = ATTEMPT_STATES.map((state, index) =>
      makeAttempt(world.agents[index]!, world.lane, {
        state,
        member: index % 3 !== 0,
        grantedAt: state === 'failed' ? T0 : null,
      }),
    );
    const again = makeAttempt(world.agents[5]!, world.lane, { state: 'rolled_back' });
    const elsewhere = [
      makeAttempt(world.agents[6]!, world.lane, { state: 'lost', step: 1 }),
      makeAttempt(world.agents[6]!, world.lane, { state: 'lost', budgetEpoch: 1 }),
    ];
    await insert(database, [...rows, again, ...elsewhere]);
    const folded = await foldCounters(database.db, world.lane.id, 0, 0);
    assert.deepEqual(folded, foldStep([...rows, again], policy.attemptsPerAgent, 0));
    // offered and staged; granted, activating and proving; rolled_back, failed, lost and the success that was undone.
    assert.deepEqual([folded.pending, folded.hot, folded.bad], [2, 3, 4]);
    assert.equal((await foldCounters(database.db, world.lane.id, 1, 0)).bad, 1);
    assert.deepEqual(await foldCounters(database.db, world.lane.id, 5, 0), NO_COUNTS);
  },
};

/** One attempt for each agent of the world. */
function oneForEach(world: World, state: AttemptState, changes: Partial<Attempt> = {}): Attempt[] {
  return world.agents.map((agent) => makeAttempt(agent, world.lane, { state, ...changes }));
}

async function insert(database: Database, attempts: Attempt[]): Promise<void> {
  await transaction(database, (tx) => insertAttempts(tx, attempts));
}

async function update(database: Database, attempts: Attempt[]): Promise<void> {
  await transaction(database, (tx) => updateAttempts(tx, attempts));
}
