// What a scenario has built up: the config of its first lines, then a real fleet on a real SQLite database, and its agents.
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import type { ReportedAttempt } from '../../src/domain/agent.ts';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import type { Reading } from '../../src/domain/metric.ts';
import type { Release } from '../../src/domain/release.ts';
import type { PolicyJump, ProductRules } from '../../src/domain/snapshot.ts';
import type { Surroundings } from '../../src/engine/memory.ts';
import { transaction } from '../../src/store/database.ts';
import { listReleases, saveAvailability, saveRelease } from '../../src/store/releases.ts';
import { listRollouts } from '../../src/store/rollouts.ts';
import { openMetrics } from '../../src/tracker/metrics.ts';
import { digestOf, rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { type Behaviour, type Fleet, type ModelAgent, openFleet } from '../support/fleet.ts';
import { describeLane } from './show.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export interface World {
  product: ProductRules;
  regions: string[];
  surroundings: Writable<Surroundings> & { calendars: Surroundings['calendars'][number][] };
  startAt: number;
  /** Opened by the first command that needs it: what comes later of the config is in force from the next restart on. */
  fleet(): Promise<Fleet>;
  agents: Map<string, ModelAgent>;
  /** Agents that nothing is heard of. */
  away: Set<string>;
  /** What agents do with an update, other than well. */
  behaviours: Map<string, Behaviour>;
  /** What a query of a metric is answered, by its name. */
  metrics: Map<string, Reading>;
}

export function newWorld(t: Pick<TestContext, 'after'>): World {
  let opened: Promise<Fleet> | undefined;
  let ids = 0;
  const newId = () => `00000000-0000-7000-8000-${String((ids += 1)).padStart(12, '0')}`;
  const world: World = {
    product: rules(testPolicy()),
    regions: [],
    surroundings: { calendars: [], freezes: [], limits: NO_LIMITS, mirrors: { regions: [], maxAgeMs: 600_000 } },
    startAt: START,
    fleet() {
      const { product, regions, surroundings, startAt } = world;
      opened ??= openFleet(t, product, regions, undefined, surroundings, { newId, startAt });
      return opened;
    },
    agents: new Map(),
    away: new Set(),
    behaviours: new Map(),
    metrics: new Map(),
  };
  return world;
}

/** The one for every jump, or the one for the jump that it is named after. */
export function setPolicy(world: World, policy: ProductRules['policy']): void {
  if (policy.name === 'standard') world.product.policy = policy;
  else world.product.policies[policy.name as PolicyJump] = policy;
  for (const region of policy.waves.flat()) {
    if (world.regions.includes(region)) continue;
    world.regions.push(region);
    world.surroundings.calendars.push({ region, timeZone: 'UTC', windows: { allow: [], deny: [] } });
  }
}

/** A release that can be had in some of the regions; in the others its files are absent. */
export async function publish(
  world: World,
  version: string,
  available: readonly string[],
  overrides: Partial<Release> = {},
): Promise<void> {
  const fleet = await world.fleet();
  const at = fleet.clock.now();
  const release = testRelease(version, { publishedAt: at, firstSeenAt: at, ...overrides });
  await transaction(fleet.database, (tx) => saveRelease(tx, release));
  await setAvailability(world, version, world.regions, available);
}

/** The release as GitHub has it from now on; `platform`: with a file for one more. */
export async function setRelease(
  world: World,
  version: string,
  { platform, ...overrides }: Partial<Release> & { platform?: string },
): Promise<void> {
  const fleet = await world.fleet();
  const known = (await listReleases(fleet.database.db, world.product.name)).find((one) => one.version === version);
  if (known === undefined) throw new Error(`no release ${version}`);
  const [like] = known.artifacts;
  const added =
    platform === undefined || like === undefined
      ? []
      : [
          {
            ...like,
            platform,
            name: `agentd-${version}-${platform}.tar.gz`,
            sha256: digestOf(`${version} ${platform}`),
          },
        ];
  const artifacts = [...known.artifacts, ...added];
  await transaction(fleet.database, (tx) => saveRelease(tx, { ...known, artifacts, ...overrides }));
}

export async function setAvailability(
  world: World,
  version: string,
  regions: readonly string[],
  available: readonly string[],
): Promise<void> {
  await saveAll(world, version, regions, (region) =>
    available.includes(region)
      ? { status: 'available', why: 'uploaded' }
      : { status: 'absent', why: 'the mirror answers 404' },
  );
}

/** As when the probe of a mirror fails. */
export async function setUnknown(world: World, version: string, regions: readonly string[]): Promise<void> {
  await saveAll(world, version, regions, () => ({ status: 'unknown', why: 'the mirror answers 503' }));
}

async function saveAll(
  world: World,
  version: string,
  regions: readonly string[],
  found: (region: string) => { status: 'available' | 'absent' | 'unknown'; why: string },
): Promise<void> {
  const fleet = await world.fleet();
  const at = fleet.clock.now();
  const place = { product: world.product.name, version, platform: 'linux-x64', since: at, checkedAt: at };
  const rows = regions.map((region) => ({ ...place, region, ...found(region) }));
  await transaction(fleet.database, (tx) => saveAvailability(tx, rows));
}

/** Each agent comes to rest before the next one begins. Lines such as `1.1.0, then none: c1 c2`. */
export async function update(
  world: World,
  names: readonly string[],
  behaviourOf: (name: string) => Behaviour,
): Promise<string[]> {
  const results = new Map<string, string[]>();
  for (const name of names) {
    const agent = agentNamed(world, name);
    const behaviour = behaviourOf(name);
    // A download that hung goes on.
    if (behaviour !== 'download_hangs') agent.attempts = agent.attempts.map(goOn);
    const answer = await agent.run(() => behaviour);
    if (answer === 'vanished') world.away.add(name);
    const key = `runs ${agent.products[0]?.version}, ${answer}`;
    results.set(key, [...(results.get(key) ?? []), name]);
  }
  return [...results].map(([key, list]) => `${key}: ${list.join(' ')}`);
}

function goOn(attempt: ReportedAttempt): ReportedAttempt {
  return attempt.state === 'offered' ? { ...attempt, state: 'staged' } : attempt;
}

/** Minute by minute: those who are there check in and do what they are told, metrics are read, the server plans. */
export async function advance(
  world: World,
  ms: number,
  present: readonly string[],
  everyMs: number,
): Promise<string[]> {
  const fleet = await world.fleet();
  const metrics = metricsOf(world, fleet);
  const lines: string[] = [];
  let before = await laneStates(fleet);
  for (let passed = 0; passed < ms; passed += everyMs) {
    await elapse(fleet, Math.min(everyMs, ms - passed));
    await fleet.engine.plan();
    const there = present.filter((name) => !world.away.has(name));
    await update(world, there, (name) => world.behaviours.get(name) ?? 'works');
    // What the agents have said has been planned with before anything is asked about it.
    await fleet.engine.plan();
    if (hasMetrics(world) && (await metrics.round(fleet.clock.now())).changed) await fleet.engine.plan();
    const after = await laneStates(fleet);
    lines.push(...changes(before, after, fleet.clock.now()));
    before = after;
  }
  return lines;
}

function hasMetrics({ product }: World): boolean {
  return [product.policy, ...Object.values(product.policies)].some(({ metrics }) => metrics !== undefined);
}

/** A server that is up looks at its clock all the while: otherwise the time would not be observed. */
async function elapse({ clock, engine }: Fleet, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 60_000) {
    clock.advance(Math.min(60_000, ms - passed));
    // The plan that follows is such a look, too.
    if (passed + 60_000 < ms) await engine.flush();
  }
}

function metricsOf(world: World, { database }: Fleet) {
  const ask = async (query: string) => world.metrics.get(query) ?? { error: 'the query has no result' };
  const prometheus = { ask, close: async () => {} };
  return openMetrics({ database, prometheus, products: [world.product.name], logger: pino({ level: 'silent' }) });
}

/** By rollout and region, what a person would call the lane's state. */
export async function laneStates(fleet: Fleet): Promise<Map<string, string>> {
  const rollouts = (await listRollouts(fleet.database.db)).reverse();
  return new Map(
    rollouts.flatMap((rollout) =>
      rollout.lanes.map((lane) => [`${rollout.version} ${lane.region}`, describeLane(lane)] as const),
    ),
  );
}

export function changes(before: Map<string, string>, after: Map<string, string>, now: number): string[] {
  const at = new Date(now).toISOString().slice(11, 16);
  return [...after].filter(([key, state]) => before.get(key) !== state).map(([key, state]) => `${at} ${key}: ${state}`);
}

export function agentNamed(world: World, name: string): ModelAgent {
  const agent = world.agents.get(name);
  if (agent === undefined) throw new Error(`no agent is called ${name}`);
  return agent;
}
