// A real engine on a real database (SQLite in memory unless the environment names a PostgreSQL), with agents that speak to it as the wire's parsed reports do.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import type { AgentReport, InstalledProduct, ReportedAttempt } from '../../src/domain/agent.ts';
import type { CheckInResult } from '../../src/domain/check-in.ts';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import type { Release } from '../../src/domain/release.ts';
import type { ProductRules } from '../../src/domain/snapshot.ts';
import { type Engine, openEngine } from '../../src/engine/engine.ts';
import type { Surroundings } from '../../src/engine/memory.ts';
import { type Database, openDatabase, transaction } from '../../src/store/database.ts';
import { saveAvailability, saveRelease } from '../../src/store/releases.ts';
import { insertEnrolToken } from '../../src/store/tokens.ts';
import { digestOf, START, testClock, testRelease } from './fixtures.ts';
import { freshUrl } from './fresh-postgres.ts';
import { createIds } from './ids.ts';

export interface Fleet {
  engine: Engine;
  database: Database;
  clock: ReturnType<typeof testClock>;
  /** What the engine has logged as an error: promises that it found broken, above all. */
  violations: string[];
  publish(version: string, overrides?: Partial<Release>): Promise<void>;
  enrol(
    name: string,
    options?: { region?: string; version?: string; labels?: Record<string, string>; publicKey?: string },
  ): Promise<ModelAgent>;
  /**
   * Closes the engine and opens a new one on the same database, as after a restart of the server that took `downMs`;
   * meanwhile the wall clock was put forward by `jumpMs`.
   */
  restart(downMs?: number, jumpMs?: number): Promise<Engine>;
  /** Closes engine and database before the end of the test. */
  stop(): Promise<void>;
}

export async function openFleet(
  t: Pick<TestContext, 'after'>,
  product: ProductRules,
  regions = ['eu-west-1'],
  url?: string,
  surroundings: Partial<Surroundings> = {},
  { newId = createIds(), startAt = START }: { newId?: () => string; startAt?: number } = {},
): Promise<Fleet> {
  const database = await openDatabase(url ?? (await freshUrl()));
  const clock = testClock(startAt);
  const violations: string[] = [];
  const open = () =>
    openEngine({
      database,
      clock,
      logger: pino({ level: 'error' }, { write: (line: string) => void violations.push(line) }),
      newId: () => newId(),
      random: () => 0.5,
      products: [product],
      regions,
      surroundings: {
        calendars: regions.map((region) => ({ region, timeZone: 'UTC', windows: { allow: [], deny: [] } })),
        freezes: [],
        limits: NO_LIMITS,
        mirrors: { regions: [], maxAgeMs: 600_000 },
        ...surroundings,
      },
      pollMs: 60_000,
      maxWaitMs: 25_000,
    });
  const fleet = { engine: await open(), database, clock, violations } as Fleet;
  let isStopped = false;
  fleet.stop = async () => {
    if (isStopped) return;
    isStopped = true;
    await fleet.engine.close();
    await database.close();
  };
  t.after(async () => {
    await fleet.stop();
    assert.deepEqual(violations, [], 'the engine has found nothing wrong');
  });
  fleet.publish = async (version, overrides = {}) => {
    const release = testRelease(version, overrides);
    await transaction(database, async (tx) => {
      await saveRelease(tx, release);
      const rows = regions.flatMap((region) =>
        release.artifacts.map(({ platform }) => ({
          product: product.name,
          version,
          region,
          platform,
          status: 'available' as const,
          why: 'uploaded',
          since: START,
          checkedAt: START,
        })),
      );
      await saveAvailability(tx, rows);
    });
    await fleet.engine.plan();
  };
  fleet.enrol = async (name, options = {}) => {
    const { region = regions[0] as string, version = '1.0.0', labels = {} } = options;
    const tokenId = newId();
    await transaction(database, (tx) =>
      insertEnrolToken(tx, {
        id: tokenId,
        secretHash: 'hash',
        region,
        labels,
        maxUses: 1,
        uses: 0,
        createdBy: 'test',
        createdAt: startAt,
        expiresAt: clock.now() + 86_400_000,
      }),
    );
    const products = [{ product: product.name, version, digest: digestOf(version) }];
    const { publicKey = randomBytes(32).toString('base64url') } = options;
    const agent = await fleet.engine.agents.enrol({
      tokenId,
      secretHash: 'hash',
      publicKey,
      name,
      platform: 'linux-x64',
      products,
    });
    await fleet.engine.plan();
    return modelAgent(fleet, agent.handle, agent.id, products);
  };
  fleet.restart = async (downMs = 0, jumpMs = 0) => {
    await fleet.engine.close();
    clock.advance(downMs);
    clock.jump(jumpMs);
    fleet.engine = await open();
    return fleet.engine;
  };
  return fleet;
}

export type Behaviour = 'works' | 'crashes' | 'download_fails' | 'download_hangs' | 'declines' | 'vanishes';

export interface ModelAgent {
  handle: number;
  id: string;
  products: InstalledProduct[];
  attempts: ReportedAttempt[];
  /** What it says of its host from now on; well, and no facts, until it is changed. */
  host: Pick<AgentReport, 'facts' | 'health' | 'healthReason'>;
  report(overrides?: Partial<AgentReport>): AgentReport;
  checkIn(overrides?: Partial<AgentReport>): Promise<CheckInResult>;
  /** Checks in and obeys until there is nothing left to do at once; returns the last answer's kind or hold reason. */
  run(behaviour?: (version: string) => Behaviour): Promise<string>;
}

function modelAgent(fleet: Fleet, handle: number, id: string, products: InstalledProduct[]): ModelAgent {
  const agent: ModelAgent = {
    handle,
    id,
    products,
    attempts: [],
    host: { facts: null, health: 'ok', healthReason: null },
    report: (overrides = {}) => ({
      handle,
      boot: 'b'.repeat(22),
      platform: 'linux-x64',
      epoch: 1,
      sequence: 0,
      products: agent.products,
      ...agent.host,
      attempts: agent.attempts,
      ...overrides,
    }),
    async checkIn(overrides) {
      const result = await fleet.engine.agents.checkIn(agent.report(overrides), 0, new AbortController().signal);
      agent.attempts = agent.attempts.filter((one) => !result.acknowledged.some((ack) => ack.id === one.id));
      return result;
    },
    async run(behaviour = () => 'works') {
      for (let round = 0; round < 20; round += 1) {
        const { answer } = await agent.checkIn();
        if (answer.kind === 'none') return 'none';
        if (answer.kind === 'hold') return answer.reason;
        const done = obey(agent, answer, behaviour(answer.attempt.version));
        if (done !== undefined) return done;
      }
      throw new Error('the agent does not come to rest');
    },
  };
  return agent;
}

type Instruction = Extract<CheckInResult['answer'], { kind: 'instruction' }>;

function obey(agent: ModelAgent, { action, attempt }: Instruction, behaviour: Behaviour): string | undefined {
  const report = (state: ReportedAttempt['state'], cause: string | null = null) => {
    agent.attempts = [{ id: attempt.id, product: attempt.product, state, cause, detail: null }];
  };
  if (action === 'withdraw') {
    agent.attempts = agent.attempts.filter((one) => one.id !== attempt.id);
    return undefined;
  }
  if (action === 'stage') {
    if (behaviour === 'download_hangs') {
      report('offered');
      return 'downloads';
    }
    if (behaviour === 'download_fails') report('failed', 'download_failed');
    else if (behaviour === 'declines') report('declined', 'host_policy');
    else report('staged');
    return undefined;
  }
  if (behaviour === 'vanishes') return 'vanished';
  if (behaviour === 'crashes') {
    report('rolled_back', 'crash_loop');
    return undefined;
  }
  agent.products = agent.products.map((one) =>
    one.product === attempt.product ? { ...one, version: attempt.version, digest: attempt.sha256 } : one,
  );
  report('succeeded');
  return undefined;
}
