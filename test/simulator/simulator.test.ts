// The first half of the seeds of every `npm test`, the same seed twice, and proof that the simulator's checks can fail.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import type { AttemptRow, Books, LaneRow } from './books.ts';
import { keepsPromises } from './keeps-promises.ts';
import { newModel } from './model.ts';
import { COMMIT_PROMISES, type Facts, ROW_PROMISES } from './promises.ts';
import { REGRESSION_SEEDS } from './regression-seeds.ts';
import { runSeed } from './run-seed.ts';
import { newTruth } from './world.ts';

test('every promise is kept in the first 100 seeds', () => keepsPromises(1, 100));

for (const { seed, found } of REGRESSION_SEEDS) {
  test(`seed ${seed}, which once found: ${found}`, async () => {
    const { broken } = await runSeed(seed);
    assert.equal(broken, undefined);
  });
}

test('the same seed gives the same trace, another seed another one', async () => {
  const [first, again, other] = [await runSeed(3), await runSeed(3), await runSeed(4)];
  assert.equal(first.hash, again.hash);
  assert.equal(first.messages, again.messages);
  assert.notEqual(first.hash, other.hash);
});

test('two hot attempts of one agent break T1', () => {
  const facts = factsOf({ live: [attempt('a1', 'collector'), attempt('a2', 'agentd')] });
  assert.match(objectionsTo(facts).T1 ?? '', /two attempts/);
  assert.equal(objectionsTo(factsOf({ live: [attempt('a1', 'agentd')] })).T1, undefined);
});

test('a grant in a lane whose halt is committed breaks S5', () => {
  const row = { seq: 2, at: 0, actor: 'tidegate', action: 'attempt.granted', subject: 'a1', data: {} };
  const facts = factsOf({ news: [row], attempts: new Map([['a1', attempt('a1', 'agentd')]]) });
  const s5 = ROW_PROMISES.find(({ name }) => name === 'S5');
  assert.equal(s5?.onRow(facts, row), undefined);
  facts.model.lanes.set('l1', {
    halted: true,
    haltedFor: null,
    paused: false,
    step: 0,
    done: new Set(),
    promoted: new Map(),
    openedAt: 0,
    doneAt: new Map(),
    stoppedMs: 0,
    stoppedSince: null,
    sizes: new Map(),
    allowance: 0,
    goesBack: false,
    timesBack: 0,
  });
  assert.match(s5?.onRow(facts, row) ?? '', /halted/);
});

test('a veto that vanishes breaks S6, a lane that waits without a hold L1', () => {
  const facts = factsOf({ lanes: new Map([['l1', { ...LANE, state: 'waiting' }]]) });
  facts.model.vetoes.add('agentd@1.1.0');
  assert.match(objectionsTo(facts).S6 ?? '', /veto/);
  assert.match(objectionsTo(facts).L1 ?? '', /without a hold/);
});

function objectionsTo(facts: Facts): Record<string, string | undefined> {
  return Object.fromEntries(COMMIT_PROMISES.map(({ name, onCommit }) => [name, onCommit(facts)]));
}

const LANE: LaneRow = {
  id: 'l1',
  rollout_id: 'r1',
  kind: 'rollout',
  product: 'agentd',
  region: 'eu',
  wave: 0,
  state: 'open',
  budget_epoch: 0,
  version: '1.1.0',
  ended_at: null,
  policy: {} as LaneRow['policy'],
};

function attempt(id: string, product: string): AttemptRow {
  return {
    id,
    agent_id: 'agent',
    lane_id: 'l1',
    step: 0,
    member: 1,
    budget_epoch: 0,
    product,
    version: '1.1.0',
    from_version: '1.0.0',
    platform: 'linux-x64',
    sha256: '',
    state: 'granted',
    live: 1,
    hot: 1,
    granted_at: 0,
    corrected: 0,
    hop: 0,
  };
}

function factsOf(books: Partial<Books>): Facts {
  return {
    books: {
      news: [],
      attempts: new Map(),
      live: [],
      lanes: new Map([['l1', LANE]]),
      holds: new Map(),
      vetoes: new Set(),
      brakes: new Set(),
      ...books,
    },
    model: newModel(),
    truth: newTruth(),
    settings: { products: [], calendars: [], freezes: [], limits: NO_LIMITS },
    now: 0,
    isUp: true,
    siteOf: () => undefined,
  };
}
