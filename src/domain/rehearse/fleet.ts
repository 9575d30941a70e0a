// The agents of a rehearsal, made from their groups: ids of their own, who fails, and when each checks in, all by the seed.
import type { Attempt } from '../agent.ts';
import type { Spent } from '../quarantine.ts';
import { fmix32, hash32 } from '../rank.ts';
import type { Scheme } from '../version/scheme.ts';
import type { FleetGroup } from './model.ts';

export interface ModelAgent {
  id: string;
  hash: number;
  group: FleetGroup;
  present: boolean;
  version: string;
  /** The attempts in the lane of the newest one, in their order. */
  attempts: Attempt[];
  live: Attempt | null;
  spent: Spent[];
  /** The release that it has been let go to last. */
  tried: string | null;
  /** The newest step that it was frozen into. */
  seat: { laneId: string; step: number } | null;
}

/** Agents that run the same version on the same platform in one region. */
export interface Counted {
  version: string;
  platform: string;
  agents: number;
  present: number;
}

export interface ModelRegion {
  name: string;
  groups: readonly { group: FleetGroup; index: number }[];
  /** Made when they are first needed: a run that halts early comes to few regions. */
  made: ModelAgent[] | null;
  total: number;
  counts: Map<string, Counted>;
  /** Raised with every agent that changes its version. */
  changes: number;
}

/** Agents of a region that the config does not name are never updated, and not made. */
export function createRegions(regions: readonly string[], fleet: readonly FleetGroup[]): Map<string, ModelRegion> {
  const all = Map.groupBy(
    fleet.map((group, index) => ({ group, index })),
    ({ group }) => group.region,
  );
  return new Map(regions.map((name) => [name, createRegion(name, all.get(name) ?? [])]));
}

function createRegion(name: string, groups: ModelRegion['groups']): ModelRegion {
  const counts = new Map<string, Counted>();
  let total = 0;
  for (const { group } of groups) {
    const row = countedIn(counts, group.version, group.platform);
    row.agents += group.agents;
    row.present += group.present;
    total += group.agents;
  }
  return { name, groups, made: null, total, counts, changes: 0 };
}

export function agentsOf(region: ModelRegion): readonly ModelAgent[] {
  region.made ??= region.groups.flatMap(({ group, index }) =>
    Array.from({ length: group.agents }, (_, n): ModelAgent => {
      const id = `${index.toString(16)}-${n.toString(16)}`;
      return {
        id,
        hash: hash32(id),
        group,
        present: n < group.present,
        version: group.version,
        attempts: [],
        live: null,
        spent: [],
        tried: null,
        seat: null,
      };
    }),
  );
  return region.made;
}

export function runVersion(region: ModelRegion, agent: ModelAgent, version: string): void {
  const { counts } = region;
  move(countedIn(counts, agent.version, agent.group.platform), agent, -1);
  move(countedIn(counts, version, agent.group.platform), agent, 1);
  agent.version = version;
  region.changes += 1;
}

function move(row: Counted, { present }: ModelAgent, sign: 1 | -1): void {
  row.agents += sign;
  if (present) row.present += sign;
}

function countedIn(counts: ModelRegion['counts'], version: string, platform: string): Counted {
  const key = `${version} ${platform}`;
  const known = counts.get(key);
  if (known !== undefined) return known;
  const row = { version, platform, agents: 0, present: 0 };
  counts.set(key, row);
  return row;
}

/** A release as far as it matters to who can be brought to it. */
export interface Target {
  version: string;
  platforms: ReadonlySet<string>;
  /** The lowest version that agents are updated from; null: any. */
  from: string | null;
}

/** Runs a lower version from which it can be updated, on a platform that the release has. */
export function isBelow(
  scheme: Scheme,
  { version, platform }: { version: string; platform: string },
  release: Target,
): boolean {
  if (!release.platforms.has(platform) || scheme.parse(version) === undefined) return false;
  if (release.from !== null && scheme.compare(version, release.from) < 0) return false;
  return scheme.compare(version, release.version) < 0;
}

/** Whether every try of this agent at the version fails: a host on which it does not run. `rate` 0–1. */
export function fails(agent: ModelAgent, version: string, rate: number, seed: number): boolean {
  return rate > 0 && chance(agent.hash, fmix32(hash32(version) ^ seed)) < rate;
}

/** How long after it could know the agent checks in, 0 ≤ x < pollMs. */
export function phaseOf(agent: ModelAgent, pollMs: number, seed: number): number {
  return Math.floor(chance(agent.hash, fmix32(seed ^ 0x706f6c6c)) * pollMs);
}

/** 0 ≤ x < 1, always the same for the same two numbers. */
function chance(hash: number, seed: number): number {
  return fmix32(Math.imul(hash, 0x9e3779b1) ^ seed) / 0x100000000;
}
