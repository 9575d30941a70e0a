// Finds one row of a snapshot's lists by what names it: each list is gone through once, however often it is asked.
import type { Availability } from './availability.ts';
import type { MetricTally } from './metric.ts';
import type { Release } from './release.ts';
import type { Lane, Rollout } from './rollout.ts';
import type { Baseline, LaneCensus } from './snapshot.ts';

export const laneCensusOf = lookup((row: LaneCensus) => row.laneId);

export const metricTallyOf = lookup((row: MetricTally) => `${row.laneId} ${row.step} ${row.budgetEpoch} ${row.metric}`);

export const releaseOf = lookup((row: Release) => row.id);

const byVersion = lookup((row: Release) => `${row.product} ${row.version}`);

export function releaseAt(releases: readonly Release[], product: string, version: string): Release | undefined {
  return byVersion(releases, `${product} ${version}`);
}

const platformsByPlace = indexing((rows: readonly Availability[]) => {
  const products = new Map<string, Map<string, Map<string, Availability[]>>>();
  for (const row of rows) {
    const versions = products.get(row.product) ?? new Map<string, Map<string, Availability[]>>();
    const regions = versions.get(row.version) ?? new Map<string, Availability[]>();
    const there = regions.get(row.region) ?? [];
    there.push(row);
    products.set(row.product, versions.set(row.version, regions.set(row.region, there)));
  }
  return products;
});

/** Level by level: to put the four names together into one key for each question costs more than to look them up. */
export function availabilityAt(
  rows: readonly Availability[],
  { product, version, region, platform }: Pick<Availability, 'product' | 'version' | 'region' | 'platform'>,
): Availability | undefined {
  const there = platformsByPlace(rows).get(product)?.get(version)?.get(region);
  return there?.find((row) => row.platform === platform);
}

/** The product's rollouts, in the order of the list. */
export function rolloutsOf(rollouts: readonly Rollout[], product: string): readonly Rollout[] {
  return rolloutsByProduct(rollouts, product);
}

const rolloutsByProduct = grouping((rollouts: readonly Rollout[]) => Map.groupBy(rollouts, (one) => one.product));

/** A lane with its rollout. */
export interface Place {
  rollout: Rollout;
  lane: Lane;
}

/** The lanes in the region, in the order of the rollouts. */
export function lanesThere(rollouts: readonly Rollout[], region: string): readonly Place[] {
  return lanesByRegion(rollouts, region);
}

const lanesByRegion = grouping((rollouts: readonly Rollout[]) =>
  Map.groupBy(
    rollouts.flatMap((rollout) => rollout.lanes.map((lane): Place => ({ rollout, lane }))),
    ({ lane }) => lane.region,
  ),
);

/** What the region has completed of the product, in the order of the list. */
export function baselinesThere(baselines: readonly Baseline[], product: string, region: string): readonly Baseline[] {
  return baselinesByPlace(baselines, `${product} ${region}`);
}

const baselinesByPlace = grouping((baselines: readonly Baseline[]) =>
  Map.groupBy(baselines, ({ product, region }) => `${product} ${region}`),
);

/**
 * Remembers a list's rows by key for as long as the list itself is kept; the lists of a snapshot are replaced and never
 * changed. The first row of a key wins, as `find` has it.
 */
function lookup<Row>(keyOf: (row: Row) => string): (rows: readonly Row[], key: string) => Row | undefined {
  const indexOf = indexing((rows: readonly Row[]) => new Map(rows.toReversed().map((row) => [keyOf(row), row])));
  return (rows, key) => indexOf(rows).get(key);
}

/** Remembers the groups of a list in the same way. */
function grouping<List extends object, Row>(
  group: (list: List) => Map<string, Row[]>,
): (list: List, key: string) => readonly Row[] {
  const groupsOf = indexing(group);
  return (list, key) => groupsOf(list).get(key) ?? [];
}

function indexing<List extends object, Index>(make: (list: List) => Index): (list: List) => Index {
  const known = new WeakMap<List, Index>();
  return (list) => {
    const found = known.get(list);
    if (found !== undefined) return found;
    const index = make(list);
    known.set(list, index);
    return index;
  };
}
