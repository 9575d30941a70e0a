// A server that is killed and started again, with its GitHub, mirrors and database, for the test of what survives.

import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { freePort } from '../../src/demo/free-port.ts';
import { type Mirror, startMirror } from '../../src/demo/mirror.ts';
import { type RecordedGitHub, startRecordedGitHub } from '../../src/demo/recorded-github.ts';
import type { FetchLike } from '../../src/protocol/agent-client.ts';
import { sha256Hex } from '../../src/protocol/envelope.ts';
import { createOperatorClient, type OperatorClient } from '../../src/protocol/operator-client.ts';

export const PRODUCT = 'demo-agent';
export const REGIONS = ['us-west-2', 'us-east-1', 'eu-west-1'] as const;
export type RegionName = (typeof REGIONS)[number];
const REPOSITORY = 'tidegate/demo-agent';
const PAUSE_MS = 50;
/** Where no run of all tests has one. */
const COMPILE_CACHE = join(tmpdir(), 'tidegate-compile-cache');

export interface World {
  url: string;
  operator: OperatorClient;
  mirrors: Map<RegionName, Mirror>;
  /** The phases in which the server has died. */
  killed: string[];
  /** Attempts that stood in the database after a kill, by id: what may never be replaced. */
  committed: Map<string, AttemptRow>;
  /** Versions of which the promotion has been acknowledged. */
  promoted: string[];
  /** Puts the release on the mirrors of these regions, then on GitHub. */
  publish(version: string, regions: readonly RegionName[]): void;
  putOnMirror(region: RegionName, version: string): void;
  /**
   * Runs one phase. With a mark, the server kills itself the next time that it comes by; it is started again while the
   * phase goes on trying. Without one, the phase just runs.
   */
  phase<T>(name: string, mark: string | undefined, run: () => Promise<T>): Promise<T>;
  attempts(): AttemptRow[];
  /** Subjects of the audit rows with this action. */
  audited(action: string): string[];
  close(): Promise<void>;
}

export interface AttemptRow {
  id: string;
  agent: string;
  version: string;
  state: string;
}

interface State extends World {
  dir: string;
  config: string;
  github: RecordedGitHub;
  server: ChildProcess | undefined;
  phaseName: string;
  /** Settles when the server that took the place of a killed one listens. */
  restarting: Promise<void>;
}

export async function openWorld(): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'tidegate-kill-'));
  const github = await startRecordedGitHub();
  github.repositories.create(REPOSITORY);
  const mirrors = new Map<RegionName, Mirror>();
  for (const region of REGIONS) mirrors.set(region, await startMirror());
  const port = await freePort();
  const config = join(dir, 'tidegate.yaml');
  writeFileSync(config, configText(port, github.url, mirrors));
  const state: State = {
    ...{ dir, config, github, mirrors, url: `http://127.0.0.1:${port}`, phaseName: '' },
    ...{ server: undefined, restarting: Promise.resolve(), killed: [], committed: new Map(), promoted: [] },
    operator: undefined as unknown as OperatorClient,
    publish(version, regions) {
      for (const region of regions) state.putOnMirror(region, version);
      const assets = [{ name: assetOf(version), bytes: bytesOf(version) }];
      github.repositories.publish(REPOSITORY, { tag: `v${version}`, assets });
    },
    putOnMirror: (region, version) =>
      mirrors.get(region)?.put(`/${PRODUCT}/${version}/${assetOf(version)}`, bytesOf(version)),
    phase: (name, mark, run) => runPhase(state, name, mark, run),
    attempts: () => readAttempts(dir),
    audited: (action) =>
      query<{ subject: string }>(dir, 'select subject from audit where action = ? order by seq', action).map(
        (row) => row.subject,
      ),
    async close() {
      await state.restarting.catch(() => {});
      if (state.server !== undefined) await stopServer(state.server);
      await Promise.all([github.close(), ...[...mirrors.values()].map((mirror) => mirror.close())]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  try {
    await startServer(state);
  } catch (error) {
    await state.close();
    throw error;
  }
  const token = readFileSync(join(dir, 'data', 'operator.token'), 'utf8').trim();
  state.operator = createOperatorClient({ baseUrl: state.url, token, fetch: fetch as unknown as FetchLike });
  return state;
}

export function running(version: string) {
  return { product: PRODUCT, version, digest: sha256Hex(bytesOf(version)) };
}

export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}

async function runPhase<T>(state: State, name: string, mark: string | undefined, run: () => Promise<T>): Promise<T> {
  if (mark === undefined) return await run();
  await state.restarting;
  state.phaseName = name;
  await arm(state.server as ChildProcess, mark);
  const result = await run();
  // Planning ticks every second, so its marks are hit even when the phase itself has not waited for one.
  for (let tries = 0; !state.killed.includes(name) && tries < 200; tries += 1) await pause();
  await state.restarting;
  return result;
}

async function arm(server: ChildProcess, mark: string): Promise<void> {
  const answered = Promise.race([once(server, 'message'), once(server, 'exit')]);
  server.send({ arm: mark });
  await answered;
}

async function startServer(state: State): Promise<void> {
  const server = fork(join(import.meta.dirname, 'marked-server.ts'), [state.config], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // The server is started again and again: what was compiled once need not be compiled again.
    env: { ...process.env, NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? COMPILE_CACHE },
  });
  state.server = server;
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
    state.killed.push(state.phaseName);
    state.restarting = revive(state);
    // Whoever waits for it sees the failure; nobody may be waiting yet.
    state.restarting.catch(() => {});
  });
}

/** Notes what had been committed when the server died, and starts it again. */
async function revive(state: State): Promise<void> {
  for (const attempt of readAttempts(state.dir)) state.committed.set(attempt.id, attempt);
  for (const version of state.promoted) assertPromoted(state.dir, version);
  await startServer(state);
}

/** What was acknowledged is in the database: the canary's step is over, or a person has let it pass. */
function assertPromoted(dir: string, version: string): void {
  const [lane] = query<{ state: string; detail: string; approvals: string }>(
    dir,
    "select l.state, l.detail, l.approvals from lanes l join rollouts r on r.id = l.rollout_id where l.kind = 'rollout' and l.wave = 0 and r.version = ?",
    version,
  );
  assert(lane !== undefined, `${version} has a lane`);
  const { step } = JSON.parse(lane.detail) as { step?: number };
  const passed = lane.state === 'completed' || (step ?? 0) > 0 || lane.approvals !== '[]';
  assert(passed, `the promotion of ${version} is still there: ${lane.state} ${lane.detail}`);
}

async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, 'exit');
  server.kill('SIGTERM');
  const timer = setTimeout(() => server.kill('SIGKILL'), 10_000);
  await exited;
  clearTimeout(timer);
}

function readAttempts(dir: string): AttemptRow[] {
  return query<AttemptRow>(
    dir,
    'select a.id, g.name as agent, a.version, a.state from attempts a join agents g on g.id = a.agent_id order by a.version, g.name',
  );
}

function query<T>(dir: string, sql: string, ...values: string[]): T[] {
  const database = new Database(join(dir, 'data', 'tidegate.db'), { readonly: true });
  try {
    return database.prepare(sql).all(...values) as T[];
  } finally {
    database.close();
  }
}

function assetOf(version: string): string {
  return `${PRODUCT}-${version}-linux-x64.tar.gz`;
}

function bytesOf(version: string): Buffer {
  return Buffer.from(`the bytes of ${version}`);
}

/** The shape of config/demo.yaml. */
function configText(port: number, apiUrl: string, mirrors: Map<RegionName, Mirror>): string {
  const regions = REGIONS.map((region) => {
    const mirror = `${mirrors.get(region)?.url}/{product}/{version}/{asset}`;
    return `  - { name: ${region}, timeZone: UTC, mirror: "${mirror}" }\n`;
  });
  return `server: { listen: "127.0.0.1:${port}", dataDir: ./data }
github: { apiUrl: "${apiUrl}", poll: "* * * * * *" }
agents: { pollInterval: 1s, maxWait: 1s }
availability: { every: 1s }
regions:
${regions.join('')}policies:
  canary-first:
    waves: [[us-west-2], [us-east-1], [eu-west-1]]
    steps:
      - { labels: { role: canary }, soak: 0s, promotion: manual }
      - { percent: 100, soak: 0s }
products:
  - name: ${PRODUCT}
    repository: ${REPOSITORY}
    artifacts: [{ platform: linux-x64, asset: "${PRODUCT}-{version}-linux-x64.tar.gz" }]
    policy: canary-first
`;
}
