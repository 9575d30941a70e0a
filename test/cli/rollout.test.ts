// A rollout in the hands of a person: the CLI against a real server process, with modelled agents behind it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { run } from './bin.ts';
import { type FleetServer, startFleetServer } from './fleet-server.ts';

const POLICY =
  '{ careful: { waves: [[eu], [us]], steps: [{ count: 1, soak: 0s, promotion: manual }, { percent: 100, soak: 0s }] } }';
const ROLLOUT = 'agentd@1.1.0';

let server: FleetServer;
before(async () => {
  server = await startFleetServer(POLICY);
});
after(() => server[Symbol.asyncDispose]());

test('a whole promotion by hand, and the ways in which it is refused', { timeout: 120_000 }, async () => {
  const cli = async (...args: string[]) => await run(args, server.env);
  const reason = ['--reason', "it's good"];
  server.publish('1.0.0');
  await server.until(['status'], /newest release 1\.0\.0/);
  const agents = [await server.enrol('a', 'eu'), await server.enrol('b', 'eu')];
  server.publish('1.1.0');
  await server.until(['rollout', 'list'], /agentd@1\.1\.0 +active/);

  const early = await cli('rollout', 'promote', ROLLOUT, ...reason);
  assert.equal(early.code, 5, early.err);
  assert.match(early.err, /illegal_transition.*eu is open/);
  const timedOut = await cli('rollout', 'status', ROLLOUT, '--wait', '--timeout', '1s');
  assert.deepEqual([timedOut.code, timedOut.out], [5, 'active\n']);
  assert.match(timedOut.err, /^error\[wait_not_reached\]: agentd 1\.1\.0 is active after 1s, not completed; eu: /);

  // A state of a lane is what was asked for, so it is what is said, whatever the rollout is called as a whole.
  assert.equal((await cli('rollout', 'status', ROLLOUT, '--wait', 'open')).out, 'open\n');
  const misnamed = await cli('rollout', 'status', 'agentdd@1.1.0');
  assert.deepEqual([misnamed.code, misnamed.out], [3, '']);
  assert.match(misnamed.err, /the config has no product agentdd\n {2}There are: agentd\./);
  const slip = await cli('brake', 'off', '--region', 'eus', ...reason);
  assert.equal(slip.code, 3);
  assert.match(slip.err, /the config has no region eus\n {2}There are: eu, us\./);
  assert.match((await cli('rollout', 'list', '--product', 'agentdd')).err, /the config has no product agentdd/);
  assert.match(
    (await cli('rollout', 'show', 'agentd@1.7.0')).err,
    /no rollout of 1\.7\.0\n {2}There are: 1\.1\.0.*begun/,
  );

  const waiting = cli('rollout', 'status', ROLLOUT, '--region', 'eu', '--wait', 'approval', '--timeout', '1m');
  // Which of the two goes first is the rank's to say.
  const first = await firstInstructed(agents);
  await server.update(first, '1.1.0');
  assert.deepEqual(await waiting, { code: 0, out: 'approval\n', err: '' });

  const unnamed = await cli('rollout', 'promote', ROLLOUT, ...reason);
  assert.equal(unnamed.code, 2);
  const command = `tidegate rollout promote ${ROLLOUT} --step 1 --reason 'it'\\''s good'`;
  assert.match(unnamed.err, /^error\[usage\]: name the step to promote with --step; .* eu after step 1 of 2$/m);
  assert(unnamed.err.includes(`Run: ${command}\n`), unnamed.err);
  const old = await cli('rollout', 'promote', ROLLOUT, '--step', '1', '--region', 'eu', '--revision', '0', ...reason);
  assert.equal(old.code, 5);
  assert.match(old.err, /revision_mismatch.*is at revision \d+, not 0\n(.*\n)* {2}It has moved since you looked/);
  assert.equal((await cli('rollout', 'pause', ROLLOUT, '--revision', '0', ...reason)).code, 2);
  assert.match(
    (await cli('rollout', 'approve', ROLLOUT, ...reason)).err,
    /name the step to approve with --step; .* eu/,
  );
  assert.equal((await cli('rollout', 'accept', ROLLOUT, '--count', '1', ...reason)).code, 2);
  const nothing = await cli('rollout', 'accept', ROLLOUT, '--region', 'eu', '--count', '1', ...reason);
  assert.match(nothing.err, /illegal_transition.*accept: the lane in eu is waiting for approval/);
  const wrong = await cli('rollout', 'promote', ROLLOUT, '--step', '2', ...reason);
  assert.equal(wrong.code, 5);
  assert.match(wrong.err, /^error\[conflict\]: the lane in eu is in step 1, not in step 2$/m);
  const illegal = await cli('rollout', 'resume', ROLLOUT, '--region', 'us', ...reason);
  assert.equal(illegal.code, 5);
  assert.match(
    illegal.err,
    /illegal_transition.*\n(.*\n)* {2}resume is for lanes that are paused, open, soaking or waiting for approval\./,
  );

  const promoted = await cli('rollout', 'promote', ROLLOUT, '--step', '1', ...reason);
  assert.equal(promoted.code, 0, promoted.err);
  assert.match(promoted.out, /^agentd 1\.1\.0 is promoted\n {2}eu {2}open {2}step 2 of 2 is open\n$/);
  const running = await cli('rollout', 'resume', ROLLOUT, '--region', 'eu', ...reason);
  assert.match(running.out, /^nothing changed: agentd 1\.1\.0 is not paused in eu\n/);
  const paused = await cli('rollout', 'pause', ROLLOUT, ...reason);
  assert.match(paused.out, /^agentd 1\.1\.0 is paused\n {2}eu {2}paused {2}paused by operator: it's good\n$/);
  assert.match((await cli('rollout', 'pause', ROLLOUT, '--region', 'eu', ...reason)).out, /^nothing changed: /);
  assert.equal((await cli('rollout', 'resume', ROLLOUT, ...reason)).code, 0);
  for (const agent of agents.filter((one) => one !== first)) await server.update(agent, '1.1.0');
  assert.deepEqual(await cli('rollout', 'status', ROLLOUT, '--wait', '--timeout', '30s'), {
    code: 0,
    out: 'completed\n',
    err: '',
  });
  const never = await cli('rollout', 'status', ROLLOUT, '--wait', 'paused');
  assert.deepEqual([never.code, never.out], [5, 'completed\n']);
  const json = JSON.parse((await cli('rollout', 'status', ROLLOUT, '--json')).out);
  assert.deepEqual([json.state, json.lanes.length], ['completed', 2]);

  const back = await cli('rollout', 'rollback', ROLLOUT, '--region', 'eu', ...reason);
  assert.equal(back.code, 0, back.err);
  const line = / {2}eu {2}rolling_back {2}going back to 1\.0\.0 by operator: it's good\n$/;
  assert.match(back.out, new RegExp(`^agentd 1\\.1\\.0 is being rolled back in eu\\n${line.source}`));
  for (const agent of agents) await server.update(agent, '1.0.0');
  const gone = ['rollout', 'status', ROLLOUT, '--region', 'eu', '--wait', 'rolled_back', '--timeout', '30s'];
  assert.deepEqual((await cli(...gone)).out, 'rolled_back\n');
  assert.match((await cli('rollout', 'rollback', ROLLOUT, '--region', 'eu', ...reason)).out, /^nothing changed: /);
});

/** The agent that is told to stage first; it is asked again by whoever updates it. */
async function firstInstructed<T extends { checkIn(): Promise<{ instruction: unknown }> }>(agents: T[]): Promise<T> {
  for (let tries = 0; tries < 400; tries += 1) {
    for (const agent of agents) if ((await agent.checkIn()).instruction !== undefined) return agent;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('nobody was instructed');
}
