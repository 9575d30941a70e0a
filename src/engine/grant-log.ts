// The newest grants by the clock that never goes back: what the ceilings ask while nothing is read from the database.
import { CEILING_MS, type Ceiling, emptyCeilings } from '../domain/ceilings.ts';
import type { Limits } from '../domain/limits.ts';
import type { Clock } from './clock.ts';

export interface GrantLog {
  /** So many grants have been committed just now. */
  add(count: number): void;
  /** The ceilings that are set, as they are used now. */
  ceilings(): Ceiling[];
}

/** How far back grants matter at the start, and how many of them: none where no ceiling is set. */
export function neededGrants(limits: Limits): { spanMs: number; most: number } {
  const set = emptyCeilings(limits);
  return {
    spanMs: Math.max(0, ...set.map((one) => CEILING_MS[one.window])),
    most: Math.max(0, ...set.map((one) => one.max)),
  };
}

/**
 * `stored`: instants of the newest grants, ascending, from before this server's life. Their age is what the wall clock
 * says now, and none where they lie in the future. From then on only the monotonic clock counts: however the wall clock
 * jumps, no grant leaves its window early.
 */
export function openGrantLog(clock: Clock, limits: Limits, stored: readonly number[]): GrantLog {
  const empty = emptyCeilings(limits);
  const { most } = neededGrants(limits);
  // A ring: the newest grant lies before `end`, and what is older than the highest ceiling decides nothing.
  const ring = new Float64Array(most);
  let end = 0;
  let size = 0;

  function put(at: number): void {
    ring[end] = at;
    end = (end + 1) % most;
    size = Math.min(size + 1, most);
  }
  /** `back`: 0 is the newest. */
  const at = (back: number) => ring[(end - 1 - back + 2 * most) % most] as number;

  const opened = { wall: clock.now(), monotonic: clock.monotonic() };
  for (const one of most === 0 ? [] : stored.slice(-most)) {
    put(opened.monotonic - Math.max(0, opened.wall - one));
  }

  /** How many of the newest are younger than `spanMs`, at most `max`. */
  function count(nowMs: number, spanMs: number, max: number): number {
    let [low, high] = [0, Math.min(size, max)];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (nowMs - at(middle) < spanMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    add(grants) {
      const monotonic = clock.monotonic();
      for (let left = Math.min(grants, most); left > 0; left -= 1) put(monotonic);
    },
    ceilings() {
      const [wall, monotonic] = [clock.now(), clock.monotonic()];
      return empty.map((one) => {
        const spanMs = CEILING_MS[one.window];
        const used = count(monotonic, spanMs, one.max);
        if (used === 0) return one;
        const leavesAt = Math.ceil(wall + spanMs - (monotonic - at(used - 1)));
        return { ...one, count: used, leavesAt };
      });
    },
  };
}

/** For a memory that nobody grants from. */
export const NO_GRANTS: GrantLog = { add() {}, ceilings: () => [] };
