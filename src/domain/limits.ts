// How many agents may be hot, or downloading, at a time, over all rollouts and products: per region, in the fleet, per site.
import type { Attempt } from './agent.ts';
import { isHot } from './attempt.ts';
import type { Ceiling } from './ceilings.ts';

export interface Limits {
  /** Null: no limit. */
  fleet: number | null;
  region: number | null;
  /** Agents with the same value of the label stand at one site; agents without it are not limited by it. */
  site: { label: string; max: number } | null;
  /** Agents that may be downloading at a time. */
  downloads: { fleet: number | null; region: number | null };
  /** Grants in the fleet within any hour, and within any 24 hours. */
  perHour: number | null;
  perDay: number | null;
}

export const NO_LIMITS: Limits = {
  fleet: null,
  region: null,
  site: null,
  downloads: { fleet: null, region: null },
  perHour: null,
  perDay: null,
};

/** Where an agent takes a slot while it is hot, or while it downloads. */
export interface Place {
  region: string;
  labels: Record<string, string>;
}

/** Hot agents by place, as of one moment, with what else the limits are about. */
export interface Occupied {
  fleet: number;
  byRegion: Record<string, number>;
  /** By the value of the site's label. */
  bySite: Record<string, number>;
  /** Agents with an attempt that is offered: they download. Counted only where a limit asks for it. */
  downloads: { fleet: number; byRegion: Record<string, number> };
  /** Those that the config sets, with what is used of them. */
  ceilings: readonly Ceiling[];
}

/** What is counted beside hot agents. */
export interface AlsoOccupied {
  downloading?: readonly Pick<Place, 'region'>[];
  ceilings?: readonly Ceiling[];
}

export function countOccupied(
  hot: readonly Place[],
  limits: Limits,
  { downloading = [], ceilings = [] }: AlsoOccupied = {},
): Occupied {
  const occupied: Occupied = {
    fleet: 0,
    byRegion: {},
    bySite: {},
    downloads: { fleet: downloading.length, byRegion: {} },
    ceilings,
  };
  for (const place of hot) {
    occupied.fleet += 1;
    occupied.byRegion[place.region] = (occupied.byRegion[place.region] ?? 0) + 1;
    const site = siteOf(place, limits);
    if (site !== undefined) occupied.bySite[site] = (occupied.bySite[site] ?? 0) + 1;
  }
  const { byRegion } = occupied.downloads;
  for (const { region } of downloading) byRegion[region] = (byRegion[region] ?? 0) + 1;
  return occupied;
}

/** Which limit has no room for the agent, as reason and detail; undefined when there is room in all of them. */
export function fullLimit(
  limits: Limits,
  occupied: Occupied,
  place: Place,
): { reason: 'at_limit' | 'site_limit'; detail: string } | undefined {
  const full = fullPlace(limits, occupied, place.region);
  if (full !== undefined) return { reason: 'at_limit', detail: full };
  const site = siteOf(place, limits);
  if (site === undefined || limits.site === null) return undefined;
  const atSite = occupied.bySite[site] ?? 0;
  if (atSite < limits.site.max) return undefined;
  return { reason: 'site_limit', detail: `${atSite} of ${limits.site.max} at ${limits.site.label} ${site}` };
}

/** What leaves no room for one more download in the region; undefined when there is room. */
export function fullDownloads({ downloads }: Limits, occupied: Occupied, region: string): string | undefined {
  return fullPlace(downloads, occupied.downloads, region);
}

/** Whether downloads have to be counted at all. */
export function limitsDownloads({ downloads }: Limits): boolean {
  return downloads.fleet !== null || downloads.region !== null;
}

/** Whether any of the attempts holds a slot. */
export function isOccupying(attempts: readonly Attempt[]): boolean {
  return attempts.some((attempt) => isHot(attempt.state));
}

function fullPlace(
  max: Pick<Limits, 'fleet' | 'region'>,
  used: Pick<Occupied, 'fleet' | 'byRegion'>,
  region: string,
): string | undefined {
  if (max.fleet !== null && used.fleet >= max.fleet) return `${used.fleet} of ${max.fleet} in the fleet`;
  const inRegion = used.byRegion[region] ?? 0;
  if (max.region !== null && inRegion >= max.region) return `${inRegion} of ${max.region} in ${region}`;
  return undefined;
}

function siteOf(place: Place, limits: Limits): string | undefined {
  return limits.site === null ? undefined : place.labels[limits.site.label];
}
