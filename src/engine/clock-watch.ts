// Watches the wall clock against the one that never goes back: after a jump it is doubted until it has been quiet for a while.
import type { ClockDoubt } from '../domain/clock-doubt.ts';
import type { Clock } from './clock.ts';

/** A smaller jump is what time services do. */
const JUMP_MS = 60_000;
const QUIET_MS = 300_000;

export interface ClockWatch {
  /** Looks at both clocks; null: the wall clock is sound. */
  look(): ClockDoubt | null;
  /** A person believes the clock as it goes now. */
  trust(): void;
}

export interface WatchStart {
  /** The doubt that an earlier life of the server had and nobody has cleared. */
  doubt: ClockDoubt | null;
  /** The newest instant that the database has; null: none. */
  newestMs: number | null;
}

export function watchClock(clock: Clock, start: WatchStart = { doubt: null, newestMs: null }): ClockWatch {
  let offset = clock.now() - clock.monotonic();
  /** When `offset` was measured, or the last jump was seen. */
  let quietSince = clock.monotonic();
  let doubt: ClockDoubt | null = null;

  function suspect(why: string, since = clock.now()): void {
    doubt = { since, why, until: clock.now() + QUIET_MS };
  }

  const behindMs = (start.newestMs ?? Number.NEGATIVE_INFINITY) - clock.now();
  if (start.doubt !== null) suspect(start.doubt.why, start.doubt.since);
  else if (behindMs > JUMP_MS) suspect(`it is ${sayTime(behindMs)} behind what was written before this start`);

  return {
    look() {
      const monotonic = clock.monotonic();
      const jumpMs = clock.now() - monotonic - offset;
      const jumped = Math.abs(jumpMs) > JUMP_MS;
      if (jumped) suspect(`it went ${sayTime(Math.abs(jumpMs))} ${jumpMs > 0 ? 'forward' : 'back'}`, doubt?.since);
      else if (monotonic - quietSince < QUIET_MS) return doubt;
      else doubt = null;
      // Measured anew now and then: what time services correct in months is no jump.
      offset = clock.now() - monotonic;
      quietSince = monotonic;
      return doubt;
    },
    trust() {
      doubt = null;
      offset = clock.now() - clock.monotonic();
      quietSince = clock.monotonic();
    },
  };
}

/** `2 h 5 min`, `3 min`. */
function sayTime(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  const [days, hours, rest] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
  const parts = [
    [days, 'd'],
    [hours, 'h'],
    [rest, 'min'],
  ].flatMap(([number, unit]) => (number === 0 ? [] : [`${number} ${unit}`]));
  return parts.slice(0, 2).join(' ');
}

/** For a memory that nothing is granted from. */
export const SOUND_CLOCK: ClockWatch = { look: () => null, trust() {} };
