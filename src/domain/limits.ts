// How many agents may be hot at a time, over all rollouts and products: per region, in the fleet, and per site.
import type { Attempt } from './agent.ts';
import { isHot } from './attempt.ts';

export interface Limits {
  /** Null: no limit. */
  fleet: number | null;
  region: number | null;
  /** Agents with the same value of the label stand at one site; agents without it are not limited by it. */
  site: { label: string; max: number } | null;
}

export const NO_LIMITS: Limits = { fleet: null, region: null, site: null };

/** Where an agent takes a slot while it is hot. */
export interface Place {
  region: string;
  labels: Record<string, string>;
}

/** Hot agents by place, as of one moment. */
export interface Occupied {
  fleet: number;
  byRegion: Record<string, number>;
  /** By the value of the site's label. */
  bySite: Record<string, number>;
}

export function countOccupied(hot: readonly Place[], limits: Limits): Occupied {
  const occupied: Occupied = { fleet: 0, byRegion: {}, bySite: {} };
  for (const place of hot) {
    occupied.fleet += 1;
    occupied.byRegion[place.region] = (occupied.byRegion[place.region] ?? 0) + 1;
    const site = siteOf(place, limits);
    if (site !== undefined) occupied.bySite[site] = (occupied.bySite[site] ?? 0) + 1;
  }
  return occupied;
}

/** Which limit has no room for the agent, as reason and detail; undefined when there is room in all of them. */
export function fullLimit(
  limits: Limits,
  occupied: Occupied,
  place: Place,
): { reason: 'at_limit' | 'site_limit'; detail: string } | undefined {
  if (limits.fleet !== null && occupied.fleet >= limits.fleet) {
    return { reason: 'at_limit', detail: `${occupied.fleet} of ${limits.fleet} in the fleet` };
  }
  const inRegion = occupied.byRegion[place.region] ?? 0;
  if (limits.region !== null && inRegion >= limits.region) {
    return { reason: 'at_limit', detail: `${inRegion} of ${limits.region} in ${place.region}` };
  }
  const site = siteOf(place, limits);
  if (site === undefined || limits.site === null) return undefined;
  const atSite = occupied.bySite[site] ?? 0;
  if (atSite < limits.site.max) return undefined;
  return { reason: 'site_limit', detail: `${atSite} of ${limits.site.max} at ${limits.site.label} ${site}` };
}

/** Whether any of the attempts holds a slot. */
export function isOccupying(attempts: readonly Attempt[]): boolean {
  return attempts.some((attempt) => isHot(attempt.state));
}

function siteOf(place: Place, limits: Limits): string | undefined {
  return limits.site === null ? undefined : place.labels[limits.site.label];
}
