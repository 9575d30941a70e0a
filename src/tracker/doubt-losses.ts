// Whether a listing that lacks much of what was known is believed: one wrong answer must not halt every rollout. Pure.
import type { Release } from '../domain/release.ts';

/** A loss is believed when a poll at least so much later says the same. */
const BELIEVED_AFTER_MS = 60_000;
/** Of fewer known releases, only the loss of all is odd. */
const MIN_KNOWN = 4;

/** By id of the release, when its loss was seen first. */
export type Doubted = Readonly<Record<string, number>>;

export interface Believed {
  /** Those whose loss is doubted are as they were known. */
  releases: Release[];
  /** Undefined: nothing is doubted. */
  doubted: Doubted | undefined;
  /** One sentence; null: nothing is doubted. */
  notice: string | null;
}

/**
 * A listing that loses everything, or more than half of what is known, is odd: what it lacks stays as it was until a
 * later poll lacks it, too. `before` and `read`: the releases as they were known, and as the listing leaves them;
 * `doubted` is from the poll before. `now`: milliseconds since the epoch.
 */
export function doubtLosses(
  before: readonly Release[],
  read: readonly Release[],
  doubted: Doubted | undefined,
  now: number,
): Believed {
  const known = new Map(before.filter(canBeLost).map((release) => [release.id, release]));
  const lost = read.filter((release) => release.state === 'withdrawn' && known.has(release.id));
  if (!isOdd(lost.length, known.size)) return { releases: [...read], doubted: undefined, notice: null };
  const seen = new Map(lost.map(({ id }) => [id, Math.min(doubted?.[id] ?? now, now)]));
  const kept = new Map([...seen].filter(([, at]) => now - at < BELIEVED_AFTER_MS));
  if (kept.size === 0) return { releases: [...read], doubted: undefined, notice: null };
  return {
    releases: read.map((release) => (kept.has(release.id) ? (known.get(release.id) ?? release) : release)),
    doubted: Object.fromEntries(kept),
    notice:
      `${kept.size} of ${known.size} known releases cannot be had all at once; ` +
      'they count as gone when a poll at least a minute later says so, too',
  };
}

/** What was altered stays so, listed or not. */
function canBeLost({ state }: Release): boolean {
  return state !== 'withdrawn' && state !== 'altered';
}

function isOdd(lost: number, known: number): boolean {
  return lost > 0 && (lost === known || (known >= MIN_KNOWN && lost * 2 > known));
}
