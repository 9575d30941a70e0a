// Whether what stands is still what a person has seen: a brake, a veto or a pin is told from others by when it was set.
import { AppError } from '../errors.ts';
import { instantOf } from './gate.ts';

export interface Standing {
  actor: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/**
 * `expectedAt`: when the one was set that the person saw; undefined: whatever it is. One that is to be lifted and does
 * not stand any more is no objection: there is nothing left to do. Throws `revision_mismatch`.
 */
export function checkSeen(
  what: string,
  on: boolean,
  standing: Standing | undefined,
  expectedAt: number | undefined,
): void {
  if (expectedAt === undefined || standing?.at === expectedAt || (standing === undefined && !on)) return;
  const seen = `not the one of ${instantOf(expectedAt)} that was seen`;
  const now = standing === undefined ? 'there is none' : `it was set by ${standing.actor} at ${instantOf(standing.at)}`;
  throw new AppError('revision_mismatch', `${what}: ${now}, ${seen}`, { hint: 'Look at it again, then decide.' });
}

/** As `checkSeen`, for what is told by how many attempts it has. */
export function checkAttempts(what: string, attempts: number, expected: number | undefined): void {
  if (expected === undefined || attempts === expected || attempts === 0) return;
  throw new AppError('revision_mismatch', `${what}: after ${attempts} attempts, not after ${expected} as was seen`, {
    hint: 'Look at it again, then decide.',
  });
}
