// A lane's way back: how its attempts are told from those forward, and what they may cost. The nth time that a lane is
// rolled back is its step −n, in the budget epoch −n: so nothing that happens on it counts in the steps of the policy.
import { EVERYBODY } from './rank.ts';
import { type Lane, NO_COUNTS, type Step } from './rollout.ts';
import { budgetOf, type VerdictPolicy } from './verdict.ts';

/** For an attempt or an opened step. */
export function goesBack({ step }: { step: number }): boolean {
  return step < 0;
}

/** The newest one; undefined for a lane that was never rolled back. */
export function wayBackOf(lane: Pick<Lane, 'back'>): Step | undefined {
  return lane.back.at(-1);
}

/** Reaches everybody and has no members: it gives no evidence. `agents`: how many run the release that is taken back. */
export function openWayBack(lane: Pick<Lane, 'back'>, agents: number, now: number): Step {
  const step = -(lane.back.length + 1);
  return { step, openedAt: now, size: agents, ...EVERYBODY, done: false, counters: NO_COUNTS };
}

/** Steps forward and ways back. */
export function allSteps({ steps, back }: Pick<Lane, 'steps' | 'back'>): Step[] {
  return [...steps, ...back];
}

export function mapSteps<L extends Pick<Lane, 'steps' | 'back'>>(lane: L, change: (step: Step) => Step): L {
  return { ...lane, steps: lane.steps.map(change), back: lane.back.map(change) };
}

/** Attempts at risk in the lane, in both directions. */
export function hotIn(lane: Pick<Lane, 'steps' | 'back'>): number {
  return allSteps(lane).reduce((sum, step) => sum + step.counters.hot, 0);
}

/** Whether an attempt counts in the lane's present counters: forward only those of the present budget epoch do. */
export function countsIn(lane: Pick<Lane, 'budgetEpoch'>, attempt: { step: number; budgetEpoch: number }): boolean {
  return goesBack(attempt) || attempt.budgetEpoch === lane.budgetEpoch;
}

/** Bad outcomes on the way back that halt it: as many as the policy allows a step of that size. */
export function backBudget(way: Pick<Step, 'size'>, policy: VerdictPolicy): number {
  return budgetOf(way.size, policy, 0);
}

/** The sentence of the halt; undefined while the budget is not spent. The ledger halts in its own transaction by it. */
export function backHaltReason(lane: Pick<Lane, 'back'>, policy: VerdictPolicy): string | undefined {
  const way = wayBackOf(lane);
  if (way === undefined) return undefined;
  const budget = backBudget(way, policy);
  if (way.counters.bad < budget) return undefined;
  return `the way back: ${way.counters.bad} bad of ${budget} that halt it`;
}
