// The lanes of a rollout explained through the real route and the real engine, and the same reason for an agent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExplainReply, ExplainRolloutReply, RolloutsReply, type RolloutView } from '../../src/protocol/operator.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { serveFleet } from './real-engine.ts';

const POLICY = testPolicy({ waves: [['eu-west-1'], ['us-east-1']], steps: [stepPolicy({ soakMs: 10_000 })] });

test('each lane with its sentence, hold and gates; an agent there repeats the lane’s reason', async (t) => {
  const { fleet, ok, refused } = await serveFleet(t, rules(POLICY));
  await fleet.publish('1.0.0');
  await fleet.enrol('near');
  const far = await fleet.enrol('far', { region: 'us-east-1' });
  await fleet.publish('1.1.0');
  const { rollouts } = await ok(RolloutsReply, '/rollouts');
  const { id } = rollouts.find((one: RolloutView) => one.version === '1.1.0');

  const reply: ExplainRolloutReply = await ok(ExplainRolloutReply, `/rollouts/${id}/explain`);
  assert.deepEqual([reply.product, reply.version, reply.state], ['agentd', '1.1.0', 'active']);
  const [eu, us] = reply.lanes;
  assert.deepEqual(
    [eu?.lane.region, eu?.lane.hold, eu?.sentence],
    ['eu-west-1', null, '0 of 1 member of step 1 succeeded so far; passes at 1 with nobody at it'],
  );
  assert.deepEqual([us?.lane.region, us?.lane.hold?.reason], ['us-east-1', 'previous_wave']);
  const wave = 'an earlier wave has not completed: eu-west-1 is open';
  assert.equal(us?.sentence, `${wave}; passes when eu-west-1 has completed`);
  assert.deepEqual(
    us?.gates.map(({ gate, result }) => `${result} ${gate}`),
    ['veto', 'older_lane', 'wave', 'release', 'agents', 'availability', 'brake', 'step', 'window'].map((gate) =>
      gate === 'wave' ? 'wait wave' : `pass ${gate}`,
    ),
  );
  const one: ExplainRolloutReply = await ok(ExplainRolloutReply, `/rollouts/${id}/explain?region=us-east-1`);
  assert.deepEqual(
    one.lanes.map(({ lane }) => lane.region),
    ['us-east-1'],
  );
  const nowhere = await refused(`/rollouts/${id}/explain?region=nix`);
  assert.deepEqual([nowhere.code, nowhere.hint], ['not_found', 'It has lanes in: eu-west-1, us-east-1.']);
  assert.equal((await refused(`/rollouts/${far.id}/explain`)).code, 'not_found');

  const { products } = (await ok(ExplainReply, `/agents/${far.id}/explain`)) as ExplainReply;
  assert.equal(products[0]?.sentence, `the agent is not in a step that is open yet: the lane has not opened: ${wave}`);
  // The agent itself is answered without: what moves elsewhere must not wake it.
  const { answer } = await far.checkIn();
  assert(answer.kind === 'hold' && answer.sentence.endsWith('the lane has not opened'));
});
