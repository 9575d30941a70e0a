// Versions that must not be jumped over: agents go there first, by attempts of their own, and no lane counts a stop as its success.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policy } from '../../src/domain/policy.ts';
import { listVetoes } from '../../src/store/controls.ts';
import { transaction } from '../../src/store/database.ts';
import { saveAvailability } from '../../src/store/releases.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { rules, START, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Fleet, openFleet } from '../support/fleet.ts';

const FLOORS = [
  { version: '1.5.0', reason: 'it rewrites the state' },
  { version: '2.0.0', reason: 'it drops the old format' },
];
const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 0 })] });

function withFloors(policy: Partial<Policy> = {}) {
  return rules({ ...POLICY, ...policy }, { floors: FLOORS, accept: '<1.1 || >=3' });
}

async function laneOf(fleet: Fleet, version: string) {
  const rollouts = await listRollouts(fleet.database.db, {});
  const lane = rollouts.find((rollout) => rollout.version === version)?.lanes[0];
  return lane === undefined ? undefined : { name: lane.state.name, state: lane.state, step: lane.steps[0] };
}

/** The floors are published and not let out by themselves. */
async function publishAll(fleet: Fleet): Promise<void> {
  for (const version of ['1.0.0', '1.5.0', '2.0.0']) await fleet.publish(version);
}

test('goes over every floor above it, one attempt each, and only the last is the lane’s success', async (t) => {
  const fleet = await openFleet(t, withFloors());
  await publishAll(fleet);
  const low = await fleet.enrol('low');
  const middle = await fleet.enrol('middle', { version: '1.5.0' });
  const high = await fleet.enrol('high', { version: '2.0.0' });
  await fleet.publish('3.0.0');
  const versions: string[] = [];
  const noted = (version: string) => {
    if (versions.at(-1) !== version) versions.push(version);
    return 'works' as const;
  };
  assert.equal((await laneOf(fleet, '3.0.0'))?.step?.size, 3);
  assert.equal(await low.run(noted), 'none');
  assert.deepEqual(versions, ['1.5.0', '2.0.0', '3.0.0']);
  assert.deepEqual((await laneOf(fleet, '3.0.0'))?.step?.counters.succeeded, 1);
  versions.length = 0;
  for (const agent of [middle, high]) assert.equal(await agent.run(noted), 'none');
  assert.deepEqual(versions, ['2.0.0', '3.0.0']);
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '3.0.0'))?.name, 'completed');
});

test('at a floor no success is counted, and a restart goes on from there', async (t) => {
  const fleet = await openFleet(t, withFloors());
  await publishAll(fleet);
  const agent = await fleet.enrol('low');
  await fleet.publish('3.0.0');
  // Staged, activated and proven: the third check-in brings the success of 1.5.0.
  for (let round = 0; round < 2; round += 1) {
    const { answer } = await agent.checkIn();
    assert.ok(answer.kind === 'instruction' && answer.attempt.version === '1.5.0' && answer.attempt.hop === true);
    agent.attempts = [
      {
        id: answer.attempt.id,
        product: 'agentd',
        state: round === 0 ? 'staged' : 'succeeded',
        cause: null,
        detail: null,
      },
    ];
    if (round === 1) agent.products = [{ product: 'agentd', version: '1.5.0', digest: answer.attempt.sha256 }];
  }
  const { answer } = await agent.checkIn();
  assert.ok(answer.kind === 'instruction' && answer.attempt.version === '2.0.0');
  assert.equal((await laneOf(fleet, '3.0.0'))?.step?.counters.succeeded, 0);
  await fleet.restart();
  assert.equal(await agent.run(), 'none');
  assert.equal(agent.products[0]?.version, '3.0.0');
});

test('what goes bad at a floor halts the lane and does not veto the release', async (t) => {
  const fleet = await openFleet(t, withFloors());
  await publishAll(fleet);
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('3.0.0');
  await agents[0]?.run((version) => (version === '1.5.0' ? 'crashes' : 'works'));
  const lane = await laneOf(fleet, '3.0.0');
  assert.equal(lane?.name, 'halted');
  assert.ok(lane.state.name === 'halted');
  assert.equal(lane.state.reason, 'step 1: 1 bad (1 of them on the way, before the release) of 1 that halt it');
  assert.deepEqual(await listVetoes(fleet.database.db), []);
  await fleet.engine.plan();
  assert.deepEqual(await listVetoes(fleet.database.db), []);
});

test('what goes bad at the release itself vetoes it, however it got there', async (t) => {
  const fleet = await openFleet(t, withFloors());
  await publishAll(fleet);
  const agent = await fleet.enrol('a');
  await fleet.publish('3.0.0');
  await agent.run((version) => (version === '3.0.0' ? 'crashes' : 'works'));
  assert.equal((await laneOf(fleet, '3.0.0'))?.name, 'halted');
  assert.deepEqual(
    (await listVetoes(fleet.database.db)).map((veto) => veto.version),
    ['3.0.0'],
  );
});

test('the lane waits for a floor that the region does not have, where somebody needs it', async (t) => {
  const fleet = await openFleet(t, withFloors());
  await publishAll(fleet);
  await fleet.enrol('low');
  const where = { product: 'agentd', region: 'eu-west-1', platform: 'linux-x64', since: START, checkedAt: START };
  const say = (status: 'absent' | 'available') =>
    transaction(fleet.database, (tx) =>
      saveAvailability(tx, [{ ...where, version: '1.5.0', status, why: 'the mirror answered 404' }]),
    );
  await say('absent');
  await fleet.publish('3.0.0');
  assert.equal((await laneOf(fleet, '3.0.0'))?.name, 'waiting');
  const [rollout] = await listRollouts(fleet.database.db, { liveOnly: true });
  assert.ok(rollout);
  const [explained] = (await fleet.engine.operator.explainLanes(rollout.id)).values();
  const gate = explained?.gates.find((one) => one.result !== 'pass');
  assert.match(JSON.stringify(gate), /floor_missing|1\.5\.0 for linux-x64: the mirror answered 404/);
  assert.ok(
    fleet.engine.wanted().some(({ version }) => version === '1.5.0'),
    'probes ask for the floor',
  );
  await say('available');
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '3.0.0'))?.name, 'open');
});

test('without a release of the floor there is no way: held, and no member', async (t) => {
  const fleet = await openFleet(t, withFloors());
  await fleet.publish('1.0.0');
  await fleet.publish('2.0.0');
  const low = await fleet.enrol('low');
  const high = await fleet.enrol('high', { version: '2.0.0' });
  await fleet.publish('3.0.0');
  assert.equal((await laneOf(fleet, '3.0.0'))?.step?.size, 1);
  assert.equal(await low.run(), 'no_path');
  assert.equal(await high.run(), 'none');
  await fleet.engine.plan();
  assert.equal((await laneOf(fleet, '3.0.0'))?.name, 'completed');
});

test('below the lowest version that is updated: held, and no member', async (t) => {
  const fleet = await openFleet(t, rules(POLICY, { from: '1.5.0', accept: '<1.1 || >=3' }));
  await publishAll(fleet);
  const low = await fleet.enrol('low');
  const middle = await fleet.enrol('middle', { version: '1.5.0' });
  await fleet.publish('3.0.0');
  assert.equal(await low.run(), 'unsupported_from');
  assert.equal(await middle.run(), 'none');
  assert.equal(middle.products[0]?.version, '3.0.0');
});
