// Drawn from a stream of its own, so that no other world shifts: second servers on one database, and restores of an old backup.
import type { Random } from './random.ts';

export interface Dual {
  /** Mean time between two servers that take over; null: none does. */
  takeOverEveryMs: number | null;
  restores: readonly DrawnRestore[];
}

/** In milliseconds since the world began; each waits a while for a moment at which there is something to lose. */
export interface DrawnRestore {
  backupAt: number;
  restoreAt: number;
  /** Before what was under way at the backup has ended; else it is about what has begun since. */
  isSoon: boolean;
  patienceMs: number;
  /** The server stays away so long. */
  downMs: number;
  /** The database that is replaced can still be read. */
  knowsEpoch: boolean;
  /** From when the server runs again until a person takes the brake off. */
  lookMs: number;
}

export const NO_DUAL: Dual = { takeOverEveryMs: null, restores: [] };

export function drawDual(random: Random, calmAt: number): Dual {
  const takesOver = random.chance(20);
  const takeOverEveryMs = calmAt / random.pick([3, 6, 12]);
  const count = random.weighted([
    [74, 0],
    [19, 1],
    [7, 2],
  ] as const);
  let at = calmAt * (0.05 + 0.3 * random.next());
  const restores = Array.from({ length: count }, () => {
    const backupAt = at;
    const isSoon = random.chance(50);
    const restoreAt = backupAt + calmAt * (isSoon ? 0.001 : 0.02 + 0.2 * random.next());
    at = restoreAt + calmAt * 0.1 * random.next();
    return {
      backupAt,
      restoreAt,
      isSoon,
      patienceMs: calmAt * (0.1 + 0.3 * random.next()),
      downMs: random.pick([1_000, 60_000, calmAt * 0.02]),
      knowsEpoch: random.chance(70),
      lookMs: calmAt * 0.1 * random.next(),
    };
  });
  return { takeOverEveryMs: takesOver ? takeOverEveryMs : null, restores };
}
