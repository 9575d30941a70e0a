// Floors that have no release at all, and the agents that could be updated but for that; counted beside a lane's agents.
import type { LaneCensus } from '../domain/snapshot.ts';
import { stopsFrom, type Way } from '../domain/way.ts';
import type { Group } from './roster.ts';

export interface MissingFloors {
  /** A group that runs `version` and cannot be updated. */
  note(version: string, group: Group): void;
  /** Empty where no floor is missing, or nobody must stop there. */
  found(): Pick<LaneCensus, 'missingFloors'>;
}

/** `isEligible`: whether the agents of a group could go the way. */
export function missingFloors(way: Way | undefined, isEligible: (way: Way, group: Group) => boolean): MissingFloors {
  const missing = way?.stops.slice(0, -1).filter(({ artifacts }) => artifacts.length === 0) ?? [];
  if (way === undefined || missing.length === 0) return { note: () => {}, found: () => ({}) };
  const past: Way = { ...way, stops: way.stops.filter((stop) => !missing.includes(stop)) };
  const counts = new Map<string, number>();
  return {
    note(version, group) {
      const [first] = stopsFrom(way.scheme, missing, version);
      if (first === undefined || !isEligible(past, group)) return;
      counts.set(first.version, (counts.get(first.version) ?? 0) + group.agents);
    },
    found() {
      const rows = missing.flatMap(({ version }) => {
        const agents = counts.get(version);
        return agents === undefined ? [] : [{ version, agents }];
      });
      return rows.length === 0 ? {} : { missingFloors: rows };
    },
  };
}
