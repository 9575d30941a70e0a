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
  /** With `unknown`: it was absent when somebody last knew, or has never been seen there. Nothing is granted on it. */
  wasAbsent?: boolean;
}

/** Absent as far as anybody knows: what nobody could check afterwards has not come back by that. */
export function isLastAbsent({ status, wasAbsent }: Pick<Availability, 'status' | 'wasAbsent'>): boolean {
  return status === 'absent' || (status === 'unknown' && wasAbsent === true);
}

/**
 * Why nothing may be granted on the row in a lane that opened at `openedAt` (milliseconds since the epoch); undefined:
 * nothing stands against it. It must have been available since then, or when it opened, and not be absent since: nobody
 * has asked for the platforms of agents that came later.
 */
export function objectionToGrant(
  row: Pick<Availability, 'status' | 'since' | 'wasAbsent'> | undefined,
  openedAt: number,
): 'not_available' | 'availability_unknown' | undefined {
  if (row === undefined) return 'availability_unknown';
  if (row.status === 'absent') return 'not_available';
  // It was absent when somebody last knew: no more is granted on that, and it is not said to be absent now.
  const isDoubtful = isLastAbsent(row) || (row.status === 'unknown' && row.since <= openedAt);
  return isDoubtful ? 'availability_unknown' : undefined;
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
  const wasAbsent = isLastAbsent(row) ? { wasAbsent: true } : {};
  return { ...row, ...wasAbsent, status, why, since: Math.min(now, row.checkedAt + maxAgeMs) };
}

/** What is known of the polls of a product's repository. Milliseconds since the epoch. */
export interface Polls {
  product: string;
  lastSuccessAt: number | null;
  nextPollAt: number | null;
  /** That failed in a row. */
  failures: number;
}

/**
 * The row of a region that GitHub itself serves. It is written only when it changes: the polls confirm it. When they
 * have failed, or been due, for `maxAgeMs`, nobody knows whether the release is still there.
 */
export function confirmedRow(row: Availability, polls: Polls | undefined, now: number, maxAgeMs: number): Availability {
  if (polls === undefined || polls.lastSuccessAt === null) return row;
  const isLate = polls.failures > 0 || (polls.nextPollAt !== null && now - polls.nextPollAt > maxAgeMs);
  return isLate
    ? effectiveRow({ ...row, checkedAt: Math.max(row.checkedAt, polls.lastSuccessAt) }, now, maxAgeMs)
    : row;
}
