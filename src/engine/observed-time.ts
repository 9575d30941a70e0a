// Observed time: grows only while this server is up and looking; soak, silence and deadlines are counted in it.
import type { Clock } from './clock.ts';
import { type ClockWatch, SOUND_CLOCK } from './clock-watch.ts';

// A longer pause than this between two looks was a suspended machine or a stalled process: not observed.
const LONGEST_STEP_MS = 60_000;

export interface ObservedTime {
  /** Milliseconds of observed time since the fleet was created. */
  now(): number;
}

/** Goes on from the stored value; the time between two servers' lives is not observed, nor that of a doubted clock. */
export function startObservedTime(
  clock: Clock,
  storedMs: number,
  watch: Pick<ClockWatch, 'look'> = SOUND_CLOCK,
): ObservedTime {
  let observed = storedMs;
  let last = clock.monotonic();
  return {
    now() {
      const monotonic = clock.monotonic();
      if (watch.look() === null) observed += Math.min(Math.max(0, monotonic - last), LONGEST_STEP_MS);
      last = monotonic;
      return Math.floor(observed);
    },
  };
}
