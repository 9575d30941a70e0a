// Two servers on one database: the one that was started last writes; the other one writes and answers nothing any more.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import { openEngine } from '../../src/engine/engine.ts';
import { listAudit } from '../../src/store/audit.ts';
import { type Database, openDatabase, transaction } from '../../src/store/database.ts';
import { getMeta, setMeta } from '../../src/store/meta.ts';
import { markRestored } from '../../src/store/restored.ts';
import { takeOver } from '../../src/store/take-over.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';
import { withPostgres } from '../support/postgres.ts';

const PRODUCT = rules(testPolicy({ steps: [stepPolicy({ soakMs: 0 })] }));
const WHO = { actor: 'dana', reason: 'looked at it' };
const TAKEN = { code: 'not_ready', message: 'another server has taken over this database' };
const RESTORED = { code: 'not_ready', message: 'the database was restored while this server was running' };

test('on one SQLite database', async (t) => {
  const fleet = await openFleet(t, PRODUCT);
  await takesOver(t, fleet, fleet.database);
});

test('on one PostgreSQL', async (t) => {
  const url = await withPostgres(t);
  if (url === undefined) return;
  const other = await openDatabase(url);
  try {
    const fleet = await openFleet(t, PRODUCT, undefined, url);
    await takesOver(t, fleet, other);
    await waitsForWhatIsUnderWay(fleet.database, other);
    await startTogether(fleet.database, other);
    await isRestored(fleet.database, other);
    await fleet.stop();
  } finally {
    await other.close();
  }
});

/** The first one does not know yet that there is a second. */
async function takesOver(t: TestContext, fleet: Fleet, database: Database): Promise<void> {
  await fleet.publish('1.0.0');
  const agent = await fleet.enrol('a');
  await agent.checkIn();
  await fleet.publish('1.1.0');
  const { answer } = await agent.checkIn();
  assert(answer.kind === 'instruction');
  // Else the pass that the offer has set going may find out about the second one.
  await fleet.engine.plan();
  const second = await openSecond(fleet, database);
  t.after(() => second.close());
  const before = await rowsOf(fleet);
  const staged = [{ id: answer.attempt.id, product: 'agentd', state: 'staged' as const, cause: null, detail: null }];
  // What memory knows is a committed instruction still.
  assert.deepEqual((await agent.checkIn()).answer, answer);
  agent.attempts = staged;
  await assert.rejects(agent.checkIn(), TAKEN);
  const { operator } = fleet.engine;
  await assert.rejects(operator.setBrake({ scope: 'fleet', on: true, ...WHO }), TAKEN);
  await assert.rejects(operator.createRollout({ product: 'agentd', version: '1.1.0', ...WHO }), TAKEN);
  await assert.rejects(
    operator.setPin({ agentId: agent.id, product: 'agentd', on: true, version: null, ...WHO }),
    TAKEN,
  );
  await assert.rejects(fleet.engine.plan(), TAKEN);
  await fleet.engine.flush();
  await assert.rejects(fleet.engine.agents.checkIn(agent.report({ attempts: [] }), 0, signal()), TAKEN);
  assert.throws(() => fleet.engine.agents.answerAtOnce(agent.report()), TAKEN);
  assert.deepEqual(await rowsOf(fleet), before);
  await goesOn(second, agent);
  // It says so once, and ends in good order.
  fleet.engine.nudge();
  await assert.rejects(fleet.engine.plan(), TAKEN);
  await fleet.engine.close();
  assert.ok(fleet.violations.length <= 1 && fleet.violations.every((line) => line.includes('has taken over')));
  fleet.violations.length = 0;
}

/** The second one grants what the first could not. */
async function goesOn(second: Awaited<ReturnType<typeof openSecond>>, agent: ModelAgent): Promise<void> {
  const granted = await second.agents.checkIn(agent.report(), 0, signal());
  assert.equal(granted.answer.kind === 'instruction' && granted.answer.action, 'activate');
}

/** Who takes over reads all that was committed before, however long that took. */
async function waitsForWhatIsUnderWay(first: Database, second: Database): Promise<void> {
  const own = await takeOver(first, 1);
  let taken: Promise<unknown> | undefined;
  let isTaken = false;
  await transaction(own, async (tx) => {
    taken = takeOver(second, 2).then(() => {
      isTaken = true;
    });
    // Time enough to overtake, were it let. It writes nothing: PostgreSQL may then choose it to run once more, after the other.
    for (let round = 0; round < 20; round += 1) await getMeta(tx, 'fleet_id');
    assert.equal(isTaken, false);
  });
  await taken;
  await assert.rejects(
    transaction(own, (tx) => setMeta(tx, 'under way', 'later')),
    TAKEN,
  );
}

async function startTogether(first: Database, second: Database): Promise<void> {
  const both = await Promise.all([takeOver(first, 1), takeOver(second, 1)]);
  const ends = await Promise.allSettled(both.map((one) => transaction(one, (tx) => setMeta(tx, 'under way', 'yes'))));
  assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
}

async function isRestored(first: Database, second: Database): Promise<void> {
  const own = await takeOver(first, 1);
  await markRestored(second, { now: 2, from: 'a backup', lastEpoch: null });
  await assert.rejects(
    transaction(own, (tx) => setMeta(tx, 'under way', 'later')),
    RESTORED,
  );
}

function openSecond({ clock }: Fleet, database: Database) {
  const regions = ['eu-west-1'];
  return openEngine({
    database,
    clock,
    logger: pino({ level: 'silent' }),
    newId: uuidv7,
    random: () => 0.5,
    products: [PRODUCT],
    regions,
    surroundings: {
      calendars: regions.map((region) => ({ region, timeZone: 'UTC', windows: { allow: [], deny: [] } })),
      freezes: [],
      limits: NO_LIMITS,
      mirrors: { regions: [], maxAgeMs: 600_000 },
    },
    pollMs: 60_000,
    maxWaitMs: 25_000,
  });
}

async function rowsOf({ database }: Fleet) {
  return {
    audit: await listAudit(database.db, { limit: 500 }),
    attempts: await database.db.selectFrom('attempts').selectAll().execute(),
    meta: await database.db.selectFrom('meta').selectAll().orderBy('key').execute(),
  };
}

function signal(): AbortSignal {
  return new AbortController().signal;
}
