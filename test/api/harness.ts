// The real app on a real SQLite file, with the smallest honest engine: enrolled agents in a map, answers set by the test.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { buildApp } from '../../src/api/app.ts';
import type { ApiDeps } from '../../src/api/deps.ts';
import { openServerKeys, type ServerKeys } from '../../src/api/keys.ts';
import { ensureOperatorToken } from '../../src/api/operator-auth.ts';
import type { AgentService, ArtifactService, ExplainedProduct, OperatorService } from '../../src/api/services.ts';
import type { Agent, AgentReport } from '../../src/domain/agent.ts';
import type { CheckInResult, EnrolInput } from '../../src/domain/check-in.ts';
import { AppError } from '../../src/errors.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';

export const T0 = Date.UTC(2026, 0, 5, 12, 0, 0);

export interface Harness {
  app: FastifyInstance;
  dir: string;
  database: Database;
  keys: ServerKeys;
  clock: { now(): number; set(ms: number): void };
  engine: TestEngine;
  operator: TestOperator;
  /** Lines that the app logged, parsed. */
  log: Record<string, unknown>[];
  operatorToken: string;
  files: Map<string, { path: string; size: number }>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface TestEngine extends AgentService {
  calls: { enrol: EnrolInput[]; checkIn: { report: AgentReport; waitMs: number; signal: AbortSignal }[] };
  byHandle: Map<number, Agent>;
  /** What the next check-ins answer. */
  respond: (report: AgentReport, waitMs: number, signal: AbortSignal) => Promise<CheckInResult>;
  epochNow: number;
}

export interface TestOperator extends OperatorService {
  calls: { verb: unknown[]; setBrake: unknown[] };
  explained: ExplainedProduct[];
  held: ReturnType<OperatorService['productHolds']>;
  running: ReturnType<OperatorService['versions']>;
  /** Performs the verbs on the store, where a test needs their effect. */
  onBrake: (options: Parameters<OperatorService['setBrake']>[0]) => Promise<boolean>;
  onVerb: (id: string, options: Parameters<OperatorService['verb']>[1]) => Promise<boolean>;
}

export interface HarnessOptions {
  limits?: ApiDeps['limits'];
  tls?: { certFile: string; keyFile: string };
}

export async function openHarness(options: HarnessOptions = {}): Promise<Harness> {
  const dir = mkdtempSync(join(tmpdir(), 'tidegate-api-'));
  const database = await openDatabase(`sqlite:${join(dir, 'tidegate.db')}`);
  const keys = openServerKeys(dir);
  let now = T0;
  const clock = {
    now: () => now,
    set: (ms: number) => {
      now = ms;
    },
  };
  await ensureOperatorToken(database, dir, now);
  const operatorToken = readFileSync(join(dir, 'operator.token'), 'utf8').trim();
  const engine = createTestEngine();
  const operator = createTestOperator();
  const log: Record<string, unknown>[] = [];
  const files = new Map<string, { path: string; size: number }>();
  const artifacts: ArtifactService = {
    async open(sha256) {
      const file = files.get(sha256);
      if (file === undefined) throw new AppError('not_found', 'no release has this digest');
      return file;
    },
  };
  const app = await build({
    database,
    agents: engine,
    operator,
    artifacts,
    keys,
    config: {
      server: { host: '127.0.0.1', port: 0, tls: options.tls ?? null, dataDir: dir, behindProxy: false },
      agents: { pollMs: 30_000, maxWaitMs: 20_000 },
      availability: { everyMs: 60_000, timeoutMs: 5_000, maxAgeMs: 600_000, perHost: 2, total: 8 },
      regions: [
        { name: 'eu-central', timeZone: 'Europe/Berlin', mirror: null, windows: { allow: [], deny: [] } },
        { name: 'us-east', timeZone: 'America/New_York', mirror: null, windows: { allow: [], deny: [] } },
      ],
      products: [
        {
          name: 'collector',
          repository: 'acme/collector',
          scheme: 'semver',
          tags: ['v{version}'],
          accept: null,
          prereleases: false,
          lag: 0,
          from: null,
          floors: [],
          requirements: [],
          unknownBuilds: 'hold',
          artifacts: [{ platform: 'linux-x64', asset: 'collector-{version}-linux-x64.tar.gz' }],
          policy: 'default',
          policies: {},
        },
      ],
    },
    clock,
    logger: pino({ level: 'info' }, { write: (line: string) => void log.push(JSON.parse(line)) }),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  async function build(deps: ApiDeps) {
    try {
      return await buildApp(deps);
    } catch (error) {
      await database.close();
      rmSync(dir, { recursive: true });
      throw error;
    }
  }
  return {
    app,
    dir,
    database,
    keys,
    clock,
    engine,
    operator,
    log,
    operatorToken,
    files,
    async [Symbol.asyncDispose]() {
      await app.close();
      await database.close();
      rmSync(dir, { recursive: true });
    },
  };
}

function createTestEngine(): TestEngine {
  const byHandle = new Map<number, Agent>();
  const engine: TestEngine = {
    calls: { enrol: [], checkIn: [] },
    byHandle,
    epochNow: 1,
    respond: async () => ({ answer: { kind: 'none' }, acknowledged: [], nextInMs: 30_000, wantFacts: false }),
    async enrol(input) {
      engine.calls.enrol.push(input);
      if (input.tokenId.startsWith('00000000')) throw new AppError('enrol_denied', 'the token is used up');
      const agent: Agent = {
        id: uuidv7(),
        handle: byHandle.size + 1,
        name: input.name,
        region: 'eu-central',
        platform: input.platform,
        labels: {},
        publicKey: input.publicKey,
        enrolTokenId: input.tokenId,
        enrolledAt: T0,
        sequence: 0,
        facts: null,
        health: 'ok',
        healthReason: null,
        revision: 0,
        products: input.products,
      };
      byHandle.set(agent.handle, agent);
      return agent;
    },
    async findAgent(id) {
      const found = [...byHandle.values()].find((agent) => agent.id === id);
      return found === undefined ? undefined : { ...found, unenrolled: false };
    },
    agentOf: (handle) => byHandle.get(handle),
    async checkIn(report, waitMs, signal) {
      engine.calls.checkIn.push({ report, waitMs, signal });
      return await engine.respond(report, waitMs, signal);
    },
    // As if every check-in had news: what the engine is asked is looked at in one place.
    answerAtOnce: () => undefined,
    epoch: () => engine.epochNow,
  };
  return engine;
}

function createTestOperator(): TestOperator {
  const operator: TestOperator = {
    calls: { verb: [], setBrake: [] },
    explained: [],
    held: [],
    running: [],
    onBrake: async () => true,
    onVerb: async () => true,
    async verb(id, options) {
      operator.calls.verb.push({ id, ...options });
      return await operator.onVerb(id, options);
    },
    async setBrake(options) {
      operator.calls.setBrake.push(options);
      return await operator.onBrake(options);
    },
    createRollout: () => Promise.reject(new AppError('not_found', 'nothing is created here')),
    setVeto: () => Promise.reject(new AppError('not_found', 'there is no release here')),
    setPin: () => Promise.reject(new AppError('not_found', 'there is no agent here')),
    unenrol: () => Promise.reject(new AppError('not_found', 'there is no agent here')),
    restraintsOf: () => ({ pins: [], quarantined: [], unknownBuilds: [] }),
    quarantined: () => ({ quarantined: [], more: false }),
    clearQuarantine: () => Promise.reject(new AppError('not_found', 'there is no agent here')),
    trustClock: async () => false,
    clockDoubt: () => null,
    ceilings: () => [],
    rehearse: () => Promise.reject(new AppError('not_found', 'nothing is rehearsed here')),
    backtest: () => Promise.reject(new AppError('not_found', 'nothing is rehearsed here')),
    isPresent: () => true,
    lastSeenAt: () => T0 - 12_000,
    counts: () => ({ enrolled: 3, present: 2, stale: 0 }),
    passedOver: async () => new Map(),
    regions: () => [],
    versions: () => operator.running,
    productHolds: () => operator.held,
    newest: () => '1.4.0',
    unnamedRegions: () => [],
    whyNot: (_, version) => `${version} is not what is wanted`,
    explain: async () => operator.explained,
    explainLanes: async () => new Map(),
  };
  return operator;
}
