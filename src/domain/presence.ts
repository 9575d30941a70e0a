// Whether the agents that a step has updated are still there while it soaks, and what of their silence a person takes on.
import { AppError } from '../errors.ts';
import { numberOf } from './gate.ts';
import type { Lane, LaneState } from './rollout.ts';
import type { LaneCensus } from './snapshot.ts';
import type { VerbInput } from './verbs.ts';

/** Members that run the release, how many of them are present, and whom a server that has just started may still hear. */
export type Presence = Pick<LaneCensus['steps'][number], 'updated' | 'updatedPresent' | 'unheard'>;

/** `away`: too few are there, and it is waited for them. `silent`: that was as long as the soak again. */
export type Found = 'present' | 'away' | 'unheard' | 'silent';

export interface Waited {
  /** Silent agents that a person has accepted in this soak. */
  accepted: number;
  /** Observed milliseconds since the soak began, and how long the policy wants it to last. */
  soakedMs: number;
  soakMs: number;
}

/** An accepted agent counts as if it were there; of all of them one must be, or nothing was proved. */
export function presenceOf({ updated, updatedPresent, unheard }: Presence, waited: Waited): Found {
  const isEnough = (present: number) => present + (present === 0 ? 0 : waited.accepted) >= neededOf(updated);
  if (isEnough(updatedPresent)) return 'present';
  if (waited.soakedMs < 2 * waited.soakMs) return 'away';
  const maybe = updatedPresent + unheard;
  return isEnough(maybe) ? 'unheard' : 'silent';
}

/** How many of so many updated agents must be present for the soak to pass. */
export function neededOf(updated: number): number {
  return Math.ceil((updated * 9) / 10);
}

/** So many of the silent agents were accepted in this soak, and it does not hold as silent for others. */
export function isSilenceAccepted(state: Soaking, input: VerbInput): boolean {
  return input.count <= (state.accepted ?? 0) && foundIn(state, input) !== 'silent';
}

/**
 * The lane with `count` more of the silent agents of its soak accepted: the soak stays where it is, and goes on without
 * them. Throws `illegal_transition` while the soak does not hold as silent, `conflict` for a number that is not enough, or
 * more than are away.
 */
export function acceptSilence(lane: Lane, state: Soaking, input: VerbInput): Lane {
  const { count } = input;
  const seen = input.presence(state.step);
  const accepted = state.accepted ?? 0;
  if (seen === undefined || foundIn(state, input) !== 'silent') {
    throw new AppError('illegal_transition', `accept: the soak of ${nameOf(state)} does not hold as silent`, {
      hint: 'It goes on by itself: tidegate explain says what it waits for.',
    });
  }
  const away = seen.updated - seen.updatedPresent - accepted;
  const least = neededOf(seen.updated) - seen.updatedPresent - accepted;
  const there = `${seen.updatedPresent} of ${numberOf(seen.updated, 'updated agent')} of ${nameOf(state)} are present`;
  if (seen.updatedPresent === 0) {
    const hint = `No number is enough: one must be there. Bring one back, take those that do not come back out of the fleet (tidegate agent unenrol), or halt and retry it.`;
    throw new AppError('conflict', `accept: ${there} in ${lane.region}`, { hint });
  }
  if (count < least || count > away) {
    const hint = least === away ? `Accept ${least}.` : `Accept between ${least} and ${away}.`;
    throw new AppError('conflict', `accept: ${there} in ${lane.region}, and ${count} cannot be accepted`, { hint });
  }
  return {
    ...lane,
    state: { ...state, accepted: accepted + count },
    revision: lane.revision + 1,
    allowance: lane.allowance + count,
    // Whoever approved the step has not seen this.
    approvals: [],
  };
}

type Soaking = LaneState & { name: 'soaking' };

/** Undefined: nobody has counted yet. */
function foundIn(state: Soaking, { presence, policy, observedMs }: VerbInput): Found | undefined {
  const seen = presence(state.step);
  if (seen === undefined) return undefined;
  const soakMs = policy.steps[state.step]?.soakMs ?? 0;
  return presenceOf(seen, { accepted: state.accepted ?? 0, soakedMs: observedMs - state.observedMs, soakMs });
}

function nameOf({ step }: { step: number }): string {
  return `step ${step + 1}`;
}
