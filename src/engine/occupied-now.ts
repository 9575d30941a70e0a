// What the limits over all rollouts count, from memory: hot agents, downloading ones, and grants of late.
import { countOccupied, limitsDownloads, type Occupied } from '../domain/limits.ts';
import type { Memory } from './memory.ts';
import type { Roster } from './roster.ts';

export function occupiedNow({ roster, memory }: { roster: Roster; memory: Memory }): Occupied {
  const { limits } = memory.surroundings;
  return countOccupied(roster.hotPlaces(), limits, {
    downloading: limitsDownloads(limits) ? roster.downloadingPlaces() : [],
    ceilings: memory.grants.ceilings(),
  });
}
