// How each region stands now, from memory alone: who is there, whether something may start, and which lanes are live.
import { regionStatus } from '../domain/region-window.ts';
import { isLiveLane, type Lane } from '../domain/rollout.ts';
import type { WindowStatus } from '../domain/window.ts';
import type { Memory } from './memory.ts';
import type { Roster } from './roster.ts';

export interface RegionNow {
  name: string;
  enrolled: number;
  present: number;
  window: WindowStatus;
  /** The live lane of each product that has one, with the number of its policy's steps. */
  lanes: { lane: Lane; version: string; steps: number }[];
}

export interface RegionsInput {
  roster: Roster;
  memory: Memory;
  regions: readonly string[];
  isPresent: (handle: number) => boolean;
  /** Milliseconds since the epoch. */
  now: number;
}

/** In the order of the config. */
export function regionsNow({ roster, memory, regions, isPresent, now }: RegionsInput): RegionNow[] {
  const counts = new Map(regions.map((name) => [name, { enrolled: 0, present: 0 }]));
  for (const handle of roster.all()) {
    const count = counts.get(roster.regionOf(handle) ?? '');
    if (count === undefined) continue;
    count.enrolled += 1;
    if (isPresent(handle)) count.present += 1;
  }
  return regions.map((name) => ({
    name,
    enrolled: counts.get(name)?.enrolled ?? 0,
    present: counts.get(name)?.present ?? 0,
    window: windowOf(memory, name, now),
    lanes: memory.rules.flatMap(({ name: product }) => liveLane(memory, product, name)),
  }));
}

/** As the directives have it; the same for every product. */
function windowOf(memory: Memory, region: string, now: number): WindowStatus {
  const first = memory.rules[0]?.name;
  const directive = first === undefined ? undefined : memory.directive(first, region);
  return directive?.window ?? regionStatus(memory.surroundings, region, now);
}

function liveLane(memory: Memory, product: string, region: string): RegionNow['lanes'] {
  const lane = memory.laneFor(product, region);
  const rollout = lane === null ? undefined : memory.rollout(lane.rolloutId);
  if (lane === null || rollout === undefined || !isLiveLane(lane.state.name)) return [];
  return [{ lane, version: rollout.version, steps: rollout.policy.steps.length }];
}
