// The connection to PostgreSQL breaks at a commit: nobody knows whether it was written, so memory is read anew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReportedAttempt } from '../../src/domain/agent.ts';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import { CommitInDoubt, transaction } from '../../src/store/database.ts';
import { setMeta } from '../../src/store/meta.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type ModelAgent, openFleet } from '../support/fleet.ts';
import { openLine } from '../support/line.ts';
import { withPostgres } from '../support/postgres.ts';

const PRODUCT = rules(testPolicy({ steps: [stepPolicy({ soakMs: 0 })], badCount: 5, doneRatio: 5000 }));

test('what the lost answer spoke of is in memory all the same', async (t) => {
  const real = await withPostgres(t);
  if (real === undefined) return;
  const line = await openLine(t, real);
  const limits = { ...NO_LIMITS, fleet: 1 };
  const fleet = await openFleet(t, PRODUCT, undefined, line.url, { limits });
  await fleet.publish('1.0.0');
  const [a, b, c] = [await fleet.enrol('a'), await fleet.enrol('b'), await fleet.enrol('c')];
  await fleet.publish('1.1.0');
  const granted = await granting(a);
  assert.equal(await b.run(), 'at_limit');
  a.products = [{ product: 'agentd', version: granted.version, digest: granted.sha256 }];
  a.attempts = [{ ...granted.reported, state: 'succeeded' }];
  // What is under way would be cut in its place.
  await fleet.engine.plan();

  await t.test('an outcome: its slot is free', async () => {
    line.loseNextCommit();
    await assert.rejects(a.checkIn(), CommitInDoubt);
    const { acknowledged, nextInMs } = await a.checkIn();
    assert.deepEqual([acknowledged[0]?.state, nextInMs], ['succeeded', 60_000]);
    await fleet.engine.plan();
    assert.equal(await b.run(), 'none');
  });

  await t.test('the end of a pin', async () => {
    const pin = { agentId: c.id, product: 'agentd', version: null, actor: 'dana', reason: 'by hand' };
    await fleet.engine.operator.setPin({ ...pin, on: true });
    await fleet.engine.plan();
    assert.equal(await c.run(), 'pinned');
    await fleet.engine.plan();
    line.loseNextCommit();
    await assert.rejects(fleet.engine.operator.setPin({ ...pin, on: false }), CommitInDoubt);
    await fleet.engine.plan();
    assert.equal(await c.run(), 'none');
    assert.equal(c.products[0]?.version, '1.1.0');
  });

  await t.test('no connection that breaks ends the process, whoever used it', async () => {
    await fleet.engine.plan();
    line.loseNextCommit();
    await assert.rejects(
      transaction(fleet.database, (tx) => setMeta(tx, 'test', 'x')),
      { code: 'not_ready' },
    );
    await transaction(fleet.database, (tx) => setMeta(tx, 'test', 'y'));
  });
  await t.test('while the database is away nobody hears of a bug, and many ask once', async () => {
    await fleet.engine.plan();
    const before = fleet.engine.ledgerStats().batches;
    line.goDown();
    const asked = [a, b, c].map((agent) => agent.checkIn({ health: 'unhealthy', healthReason: 'disk' }));
    for (const one of await Promise.allSettled(asked)) {
      assert.equal(one.status === 'rejected' && one.reason.code, 'not_ready');
      assert.match(String(one.status === 'rejected' && one.reason.message), /the database cannot be reached/);
    }
    line.recover();
    await Promise.all([a, b, c].map((agent) => agent.checkIn({ health: 'unhealthy', healthReason: 'disk' })));
    assert.equal(fleet.engine.ledgerStats().batches, before + 1);
  });
  await fleet.stop();
});

/** The agent stages and is granted, and has said nothing since. */
async function granting(agent: ModelAgent) {
  const offered = (await agent.checkIn()).answer;
  assert(offered.kind === 'instruction');
  const { id, version, sha256 } = offered.attempt;
  const reported: ReportedAttempt = { id, product: 'agentd', state: 'staged', cause: null, detail: null };
  agent.attempts = [reported];
  const { answer } = await agent.checkIn();
  assert(answer.kind === 'instruction' && answer.action === 'activate');
  return { version, sha256, reported };
}
