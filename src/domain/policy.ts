// How a release is let out: what a rollout stores of the config when it is created, in normal form.

import type { ApprovalPolicy } from './approval.ts';
import type { MetricPolicy } from './metric.ts';
import type { Schedule } from './schedule.ts';

/** `strict`: a grant only while bad + hot < budget, never overshot. `loose`: overshoot at most the hot ones. */
export type Budget = 'strict' | 'loose';

/** Agents that report themselves unhealthy: held until they are well, updated like others, or in the first step. */
export type Unhealthy = 'hold' | 'update' | 'first';

export interface StepPolicy {
  /** Who is inside: exactly one of the three is set. Percent is cumulative, 1–100. */
  labels: Record<string, string> | null;
  count: number | null;
  percent: number | null;
  /** Present agents that the step must have, as far as the lane has them. */
  min: number;
  /** Observed time after the step is done. */
  soakMs: number;
  /** True: a person promotes the lane after the soak. */
  manual: boolean;
  budget: Budget;
}

export interface Policy {
  name: string;
  /** Regions that go together; waves one after another. */
  waves: string[][];
  /** The last one is 100 %. */
  steps: StepPolicy[];
  /** Ratios are integers per 10,000. */
  doneRatio: number;
  badRatio: number;
  minSample: number;
  /** Bad outcomes that halt a lane whatever the ratio; null: the ratio alone. */
  badCount: number | null;
  /** Hot attempts in one lane at a time. */
  maxHot: number;
  /** Bad attempts after which an agent is quarantined for the release. */
  attemptsPerAgent: number;
  unhealthy: Unhealthy;
  supersede: 'finish' | 'replace-unstarted' | 'replace';
  /** What happens to a lane that has spent its budget: a person decides, or its agents are taken back. */
  onHalt: 'hold' | 'rollback';
  /** Newer releases that may pass a region by in a row; then one is finished there first. */
  maxSkips: number;
  minAgeMs: number;
  /** `manual`: a person begins each rollout. Not set in policies stored before there was a choice: by themselves. */
  begin?: 'auto' | 'manual';
  /** When rollouts may be created; null: as soon as there is a release. */
  schedule: Schedule | null;
  /** What is read while a step soaks; those of older rollouts have none. */
  metrics?: readonly MetricPolicy[];
  /** How newcomers and agents that return are brought to the baseline of their region. */
  baseline: BaselinePolicy;
  /** Who promotes manual steps. Not set in policies stored before there was a choice: one person. */
  approvals?: ApprovalPolicy;
  /** Silence, in observed time, after which an agent is not present any more. */
  staleAfterMs: number;
  stageWithinMs: number;
  activateWithinMs: number;
  proveWithinMs: number;
  stableForMs: number;
}

export interface BaselinePolicy {
  /** Hot attempts at a time in one region. */
  maxHot: number;
  /** Agents that went bad within the window halt the region's baseline lane, and it alone. */
  badCount: number;
  windowMs: number;
}

/** A rollout that was stored before there was the choice holds them. */
export function unhealthyUnder(policy: { unhealthy?: Unhealthy }): Unhealthy {
  return policy.unhealthy ?? 'hold';
}

/** From the grant to the outcome of an attempt that goes well: what a window must have left, milliseconds. */
export function attemptMs(policy: Pick<Policy, 'activateWithinMs' | 'proveWithinMs' | 'stableForMs'>): number {
  return policy.activateWithinMs + policy.proveWithinMs + policy.stableForMs;
}

/** Observed time from the grant after which an obedient agent must have ended: then silence is `lost`. */
export function attemptBudgetMs(policy: Policy): number {
  // The agent may use its whole time to activate and to prove, then goes back (as long again at most) and reports.
  return policy.activateWithinMs + 2 * (policy.proveWithinMs + policy.stableForMs) + policy.staleAfterMs;
}
