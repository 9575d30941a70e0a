// What people say of one agent or one release, on the command line in front of the real engine.
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { serveFleet } from '../api/real-engine.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { run } from './bin.ts';

const POLICY = testPolicy({ steps: [stepPolicy({ soakMs: 0 })], attemptsPerAgent: 1 });

async function served(t: Parameters<typeof serveFleet>[0]) {
  const { fleet, app, token } = await serveFleet(t, rules(POLICY));
  await app.listen({ host: '127.0.0.1', port: 0 });
  const env = {
    TIDEGATE_SERVER: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    TIDEGATE_TOKEN: token,
  };
  await fleet.publish('1.0.0');
  return {
    fleet,
    /** `out` and `err` in one line: where they are broken depends on the width alone. */
    async cli(...args: string[]) {
      const { code, out, err } = await run(args, env);
      assert.ok(
        out.split('').every((line) => line.length <= 80),
        out,
      );
      return { code, out: out.replace(/\s+/g, ' '), err: err.replace(/\s+/g, ' ') };
    },
  };
}

test('release veto and unveto', async (t) => {
  const { fleet, cli } = await served(t);
  await fleet.enrol('edge-1');
  await fleet.publish('1.1.0');
  const vetoed = await cli('release', 'veto', 'agentd@v1.1.0', '--reason', 'it eats disks');
  assert.deepEqual([vetoed.code, vetoed.out], [0, 'agentd 1.1.0 is vetoed: it goes out nowhere; halted in eu-west-1 ']);
  const again = await cli('release', 'veto', 'agentd@1.1.0', '--reason', 'again');
  assert.match(
    again.out,
    /^agentd 1\.1\.0 was already vetoed, set by \S+ at .*Z because: it eats disks; nothing is changed/,
  );
  assert.match((await cli('product', 'history', 'agentd')).out, /v1\.1\.0 is vetoed: it eats disks/);
  const retry = await cli('rollout', 'retry', 'agentd@1.1.0', '--reason', 'again');
  assert.equal(retry.code, 5);
  assert.match(retry.err, /tidegate release unveto agentd@1\.1\.0/);
  const lifted = await cli('release', 'unveto', 'agentd@1.1.0', '--reason', 'it was the disk');
  assert.match(lifted.out, /^the veto of agentd 1\.1\.0 is lifted: it was set by /);
  assert.match(
    lifted.out,
    / still halted in eu-west-1; go on with: tidegate rollout retry agentd@1\.1\.0 --reason TEXT $/,
  );
  const none = await cli('release', 'unveto', 'agentd@1.1.0', '--reason', 'x');
  assert.equal(none.out, 'agentd 1.1.0 is not vetoed; nothing is changed ');
  const unknown = await cli('release', 'veto', 'agentd@9.0.0', '--reason', 'x');
  assert.deepEqual([unknown.code, /The newest are: 1\.1\.0, 1\.0\.0\./.test(unknown.err)], [3, true]);
  assert.equal((await cli('release', 'veto', 'agentd', '--reason', 'x')).code, 2);
});

test('agent pin and unpin', async (t) => {
  const { fleet, cli } = await served(t);
  await fleet.enrol('edge-1');
  const pin = ['agent', 'pin', 'edge-1', '--product', 'agentd'];
  const wrong = await cli(...pin, '--version', '0.9.0', '--reason', 'x');
  assert.equal(wrong.code, 5);
  assert.match(wrong.err, /edge-1 runs agentd 1\.0\.0, not 0\.9\.0/);
  const pinned = await cli(...pin, '--version', '1.0.0', '--reason', 'kernel bug');
  assert.deepEqual([pinned.code, pinned.out], [0, 'edge-1 is pinned at agentd 1.0.0 ']);
  assert.match(
    (await cli(...pin, '--reason', 'x')).out,
    /was already pinned at agentd 1\.0\.0, by \S+ since .*: kernel bug/s,
  );
  assert.match((await cli('agents')).out, / pinned at agentd 1\.0\.0 by \S+ .* ago: kernel bug/);
  const explained = (await cli('explain', 'edge-1')).out;
  assert.match(explained, /agentd would be held: the agent is pinned to its version: 1\.0\.0, by \S+: kernel bug/);
  assert.match(explained, / hold pin the agent is pinned/);
  const unpin = ['agent', 'unpin', 'edge-1', '--product', 'agentd', '--reason', 'mended'];
  assert.match(
    (await cli(...unpin)).out,
    /^edge-1 is not pinned at agentd any more; it was, by \S+ since .*: kernel bug $/,
  );
  assert.equal((await cli(...unpin)).out, 'edge-1 is not pinned at agentd; nothing is changed ');
  const nobody = await cli('agent', 'pin', 'edge-9', '--product', 'agentd', '--reason', 'x');
  assert.deepEqual([nobody.code, /See `tidegate agents`/.test(nobody.err)], [3, true]);
  const missing = await cli('agent', 'pin', 'edge-1', '--product', 'agentx', '--reason', 'x');
  assert.match(missing.err, /edge-1 does not run agentx .*It runs: agentd\./);
});

test('quarantine list and clear', async (t) => {
  const { fleet, cli } = await served(t);
  const agent = await fleet.enrol('edge-1');
  assert.equal((await cli('quarantine', 'list')).out, 'no agent is quarantined ');
  await fleet.publish('1.1.0');
  assert.equal(await agent.run(() => 'download_fails'), 'quarantined');
  const clear = 'tidegate quarantine clear edge-1 agentd@1.1.0 --reason TEXT';
  const listed = await cli('quarantine', 'list', '--product', 'agentd');
  assert.match(
    listed.out,
    /^NAME REGION RELEASE ATTEMPTS LAST edge-1 eu-west-1 agentd@1\.1\.0 1 of 1 failed .* ago download_failed /,
  );
  assert.ok(listed.out.endsWith(`1 quarantine let one try again with: ${clear} `));
  assert.ok((await cli('agents')).out.includes(`quarantined at agentd 1.1.0, 1 of 1 attempts: ${clear}`));
  assert.match(
    (await cli('explain', 'edge-1')).out,
    /hold attempts the agent has used up its attempts at this release: 1 of 1 attempts/,
  );
  const cleared = ['quarantine', 'clear', 'edge-1', 'agentd@v1.1.0', '--reason', 'new disk'];
  assert.equal((await cli(...cleared)).out, 'edge-1 may try agentd 1.1.0 again; 1 attempt forgiven ');
  assert.equal((await cli(...cleared)).out, 'edge-1 is not quarantined at agentd 1.1.0; nothing is changed ');
  assert.equal(await agent.run(), 'none');
  const unknown = await cli('quarantine', 'list', '--product', 'agentx');
  assert.deepEqual([unknown.code, /There are: agentd\./.test(unknown.err)], [3, true]);
});

test('agent unenrol', async (t) => {
  const { fleet, cli } = await served(t);
  const agent = await fleet.enrol('edge-1');
  await fleet.enrol('edge-2');
  assert.equal((await cli('agent', 'unenrol', 'edge-1')).code, 2, 'a reason is asked for');
  const done = await cli('agent', 'unenrol', 'edge-1', '--reason', 'scrapped');
  assert.equal(
    done.out,
    `edge-1 (${agent.id}, eu-west-1) is taken out of the fleet to bring the host back: put a new enrolment token into its agent.json, remove state/identity.json, and start it again `,
  );
  const again = await cli('agent', 'unenrol', 'edge-1', '--reason', 'again');
  assert.match(again.out, / was taken out of the fleet already, by \S+ at .*Z: scrapped; nothing is changed $/);
  const { out } = await cli('agents');
  assert.deepEqual([out.includes('edge-1'), out.includes('edge-2')], [false, true]);
  const gone = await cli('explain', agent.id);
  assert.equal(gone.code, 5);
  assert.match(gone.err, /has taken edge-1 out of the fleet \(scrapped\)/);
  // Another host of that name may be there by now, and is the one that is meant.
  const other = await fleet.enrol('edge-1');
  const second = JSON.parse((await cli('agent', 'unenrol', 'edge-1', '--reason', 'x', '--json')).out);
  assert.deepEqual([second.agent, second.changed], [other.id, true]);
  assert.equal((await cli('agent', 'unenrol', 'edge-9', '--reason', 'x')).code, 3);
  await fleet.publish('1.1.0');
  const atRisk = await fleet.enrol('edge-3');
  await atRisk.run(() => 'vanishes');
  const risky = await cli('agent', 'unenrol', 'edge-3', '--reason', 'x');
  assert.match(risky.out, /its update of agentd to 1\.1\.0 had been granted \(granted\): .* counts as lost/);
});

test('agents names builds that no release has, and why an agent is unwell', async (t) => {
  const { fleet, cli } = await served(t);
  const [known, other] = [await fleet.enrol('edge-1'), await fleet.enrol('edge-2')];
  await known.checkIn({ health: 'unhealthy', healthReason: 'the disk is full' });
  other.products = [{ product: 'agentd', version: '1.0.0', digest: 'f'.repeat(64) }];
  await other.checkIn();
  const { out } = await cli('agents');
  assert.match(out, /edge-1 .* unhealthy: the disk is full edge-2/);
  assert.match(out, /held: agentd 1\.0\.0 with digest ffffffffffff… is a build that no release has/);
  assert.equal(out.match(/held:/g)?.length, 1);
});
