// The Prometheus of one world: what it says of a release follows from how that release really is, and from chance.
import { pino } from 'pino';
import type { Reading } from '../../src/domain/metric.ts';
import { openMetrics } from '../../src/tracker/metrics.ts';
import type { Prometheus } from '../../src/tracker/prometheus.ts';
import { hash32 } from './random.ts';
import type { SimServer } from './server.ts';
import { releaseKey, type World } from './world.ts';

export interface SimMetrics {
  /** Reads what is due; plans when something has changed. Rejects with `unreachable` when the server dies meanwhile. */
  round(): Promise<void>;
}

export function createMetricsRound(world: World, server: SimServer): SimMetrics {
  const { truth, marks, plan } = world;
  const random = world.random.fork('prometheus');
  const logger = pino({ level: 'silent' });
  const prometheus: Prometheus = { ask: (query) => Promise.resolve(read(query)), close: () => Promise.resolve() };

  function read(query: string): Reading {
    if (truth.calm) {
      marks.hit('metric_good');
      return { value: 0.01 };
    }
    const isAway = hash32(`${world.seed} ${Math.floor(world.time.now() / (600_000 * plan.scale))}`) % 6 === 0;
    if (isAway || random.chance(5)) {
      marks.hit('metric_not_read');
      return { error: 'connection refused' };
    }
    const [, product = '', version = ''] = /product="(.*?)",version="(.*?)"/.exec(query) ?? [];
    const isGood = truth.releases.get(releaseKey(product, version))?.quality === 'good';
    const value = random.weighted([
      [isGood ? 80 : 20, 0.01],
      [15, Number.NaN],
      [15, 0.3],
      [isGood ? 15 : 60, 0.9],
    ] as const);
    marks.hit(value > 0.5 ? 'metric_failed' : value < 0.1 ? 'metric_good' : 'metric_said_nothing');
    return { value };
  }

  return {
    async round() {
      const { changed } = await server.call((_, database) =>
        openMetrics({ database, prometheus, products: plan.productNames, logger }).round(server.wallNow()),
      );
      if (changed) await server.plan();
    },
  };
}
