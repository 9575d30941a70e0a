// One agent's try at one release: its states, which may follow which, and what counts as hot and bad.
import { AppError } from '../errors.ts';

export const ATTEMPT_STATES = [
  'offered',
  'staged',
  'granted',
  'activating',
  'proving',
  'succeeded',
  'rolled_back',
  'failed',
  'inconclusive',
  'declined',
  'expired',
  'withdrawn',
  'lost',
] as const;
export type AttemptState = (typeof ATTEMPT_STATES)[number];

const HOT = new Set<AttemptState>(['granted', 'activating', 'proving']);
const LIVE = new Set<AttemptState>(['offered', 'staged', ...HOT]);

// A report may skip states that the server never heard of (a lost message), so forward jumps are legal.
const TRANSITIONS: Record<AttemptState, readonly AttemptState[]> = {
  offered: ['staged', 'failed', 'declined', 'expired', 'withdrawn'],
  staged: ['granted', 'failed', 'declined', 'expired', 'withdrawn'],
  granted: ['activating', 'proving', 'succeeded', 'rolled_back', 'failed', 'inconclusive', 'declined', 'lost'],
  activating: ['proving', 'succeeded', 'rolled_back', 'failed', 'inconclusive', 'declined', 'lost'],
  proving: ['succeeded', 'rolled_back', 'failed', 'inconclusive', 'lost'],
  succeeded: [],
  rolled_back: [],
  failed: [],
  inconclusive: [],
  declined: [],
  expired: [],
  withdrawn: [],
  // A true report that arrives later corrects `lost`, once: the row remembers that it was corrected.
  lost: ['succeeded', 'rolled_back', 'failed', 'inconclusive', 'declined'],
};

/** Holds a slot of the concurrency limit. */
export function isHot(state: AttemptState): boolean {
  return HOT.has(state);
}

/** Not ended. */
export function isLive(state: AttemptState): boolean {
  return LIVE.has(state);
}

export function mayFollow(from: AttemptState, to: AttemptState): boolean {
  return TRANSITIONS[from].includes(to);
}

/** Returns `to`; throws `illegal_transition` where the table does not have it. */
export function follow(from: AttemptState, to: AttemptState): AttemptState {
  if (!mayFollow(from, to)) throw new AppError('illegal_transition', `an attempt cannot go from ${from} to ${to}`);
  return to;
}

/**
 * How an ended attempt weighs in a step's evidence. `bad` speaks against the release; `setback` (failed or declined
 * before a grant, inconclusive) speaks against the host and lets the agent try again while attempts are left.
 */
export type Weight = 'none' | 'succeeded' | 'inconclusive' | 'declined' | 'failed_before_grant' | 'bad';

export interface Weighed {
  state: AttemptState;
  /** Null when it was never granted. */
  grantedAt: number | null;
  /** At a stop on the way to the release. */
  hop?: true;
  cause?: string | null;
}

/** Of an attempt that expired although its host was there: it had its time, and says no more than another setback. */
export const STAGE_TIMEOUT = 'stage_timeout';

export function weigh(attempt: Weighed): Weight {
  switch (attempt.state) {
    case 'succeeded':
      return attempt.hop === true ? 'none' : 'succeeded';
    case 'rolled_back':
    case 'lost':
      return 'bad';
    case 'failed':
      return attempt.grantedAt === null ? 'failed_before_grant' : 'bad';
    case 'inconclusive':
      return 'inconclusive';
    case 'declined':
      return 'declined';
    case 'expired':
      return attempt.cause === STAGE_TIMEOUT ? 'inconclusive' : 'none';
    default:
      return 'none';
  }
}

const SEVERITY: Record<Weight, number> = {
  none: 0,
  inconclusive: 1,
  declined: 2,
  failed_before_grant: 3,
  succeeded: 4,
  bad: 5,
};

/** Per agent, its worst attempt in the budget epoch counts, once; a success outweighs setbacks but never a bad one. */
export function worst(weights: readonly Weight[]): Weight {
  return weights.reduce((a, b) => (SEVERITY[b] > SEVERITY[a] ? b : a), 'none' as Weight);
}
