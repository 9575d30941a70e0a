// What a product asks of the way up (floors, lag, lowest version, facts of hosts), and the metrics of a policy.
import type { MetricPolicy } from '../../src/domain/metric.ts';
import type { ProductRules } from '../../src/domain/snapshot.ts';
import type { Random } from './random.ts';

type WayRules = Pick<ProductRules, 'lag' | 'from' | 'floors' | 'requirements' | 'unknownBuilds'>;

/** The versions that the first releases of a world may have. */
export const EARLY_VERSIONS = ['1.0.1', '1.1.0'] as const;

export function drawWay(random: Random): WayRules {
  const floors = EARLY_VERSIONS.filter(() => random.chance(12));
  const reason = 'its data is rewritten there';
  return {
    lag: random.chance(8) ? 1 : 0,
    from: random.chance(25) ? '1.0.1' : null,
    floors: floors.map((version) => ({ version, reason })),
    requirements: random.chance(15)
      ? [{ versions: random.pick([null, '>=1.0.2']), fact: 'kernel', rule: 'atLeast', wanted: ['5'], reason: null }]
      : [],
    unknownBuilds: random.pick(['hold', 'hold', 'update']),
  };
}

/** `unit`: virtual milliseconds of one second of an agent. */
export function drawMetrics(random: Random, unit: number): MetricPolicy[] {
  if (!random.chance(45)) return [];
  const samples = random.between(1, 3);
  return [
    {
      name: 'errors',
      query: 'errors{{product="{product}",version="{version}",region="{region}"}}',
      everyMs: 60 * unit,
      passWhen: random.chance(80) ? { op: '<', limit: 0.1 } : null,
      failWhen: { op: '>', limit: 0.5 },
      samples,
      failures: random.between(1, 2),
      maxInconclusive: random.between(0, 2),
      onFail: random.pick(['halt', 'hold']),
      dryRun: random.chance(20),
    },
  ];
}

/** Nothing of it stands in the way of an ordinary release to an ordinary host. */
export const NO_WAY: WayRules = { lag: 0, from: null, floors: [], requirements: [], unknownBuilds: 'hold' };
