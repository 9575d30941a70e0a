// The names of holds in words that people know; --json has the names.

const WORDS: Record<string, string> = {
  not_available: 'not in the region yet',
  availability_unknown: 'probe without an answer',
  out_of_range: 'outside the accepted range',
  floor_missing: 'a stop on the way is missing',
  previous_wave: 'an earlier wave',
  older_lane: 'an older rollout',
  outside_window: 'window closed',
  frozen: 'freeze',
  braked: 'brake',
  ceiling: 'limit per hour or day',
  needs_approval: 'waiting for a person',
  metric_inconclusive: 'metric in doubt',
  metric_unknown: 'metric unreadable',
  not_in_step: 'not in an open step',
  at_limit: 'limit at a time',
  site_limit: 'limit of the site',
  bandwidth: 'limit of downloads',
  budget: 'failure budget',
  inconclusive: 'attempts without a verdict',
  silent: 'silent agents',
  no_agents: 'no agent present',
  host_policy: 'the host’s own policy',
  no_artifact: 'no file for the platform',
  unproven: 'version not proven',
  unsupported_from: 'version too old',
  no_path: 'no way from its version',
  clone_suspected: 'two hosts with one identity',
  clock_suspect: 'clock in doubt',
  stale: 'not heard since the restore',
  not_assigned: 'left out by the config',
  away: 'silent',
};

/** A newer server may know others: those lose only their underscores. */
export function holdWords(reason: string): string {
  return WORDS[reason] ?? reason.replaceAll('_', ' ');
}
