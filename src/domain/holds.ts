// Why something does not go on: a closed list of reasons, each with the one sentence that people are shown.

export const HOLD_SENTENCES = {
  not_available: 'the release cannot be had in this region yet',
  availability_unknown: 'nobody knows whether the release can be had in this region: the probe fails',
  too_young: 'the release is younger than the policy lets out',
  out_of_range: 'the release is outside the range that the product accepts',
  floor_missing: 'a version that must not be jumped over cannot be had in this region',
  previous_wave: 'an earlier wave has not completed',
  older_lane: 'an older rollout is still live in this region',
  outside_window: 'nothing may start in this region now',
  frozen: 'a freeze is in force',
  braked: 'a person has set the brake',
  ceiling: 'the ceiling of changes per hour or day is reached',
  soaking: 'the step soaks: it must stay healthy for a time before anything follows',
  needs_approval: 'a person must promote the step',
  metric_failing: 'a metric says that the release does harm',
  metric_inconclusive: 'a metric does not say clearly whether the release is good',
  metric_unknown: 'a metric cannot be read',
  not_in_step: 'the agent is not in a step that is open yet',
  at_limit: 'as many agents as allowed are being updated now',
  site_limit: 'as many agents of this site as allowed are being updated now',
  bandwidth: 'as many agents as allowed are downloading now',
  budget: 'the failure budget of the step does not allow another agent at risk now',
  too_few_successes: 'too few agents of the step can still succeed',
  inconclusive: 'too many attempts of the step ended without saying anything about the release',
  silent: 'too many agents of the step have fallen silent',
  no_agents: 'no agent of the step is there to give evidence',
  halted: 'the rollout is halted in this region',
  paused: 'a person has paused the rollout in this region',
  vetoed: 'the release is vetoed',
  pinned: 'the agent is pinned to its version',
  host_policy: 'the host’s own policy says no',
  quarantined: 'the agent has used up its attempts at this release',
  requirement_unmet: 'the host does not meet what the release requires',
  unhealthy: 'the agent reports itself unhealthy',
  unknown_build: 'the agent runs a build that no release has',
  no_artifact: 'the release has no artifact for the agent’s platform',
  unproven: 'the agent has not proven the version that it runs',
  unsupported_from: 'the release cannot be reached from the version that the agent runs',
  no_path: 'no chain of releases leads from the agent’s version to the target',
  busy: 'another product of the agent is being updated',
  clone_suspected: 'two hosts use this agent’s identity',
  clock_suspect: 'the server’s clock has jumped',
  stale: 'the agent has not reported since the server was restored',
  not_assigned: 'the config lets nothing out to the agent’s region or product',
} as const;

export type HoldReason = keyof typeof HOLD_SENTENCES;

export const HOLD_REASONS = Object.keys(HOLD_SENTENCES) as HoldReason[];

export function sentenceOf(reason: HoldReason, detail?: string): string {
  const sentence = HOLD_SENTENCES[reason];
  return detail === undefined ? sentence : `${sentence}: ${detail}`;
}
