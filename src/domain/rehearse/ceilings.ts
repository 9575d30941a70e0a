// The ceilings of a rehearsal: how many grants lie within the last hour and day of the virtual clock.
import { CEILING_MS, type Ceiling, emptyCeilings } from '../ceilings.ts';
import type { Limits } from '../limits.ts';

export interface GrantTimes {
  /** As of the instant that was asked for last. */
  at(now: number): readonly Ceiling[];
  add(now: number): void;
}

/** What was granted before the rehearsal is not counted. */
export function createGrantTimes(limits: Limits): GrantTimes {
  const empty = emptyCeilings(limits);
  const times: number[] = [];
  const heads = empty.map(() => 0);
  return {
    at(now) {
      return empty.map((ceiling, index) => {
        const span = CEILING_MS[ceiling.window];
        let head = heads[index] as number;
        while (head < times.length && (times[head] as number) + span <= now) head += 1;
        heads[index] = head;
        const oldest = times[head];
        const count = Math.min(ceiling.max, times.length - head);
        return { ...ceiling, count, leavesAt: oldest === undefined ? null : oldest + span };
      });
    },
    add(now) {
      if (empty.length > 0) times.push(now);
    },
  };
}
