// A step's counters as the fold of its attempts: the one definition that the ledger's bookkeeping is checked against.
import type { Attempt } from './agent.ts';
import { isHot, isLive, type Weight, weigh, worst } from './attempt.ts';
import { NO_COUNTS, type StepCounters } from './rollout.ts';

/** What one agent's attempts in one step and budget epoch come to. */
export interface AgentTally {
  /** As of its latest attempt: who lost the seat to another one gives no evidence any more. */
  member: boolean;
  weight: Weight;
  /** Bad, but never at the release itself. */
  badHop: boolean;
  hot: boolean;
  pending: boolean;
  downloading: boolean;
  /**
   * Declined, or used up its attempts without a success or anything bad; not while it is hot. Whether another attempt is
   * offered or staged does not matter: these are withdrawn by the thousand when a lane ends, and nothing is counted anew.
   */
  exhausted: boolean;
}

/** Folds all attempts of one step up to the budget epoch. `attemptsPerAgent` is the policy's. */
export function foldStep(attempts: readonly Attempt[], attemptsPerAgent: number, budgetEpoch: number): StepCounters {
  const byAgent = new Map<string, Attempt[]>();
  for (const attempt of attempts) {
    const list = byAgent.get(attempt.agentId);
    if (list === undefined) byAgent.set(attempt.agentId, [attempt]);
    else list.push(attempt);
  }
  let counters = NO_COUNTS;
  for (const list of byAgent.values()) {
    const counting = counted(list, budgetEpoch);
    if (counting.length > 0) counters = add(counters, tally(counting, attemptsPerAgent), 1);
  }
  return counters;
}

/**
 * Which of one agent's attempts in one step count in the budget epoch: those of the epoch; while it has none, the
 * successes of the last epoch in which it has some, since an agent that runs the release has nothing left to prove after a retry.
 */
export function counted(attempts: readonly Attempt[], budgetEpoch: number): Attempt[] {
  const present = attempts.filter((attempt) => attempt.budgetEpoch === budgetEpoch);
  if (present.length > 0) return present;
  // A retry takes over what counted in the epoch before it, which rests on the agent's last epoch with an attempt.
  const last = Math.max(...attempts.map((one) => one.budgetEpoch).filter((epoch) => epoch < budgetEpoch));
  const earlier = attempts.filter((attempt) => attempt.budgetEpoch === last);
  return worst(earlier.map(weigh)) === 'succeeded' ? earlier.filter((attempt) => attempt.state === 'succeeded') : [];
}

/** The counters with one agent's old tally taken out and its new one put in: how the ledger books a change. */
export function retally(
  counters: StepCounters,
  before: readonly Attempt[],
  after: readonly Attempt[],
  attemptsPerAgent: number,
): StepCounters {
  const without = before.length === 0 ? counters : add(counters, tally(before, attemptsPerAgent), -1);
  return after.length === 0 ? without : add(without, tally(after, attemptsPerAgent), 1);
}

/** Attempts of one agent, in one step and epoch; never empty. */
export function tally(attempts: readonly Attempt[], attemptsPerAgent: number): AgentTally {
  const weight = worst(attempts.map(weigh));
  const hot = attempts.some((attempt) => isHot(attempt.state));
  const setbacks = attempts.filter((attempt) => isSetback(weigh(attempt))).length;
  return {
    member: latest(attempts)?.member === true,
    weight,
    badHop: weight === 'bad' && attempts.every((attempt) => attempt.hop === true || weigh(attempt) !== 'bad'),
    hot,
    pending: attempts.some((attempt) => isLive(attempt.state) && !isHot(attempt.state)),
    downloading: attempts.some((attempt) => attempt.state === 'offered'),
    exhausted: !hot && (weight === 'declined' || (isSetback(weight) && setbacks >= attemptsPerAgent)),
  };
}

function latest(attempts: readonly Attempt[]): Attempt | undefined {
  return attempts.toSorted((a, b) => a.sequence - b.sequence).at(-1);
}

/** An end that says nothing about the release. */
export function isSetback(weight: Weight): boolean {
  return weight === 'inconclusive' || weight === 'declined' || weight === 'failed_before_grant';
}

function add(counters: StepCounters, one: AgentTally, sign: 1 | -1): StepCounters {
  const when = (condition: boolean) => (condition ? sign : 0);
  return {
    pending: counters.pending + when(one.pending),
    downloading: counters.downloading + when(one.downloading),
    hot: counters.hot + when(one.hot),
    hotMembers: counters.hotMembers + when(one.hot && one.member),
    succeeded: counters.succeeded + when(one.weight === 'succeeded' && one.member),
    bad: counters.bad + when(one.weight === 'bad'),
    badMembers: counters.badMembers + when(one.weight === 'bad' && one.member),
    badHops: counters.badHops + when(one.badHop),
    declined: counters.declined + when(one.weight === 'declined' && one.member),
    failedBeforeGrant: counters.failedBeforeGrant + when(one.weight === 'failed_before_grant' && one.member),
    inconclusive: counters.inconclusive + when(one.weight === 'inconclusive' && one.member),
    exhausted: counters.exhausted + when(one.exhausted && one.member),
  };
}
