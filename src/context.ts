// The composition root: builds the server from one config and closes it in reverse. Nothing else wires rooms together.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { type Logger, pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { buildApp } from './api/app.ts';
import { openServerKeys } from './api/keys.ts';
import { ensureOperatorToken } from './api/operator-auth.ts';
import { packageVersion } from './config/package-version.ts';
import { type Config, calendarsOf, rulesOf } from './config.ts';
import { type Clock, systemClock } from './engine/clock.ts';
import { openEngine } from './engine/engine.ts';
import { type Database, openDatabase } from './store/database.ts';
import { takeOver } from './store/take-over.ts';
import { openArtifactCache } from './tracker/artifact-cache.ts';
import { openGitHubSource } from './tracker/github.ts';
import { METRICS_CRON, openMetrics } from './tracker/metrics.ts';
import { startPolling } from './tracker/polling.ts';
import { openProber, PROBE_CRON } from './tracker/probes.ts';
import { openPrometheus } from './tracker/prometheus.ts';
import { syncAll } from './tracker/sync.ts';

/** What tests put in place of the real world; production passes none. */
export interface Overrides {
  clock?: Clock;
  logger?: Logger;
  random?: () => number;
  /** Called at named instants; the crash test ends the process at one of them. */
  mark?: (name: string) => void;
}

export interface Context {
  app: FastifyInstance;
  logger: Logger;
  /** True when this start made the first operator token. */
  firstToken: boolean;
  /** For tests and benchmarks. */
  database: Database;
  /** Polls GitHub and plans now, whatever the schedules say; for tests. */
  syncNow(): Promise<void>;
  /** Begins to poll and to plan on their schedules. */
  start(): void;
  close(): Promise<void>;
}

export async function openContext(config: Config, overrides: Overrides = {}): Promise<Context> {
  const closers: (() => Promise<void>)[] = [];
  const close = async () => await closeAll(closers);
  try {
    return { ...(await build(config, overrides, closers)), close };
  } catch (error) {
    // What kept the server from starting is what a person must read, not what its half-built parts say at their end.
    await close().catch(() => {});
    throw error;
  }
}

/** In reverse, all of them: one that fails keeps no other open. Throws the first failure at the end. */
async function closeAll(closers: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (let next = closers.pop(); next !== undefined; next = closers.pop()) {
    await next().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}

async function build(
  config: Config,
  overrides: Overrides,
  closers: (() => Promise<void>)[],
): Promise<Omit<Context, 'close'>> {
  const clock = overrides.clock ?? systemClock;
  const logger = overrides.logger ?? pino({ base: null }, pino.destination(2));
  const { dataDir } = config.server;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });

  const opened = await openDatabase(config.database, {
    onIdleError: (error) => logger.warn({ err: error }, 'an idle connection to the database has ended'),
  });
  closers.push(() => opened.close());
  const database = await takeOver(opened, clock.now());
  const keys = openServerKeys(dataDir);
  const firstToken = await ensureOperatorToken(database, dataDir, clock.now());

  const stopping = new AbortController();
  const source = openGitHubSource({
    apiUrl: config.github.apiUrl,
    token: config.github.token,
    version: packageVersion(),
    now: () => clock.now(),
  });
  closers.push(() => source.close());
  const artifacts = await openArtifactCache({
    dir: join(dataDir, 'artifacts'),
    database,
    source,
    repositoryOf: (product) => config.products.find((one) => one.name === product)?.repository,
    now: () => clock.now(),
    logger,
  });
  closers.push(() => artifacts.close());

  const regions = config.regions.map((region) => region.name);
  const mirrored = new Set(config.regions.filter((region) => region.mirror !== null).map((region) => region.name));
  const prober = openProber({
    database,
    products: config.products,
    regions: config.regions,
    settings: config.availability,
    version: packageVersion(),
    logger,
  });
  closers.push(() => prober.close());
  // Before the planner's first look: what a mirror said under another configuration is not known any more.
  await prober.settle(clock.now());
  const engine = await openEngine({
    database,
    clock,
    logger,
    newId: () => uuidv7(),
    random: overrides.random ?? Math.random,
    products: config.products.map((product) => rulesOf(config, product)),
    regions,
    surroundings: {
      calendars: calendarsOf(config),
      freezes: config.freezes,
      limits: config.limits,
      mirrors: { regions: config.regions, maxAgeMs: config.availability.maxAgeMs },
    },
    pollMs: config.agents.pollMs,
    maxWaitMs: config.agents.maxWaitMs,
    ...(overrides.mark === undefined ? {} : { mark: overrides.mark }),
  });
  closers.push(() => engine.close());
  for (const { region, agents } of engine.operator.unnamedRegions())
    logger.warn({ region, agents }, 'agents are enrolled in a region that the config does not name');

  const prometheus =
    config.metrics === null ? null : openPrometheus({ ...config.metrics, userAgent: `tidegate/${packageVersion()}` });
  const products = config.products.map(({ name }) => name);
  const metrics = openMetrics({ database, prometheus, products, logger });
  closers.push(() => metrics.close());

  const app = await buildApp({
    database,
    agents: engine.agents,
    operator: engine.operator,
    artifacts,
    keys,
    config,
    askedAt: (place) => prober.askedAt(place),
    clock,
    logger,
  });
  closers.push(() => app.close());

  const sync = async (options: { force?: boolean } = {}) => {
    const deps = { database, source, logger, newId: () => uuidv7(), signal: stopping.signal, mirrored };
    const { changed } = await syncAll(deps, config.products, regions, clock.now(), options);
    if (changed) engine.nudge();
  };
  const probe = async () => {
    const { changed } = await prober.round(clock.now(), engine.wanted());
    if (!changed) return;
    overrides.mark?.('probes.committed');
    engine.nudge();
  };
  const measure = async () => {
    const { changed } = await metrics.round(clock.now());
    if (changed) engine.nudge();
  };
  return {
    app,
    logger,
    firstToken,
    database,
    async syncNow() {
      await sync({ force: true });
      await probe();
      await engine.plan();
    },
    start() {
      const polling = startPolling({ cron: config.github.poll, run: () => sync(), timezone: 'UTC', logger });
      closers.push(async () => {
        stopping.abort();
        await polling.stop();
      });
      const probing = startPolling({ cron: PROBE_CRON, run: probe, timezone: 'UTC', logger });
      closers.push(async () => {
        await prober.close();
        await probing.stop();
      });
      const measuring = startPolling({ cron: METRICS_CRON, run: measure, timezone: 'UTC', logger });
      closers.push(async () => {
        await metrics.close();
        await measuring.stop();
      });
      engine.start();
      // The first look does not wait for the schedule.
      const first = sync();
      closers.push(async () => {
        stopping.abort();
        await first;
      });
    },
  };
}
