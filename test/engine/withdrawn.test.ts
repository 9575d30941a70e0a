// A release that is withdrawn while it goes out, and back: the lane goes on with what it had, also after a restart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listAudit } from '../../src/store/audit.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { openFleet } from '../support/fleet.ts';

test('a release that was withdrawn and is back goes on by itself, in the same budget epoch', async (t) => {
  const steps = [stepPolicy({ percent: 50 }), stepPolicy({ percent: 100 })];
  const fleet = await openFleet(t, rules(testPolicy({ steps })));
  await fleet.publish('1.0.0');
  const agents = await Promise.all(['a', 'b', 'c', 'd'].map((name) => fleet.enrol(name)));
  await fleet.publish('1.1.0');
  const runAll = async () => {
    for (const agent of agents) await agent.run();
    await fleet.engine.plan();
    return agents.filter(({ products }) => products[0]?.version === '1.1.0').length;
  };
  const lane = async () => {
    const [newest] = await listRollouts(fleet.database.db, { product: 'agentd', limit: 1 });
    return newest?.lanes[0];
  };
  assert.equal(await runAll(), 2);
  await fleet.publish('1.1.0', { state: 'withdrawn', why: 'GitHub does not list the release any more' });
  assert.equal((await lane())?.state.name, 'halted');
  assert.equal(await runAll(), 2);
  await fleet.restart(60_000);
  assert.equal((await lane())?.state.name, 'halted');
  await fleet.publish('1.1.0');
  const back = await lane();
  assert.notEqual(back?.state.name, 'halted');
  assert.equal(back?.budgetEpoch, 0);
  for (let round = 0; round < 3; round += 1) {
    await runAll();
    fleet.clock.advance(60_000);
    await fleet.engine.plan();
  }
  assert.equal(await runAll(), 4);
  assert.equal((await lane())?.state.name, 'completed');
  const audit = await listAudit(fleet.database.db, { limit: 100 });
  const lifted = audit.filter((row) => row.action === 'lane.lifted');
  assert.deepEqual(
    lifted.map((row) => row.actor),
    ['tidegate'],
  );
});
