// A person's consent to what follows a step: what it is bound to, whether it still counts, and why it does not any more.
import { instantOf, numberOf } from './gate.ts';
import type { Policy } from './policy.ts';
import type { Release } from './release.ts';
import type { Lane } from './rollout.ts';

export interface Approval {
  /** From 0. */
  step: number;
  by: string;
  /** Milliseconds since the epoch. */
  at: number;
  expiresAt: number;
  /** What was consented to, from `subjectOf`: it counts while that is still the same, letter for letter. */
  subject: string;
}

export interface ApprovalPolicy {
  /** Different people who must promote a manual step. */
  approvers: number;
  /** How long an approval counts, milliseconds by the wall clock. */
  expireMs: number;
}

/** For policies that were stored before there was a choice. */
export const DEFAULT_APPROVALS: ApprovalPolicy = { approvers: 1, expireMs: 604_800_000 };

/** What approvals of a lane are bound to, as it is now. */
export interface Subject {
  policy: Policy;
  /** Undefined: it is not known any more. */
  release: Release | undefined;
}

/** How far a step has the consent that its policy wants. */
export interface Consent {
  needed: number;
  /** Those that count, one for each person. */
  standing: Approval[];
  /** Those that count no more, each with why, in words that follow “the approval of ana”. */
  lapsed: { approval: Approval; why: string }[];
  given: boolean;
}

export function approvalsOf(policy: Pick<Policy, 'approvals'>): ApprovalPolicy {
  return policy.approvals ?? DEFAULT_APPROVALS;
}

/** `now` in milliseconds since the epoch. */
export function consentTo(lane: Pick<Lane, 'approvals'>, step: number, subject: Subject, now: number): Consent {
  const needed = approvalsOf(subject.policy).approvers;
  const asked = lane.approvals.filter((one) => one.step === step);
  if (asked.length === 0) return { needed, standing: [], lapsed: [], given: false };
  const present = subjectOf(subject, step);
  const judged = asked.map((approval) => ({ approval, why: lapseOf(approval, present, now) }));
  const standing = judged.filter(({ why }) => why === undefined).map(({ approval }) => approval);
  const lapsed = judged.flatMap(({ approval, why }) => (why === undefined ? [] : [{ approval, why }]));
  return { needed, standing, lapsed, given: standing.length >= needed };
}

/** `1 of 2 approvals, by ana, expires 2026-01-05 12:00:00Z`, and why others count no more; undefined: there is nothing to say. */
export function sayConsent({ needed, standing, lapsed }: Consent): string | undefined {
  const gone = lapsed.map(({ approval, why }) => `the approval of ${approval.by} ${why}`);
  if (standing.length > 0) {
    const first = instantOf(Math.min(...standing.map(({ expiresAt }) => expiresAt)));
    gone.unshift(`${standing.length} of ${numberOf(needed, 'approval')}, by ${namesOf(standing)}, expires ${first}`);
  } else if (needed > 1) gone.unshift(`0 of ${needed} approvals`);
  return gone.length === 0 ? undefined : gone.join('; ');
}

/** `ana`, `ana and ben`. */
export function namesOf(approvals: readonly Approval[]): string {
  return approvals.map(({ by }) => by).join(' and ');
}

/** When the consent runs out; it is given. */
export function expiryOf({ standing, needed }: Consent): number {
  // With more than are needed it lasts until too few are left.
  const last = standing.map(({ expiresAt }) => expiresAt).sort((a, b) => b - a);
  return last[needed - 1] ?? Number.NEGATIVE_INFINITY;
}

/**
 * The canonical text of what a person consents to: the release's fingerprints, the policy that the rollout stores, the
 * step. The domain compares the text itself; its SHA-256 stands in the audit.
 */
export function subjectOf({ release, policy }: Subject, step: number): string {
  const artifacts = [...(release?.artifacts ?? [])].sort((a, b) => (a.platform < b.platform ? -1 : 1));
  return [
    `release ${release?.id ?? 'unknown'} ${release?.tag ?? ''}`,
    ...artifacts.map(({ platform, name, size, sha256 }) => `artifact ${platform} ${sha256} ${size} ${name}`),
    `policy ${canonical(policy)}`,
    `step ${step}`,
  ].join('\n');
}

/** Whether a subject is of this release at this step, whatever its files and the policy were. */
export function isBoundTo(subject: string, releaseId: string, step: number): boolean {
  return subject.startsWith(`release ${releaseId} `) && subject.endsWith(`\nstep ${step}`);
}

function lapseOf(approval: Approval, present: string, now: number): string | undefined {
  if (approval.subject !== present) return `is void: ${differenceOf(approval.subject, present)}`;
  // The clock went back since: else it would count for longer than the policy lets it.
  if (now < approval.at)
    return `counts from ${instantOf(approval.at)} on, when it was given: the clock went back since`;
  return now < approval.expiresAt ? undefined : `has expired at ${instantOf(approval.expiresAt)}`;
}

/** What has changed since, the files first: they are what changes by itself. */
function differenceOf(then: string, now: string): string {
  const was = linesOf(then);
  const is = linesOf(now);
  for (const [key, value] of is) {
    if (!key.startsWith('artifact ')) continue;
    const before = was.get(key);
    const platform = key.slice('artifact '.length);
    if (before === undefined) return `${platform} has arrived since`;
    if (before !== value) return `the file for ${platform} has changed since`;
  }
  const gone = [...was.keys()].find((key) => key.startsWith('artifact ') && !is.has(key));
  if (gone !== undefined) return `the file for ${gone.slice('artifact '.length)} is gone since`;
  return was.get('policy') === is.get('policy') ? 'the release has changed since' : 'the policy has changed since';
}

/** By what the line is about. */
function linesOf(subject: string): Map<string, string> {
  return new Map(
    subject.split('\n').map((line) => {
      const [word = '', platform = ''] = line.split(' ', 2);
      return [word === 'artifact' ? `${word} ${platform}` : word, line];
    }),
  );
}

/** JSON with the keys of every object in order, so that equal values have equal texts. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(',')}}`;
}
