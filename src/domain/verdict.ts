// What a step's counters come to: halt, hold, done or go on. The only place where that question is answered (DESIGN §4).
import type { HoldReason } from './holds.ts';
import type { Policy } from './policy.ts';
import type { StepCounters } from './rollout.ts';

/** The policy's part of the verdict; ratios are integers per 10,000. */
export type VerdictPolicy = Pick<Policy, 'doneRatio' | 'badRatio' | 'minSample' | 'badCount'>;

/** What the roster knows of a step's members beyond the counters. */
export interface Silence {
  /** Members silent for the stale time before a grant: they say nothing about the release. */
  gone: number;
  /** Members out for reasons of their own: no longer eligible, held by the host for the stale time. */
  ineligible: number;
  /** How many by rank could take the seats of the gone. */
  replaceable: number;
}

export const NO_SILENCE: Silence = { gone: 0, ineligible: 0, replaceable: 0 };

export type Verdict =
  | { kind: 'halt'; budget: number; need: number }
  | {
      kind: 'hold';
      reason: Extract<HoldReason, 'silent' | 'inconclusive' | 'too_few_successes'>;
      budget: number;
      need: number;
    }
  | { kind: 'done'; budget: number; need: number }
  | { kind: 'open'; budget: number; need: number };

/**
 * All arithmetic in integers; the first rule that matches wins. What a person has accepted (`allowance`) counts neither as
 * bad, nor as missing, silent or inconclusive.
 */
export function verdict(
  size: number,
  counters: StepCounters,
  silence: Silence,
  policy: VerdictPolicy,
  allowance: number,
): Verdict {
  const budget = budgetOf(size, policy, allowance);
  // Counted apart from the counters, so a member may seem to be in both: one that is hot, succeeded or bad is never out.
  const deciding = counters.succeeded + counters.badMembers + counters.hotMembers;
  const out = Math.min(Math.max(0, size - deciding), silence.gone + silence.ineligible + counters.exhausted);
  const need = needOf({ size, out, bad: counters.badMembers }, policy, allowance);
  if (counters.bad >= budget) return { kind: 'halt', budget, need };
  const gone = silence.gone - allowance;
  if (gone >= 3 && gone * 4 > size && silence.replaceable === 0)
    return { kind: 'hold', reason: 'silent', budget, need };
  const setbacks = counters.declined + counters.failedBeforeGrant + counters.inconclusive - allowance;
  if (setbacks >= 2 && setbacks * 10 > size) return { kind: 'hold', reason: 'inconclusive', budget, need };
  if (counters.succeeded >= need && counters.hotMembers === 0) return { kind: 'done', budget, need };
  const undecided = size - out - counters.succeeded - counters.badMembers;
  if (undecided <= 0 && counters.hotMembers === 0) return { kind: 'hold', reason: 'too_few_successes', budget, need };
  return { kind: 'open', budget, need };
}

/** Bad outcomes that halt a step of this size; at least 1. It depends on the frozen size alone, never on who is left. */
export function budgetOf(size: number, policy: VerdictPolicy, allowance: number): number {
  const need0 = Math.max(1, ceilShare(policy.doneRatio, size), ceilHalf(size));
  const byCount = policy.badCount ?? Number.POSITIVE_INFINITY;
  const tooSmall = policy.badCount === null ? 1 : Number.POSITIVE_INFINITY;
  const byRatio = size >= policy.minSample ? ceilShare(policy.badRatio, size) : tooSmall;
  return Math.max(1, Math.min(byCount, byRatio, size - need0 + 1)) + allowance;
}

/**
 * Successes that the step needs while `out` of its members cannot give evidence any more and `bad` are bad. An accepted
 * outcome lowers it once: of those that are left those who are out are asked for nothing anyway, so there the allowance
 * takes off the bad ones first, and beyond them only what is more than those who are out.
 */
export function needOf(
  { size, out, bad }: { size: number; out: number; bad: number },
  policy: VerdictPolicy,
  allowance: number,
): number {
  const left = size - out;
  const accepted = Math.max(Math.min(allowance, bad), allowance - out);
  const ofThoseLeft = Math.max(ceilShare(policy.doneRatio, left), ceilHalf(left)) - accepted;
  return Math.max(1, ofThoseLeft, ceilHalf(size) - allowance);
}

/**
 * The failure rate (fraction 0–1) that so many agents without a failure rule out at 95 % confidence:
 * 1 − 0.05^(1/n). 59 clean agents: 5 %.
 */
export function detectableRate(agents: number): number {
  return agents <= 0 ? 1 : 1 - 0.05 ** (1 / agents);
}

function ceilShare(ratio: number, size: number): number {
  return Math.ceil((ratio * size) / 10_000);
}

function ceilHalf(size: number): number {
  return Math.ceil(size / 2);
}
