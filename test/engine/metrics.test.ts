// Metric gates in a real engine: samples come over HTTP, are counted in the database, and decide what becomes of the lane.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import type { MetricPolicy } from '../../src/domain/metric.ts';
import { listVetoes } from '../../src/store/controls.ts';
import { listTallies } from '../../src/store/metrics.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { openMetrics } from '../../src/tracker/metrics.ts';
import { openPrometheus } from '../../src/tracker/prometheus.ts';
import { rules, stepPolicy, testPolicy } from '../support/fixtures.ts';
import { openFleet } from '../support/fleet.ts';

const METRIC: MetricPolicy = {
  name: 'errors',
  query: 'errors{region="{region}",version="{version}"}',
  everyMs: 10_000,
  passWhen: { op: '<', limit: 1 },
  failWhen: { op: '>', limit: 5 },
  samples: 2,
  failures: 2,
  maxInconclusive: 0,
  onFail: 'halt',
  dryRun: false,
};

/** A lane whose only step soaks for 30 s; `go` lets ten seconds pass, with one reading of `value`. */
async function soaking(t: TestContext, metric: Partial<MetricPolicy> = {}) {
  let answer: string | number = 0;
  const queries: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      queries.push(new URLSearchParams(body).get('query') ?? '');
      if (typeof answer === 'string') response.writeHead(503).end(answer);
      else {
        const result = [{ metric: {}, value: [1, String(answer)] }];
        response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const steps = [stepPolicy({ soakMs: 30_000 })];
  const fleet = await openFleet(t, rules(testPolicy({ steps, metrics: [{ ...METRIC, ...metric }] })));
  const prometheus = openPrometheus({
    url: `http://127.0.0.1:${port}`,
    token: null,
    timeoutMs: 5_000,
    userAgent: 'tidegate',
  });
  const logger = pino({ level: 'silent' });
  const metrics = openMetrics({ database: fleet.database, prometheus, products: ['agentd'], logger });
  t.after(async () => {
    await metrics.close();
    server.closeAllConnections();
    server.close();
  });
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  for (const agent of agents) await agent.run();
  await fleet.engine.plan();
  const lane = async () => {
    const rollouts = await listRollouts(fleet.database.db, {});
    const found = rollouts.find((one) => one.version === '1.1.0');
    assert.ok(found?.lanes[0] !== undefined);
    return { rollout: found, lane: found.lanes[0] };
  };
  async function go(value: string | number): Promise<string> {
    answer = value;
    await metrics.round(fleet.clock.now());
    fleet.clock.advance(10_000);
    for (const agent of agents) await agent.checkIn();
    await fleet.engine.plan();
    const { state } = (await lane()).lane;
    if (state.name !== 'soaking') return state.name;
    const gates = await fleet.engine.operator.explainLanes((await lane()).rollout.id);
    const shown = JSON.stringify([...gates.values()]);
    if (shown.includes('a metric says that the release does harm')) return 'metric_failing';
    if (shown.includes('a person is asked')) return 'metric_inconclusive';
    return shown.includes('a metric cannot be read') ? 'metric_unknown' : state.name;
  }
  return { fleet, go, lane, queries, metrics };
}

test('good samples let the step pass once it has soaked; the query names region and version', async (t) => {
  const { go, queries } = await soaking(t);
  assert.deepEqual([await go(0), await go(0), await go(0)], ['soaking', 'soaking', 'completed']);
  assert.equal(queries[0], 'errors{region="eu-west-1",version="1.1.0"}');
});

test('too few good samples keep the lane soaking after its time', async (t) => {
  const { go } = await soaking(t, { samples: 5 });
  for (let sample = 1; sample < 5; sample += 1) assert.equal(await go(0), 'soaking');
  assert.equal(await go(0), 'completed');
});

test('a metric that fails halts at once, while the step still soaks, and vetoes the release', async (t) => {
  const { fleet, go, lane } = await soaking(t);
  assert.equal(await go(9), 'soaking');
  assert.equal(await go(9), 'halted');
  const { state } = (await lane()).lane;
  assert.match(
    state.name === 'halted' ? state.reason : '',
    /metric errors is > 5: last 9, 2 failed samples \(2 are too many\)/,
  );
  assert.deepEqual(
    (await listVetoes(fleet.database.db)).map(({ version, automatic }) => [version, automatic]),
    [['1.1.0', true]],
  );
});

test('onFail: hold waits for a person instead', async (t) => {
  const { go } = await soaking(t, { onFail: 'hold', failures: 1 });
  assert.deepEqual([await go(9), await go(0)], ['metric_failing', 'metric_failing']);
  assert.equal(await go(0), 'metric_failing');
});

test('what is neither good nor failed asks a person', async (t) => {
  const { go } = await soaking(t);
  assert.deepEqual([await go(3), await go(0), await go(0)], ['metric_inconclusive', 'metric_inconclusive', 'approval']);
});

test('an error is no sample: the lane waits as metric_unknown, and goes on when it can be read', async (t) => {
  const { go } = await soaking(t);
  assert.deepEqual(
    [await go('down'), await go('down'), await go('down'), await go(0), await go(0)],
    ['metric_unknown', 'metric_unknown', 'metric_unknown', 'soaking', 'completed'],
  );
});

test('a dry run is read and holds nothing up', async (t) => {
  const { fleet, go } = await soaking(t, { dryRun: true });
  assert.deepEqual([await go(9), await go(9), await go(9)], ['soaking', 'soaking', 'completed']);
  assert.deepEqual(await listVetoes(fleet.database.db), []);
});

test('after a retry the samples of before count for nothing', async (t) => {
  const { fleet, go, lane } = await soaking(t, { failures: 1 });
  assert.equal(await go(9), 'halted');
  const { rollout } = await lane();
  await fleet.engine.operator.verb(rollout.id, {
    verb: 'retry',
    region: null,
    expectedStep: null,
    vetoRelease: false,
    actor: 'me',
    reason: 'the query was wrong',
  });
  await fleet.engine.plan();
  for (let round = 0; round < 4; round += 1) await go(0);
  assert.equal((await lane()).lane.state.name, 'completed');
});

test('after an acceptance the step soaks anew, and is looked at anew', async (t) => {
  const { fleet, go, lane } = await soaking(t, { samples: 4 });
  for (let sample = 0; sample < 3; sample += 1) assert.equal(await go(0), 'soaking');
  const { rollout } = await lane();
  const words = { region: 'eu-west-1', expectedStep: null, vetoRelease: false, actor: 'me', reason: 'a false alarm' };
  await fleet.engine.operator.verb(rollout.id, { ...words, verb: 'halt' });
  await fleet.engine.operator.verb(rollout.id, { ...words, verb: 'accept', count: 1 });
  await fleet.engine.plan();
  assert.equal((await lane()).lane.state.name, 'soaking');
  const states = [await go(0), await go(0), await go(0), await go(0)];
  assert.deepEqual(states, ['soaking', 'soaking', 'soaking', 'completed']);
});

test('a restart keeps the samples, and nothing is read before it is due', async (t) => {
  const { fleet, go, metrics, queries } = await soaking(t);
  await go(0);
  await metrics.round(fleet.clock.now() - 5_000);
  assert.equal(queries.length, 1);
  await fleet.restart();
  assert.deepEqual(
    (await listTallies(fleet.database.db)).map(({ good, at }) => [good, at]),
    [[1, fleet.clock.now() - 10_000]],
  );
});

test('a promotion that a metric in doubt asked for, said twice, is done once; what a metric halted is not accepted', async (t) => {
  const { fleet, go, lane } = await soaking(t);
  await go(3);
  await go(0);
  assert.equal(await go(0), 'approval');
  const verb = async (name: 'promote' | 'accept') => {
    const words = { vetoRelease: false, actor: 'me', reason: 'looked at it' };
    return await fleet.engine.operator.verb((await lane()).rollout.id, {
      ...{ verb: name, region: 'eu-west-1', expectedStep: 0, count: 1 },
      ...words,
    });
  };
  assert.equal(await verb('promote'), true);
  await fleet.engine.plan();
  assert.equal((await lane()).lane.state.name, 'completed');
  assert.equal(await verb('promote'), false);

  const other = await soaking(t, { failures: 1 });
  assert.equal(await other.go(9), 'halted');
  const { rollout } = await other.lane();
  const options = { verb: 'accept', region: 'eu-west-1', expectedStep: null, count: 1 } as const;
  const words = { vetoRelease: false, actor: 'me', reason: 'looked at it' };
  await assert.rejects(other.fleet.engine.operator.verb(rollout.id, { ...options, ...words }), {
    code: 'conflict',
    message: /no outcome halted eu-west-1, but this: the metric errors is > 5/,
  });
});
