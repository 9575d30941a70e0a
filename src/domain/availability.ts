// Whether a release can be had in a region on a platform; `unknown` never reads as `absent`.

export type AvailabilityStatus = 'available' | 'absent' | 'unknown';

export interface Availability {
  product: string;
  version: string;
  region: string;
  platform: string;
  status: AvailabilityStatus;
  /** One sentence: what the probe saw. */
  why: string;
  /** Since when the status stands, milliseconds since the epoch. */
  since: number;
  checkedAt: number;
}

/** A mirror's word begins with its address; GitHub's reasons never do. */
export function isMirrorsWord({ why }: Pick<Availability, 'why'>): boolean {
  return /^https?:/.test(why);
}

/**
 * What a row that is probed again and again is worth at `now`: what nobody has confirmed for `maxAgeMs` is unknown, and
 * so is what was checked in the future, before the clock was put back. For regions with a mirror; what GitHub says,
 * there that a release or a platform is missing, is written only when it changes and does not age.
 */
export function effectiveStatus(
  row: Pick<Availability, 'status' | 'checkedAt' | 'why'>,
  now: number,
  maxAgeMs: number,
): AvailabilityStatus {
  if (row.status === 'absent' && !isMirrorsWord(row)) return 'absent';
  return Math.abs(now - row.checkedAt) <= maxAgeMs ? row.status : 'unknown';
}

/** The row with that status: a stale one says so, and since when it is. */
export function effectiveRow(row: Availability, now: number, maxAgeMs: number): Availability {
  const status = effectiveStatus(row, now, maxAgeMs);
  if (status === row.status) return row;
  // The same words at every look, so that a hold is not written anew each time.
  const why = `not confirmed for more than ${Math.round(maxAgeMs / 1000)} s; last seen: ${row.why}`;
  return { ...row, status, why, since: Math.min(now, row.checkedAt + maxAgeMs) };
}
