// What agents that are being updated cost: every answer waits for its commit on a synced SQLite file.
import { join } from 'node:path';
import pLimit from 'p-limit';
import type { AgentReport, ReportedAttempt } from '../../src/domain/agent.ts';
import type { CheckInResult } from '../../src/domain/check-in.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openDatabase, transaction } from '../../src/store/database.ts';
import { saveAvailability, saveRelease } from '../../src/store/releases.ts';
import { digestOf, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { openBenchEngine } from './bench-engine.ts';
import { fillFleetFile } from './fleet-file.ts';

export interface AdmissionFigures {
  agents: number;
  atATime: number;
  outcomesPerSecond: number;
  durableRepliesPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Items of one transaction. */
  meanBatch: number;
  largestBatch: number;
}

const PRODUCT = 'agentd';
const REGIONS = Array.from({ length: 20 }, (_, index) => `region-${index + 1}`);
const AT_A_TIME = 256;
/** Reports of one update, from the offer to the outcome, with room for a grant that has to wait. */
const MAX_ROUNDS = 5000;
/** How soon an agent that is held asks again. */
const HELD_MS = 5;

/** One rollout over 20 regions at once, every agent updates itself and proves it. */
export async function benchAdmissions(options: { agents: number; directory: string }): Promise<AdmissionFigures> {
  const path = join(options.directory, 'admissions.db');
  const fleet = { path, agents: options.agents, regions: REGIONS, product: PRODUCT, version: '1.0.0' };
  await fillFleetFile({ ...fleet, digest: digestOf('1.0.0') });
  const database = await openDatabase(`sqlite:${path}`);
  await publish(database, '1.0.0');
  await publish(database, '1.1.0');
  const policy = testPolicy({ waves: [REGIONS], steps: [stepPolicy({ soakMs: 3_600_000 })], maxHot: 1_000 });
  const engine = await openBenchEngine(database, policy, REGIONS);
  try {
    await engine.plan();
    return await run(engine, options.agents);
  } finally {
    await engine.close();
    await database.close();
  }
}

async function run(engine: Engine, agents: number): Promise<AdmissionFigures> {
  const before = engine.ledgerStats();
  const latencies: number[] = [];
  const limit = pLimit(AT_A_TIME);
  const startedAt = performance.now();
  await limit.map(
    Array.from({ length: agents }, (_, index) => index + 1),
    (handle) => update(engine, handle, latencies),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const after = engine.ledgerStats();
  const [items, batches] = [after.items - before.items, after.batches - before.batches];
  latencies.sort((a, b) => a - b);
  const at = (share: number) => round(latencies[Math.floor(latencies.length * share)] ?? 0);
  return {
    agents,
    atATime: AT_A_TIME,
    outcomesPerSecond: Math.round(agents / seconds),
    durableRepliesPerSecond: Math.round(items / seconds),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    meanBatch: round(items / batches),
    largestBatch: after.largest,
  };
}

/** From the offer to the acknowledged success. */
async function update(engine: Engine, handle: number, latencies: number[]): Promise<void> {
  let version = '1.0.0';
  let attempts: ReportedAttempt[] = [];
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const startedAt = performance.now();
    const report = reportOf(handle, version, attempts);
    const result = await engine.agents.checkIn(report, 0, new AbortController().signal);
    const reported = attempts[0];
    if (reported?.state === 'succeeded' && result.acknowledged.some((one) => one.id === reported.id)) {
      latencies.push(performance.now() - startedAt);
      return;
    }
    const next = following(reported, result);
    // Every answer that moves the attempt has waited for a commit; one that holds it comes from memory.
    if (next !== undefined) latencies.push(performance.now() - startedAt);
    if (next === undefined) await new Promise((resolve) => setTimeout(resolve, HELD_MS));
    else attempts = [next];
    if (next?.state === 'succeeded') version = '1.1.0';
  }
  throw new Error(`agent ${handle} has not come to its end`);
}

/** What the agent reports next; undefined: it asks the same again. */
function following(reported: ReportedAttempt | undefined, { answer }: CheckInResult): ReportedAttempt | undefined {
  if (reported?.state === 'activating') return { ...reported, state: 'proving' };
  if (reported?.state === 'proving') return { ...reported, state: 'succeeded' };
  if (answer.kind !== 'instruction' || answer.action === 'withdraw') return undefined;
  const { id, product } = answer.attempt;
  const state = answer.action === 'stage' ? 'staged' : 'activating';
  return { id, product, state, cause: null, detail: null };
}

function reportOf(handle: number, version: string, attempts: ReportedAttempt[]): AgentReport {
  return {
    handle,
    boot: 'b'.repeat(22),
    platform: 'linux-x64',
    epoch: 1,
    sequence: 0,
    products: [{ product: PRODUCT, version, digest: digestOf(version) }],
    health: 'ok',
    healthReason: null,
    facts: null,
    attempts,
  };
}

async function publish(database: Awaited<ReturnType<typeof openDatabase>>, version: string): Promise<void> {
  const release = testRelease(version);
  const now = Date.now();
  await transaction(database, async (tx) => {
    await saveRelease(tx, release);
    const where = REGIONS.map((region) => ({ product: PRODUCT, version, region, platform: 'linux-x64' }));
    await saveAvailability(
      tx,
      where.map((row) => ({ ...row, status: 'available', why: 'uploaded', since: now, checkedAt: now })),
    );
  });
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
