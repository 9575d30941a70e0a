// Reads the metrics of the steps that soak or wait for a person, each when it is due, and counts what they said.
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { addReading, type MetricPolicy, type MetricTally, queryFor, type Reading } from '../domain/metric.ts';
import type { Lane, Rollout } from '../domain/rollout.ts';
import { type Database, transaction } from '../store/database.ts';
import { listTallies, saveTally } from '../store/metrics.ts';
import { listRollouts, loadLanes } from '../store/rollouts.ts';
import type { Prometheus } from './prometheus.ts';

export interface MetricsDeps {
  database: Database;
  /** Null: the config names none, and no policy has metrics. */
  prometheus: Prometheus | null;
  products: readonly string[];
  logger: Logger;
}

export interface Metrics {
  /** Reads what is due at `now` (ms since the epoch); never two rounds at a time. Throws what the database throws. */
  round(now: number): Promise<{ changed: boolean }>;
  /** Ends the round under way without writing what it has not heard. */
  close(): Promise<void>;
}

/** When to call `round`; what is due it finds out itself. */
export const METRICS_CRON = '* * * * * *';

const AT_A_TIME = 4;
/** Read in one round; the rest stays due. */
const MAX_READINGS = 100;

interface Due {
  metric: MetricPolicy;
  tally: MetricTally;
  query: string;
}

export function openMetrics({ database, prometheus, products, logger }: MetricsDeps): Metrics {
  const limit = pLimit(AT_A_TIME);
  let closed = false;
  let running: Promise<{ changed: boolean }> | undefined;

  async function run(now: number, source: Prometheus): Promise<{ changed: boolean }> {
    const due = await dueReadings(database, products, now);
    if (due.length === 0) return { changed: false };
    const readings = await Promise.all(due.map((one) => limit(() => source.ask(one.query))));
    if (closed) return { changed: false };
    for (const [index, { metric, tally }] of due.entries()) {
      const reading = readings[index] as Reading;
      if ('error' in reading) logger.warn({ metric: metric.name, lane: tally.laneId, why: reading.error }, 'no sample');
    }
    return { changed: await record(database, due, readings, now) };
  }
  return {
    round(now) {
      if (prometheus === null || closed) return Promise.resolve({ changed: false });
      running ??= run(now, prometheus).finally(() => {
        running = undefined;
      });
      return running;
    },
    async close() {
      closed = true;
      await prometheus?.close();
      await running?.catch(() => {});
    },
  };
}

async function dueReadings(database: Database, products: readonly string[], now: number): Promise<Due[]> {
  const { db } = database;
  const known = new Map((await listTallies(db)).map((tally) => [keyOf(tally), tally]));
  const due: Due[] = [];
  for (const product of products) {
    for (const rollout of await listRollouts(db, { product, liveOnly: true })) {
      due.push(...rollout.lanes.flatMap((lane) => dueIn(rollout, lane, known, now)));
    }
  }
  return due.sort((a, b) => a.tally.at - b.tally.at).slice(0, MAX_READINGS);
}

function dueIn(rollout: Rollout, lane: Lane, known: ReadonlyMap<string, MetricTally>, now: number): Due[] {
  const step = watchedStep(lane);
  if (step === undefined) return [];
  return (rollout.policy.metrics ?? []).flatMap((metric) => {
    const place = { laneId: lane.id, step, budgetEpoch: lane.budgetEpoch, metric: metric.name };
    const tally = known.get(keyOf(place)) ?? { ...place, ...NOTHING_YET };
    // A clock that was set back is no reason to wait for the time it was set to before.
    const isDue = tally.at === 0 || Math.abs(now - tally.at) >= metric.everyMs;
    const { product, version } = rollout;
    const query = queryFor(metric, { product, version, region: lane.region, step });
    return isDue ? [{ metric, tally, query }] : [];
  });
}

const NOTHING_YET = { good: 0, failed: 0, inconclusive: 0, errors: 0, at: 0, shown: '' };

function watchedStep({ state }: Lane): number | undefined {
  return state.name === 'soaking' || state.name === 'approval' ? state.step : undefined;
}

/** What came for a lane that has gone on meanwhile counts for nothing. */
async function record(
  database: Database,
  due: readonly Due[],
  readings: readonly Reading[],
  now: number,
): Promise<boolean> {
  return await transaction(database, async (tx) => {
    const ids = [...new Set(due.map(({ tally }) => tally.laneId))];
    const lanes = new Map((await loadLanes(tx, ids, { forUpdate: true })).map((lane) => [lane.id, lane]));
    let changed = false;
    for (const [index, { metric, tally }] of due.entries()) {
      const lane = lanes.get(tally.laneId);
      if (lane === undefined || watchedStep(lane) !== tally.step || lane.budgetEpoch !== tally.budgetEpoch) continue;
      // A person may take a weekend: single failures among thousands of good readings would come to a failed metric.
      const forgives = lane.state.name === 'approval';
      await saveTally(tx, addReading(tally, readings[index] as Reading, metric, now, forgives));
      changed = true;
    }
    return changed;
  });
}

function keyOf({ laneId, step, budgetEpoch, metric }: Pick<MetricTally, 'laneId' | 'step' | 'budgetEpoch' | 'metric'>) {
  return `${laneId} ${step} ${budgetEpoch} ${metric}`;
}
