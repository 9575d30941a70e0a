// Rollout, lane and step as plain values, the table of a lane's legal transitions, and what is derived from them.
import { AppError } from '../errors.ts';
import type { Approval } from './approval.ts';
import type { Policy } from './policy.ts';

/** States from which a pause may come and to which a resume leads back. */
export type RunningState =
  | { name: 'open'; step: number; since: number }
  /**
   * `observedMs` is the observed instant at which the soak began; `accepted`: how many of the updated agents that are
   * silent a person has taken on.
   */
  | { name: 'soaking'; step: number; since: number; observedMs: number; accepted?: number }
  /** The next step opens as soon as enough approvals of the lane stand, and windows and waves allow. */
  | { name: 'approval'; step: number; since: number };

/** What a lane goes back to: the pause that a person had set, or null for its step. */
export interface Lift {
  paused: { by: string; reason: string } | null;
}

export type LaneState =
  | { name: 'waiting'; since: number }
  | RunningState
  | { name: 'paused'; since: number; by: string; reason: string; resume: RunningState; soakedMs: number }
  /** `lift`: only because the release was withdrawn, so that it goes on once that is back. */
  | { name: 'halted'; since: number; by: string; reason: string; step: number | null; lift?: Lift }
  /** `to`: what the agents that run the release are brought back to. */
  | { name: 'rolling_back'; since: number; by: string; reason: string; to: BackTo }
  /** `to`: the version that the region is back at; `skipped`: a person has let its wave pass without it. */
  | { name: 'rolled_back'; since: number; to: string; skipped?: true }
  /** `evidence`: agents proved it here; without, there was nothing to do. */
  | { name: 'completed'; since: number; evidence: boolean }
  | { name: 'superseded'; since: number; by: string }
  | { name: 'cancelled'; since: number; by: string; reason: string; skipped?: true };

/** The release that a lane goes back to. */
export interface BackTo {
  version: string;
  releaseId: string;
}

export type LaneStateName = LaneState['name'];

const TRANSITIONS: Record<LaneStateName, readonly LaneStateName[]> = {
  waiting: ['open', 'completed', 'halted', 'superseded', 'cancelled'],
  open: ['soaking', 'paused', 'halted', 'rolling_back', 'superseded', 'cancelled'],
  soaking: ['open', 'approval', 'completed', 'paused', 'halted', 'rolling_back', 'superseded', 'cancelled'],
  approval: ['open', 'completed', 'paused', 'halted', 'rolling_back', 'superseded', 'cancelled'],
  paused: ['open', 'soaking', 'approval', 'halted', 'rolling_back', 'superseded', 'cancelled'],
  halted: ['waiting', 'open', 'paused', 'rolling_back', 'superseded', 'cancelled'],
  rolling_back: ['rolled_back', 'halted', 'superseded'],
  // Back to waiting: nobody there could take the release, and now somebody can.
  completed: ['rolling_back', 'waiting'],
  rolled_back: [],
  superseded: [],
  // Who took the release before is still there.
  cancelled: ['rolling_back'],
};

const LIVE = new Set<LaneStateName>(['open', 'soaking', 'approval', 'paused', 'rolling_back']);
const TERMINAL = new Set<LaneStateName>(['completed', 'rolled_back', 'superseded', 'cancelled']);

/** The state in words that follow “is”. */
export function wordsOf(name: LaneStateName): string {
  return name === 'approval' ? 'waiting for approval' : name.replaceAll('_', ' ');
}

export function isLiveLane(name: LaneStateName): boolean {
  return LIVE.has(name);
}

export function isTerminalLane(name: LaneStateName): boolean {
  return TERMINAL.has(name);
}

/** Its wave may pass: it has completed here, or a person has decided to go on without it. */
export function passesWave({ state }: Pick<Lane, 'state'>): boolean {
  return state.name === 'completed' || isSkipped(state);
}

export function isSkipped(state: LaneState): boolean {
  return (state.name === 'cancelled' || state.name === 'rolled_back') && state.skipped === true;
}

export function mayMoveLane(from: LaneStateName, to: LaneStateName): boolean {
  return TRANSITIONS[from].includes(to);
}

/** The lane in its new state, with the next revision. Throws `illegal_transition` where the table does not have it. */
export function moveLane(lane: Lane, state: LaneState): Lane {
  if (!mayMoveLane(lane.state.name, state.name)) {
    throw new AppError(
      'illegal_transition',
      `the lane in ${lane.region} cannot go from ${wordsOf(lane.state.name)} to ${wordsOf(state.name)}`,
    );
  }
  return { ...lane, state, revision: lane.revision + 1 };
}

/** Counters of one step in the lane's present budget epoch; each equals the fold of its attempts. */
export interface StepCounters {
  /** Offered or staged attempts. */
  pending: number;
  /** Agents with an offered attempt, among `pending`. */
  downloading: number;
  hot: number;
  hotMembers: number;
  /** Members whose worst attempt is a success. */
  succeeded: number;
  /** Agents (members and late joiners) whose worst attempt is bad. */
  bad: number;
  /** The members among `bad`. */
  badMembers: number;
  /** The agents among `bad` that went bad only at stops on the way to the release. */
  badHops: number;
  /** Of members alone, as the next two: what late joiners cannot take must not stop those that the step is measured by. */
  declined: number;
  failedBeforeGrant: number;
  inconclusive: number;
  /** Members, not hot, that declined or whose attempts are used up without a success or a bad outcome. */
  exhausted: number;
}

export const NO_COUNTS: StepCounters = {
  pending: 0,
  downloading: 0,
  hot: 0,
  hotMembers: 0,
  succeeded: 0,
  bad: 0,
  badMembers: 0,
  badHops: 0,
  declined: 0,
  failedBeforeGrant: 0,
  inconclusive: 0,
  exhausted: 0,
};

export interface Step {
  step: number;
  openedAt: number;
  /** Number of members, frozen when it opened. */
  size: number;
  /** Inside: rank below `threshold`, or equal with an id not after `thresholdId`. */
  threshold: number;
  thresholdId: string;
  /** Sticky: enough members have succeeded. */
  done: boolean;
  counters: StepCounters;
}

export interface Lane {
  id: string;
  /** A rollout's, or the region's permanent one for newcomers and agents that return. */
  kind: 'rollout' | 'baseline';
  rolloutId: string;
  product: string;
  region: string;
  wave: number;
  state: LaneState;
  /** Raised by a retry: only attempts of the present epoch count. */
  budgetEpoch: number;
  /** Bad outcomes that a person accepted. */
  allowance: number;
  /** What people have consented to, of the step that was opened last. */
  approvals: Approval[];
  revision: number;
  /** The opened steps, in order. */
  steps: Step[];
  /** One for each time that it was rolled back, in order: see way-back.ts. */
  back: Step[];
}

export interface Rollout {
  id: string;
  product: string;
  releaseId: string;
  version: string;
  policy: Policy;
  /** Seed of the rank order. */
  seed: number;
  createdAt: number;
  endedAt: number | null;
  lanes: Lane[];
}

export type RolloutState = 'waiting' | 'active' | 'halted' | 'completed' | 'superseded' | 'cancelled' | 'rolled_back';

/** Derived, never stored: halted beats active beats waiting; ended when every lane is terminal. */
export function rolloutState(rollout: Pick<Rollout, 'lanes'>): RolloutState {
  // A region that was skipped is no part of it any more, unless all were.
  const kept = rollout.lanes.filter(({ state }) => state.name !== 'cancelled' || state.skipped !== true);
  const names = (kept.length > 0 ? kept : rollout.lanes).map((lane) => lane.state.name);
  if (names.includes('halted')) return 'halted';
  if (names.some((name) => isLiveLane(name))) return 'active';
  if (names.includes('waiting')) return names.includes('completed') ? 'active' : 'waiting';
  if (names.includes('rolled_back')) return 'rolled_back';
  if (names.includes('superseded')) return 'superseded';
  if (names.includes('cancelled')) return 'cancelled';
  return 'completed';
}
