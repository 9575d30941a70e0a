// Quarantine: an agent that has used up its attempts at a release is not tried again until a person clears it or retries the lane.
import type { Attempt } from './agent.ts';
import { STAGE_TIMEOUT, type Weight, weigh, worst } from './attempt.ts';
import { isSetback } from './counters.ts';
import type { Lane, Rollout } from './rollout.ts';

/** One agent's attempts in one step and budget epoch that ended without a success. */
export interface Spent {
  /** A release has one rollout, so this stands for the release, in the rollout's lanes and in baseline lanes alike. */
  rolloutId: string;
  laneId: string;
  step: number;
  budgetEpoch: number;
  count: number;
  /** Of these, forgiven by a person: the agent may try again, and in the step they count as before. */
  cleared: number;
  /** Of these, expired while the host was there: not staged in time. */
  timedOut: number;
  /** The worst of them. */
  weight: Weight;
  /** As of the latest of them. */
  member: boolean;
}

/** A person's word that what an agent has tried at a release up to a sequence does not keep it from trying again. */
export interface Clearance {
  rolloutId: string;
  sequence: number;
}

/** What `attemptsUsed` asks of a lane. */
export interface QuarantineLane {
  laneId: string;
  rolloutId: string;
  budgetEpoch: number;
  /** Those of the release's other lanes that a person has retried. */
  retried: readonly { laneId: string; budgetEpoch: number }[];
}

export function sumSpent(attempts: readonly Attempt[], clearances: readonly Clearance[] = []): Spent[] {
  const found = new Map<string, Spent>();
  for (const attempt of attempts.toSorted((a, b) => a.sequence - b.sequence)) {
    const weight = weigh(attempt);
    if (weight !== 'bad' && !isSetback(weight)) continue;
    const { rolloutId, laneId, step, budgetEpoch, member, sequence } = attempt;
    const isCleared = clearances.some((one) => one.rolloutId === rolloutId && sequence <= one.sequence);
    const place = { rolloutId, laneId, step, budgetEpoch };
    const timedOut = attempt.cause === STAGE_TIMEOUT ? 1 : 0;
    const one: Spent = { ...place, count: 1, cleared: isCleared ? 1 : 0, timedOut, weight, member };
    const key = `${laneId} ${step} ${budgetEpoch}`;
    const before = found.get(key);
    found.set(key, before === undefined ? one : added(before, one));
  }
  return [...found.values()];
}

/** The earlier ones with later ones, of any steps. */
export function addSpent(earlier: readonly Spent[], later: readonly Spent[]): Spent[] {
  const merged = [...earlier];
  for (const one of later) {
    const place = merged.findIndex((known) => isSame(known, one));
    const before = merged[place];
    if (before === undefined) merged.push(one);
    else merged[place] = added(before, one);
  }
  return merged;
}

function isSame(a: Spent, b: Spent): boolean {
  return a.laneId === b.laneId && a.step === b.step && a.budgetEpoch === b.budgetEpoch;
}

function added(before: Spent, later: Spent): Spent {
  return {
    ...later,
    count: before.count + later.count,
    cleared: before.cleared + later.cleared,
    timedOut: before.timedOut + later.timedOut,
    weight: worst([before.weight, later.weight]),
  };
}

export function quarantineLane({ id: rolloutId, lanes }: Rollout, { id: laneId, budgetEpoch }: Lane): QuarantineLane {
  const retried = lanes.filter((one) => one.budgetEpoch > 0 && one.id !== laneId);
  return {
    laneId,
    rolloutId,
    budgetEpoch,
    retried: retried.map((one) => ({ laneId: one.id, budgetEpoch: one.budgetEpoch })),
  };
}

/**
 * Attempts that count towards the agent's quarantine in a lane: those at the release, in whichever lane, that no person
 * has cleared. A retry is a person's word, too: it forgives what was tried before it in its lane, and there what other
 * lanes have seen.
 */
export function attemptsUsed(spent: readonly Spent[], lane: QuarantineLane): number {
  let used = 0;
  for (const one of spent) if (one.rolloutId === lane.rolloutId && counts(one, lane)) used += one.count - one.cleared;
  return used;
}

/** Of the attempts used as many as were not staged in time, for people. */
export function timeoutsAmong(spent: readonly Spent[], lane: QuarantineLane): number {
  const counting = spent.filter((one) => one.rolloutId === lane.rolloutId && counts(one, lane));
  return counting.reduce((sum, one) => sum + Math.min(one.timedOut, one.count - one.cleared), 0);
}

function counts(one: Spent, { laneId, budgetEpoch, retried }: QuarantineLane): boolean {
  if (one.laneId === laneId) return one.budgetEpoch === budgetEpoch;
  // On a way back the release was not tried, nor is it there.
  if (budgetEpoch !== 0 || one.budgetEpoch < 0) return false;
  const epoch = retried.find((other) => other.laneId === one.laneId)?.budgetEpoch;
  return epoch === undefined || epoch === one.budgetEpoch;
}

/** Whether the step's counters have the agent as out (`tally(...).exhausted`); not asked of one that is hot. */
export function isExhausted({ weight, count, member }: Spent, attemptsPerAgent: number): boolean {
  return member && (weight === 'declined' || (isSetback(weight) && count >= attemptsPerAgent));
}
