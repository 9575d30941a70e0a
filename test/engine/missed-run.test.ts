// A scheduled rollout whose run fell into a time without a server: taken once after the restart, and not again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, testPolicy } from '../support/fixtures.ts';
import { openFleet } from '../support/fleet.ts';

const HOUR = 3_600_000;

test('a run that was missed while the server was down is taken once, and what comes after it waits for the next', async (t) => {
  const policy = testPolicy({ schedule: { cron: '0 9 * * *', timeZone: 'UTC' } });
  const fleet = await openFleet(t, rules(policy));
  const going = async () => (await listRollouts(fleet.database.db, {})).map((one) => one.version).toSorted();
  await fleet.publish('1.0.0');
  // The fleet begins at midnight: it waits for nine o'clock, and three of these go by without a server.
  assert.deepEqual(await going(), []);
  await fleet.restart(72 * HOUR);
  assert.deepEqual(await going(), ['1.0.0']);
  await fleet.publish('1.1.0');
  assert.deepEqual(await going(), ['1.0.0']);
  await fleet.restart(HOUR);
  assert.deepEqual(await going(), ['1.0.0']);
  await fleet.restart(8 * HOUR);
  assert.deepEqual(await going(), ['1.0.0', '1.1.0']);
});
