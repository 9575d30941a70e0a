// The server is killed with SIGKILL at every named instant between commit and reply of a scripted rollout, in every kind of
// phase (enrolment, publication, offer, grant, success, failure that halts): the outcomes are those of the undisturbed
// run, and no attempt that was committed is ever replaced by another.
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { type RecordedGitHub, startRecordedGitHub } from '../../src/demo/recorded-github.ts';
import { sha256Hex } from '../../src/protocol/envelope.ts';
import { enrolWireAgent, retried, type WireAgent } from '../support/wire-agent.ts';

const REPOSITORY = 'tidegate/demo-agent';
const PRODUCT = 'demo-agent';
const LEDGER_MARKS = ['ledger.begin', 'ledger.written', 'ledger.committed', 'ledger.replying'];
const PLAN_MARKS = ['reconcile.begin', 'reconcile.committed', 'reconcile.told'];

interface World {
  dir: string;
  url: string;
  github: RecordedGitHub;
  server: ChildProcess | undefined;
  config: string;
  /** One entry per kill. */
  killed: string[];
  /** Settles when the server that took the place of a killed one listens. */
  restarting: Promise<void>;
  /** Attempts that stood in the database after a kill, by id: what may never be replaced. */
  committed: Map<string, { agent: string; version: string }>;
}

test('the undisturbed run', async () => {
  const result = await scriptedRollout(undefined);
  assert.deepEqual(result.outcomes, [
    'a 1.1.0 succeeded',
    'a 1.2.0 rolled_back',
    'a 1.2.1 succeeded',
    'b 1.1.0 succeeded',
    'b 1.2.1 succeeded',
  ]);
});

for (const mark of [...LEDGER_MARKS, ...PLAN_MARKS]) {
  test(`killed at ${mark} in every phase`, async () => {
    const reference = [
      'a 1.1.0 succeeded',
      'a 1.2.0 rolled_back',
      'a 1.2.1 succeeded',
      'b 1.1.0 succeeded',
      'b 1.2.1 succeeded',
    ];
    const result = await scriptedRollout(mark);
    assert.deepEqual(result.outcomes, reference);
    assert(result.world.killed.length >= 5, `the mark was hit in ${result.world.killed.length} phases`);
    for (const [id, { agent, version }] of result.world.committed) {
      assert.equal(result.attemptIds.get(`${agent} ${version}`), id, `${agent} at ${version} keeps its attempt`);
    }
  });
}

async function scriptedRollout(mark: string | undefined) {
  const dir = mkdtempSync(join(tmpdir(), 'tidegate-kill-'));
  const github = await startRecordedGitHub();
  const port = await freePort();
  const world: World = {
    dir,
    url: `http://127.0.0.1:${port}`,
    github,
    server: undefined,
    config: join(dir, 'tidegate.yaml'),
    killed: [],
    restarting: Promise.resolve(),
    committed: new Map(),
  };
  try {
    writeFileSync(world.config, configText(port, github.url));
    github.repositories.create(REPOSITORY);
    publish(world, '1.0.0');
    await startServer(world);
    const operator = `Bearer ${readFileSync(join(dir, 'data', 'operator.token'), 'utf8').trim()}`;
    const token = await createToken(world, operator);
    await until(world, operator, (status) => status.products[0]?.newest === '1.0.0');
    const agents: WireAgent[] = [];
    for (const name of ['a', 'b']) {
      agents.push(
        await phase(world, name === 'a' ? mark : undefined, () =>
          enrolWireAgent(() => world.url, token, name, [running('1.0.0')]),
        ),
      );
    }
    const [a, b] = agents as [WireAgent, WireAgent];
    for (const version of ['1.1.0', '1.2.0', '1.2.1']) {
      await phase(world, version === '1.1.0' ? mark : undefined, async () => publish(world, version));
      await until(world, operator, (status) =>
        status.rollouts.some((one) => one.version === version && one.lanes[0]?.state === 'open'),
      );
      await update(world, version === '1.1.0' ? mark : undefined, version === '1.2.0' ? mark : undefined, a, version);
      if (version !== '1.2.0') await update(world, undefined, undefined, b, version);
      const end = version === '1.2.0' ? 'halted' : 'completed';
      await until(
        world,
        operator,
        (status) => status.rollouts.some((one) => one.version === version && one.lanes[0]?.state === end),
        // Hosts go on checking in: without a sign of life a soak does not pass after a restart.
        agents,
      );
    }
    // The one who was never asked to take the risk has nothing to tell of it.
    const { reply } = await b.checkIn();
    assert.equal(reply.answer.kind, 'none');
    return { world, ...readBooks(world) };
  } finally {
    await world.restarting;
    if (world.server !== undefined) await stopServer(world);
    await github.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Takes one agent through stage, grant and outcome; each report is a phase in which the server may die. */
async function update(
  world: World,
  mark: string | undefined,
  markOutcome: string | undefined,
  agent: WireAgent,
  version: string,
): Promise<void> {
  const staged = await phase(world, mark, () => instructed(agent, 'stage'));
  assert.equal(staged.version, version);
  agent.attempts = [{ id: staged.attempt, product: PRODUCT, state: 'staged' }];
  const granted = await phase(world, mark, () => instructed(agent, 'activate'));
  assert.equal(granted.attempt, staged.attempt);
  assert.equal(granted.sequence, staged.sequence);
  if (version === '1.2.0') {
    agent.attempts = [{ id: staged.attempt, product: PRODUCT, state: 'rolled_back', cause: 'crash_loop' }];
  } else {
    agent.products = [running(version)];
    agent.attempts = [{ id: staged.attempt, product: PRODUCT, state: 'succeeded' }];
  }
  await phase(world, markOutcome ?? mark, () => acknowledged(agent));
}

/** The next instruction of this kind; check-ins are repeated while the server plans. */
async function instructed(agent: WireAgent, action: 'stage' | 'activate') {
  for (let tries = 0; tries < 400; tries += 1) {
    const { instruction } = await retried(() => agent.checkIn());
    if (instruction?.action === action) return instruction;
    await pause();
  }
  throw new Error(`${agent.name} was never told to ${action}`);
}

async function acknowledged(agent: WireAgent): Promise<void> {
  for (let tries = 0; tries < 400 && agent.attempts.length > 0; tries += 1) await retried(() => agent.checkIn());
  assert.equal(agent.attempts.length, 0, `the outcome of ${agent.name} is acknowledged`);
}

/** Runs one phase with the mark armed; where the server dies of it, it is started again while the phase goes on trying. */
async function phase<T>(world: World, mark: string | undefined, run: () => Promise<T>): Promise<T> {
  if (mark === undefined) return await run();
  await world.restarting;
  const kills = world.killed.length;
  await arm(world.server as ChildProcess, mark);
  const result = await run();
  // Planning ticks every second, so its marks are hit even when the phase itself has not waited for one.
  for (let tries = 0; PLAN_MARKS.includes(mark) && world.killed.length === kills && tries < 400; tries += 1)
    await pause();
  await world.restarting;
  if (world.killed.length === kills) await arm(world.server as ChildProcess, null);
  return result;
}

async function arm(server: ChildProcess, mark: string | null): Promise<void> {
  const answered = Promise.race([once(server, 'message'), once(server, 'exit')]);
  server.send({ arm: mark });
  await answered;
}

async function startServer(world: World): Promise<void> {
  const server = fork(join(import.meta.dirname, 'marked-server.ts'), [world.config], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // The server is started some forty times: what was compiled once need not be compiled again.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'tidegate-compile-cache') },
  });
  world.server = server;
  let errors = '';
  server.stderr?.on('data', (chunk: Buffer) => {
    errors = `${errors}${chunk}`.slice(-4_000);
  });
  await new Promise<void>((resolve, reject) => {
    server.stdout?.on('data', (chunk: Buffer) => {
      if (String(chunk).includes('serves')) resolve();
    });
    server.once('exit', () => reject(new Error(`the server did not start: ${errors}`)));
  });
  server.once('exit', (_code, signal) => {
    if (signal !== 'SIGKILL') return;
    world.killed.push(signal);
    world.restarting = revive(world);
  });
}

/** Notes what had been committed when the server died, and starts it again. */
async function revive(world: World): Promise<void> {
  for (const attempt of readAttempts(world)) world.committed.set(attempt.id, attempt);
  await startServer(world);
}

async function stopServer(world: World): Promise<void> {
  const server = world.server as ChildProcess;
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, 'exit');
  server.kill('SIGTERM');
  const timer = setTimeout(() => server.kill('SIGKILL'), 10_000);
  await exited;
  clearTimeout(timer);
}

interface Status {
  products: { newest: string | null }[];
  rollouts: { version: string; lanes: { state: string }[] }[];
}

async function until(
  world: World,
  operator: string,
  reached: (status: Status) => boolean,
  agents: readonly WireAgent[] = [],
): Promise<void> {
  let last: Status | undefined;
  for (let tries = 0; tries < 600; tries += 1) {
    for (const agent of agents) await retried(() => agent.checkIn());
    try {
      const reply = await fetch(`${world.url}/api/v1/status`, { headers: { authorization: operator } });
      last = (await reply.json()) as Status;
      if (reply.ok && reached(last)) return;
    } catch {
      // The server is being started again.
    }
    await pause();
  }
  throw new Error(`not reached: ${JSON.stringify(last)}`);
}

async function createToken(world: World, operator: string): Promise<string> {
  const reply = await fetch(`${world.url}/api/v1/enrol-tokens`, {
    method: 'POST',
    headers: { authorization: operator, 'content-type': 'application/json' },
    body: JSON.stringify({ region: 'eu-west-1', uses: 2 }),
  });
  assert.equal(reply.status, 201);
  return ((await reply.json()) as { token: string }).token;
}

function readBooks(world: World) {
  const attempts = readAttempts(world);
  const attemptIds = new Map(attempts.map((one) => [`${one.agent} ${one.version}`, one.id]));
  assert.equal(attemptIds.size, attempts.length, 'one attempt per agent and version');
  return { outcomes: attempts.map((one) => `${one.agent} ${one.version} ${one.state}`), attemptIds };
}

function readAttempts(world: World) {
  const database = new Database(join(world.dir, 'data', 'tidegate.db'), { readonly: true });
  try {
    return database
      .prepare(
        'select a.id, g.name as agent, a.version, a.state from attempts a join agents g on g.id = a.agent_id order by g.name, a.version',
      )
      .all() as { id: string; agent: string; version: string; state: string }[];
  } finally {
    database.close();
  }
}

function publish(world: World, version: string): void {
  const bytes = bytesOf(version);
  world.github.repositories.publish(REPOSITORY, {
    tag: `v${version}`,
    assets: [{ name: `demo-agent-${version}-linux-x64.tar.gz`, bytes }],
  });
}

function bytesOf(version: string): Buffer {
  return Buffer.from(`the bytes of ${version}`);
}

function running(version: string) {
  return { product: PRODUCT, version, digest: sha256Hex(bytesOf(version)) };
}

function configText(port: number, apiUrl: string): string {
  return `server: { listen: "127.0.0.1:${port}", dataDir: ./data }
github: { apiUrl: "${apiUrl}", poll: "* * * * * *" }
agents: { pollInterval: 1s, maxWait: 1s }
regions: [{ name: eu-west-1, timeZone: Europe/Dublin }]
policies:
  quick:
    steps: [{ percent: 100, soak: 0s }]
products:
  - name: ${PRODUCT}
    repository: ${REPOSITORY}
    artifacts: [{ platform: linux-x64, asset: "demo-agent-{version}-linux-x64.tar.gz" }]
    policy: quick
`;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
