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

/** How many of the newest grants matter: none where no ceiling is set. */
export function neededGrants(limits: Limits): number {
  return Math.max(0, ...emptyCeilings(limits).map((one) => one.max));
}

/**
 * `stored`: instants of the newest grants, ascending, from before this server's life, however old they look. Their age
 * is what the wall clock says, and none where they lie in the future; a clock that is set back makes them younger, since
 * it may have been wrong when the server started. A younger one's age is by the monotonic clock alone: however the wall
 * clock jumps, no grant leaves its window early.
 */
export function openGrantLog(clock: Clock, limits: Limits, stored: readonly number[]): GrantLog {
  const empty = emptyCeilings(limits);
  const most = neededGrants(limits);
  // A ring: the newest grant lies before `end`, and what is older than the highest ceiling decides nothing.
  const ring = new Float64Array(most);
  let end = 0;
  let size = 0;
  let added = 0;

  function put(at: number): void {
    ring[end] = at;
    end = (end + 1) % most;
    size = Math.min(size + 1, most);
    added += 1;
  }
  /** `back`: 0 is the newest. */
  const at = (back: number) => ring[(end - 1 - back + 2 * most) % most] as number;

  const openedAt = clock.monotonic();
  const earlier = most === 0 ? [] : stored.slice(-most);
  /** Wall clock minus monotonic clock, the least that it has been. */
  let offset = clock.now() - openedAt;
  const ageing = (one: number) => Math.min(openedAt, one - offset);
  for (const one of earlier) put(ageing(one));

  /** Those that are still in the ring stand at its beginning. */
  function followClock(): void {
    const found = clock.now() - clock.monotonic();
    if (found >= offset) return;
    offset = found;
    for (let place = Math.max(0, added - most); place < earlier.length; place += 1) {
      ring[place] = ageing(earlier[place] as number);
    }
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
      followClock();
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
