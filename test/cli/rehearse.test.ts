// `tidegate rehearse` and `backtest` on a real engine: the fleet as it is, a fleet of a file, 80 columns, wrong questions.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { columns } from '../../src/cli/render.ts';
import type { BacktestReply, RehearsalReply } from '../../src/protocol/rehearsal.ts';
import { type ServedFleet, serveFleet } from '../api/real-engine.ts';
import { rules, START, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { type Env, run } from './bin.ts';

const DAY = 86_400_000;
const POLICY = testPolicy({
  waves: [['eu-west-1'], ['us-east-1']],
  steps: [
    stepPolicy({ percent: null, labels: { ring: 'canary' }, soakMs: 3_600_000, manual: true }),
    stepPolicy({ percent: 100, soakMs: 7_200_000, budget: 'loose' }),
  ],
  minAgeMs: 40 * DAY,
});

async function serve(t: TestContext): Promise<{ served: ServedFleet; env: Env; dir: string }> {
  const served = await serveFleet(t, rules(POLICY));
  const url = await served.app.listen({ host: '127.0.0.1', port: 0 });
  const dir = mkdtempSync(join(tmpdir(), 'tidegate-rehearse-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return { served, env: { TIDEGATE_SERVER: url, TIDEGATE_TOKEN: served.token }, dir };
}

test('rehearse and backtest', { timeout: 60_000 }, async (t) => {
  const { served, env, dir } = await serve(t);
  const { fleet } = served;
  const cli = async (...args: string[]) => {
    const ran = await run(args, env);
    for (const line of `${ran.out}`.split('\n')) assert.ok(args.includes('--json') || columns(line) <= 80, line);
    return ran;
  };
  await fleet.publish('1.0.0', { publishedAt: START - 30 * DAY });
  await fleet.enrol('canary', { labels: { ring: 'canary', host: 'a' } });
  for (const name of ['a', 'b', 'c']) await fleet.enrol(name, { labels: { host: name } });
  await fleet.enrol('far', { region: 'us-east-1' });
  const before = await served.app.inject({
    url: '/api/v1/rollouts',
    headers: { authorization: `Bearer ${served.token}` },
  });

  const plain = ['rehearse', '--product', 'agentd', '--version', '1.1.0'];
  const page = await cli(...plain, '--approve-after', '2h');
  assert.equal(page.code, 0, page.err);
  for (const says of [
    /^agentd 1\.1\.0 under standard: over after 40d 7h$/m,
    /^ {2}5 of 5 agents updated; it begins 2026-02-10 00:00Z, 40d from now$/m,
    /^ {13}0 +1h +2h/m,
    /^ {2}eu-west-1 {2}1~+\?+2+~+$/m,
    /^ {2}REGION +STEP +OPENS +DONE IN +ENDS +AGENTS +DETECTS$/m,
    /^ {2}eu-west-1 +1 +2026-02-10 00:00 +2m 57s +2026-02-10 03:02 +1 +-$/m,
    /^ {2}us-east-1 +an earlier wave/m,
    /^A release that fails on 1 % of the hosts halts in 1 of 20 runs, when 1 of 5\nagents had been let go, at most 1 of them broken/m,
    /^ {2}1\.1\.0 is not published: it is taken as published now, complete for linux-x64\.$/m,
    /^ {2}nobody is away, nobody goes, and nobody comes\.$/m,
    /^ {2}a person promotes what waits for that after 2h\.$/m,
  ]) {
    assert.match(page.out, says);
  }

  const lower = await cli('rehearse', '--product', 'agentd', '--version', '1.0.0');
  assert.match(lower.out, /^Nobody is concerned: no agent runs a version below 1\.0\.0 on a platform/m);
  await fleet.publish('1.2.0', { publishedAt: START - 50 * DAY, state: 'withdrawn', why: 'GitHub lost it' });
  const veto = { product: 'agentd', version: '1.2.0', on: true, reason: 'it crashes', actor: 'dana' };
  await served.fleet.engine.operator.setVeto(veto);
  const vetoed = await cli('rehearse', '--product', 'agentd', '--version', '1.2.0');
  assert.match(vetoed.out, /^agentd 1\.2\.0 would not go out: the release is vetoed: 1\.2\.0: it crashes/m);

  const file = join(dir, 'fleet.json');
  const groups = [
    { region: 'eu-west-1', platform: 'linux-x64', version: '1.0.0', labels: { ring: 'canary' }, count: 30 },
    { region: 'eu-west-1', platform: 'linux-x64', version: '1.0.0', count: 300 },
    { region: 'us-east-1', platform: 'linux-arm64', version: '1.0.0', count: 70 },
  ];
  writeFileSync(file, JSON.stringify({ agents: groups }));
  const given = ['--fleet', file, '--offline', '10%', '--failure-rate', '50%', '--json'];
  const json = await cli(...plain, ...given);
  assert.equal(json.code, 0, json.err);
  const reply: RehearsalReply = JSON.parse(json.out);
  assert.deepEqual(reply.agents, { total: 400, updated: 360, failed: 0, away: 40, waiting: 0, untouched: 0 });
  assert.deepEqual(
    reply.lanes.map((lane) => [lane.region, lane.steps.map((step) => step.size)]),
    [
      ['eu-west-1', [27, 270]],
      ['us-east-1', [63]],
    ],
  );
  assert.deepEqual([reply.exposure.halted, reply.exposure.broken], [20, 1]);
  assert.deepEqual(JSON.parse((await cli(...plain, ...given)).out), reply, 'again the same');

  const told = await cli('backtest', '--product', 'agentd', '--since', '2025-11-01');
  assert.equal(told.code, 0, told.err);
  assert.match(told.out, /^agentd, 2025-12-02 to 2026-01-01: 0 releases above 1\.0\.0, 0 rollouts$/m);
  assert.match(told.out, /^ {2}REGION +RUNS +DONE +SKIPPED +BEHIND +AT MOST +AT END +LEAD +AT MOST$/m);
  const reread: BacktestReply = JSON.parse(
    (await cli('backtest', '--product', 'agentd', '--since', '2025-12-10', '--json')).out,
  );
  assert.deepEqual([reread.first, reread.regions.length], ['1.0.0', 2]);

  const wrong: [args: string[], code: number, says: RegExp][] = [
    [['rehearse', '--product', 'agentd'], 2, /required option '--version <version>'/],
    [[...plain, '--failure-rate', '1'], 2, /--failure-rate 1 is not a share\n.*Write e\.g\. 1%/],
    [[...plain, '--approve-after', 'soon'], 2, /--approve-after soon is not a time/],
    [[...plain, '--fleet', join(dir, 'none.json')], 3, /there is no file/],
    [['rehearse', '--product', 'nobody', '--version', '1.1.0'], 3, /no product nobody[\s\S]*There are: agentd/],
    [['rehearse', '--product', 'agentd', '--version', 'newest'], 3, /has no release newest/],
    [['backtest', '--product', 'agentd', '--since', '2025-02-30'], 3, /there is no day 2025-02-30/],
    [['backtest', '--product', 'agentd', '--since', '2027-01-01'], 3, /would begin in the future/],
    [
      ['backtest', '--product', 'agentd', '--since', 'soon'],
      3,
      /--since is not written as it must be\n +Run the command/,
    ],
    [['operator-token', 'create', '--name', 'kim', '--expires-in', '900d'], 3, /--expires-in must be at most 365d/],
    [['brake', 'on', '--reason', ''], 3, /--reason must not be empty/],
  ];
  for (const [args, code, says] of wrong) {
    const ran = await cli(...args);
    assert.equal(ran.code, code, ran.err);
    assert.match(ran.err, says);
  }
  const files: [text: string, says: RegExp][] = [
    ['{', /is not JSON/],
    ['{"agents": []}', /has no list of agents/],
    [JSON.stringify({ agents: [{ ...groups[0], region: 'mars' }] }), /no region mars/],
    [
      JSON.stringify({ agents: [groups[0], { ...groups[1], version: 'one' }] }),
      /agents\[1\] runs “one”, which is no version/,
    ],
    [JSON.stringify({ agents: [{ ...groups[0], count: 0 }] }), /--fleet: agents\[0\]\.count must be/],
    [JSON.stringify({ agents: [groups[0], { ...groups[1], count: 1_000_000 }] }), /1000030 agents are more than/],
  ];
  for (const [text, says] of files) {
    writeFileSync(file, text);
    const ran = await cli(...plain, '--fleet', file);
    assert.equal(ran.code, 3, ran.err);
    assert.match(ran.err, says);
  }

  const body = { product: 'agentd', version: '1.1.0' };
  const [one, other] = await Promise.all([
    served.refused('/rehearsals', { ...body, fleet: [groups[1]] }).catch(String),
    served.refused('/rehearsals', body).catch(String),
  ]);
  assert.ok(
    [one, other].some((said) => typeof said === 'object' && said.code === 'overloaded'),
    'one at a time',
  );
  const after = await served.app.inject({
    url: '/api/v1/rollouts',
    headers: { authorization: `Bearer ${served.token}` },
  });
  assert.equal(after.body, before.body, 'nothing was changed');
  assert.equal((await served.app.inject({ url: '/api/v1/rehearsals', method: 'POST', payload: body })).statusCode, 401);
});
