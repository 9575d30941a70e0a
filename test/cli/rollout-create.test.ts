// A rollout begun by hand, its retry and its end, and the lists of agents, regions and releases: the CLI on a real server.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { enrolWireAgent } from '../support/wire-agent.ts';
import { run } from './bin.ts';
import { type FleetServer, startFleetServer } from './fleet-server.ts';

// Nothing goes out by itself: whatever is published here waits for a person.
const POLICY =
  '{ careful: { begin: manual, waves: [[eu], [us]], steps: [{ labels: { ring: canary, tier: "1=one" }, soak: 0s }, { percent: 100, soak: 0s }] } }';
const RELEASE = 'agentd@1.1.0';
const ID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';

let server: FleetServer;
before(async () => {
  server = await startFleetServer(POLICY);
});
after(() => server[Symbol.asyncDispose]());

test('from nothing to a rollout by hand, halted, retried, cancelled', { timeout: 180_000 }, async () => {
  const cli = async (...args: string[]) => await run(args, server.env);
  assert.equal((await cli('agents')).out, 'no agent yet\n');
  assert.match((await cli('availability')).out, /^nothing is known yet/);

  server.publish('1.0.0');
  server.publish('1.1.0');
  await server.until(['status'], /2 releases known/);
  const other = await server.enrol('edge-b', 'eu');
  const labels = ['--label', 'ring=canary', '--label', 'tier=1=one'];
  const { out: token } = await cli('enrol-token', 'create', '--region', 'eu', ...labels);
  const canary = await enrolWireAgent(() => server.url, token.trim(), 'edge-a', structuredClone(other.products));
  await server.enrol('edge-a', 'us');

  const asks =
    /held .*: a\s+person\s+must\s+begin\s+1\.1\.0,[\s\S]+tidegate\s+rollout\s+create\s+agentd@1\.1\.0\s+--reason/;
  await server.until(['status'], asks);

  const reason = ['--reason', 'it cannot wait'];
  const unreasoned = await cli('rollout', 'create', RELEASE);
  assert.equal(unreasoned.code, 2);
  assert.match(unreasoned.err, /required option '--reason <text>'/);
  assert.equal((await cli('rollout', 'create', 'agentd', ...reason)).code, 2);
  const unknown = await cli('rollout', 'create', 'agentd@1.3.0', ...reason);
  assert.equal(unknown.code, 3);
  assert.match(
    unknown.err,
    /^error\[not_found\]: agentd has no release 1\.3\.0\n.*\n {2}The newest are: 1\.1\.0, 1\.0\.0\.\n$/,
  );
  const created = await cli('rollout', 'create', 'agentd@v1.1.0', ...reason);
  assert.equal(created.code, 0, created.err);
  assert.match(
    created.out,
    new RegExp(
      `^the rollout of agentd 1\\.1\\.0 has begun, with the policy careful
  ${ID}
  wave 1  eu  open     step 1 of 2 is open
  wave 2  us  waiting  an earlier wave has not completed: eu is open
next: agents in eu get it as they check in; then wave 2 follows: us
follow it with: tidegate rollout status agentd@1\\.1\\.0 --wait
$`,
    ),
  );
  assert.doesNotMatch((await cli('status')).out, asks);
  const lower = await cli('rollout', 'create', 'agentd@1.0.0', ...reason);
  assert.equal(lower.code, 5);
  assert.match(lower.err, /^error\[conflict\]: agentd 1\.0\.0 is not higher than 1\.1\.0, which is still going out\n/);
  assert.match(lower.err, /Cancel that one first: tidegate rollout cancel agentd@1\.1\.0 --reason TEXT\n$/);
  const again = JSON.parse((await cli('rollout', 'create', RELEASE, ...reason, '--json')).out);
  assert.deepEqual([again.changed, again.rollout.lanes.length], [false, 2]);

  // Both labels of the token have come through: the step by labels takes this agent and no other.
  assert.equal((await other.checkIn()).instruction, undefined);
  assert.equal((await canary.checkIn()).instruction?.action, 'stage');

  const agents = await cli('agents');
  const lines = agents.out.split('\n');
  assert.match(lines[0] ?? '', /^NAME +REGION +VERSION +ATTEMPT +HEALTH +SEEN$/);
  assert.match(lines[1] ?? '', /^edge-a {2}eu {6}1\.0\.0 {4}offered 1\.1\.0 {2}ok {6}/);
  assert.match(lines[2] ?? '', new RegExp(`^  ${ID}$`), 'two agents have the name: explain needs the id');
  assert.equal(lines[3], '  labels ring=canary, tier=1=one');
  assert.match(lines[4] ?? '', /^edge-b {2}eu {6}1\.0\.0 {19}ok /);
  assert.match(lines[5] ?? '', /^edge-a {2}us {6}1\.0\.0 {19}ok {6}never$/);
  assert.match(agents.out, /\n\n3 agents\n$/);
  assert.match(
    (await cli('agents', '--region', 'eu', '--limit', '1')).out,
    /\n1 agent in eu shown; there are more: see them with --limit 10 or --product\n$/,
  );
  const page = JSON.parse((await cli('agents', '--limit', '2', '--json')).out);
  assert.deepEqual([page.agents.length, page.next], [2, page.agents[1].id]);
  const nowhere = await cli('agents', '--region', 'nix');
  assert.deepEqual([nowhere.code, /There are: eu, us\./.test(nowhere.err)], [3, true]);
  assert.equal((await cli('agents', '--product', 'nix')).code, 3);
  assert.equal((await cli('agents', '--limit', '0')).code, 2);

  assert.equal(
    (await cli('regions')).out,
    `REGION  ZONE              PRESENT  RELEASES FROM  WINDOW
eu      Europe/Berlin     2 of 2   GitHub         open
  agentd@1.1.0 is open, step 1 of 2, wave 1
us      America/New_York  1 of 1   GitHub         open
`,
  );
  assert.equal(JSON.parse((await cli('regions', '--json')).out).regions.length, 2);

  assert.match((await cli('availability')).out, /^agentd 1\.1\.0: available in 2 of 2 regions\n/);
  const one = await cli('availability', '--version', '1.0.0', '--region', 'us');
  assert.match(
    one.out,
    /^agentd 1\.0\.0: available in 1 of 1 region\n.*\n {2}us {6}linux-x64 {2}available .* uploaded on GitHub\n$/,
  );
  assert.equal((await cli('availability', '--region', 'nix')).code, 3);
  assert.equal((await cli('availability', '--version', '7.7.7')).code, 3);

  const early = await cli('rollout', 'retry', RELEASE, '--reason', 'x');
  assert.equal(early.code, 5);
  assert.match(early.err, /retry is for lanes that are halted\./);
  assert.equal((await cli('rollout', 'halt', RELEASE, '--region', 'eu', '--reason', 'odd')).code, 0);
  const shown = await cli('rollout', 'show', RELEASE);
  assert.match(shown.out, /\n {2}to do: publish a fix, or tidegate rollout retry agentd@1\.1\.0 --region eu/);
  const retried = await cli('rollout', 'retry', RELEASE, '--reason', 'it was the network');
  assert.equal(retried.code, 0, retried.err);
  assert.equal(retried.out, 'agentd 1.1.0 is retried\n  eu  open  step 1 of 2 is open\n');
  // What was offered before the halt is taken back first; then the new budget epoch offers it anew.
  assert.equal((await canary.checkIn()).instruction?.action, 'stage');

  const cancelled = await cli('rollout', 'cancel', RELEASE, '--reason', 'enough');
  assert.equal(cancelled.code, 0, cancelled.err);
  assert.equal(
    cancelled.out,
    'agentd 1.1.0 is cancelled\n  eu  cancelled  cancelled by operator: enough\n  us  cancelled  cancelled by operator: enough\n',
  );
  assert.match(
    (await cli('rollout', 'cancel', RELEASE, '--reason', 'x')).out,
    /^nothing changed: agentd 1\.1\.0 was already cancelled\n/,
  );
  assert.deepEqual((await cli('rollout', 'status', RELEASE)).out, 'cancelled\n');
  await server.until(['status'], /agentd 1\.1\.0: cancelled, ended/);
  const late = await cli('rollout', 'create', RELEASE, ...reason);
  assert.equal(late.code, 0);
  assert.match(late.out, /^nothing changed: .*it is cancelled/);
  assert.match(late.out, /a release goes out once: to let it out again, publish it under a new version\n$/);

  const audit = await cli('audit', '--by', 'operator');
  assert.match(audit.out, /Z operator: rollout\.created agentd 1\.1\.0\n {2}it cannot wait\n/);
  assert.doesNotMatch(audit.out, /tidegate:|agent edge/);
  assert.match((await cli('audit', '--all', '--limit', '1')).out, /older ones: tidegate audit --all --before \d+/);
  assert.equal((await cli('audit', '--limit', '501')).code, 2);

  assert.equal((await cli('operator-token', 'create', '--name', 'kim')).code, 0);
  assert.match(
    (await cli('operator-token', 'list')).out,
    /^NAME +MADE +STATE +ID\nkim +\S+ \S+ +until [\s\S]*\noperator .* counts /,
  );
  const leaked = await cli('operator-token', 'revoke', 'kim', '--reason', 'it leaked');
  assert.equal(leaked.out, 'the token of kim counts no more; what its owner has approved stays\n');
  assert.match((await cli('operator-token', 'list')).out, /^kim .* revoked 2/m);
});

test('a label is given once', async () => {
  const twice = await run(['enrol-token', 'create', '--region', 'eu', '--label', 'a=1', '--label', 'a=2'], server.env);
  assert.equal(twice.code, 2);
  assert.match(twice.err, /The label a is given twice\./);
});
