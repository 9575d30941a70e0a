// What the status says of what does not happen, through the real route and the real engine.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatusReply } from '../../src/protocol/operator.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { serveFleet } from './real-engine.ts';

const DAY = 86_400_000;
const OWN = { waves: [['eu-west-1', 'us-east-1']], steps: [stepPolicy({ soakMs: 0 })] };
const young = testPolicy({ ...OWN, name: 'slow', minAgeMs: DAY });
const byHand = testPolicy({ ...OWN, name: 'by-hand', begin: 'manual' });

test('each one above the newest says its own reason, and until when', async (t) => {
  const policies = { minor: young, major: byHand };
  const { fleet, ok } = await serveFleet(t, rules(testPolicy(OWN), { accept: '<3.0.0', policies }));
  await fleet.enrol('host');
  await fleet.publish('1.0.0');
  await fleet.engine.plan();
  for (const version of ['1.1.0', '2.0.0', '3.0.0', '3.1.0-rc.1']) await fleet.publish(version);
  const { products }: StatusReply = await ok(StatusReply, '/status');
  assert.equal(products[0]?.newest, '1.0.0');
  assert.deepEqual(
    products[0]?.pending.map(({ version, state, why }) => `${version} ${state}: ${why}`),
    [
      '3.1.0-rc.1 complete: the release is outside the range that the product accepts: 3.1.0-rc.1 is a prerelease rc; let in are: none',
      '3.0.0 complete: the release is outside the range that the product accepts: 3.0.0 is not in <3.0.0',
      '2.0.0 complete: a person must begin 2.0.0, since its policy by-hand begins by hand: tidegate rollout create agentd@2.0.0 --reason TEXT',
      // It was published an hour before the beginning of 2026.
      '1.1.0 complete: the release is younger than the policy lets out: 1.1.0; until 2026-01-01 23:00:00Z',
    ],
  );
});

test('agents of regions that the config does not name are counted by region, as long as they are enrolled', async (t) => {
  const { fleet, ok } = await serveFleet(t, rules(testPolicy(OWN)));
  await fleet.enrol('here');
  assert.equal((await ok(StatusReply, '/status')).unnamedRegions, undefined);
  const [gone] = [await fleet.enrol('gone', { region: 'mars' }), await fleet.enrol('too', { region: 'mars' })];
  await fleet.enrol('moon', { region: 'moon' });
  const expected = [
    { region: 'mars', agents: 2 },
    { region: 'moon', agents: 1 },
  ];
  assert.deepEqual((await ok(StatusReply, '/status')).unnamedRegions, expected);
  await fleet.engine.operator.unenrol({ agentId: gone.id, actor: 'dana', reason: 'the host is gone' });
  assert.deepEqual((await ok(StatusReply, '/status')).unnamedRegions?.[0], { region: 'mars', agents: 1 });
});
