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

const byPlace = lookup((row: Availability) => placeKey(row.product, row.version, row.region, row.platform));

export function availabilityAt(
  rows: readonly Availability[],
  place: Pick<Availability, 'product' | 'version' | 'region' | 'platform'>,
): Availability | undefined {
  return byPlace(rows, placeKey(place.product, place.version, place.region, place.platform));
}

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

// Names hold no blanks.
function placeKey(product: string, version: string, region: string, platform: string): string {
  return `${product} ${version} ${region} ${platform}`;
}

/**
 * Remembers a list's rows by key for as long as the list itself is kept; the lists of a snapshot are replaced and never
 * changed. The first row of a key wins, as `find` has it.
 */
function lookup<Row>(keyOf: (row: Row) => string): (rows: readonly Row[], key: string) => Row | undefined {
  const known = new WeakMap<readonly Row[], Map<string, Row>>();
  return (rows, key) => {
    let index = known.get(rows);
    if (index === undefined) {
      index = new Map(rows.toReversed().map((row) => [keyOf(row), row]));
      known.set(rows, index);
    }
    return index.get(key);
  };
}

/** Remembers the groups of a list in the same way. */
function grouping<List extends object, Row>(
  group: (list: List) => Map<string, Row[]>,
): (list: List, key: string) => readonly Row[] {
  const known = new WeakMap<List, Map<string, Row[]>>();
  return (list, key) => {
    const groups = known.get(list) ?? group(list);
    known.set(list, groups);
    return groups.get(key) ?? [];
  };
}
