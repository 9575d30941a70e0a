// Whom a step of a modelled lane takes in: the rules of the real freezing, on a list that is sorted by rank once.
import { carries } from '../directives.ts';
import type { Policy, StepPolicy } from '../policy.ts';
import { EVERYBODY, isBefore, rank } from '../rank.ts';
import type { Lane } from '../rollout.ts';
import type { ModelAgent } from './fleet.ts';

export interface Ranked {
  agent: ModelAgent;
  place: number;
}

export interface ModelFreeze {
  members: ModelAgent[];
  /** Whom the step adds to the earlier ones, present or not. */
  eligible: number;
  threshold: number;
  thresholdId: string;
}

export interface FreezeInput {
  /** By rank, then by id: who is below the release on a platform of it, or a member of an earlier step. */
  candidates: readonly Ranked[];
  /** In a step of the lane already. */
  isMember: (agent: ModelAgent) => boolean;
  step: StepPolicy;
  before: { threshold: number; thresholdId: string };
  labelsBefore: readonly Record<string, string>[];
}

/** By rank in the rollout's order. */
export function rankAll(agents: readonly ModelAgent[], seed: number): Ranked[] {
  return agents
    .map((agent) => ({ agent, place: rank(agent.hash, seed) }))
    .sort((a, b) => (isBefore(a.place, a.agent.id, b.place, b.agent.id) ? -1 : 1));
}

export function labelsOfSteps(lane: Pick<Lane, 'steps'>, policy: Policy): Record<string, string>[] {
  return lane.steps.map((one) => policy.steps[one.step]?.labels ?? null).filter((one) => one !== null);
}

/** Members: present, inside this step or an earlier one, and in none of the lane yet. */
export function freezeModel(input: FreezeInput): ModelFreeze {
  const { candidates, isMember, step, before, labelsBefore } = input;
  const isReached = ({ agent, place }: Ranked) =>
    place < before.threshold ||
    (place === before.threshold && agent.id <= before.thresholdId) ||
    labelsBefore.some((labels) => carries(agent.group.labels, labels));
  const found: ModelFreeze = { members: [], eligible: 0, ...before };
  const take = (one: Ranked, reached: boolean) => {
    if (isMember(one.agent)) return;
    if (!reached) found.eligible += 1;
    if (one.agent.present) found.members.push(one.agent);
  };
  const { labels } = step;
  if (labels !== null) {
    for (const one of candidates) {
      const reached = isReached(one);
      if (reached || carries(one.agent.group.labels, labels)) take(one, reached);
    }
    return found;
  }
  const end = lastByRank(input, isReached);
  candidates.forEach((one, index) => {
    const reached = isReached(one);
    if (reached || index < end) take(one, reached);
  });
  const last = candidates[end - 1];
  if (last === undefined) return found;
  if (step.percent === 100) return { ...found, ...EVERYBODY };
  if (!isBefore(found.threshold, found.thresholdId, last.place, last.agent.id)) return found;
  return { ...found, threshold: last.place, thresholdId: last.agent.id };
}

/** How many by rank the step reaches: its share, widened until it has `min` members, as far as there are any. */
function lastByRank({ candidates, isMember, step }: FreezeInput, isReached: (one: Ranked) => boolean): number {
  const all = candidates.length;
  const share = Math.min(all, step.count ?? Math.ceil(((step.percent as number) * all) / 100));
  if (share === all) return all;
  let lacking = step.min;
  candidates.forEach((one, index) => {
    if (one.agent.present && !isMember(one.agent) && (index < share || isReached(one))) lacking -= 1;
  });
  let end = share;
  while (lacking > 0 && end < all) {
    const one = candidates[end] as Ranked;
    if (one.agent.present && !isMember(one.agent) && !isReached(one)) lacking -= 1;
    end += 1;
  }
  return end;
}
