// Approve and promote: one person's consent to what follows a step, before or while the lane waits for it.
import { AppError } from '../errors.ts';
import { lastStep } from './apply.ts';
import { type Approval, approvalsOf, consentTo, subjectOf } from './approval.ts';
import type { Policy } from './policy.ts';
import type { Lane } from './rollout.ts';
import type { VerbInput } from './verbs.ts';

/**
 * The lane with the consent of one more person, or undefined where they have given it already or nobody is needed any
 * more. Approvals that count no more are dropped with it. Throws `conflict` where the policy asks no person.
 */
export function approve(lane: Lane, input: VerbInput): Lane | undefined {
  const { actor, now, policy } = input;
  const step = lastStep(lane);
  // A metric in doubt asks a person after any step.
  if (step === null || (policy.steps[step]?.manual !== true && lane.state.name !== 'approval')) {
    const at = step === null ? 'the lane has not opened' : `the policy asks no person to promote step ${step + 1}`;
    throw new AppError('conflict', `${lane.region}: ${at}`, { hint: 'It goes on by itself.' });
  }
  const { standing, given } = consentTo(lane, step, input, now);
  if (given || standing.some((one) => one.by === actor)) return undefined;
  const { expireMs } = approvalsOf(policy);
  const approval: Approval = { step, by: actor, at: now, expiresAt: now + expireMs, subject: subjectOf(input, step) };
  return { ...lane, approvals: [...standing, approval], revision: lane.revision + 1 };
}

/**
 * The lane has passed the step that is to be promoted: a manual step is passed by approvals alone, and any other by them
 * where a metric was in doubt, so this is a request whose reply was lost.
 */
export function isPromoted(lane: Lane, { expectedStep, policy }: Pick<VerbInput, 'expectedStep' | 'policy'>): boolean {
  if (expectedStep === null || !mayAskAfter(policy, expectedStep)) return false;
  const opened = lane.steps.find((one) => one.step === expectedStep);
  const last = lastStep(lane);
  return opened?.done === true && last !== null && (last > expectedStep || lane.state.name === 'completed');
}

/** What a person can do who would promote a lane that waits for nobody; undefined where its state says enough. */
export function insteadOfPromote({ state }: Lane, { policy }: Pick<VerbInput, 'policy'>): string | undefined {
  switch (state.name) {
    case 'open':
    case 'soaking': {
      const step = `step ${state.step + 1}`;
      const asked = policy.steps[state.step]?.manual === true;
      if (!asked)
        return `The policy asks no person after ${step}: it goes on by itself once it is done and has soaked.`;
      return `A person is asked once ${step} is done and has soaked. To say yes ahead of that: rollout approve --step ${state.step + 1}.`;
    }
    case 'paused':
      return 'Resume it first.';
    case 'halted':
      return 'A promotion does not lift a halt: a retry does, which begins the step anew.';
    case 'waiting':
      return 'It has not opened, and opens by itself: tidegate explain says what it waits for.';
    default:
      return undefined;
  }
}

function mayAskAfter({ steps, metrics = [] }: Policy, step: number): boolean {
  return steps[step]?.manual === true || metrics.some(({ dryRun }) => !dryRun);
}
