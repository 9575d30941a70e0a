import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { Agent } from '../../src/domain/agent.ts';
import { type AgentView, decide } from '../../src/domain/decide.ts';
import { compileDirective, type Directive } from '../../src/domain/directives.ts';
import { countOccupied, NO_LIMITS } from '../../src/domain/limits.ts';
import { plan } from '../../src/domain/plan.ts';
import type { Lane, Rollout } from '../../src/domain/rollout.ts';
import { NO_COUNTS } from '../../src/domain/rollout.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import { NO_SILENCE } from '../../src/domain/verdict.ts';
import { newBitset } from '../../src/engine/bitset.ts';
import { countAgents, countLanes, freezeLaneStep } from '../../src/engine/census.ts';
import { finish, inTurns } from '../../src/engine/pieces.ts';
import { Roster } from '../../src/engine/roster.ts';
import { openDatabase } from '../../src/store/database.ts';
import { digestOf, rules, START, stepPolicy, testAgent, testPolicy, testRelease } from '../support/fixtures.ts';
import { openBenchEngine } from './bench-engine.ts';

export type ScalePart = 'roster' | 'start' | 'plan' | 'decide' | 'freeze' | 'quiet';

const REGIONS = Array.from({ length: 20 }, (_, index) => `region-${index + 1}`);
const RUNS = 7;
/** A server plans every second: what it costs once it has been compiled is what counts. */
const WARM_RUNS = 101;

const [part = '', sizeText = '', path = ''] = process.argv.slice(2);
const size = Number(sizeText);
const PARTS: Record<ScalePart, () => unknown> = {
  roster: measureRoster,
  start: measureStart,
  plan: measurePlan,
  decide: measureDecide,
  freeze: measureFreeze,
  quiet: measureQuiet,
};
process.stdout.write(`${JSON.stringify(await PARTS[part as ScalePart]())}\n`);

function measureRoster() {
  const before = memory();
  const startedAt = performance.now();
  const roster = filledRoster(size);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = memory();
  return {
    agents: roster.size,
    bytesPerAgent: Math.round((after.heap + after.buffers - before.heap - before.buffers) / size),
    heapPerAgent: Math.round((after.heap - before.heap) / size),
    buffersPerAgent: Math.round((after.buffers - before.buffers) / size),
    fillSeconds: round(seconds),
  };
}

/** From the opened file to the first answer; `quick_check` and migrations are part of the opening. */
async function measureStart() {
  const startedAt = performance.now();
  const database = await openDatabase(`sqlite:${path}`);
  const openedAt = performance.now();
  const engine = await openBenchEngine(database, testPolicy({ waves: [REGIONS] }), REGIONS);
  const loadedAt = performance.now();
  const report = {
    handle: size,
    boot: 'b'.repeat(22),
    platform: 'linux-x64',
    epoch: 1,
    sequence: 0,
    products: [{ product: 'agentd', version: '1.0.0', digest: 'a'.repeat(64) }],
    health: 'ok' as const,
    healthReason: null,
    facts: null,
    attempts: [],
  };
  await engine.agents.checkIn(report, 0, new AbortController().signal);
  const answeredAt = performance.now();
  const planning = await times(RUNS, () => engine.plan());
  await engine.close();
  await database.close();
  return {
    agents: size,
    openSeconds: round((openedAt - startedAt) / 1000),
    loadSeconds: round((loadedAt - openedAt) / 1000),
    firstAnswerSeconds: round((answeredAt - startedAt) / 1000),
    planPassMs: round(planning),
    rssMB: Math.round(process.memoryUsage().rss / 1e6),
  };
}

/** Passes with nothing to do: rows written by SQLite's own count. */
async function measureQuiet() {
  const database = await openDatabase(`sqlite:${path}`);
  const engine = await openBenchEngine(database, testPolicy({ waves: [REGIONS] }), REGIONS);
  const changes = async () =>
    (await sql<{ n: number }>`select total_changes() as n`.execute(database.db)).rows[0]?.n ?? Number.NaN;
  await engine.plan();
  const before = await changes();
  const planPassMs = await times(RUNS, () => engine.plan());
  const rowsWritten = (await changes()) - before;
  await engine.close();
  await database.close();
  return { agents: size, passes: RUNS, planPassMs: round(planPassMs), rowsWritten };
}

/** `size` products, each with a rollout that is going out in 20 regions. */
async function measurePlan() {
  const snapshot = busySnapshot(size);
  const planMs = await times(WARM_RUNS, async () => void plan(snapshot, START + 60_000));
  const { actions, report } = plan(snapshot, START + 60_000);
  return {
    rollouts: size,
    lanes: size * REGIONS.length,
    planMs: round(planMs),
    actions: actions.length,
    holds: report.length,
  };
}

function measureDecide() {
  const directive = directiveFor();
  const agents = Array.from({ length: 1_000 }, (_, index) => agentView(index));
  const directives = [directive];
  const nanoseconds: number[] = [];
  for (let run = 0; run < RUNS * 3; run += 1) {
    const startedAt = process.hrtime.bigint();
    for (let index = 0; index < size; index += 1) decide(agents[index % agents.length] as AgentView, directives, START);
    nanoseconds.push(Number(process.hrtime.bigint() - startedAt) / size);
  }
  return { decisions: size, medianUs: round(median(nanoseconds) / 1000) };
}

/** A step of half of everybody in one region of that size: what its freezing costs, and how long nothing else ran. */
async function measureFreeze() {
  const roster = filledRoster(size, ['region-1']);
  const policy = testPolicy({ waves: [['region-1']], steps: [stepPolicy({ percent: 50 }), stepPolicy()] });
  const rollout = rolloutOf('agentd', policy, ['region-1'], false);
  const lane = rollout.lanes[0] as Lane;
  const input = {
    roster,
    observedMs: 1_000,
    products: [rules(policy)],
    regions: ['region-1'],
    rollouts: [rollout],
    releases: [testRelease('1.0.0'), testRelease('1.1.0', { id: rollout.releaseId })],
    members: () => newBitset(),
    proven: () => new Set<number>(),
    groups: new Map(),
  };
  const censusMs = await times(3, async () => void finish(countAgents({ ...input, groups: new Map() })));
  const lanesMs = await times(3, async () => void finish(countLanes({ ...input, groups: new Map() })));
  let longestGapMs = 0;
  let lastTick = performance.now();
  const ticking = setInterval(() => {
    const now = performance.now();
    longestGapMs = Math.max(longestGapMs, now - lastTick);
    lastTick = now;
  }, 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  longestGapMs = 0;
  const startedAt = performance.now();
  const frozen = await inTurns(freezeLaneStep(input, rollout, lane, 0));
  const freezeMs = performance.now() - startedAt;
  await new Promise((resolve) => setTimeout(resolve, 20));
  clearInterval(ticking);
  return {
    agents: size,
    members: frozen.size,
    freezeMs: round(freezeMs),
    stoodStillMs: round(longestGapMs),
    censusMs: round(censusMs),
    laneCountMs: round(lanesMs),
  };
}

function filledRoster(agents: number, regions: readonly string[] = REGIONS): Roster {
  const roster = new Roster();
  for (let handle = 1; handle <= agents; handle += 1) roster.put(agentOf(handle, regions), 0);
  return roster;
}

function agentOf(handle: number, regions: readonly string[]): Agent {
  return testAgent(handle, {
    id: uuidv7(),
    region: regions[handle % regions.length] as string,
    // As long as a true one, and no two alike.
    publicKey: `${handle}`.padStart(43, 'k'),
    facts: {},
  });
}

function rolloutOf(
  product: string,
  policy: ReturnType<typeof testPolicy>,
  regions: readonly string[],
  open: boolean,
): Rollout {
  const step = { step: 0, openedAt: START, size: 50, threshold: 1000, thresholdId: '', done: false };
  return {
    id: `${product}-1.1.0`,
    product,
    releaseId: `${product}-release`,
    version: '1.1.0',
    policy,
    seed: 1,
    createdAt: START,
    endedAt: null,
    lanes: regions.map((region) => ({
      id: `${product}-${region}`,
      kind: 'rollout' as const,
      rolloutId: `${product}-1.1.0`,
      product,
      region,
      wave: 0,
      state: open ? { name: 'open' as const, step: 0, since: START } : { name: 'waiting' as const, since: START },
      budgetEpoch: 0,
      allowance: 0,
      approvals: [],
      revision: 0,
      steps: open ? [{ ...step, counters: { ...NO_COUNTS, pending: 10, hot: 5, hotMembers: 5, succeeded: 20 } }] : [],
      back: [],
    })),
  };
}

function busySnapshot(products: number): Snapshot {
  const policy = testPolicy({ waves: [REGIONS], steps: [stepPolicy({ percent: 10 }), stepPolicy()] });
  const names = Array.from({ length: products }, (_, index) => `product-${index}`);
  const rollouts = names.map((name) => rolloutOf(name, policy, REGIONS, true));
  const lanes = rollouts.flatMap((one) => one.lanes);
  return {
    observedMs: 60_000,
    products: names.map((name) => rules(policy, { name })),
    regions: REGIONS,
    calendars: REGIONS.map((region) => ({ region, timeZone: 'Europe/Berlin', windows: { allow: [], deny: [] } })),
    freezes: [],
    clock: null,
    ceilings: [],
    considered: [],
    releases: names.flatMap((product) =>
      ['1.0.0', '1.1.0'].map((version) =>
        testRelease(version, { product, id: version === '1.1.0' ? `${product}-release` : `${product}-old` }),
      ),
    ),
    availability: names.flatMap((product) =>
      REGIONS.map((region) => ({
        product,
        version: '1.1.0',
        region,
        platform: 'linux-x64',
        status: 'available' as const,
        why: 'uploaded',
        since: START,
        checkedAt: START,
      })),
    ),
    vetoes: [],
    brakes: [],
    rollouts,
    baselineLanes: [],
    recentBad: {},
    baselines: [],
    census: names.flatMap((product) =>
      REGIONS.map((region) => ({
        product,
        region,
        version: '1.0.0',
        platform: 'linux-x64',
        agents: 500,
        present: 490,
      })),
    ),
    lanes: lanes.map((lane) => ({
      laneId: lane.id,
      eligible: 480,
      agents: 500,
      platforms: ['linux-x64'],
      floors: [],
      previews: [{ step: 1, members: 430, eligible: 430 }],
      steps: [{ step: 0, gone: 0, ineligible: 0, replaceable: 400, updated: 20, updatedPresent: 20, unheard: 0 }],
    })),
    overdue: [],
    metrics: [],
  };
}

function directiveFor(): Directive {
  const policy = testPolicy({ waves: [['region-1']], steps: [stepPolicy({ percent: 50 }), stepPolicy()] });
  const rollout = rolloutOf('agentd', policy, ['region-1'], true);
  return compileDirective({
    product: 'agentd',
    region: 'region-1',
    rules: rules(policy),
    releaseOf: () => undefined,
    lane: rollout.lanes[0] as Lane,
    rollout,
    release: testRelease('1.1.0', { id: rollout.releaseId }),
    builds: { [digestOf('1.0.0')]: ['1.0.0'], [digestOf('1.1.0')]: ['1.1.0'] },
    brakes: [],
    clock: null,
    vetoes: [],
    silence: () => NO_SILENCE,
    availability: [],
    baseline: null,
    window: { open: true, closesAt: null },
    limits: NO_LIMITS,
    occupied: countOccupied([], NO_LIMITS),
  });
}

function agentView(index: number): AgentView {
  return {
    id: uuidv7(),
    region: 'region-1',
    platform: 'linux-x64',
    labels: { rack: `r${index % 40}` },
    facts: null,
    health: 'ok',
    healthReason: null,
    products: [{ product: 'agentd', version: '1.0.0', digest: digestOf('1.0.0') }],
    live: [],
    holding: [],
    ended: [],
    spent: [],
    seats: [],
  };
}

function memory(): { heap: number; buffers: number } {
  for (let time = 0; time < 3; time += 1) globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}

async function times(count: number, run: () => Promise<void>): Promise<number> {
  const all: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startedAt = performance.now();
    await run();
    all.push(performance.now() - startedAt);
  }
  return median(all);
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
