// The agents of a rehearsal, made from their groups: ids of their own, who fails, and when each checks in, all by the seed.
import type { Attempt } from '../agent.ts';
import type { Spent } from '../decide.ts';
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
  agents: ModelAgent[];
  counts: Map<string, Counted>;
  /** Raised with every agent that changes its version. */
  changes: number;
}

export function createRegions(regions: readonly string[], fleet: readonly FleetGroup[]): Map<string, ModelRegion> {
  const made = new Map<string, ModelRegion>(
    regions.map((name) => [name, { name, agents: [], counts: new Map(), changes: 0 }]),
  );
  fleet.forEach((group, index) => {
    const region = made.get(group.region);
    // Of a region that the config does not name nothing is ever updated.
    if (region === undefined) return;
    for (let n = 0; n < group.agents; n += 1) {
      const id = `${index.toString(16)}-${n.toString(16)}`;
      const agent: ModelAgent = {
        id,
        hash: hash32(id),
        group,
        present: n < group.present,
        version: group.version,
        attempts: [],
        live: null,
        spent: [],
        seat: null,
      };
      region.agents.push(agent);
      count(region, agent, 1);
    }
  });
  return made;
}

export function runVersion(region: ModelRegion, agent: ModelAgent, version: string): void {
  count(region, agent, -1);
  agent.version = version;
  count(region, agent, 1);
  region.changes += 1;
}

function count(region: ModelRegion, agent: ModelAgent, sign: 1 | -1): void {
  const { version, group, present } = agent;
  const key = `${version} ${group.platform}`;
  const row = region.counts.get(key) ?? { version, platform: group.platform, agents: 0, present: 0 };
  row.agents += sign;
  if (present) row.present += sign;
  region.counts.set(key, row);
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
