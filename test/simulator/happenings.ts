// Which marks a row of the audit stands for.
import type { AuditRow, Books } from './books.ts';
import type { Mark, Marks } from './marks.ts';
import { laneOf, type Model } from './model.ts';

const PLAIN: Record<string, Mark> = {
  'attempt.staged': 'agent_staged',
  'attempt.withdrawn': 'attempt_withdrawn',
  'attempt.lost': 'attempt_lost',
  'attempt.expired': 'attempt_expired',
  'attempt.inconclusive': 'agent_inconclusive',
  'step.opened': 'step_opened',
  'step.reseated': 'step_reseated',
  'lane.promoted': 'step_promoted',
  'lane.approved': 'step_approved',
  'lane.accepted': 'outcomes_accepted',
  'lane.skipped': 'region_skipped',
  'clock.suspected': 'clock_doubted',
  'lane.paused': 'lane_paused',
  'lane.resumed': 'lane_resumed',
  'lane.retried': 'lane_retried',
  'lane.cancelled': 'lane_cancelled',
  'lane.superseded': 'lane_superseded',
  'lane.reopened': 'lane_reopened',
  'baseline.opened': 'baseline_opened',
  'brake.on': 'brake_set',
  'brake.off': 'brake_lifted',
  'release.unvetoed': 'veto_lifted',
  'lane.rolled_back': 'rollback_finished',
  'quarantine.cleared': 'quarantine_cleared',
};

/** Before the row is folded into the model. */
export function noteMarks(marks: Marks, books: Books, model: Model, row: AuditRow): void {
  const plain = PLAIN[row.action];
  if (plain !== undefined) marks.hit(plain);
  const isPerson = row.actor !== 'tidegate';
  if (row.action === 'release.vetoed' && isPerson) marks.hit('release_vetoed_by_person');
  if (row.action === 'attempt.adopted')
    marks.hit(row.data['booked'] === true ? 'outcome_adopted' : 'outcome_adopted_unbooked');
  if (row.action === 'clock.trusted') marks.hit(isPerson ? 'clock_trusted_by_person' : 'clock_trusted_by_quiet');
  if (row.action === 'lane.rolling_back') marks.hit(isPerson ? 'rolled_back_by_person' : 'rolled_back_by_policy');
  if (row.action === 'lane.halted') marks.hit(isPerson ? 'lane_halted_by_person' : 'lane_halted_by_budget');
  const lane = books.lanes.get(row.subject);
  if (row.action === 'step.opened' && (lane?.wave ?? 0) > 0) marks.hit('second_wave_opened');
  if (row.action === 'lane.completed')
    marks.hit(laneOf(model, row.subject).step === null ? 'lane_completed_without_evidence' : 'lane_completed');
  if (row.action === 'step.opened') {
    const { step } = laneOf(model, row.subject);
    if (step !== null && (lane?.policy.steps[step]?.soakMs ?? 0) > 0) marks.hit('step_soaked');
  }
  const attempt = books.attempts.get(row.subject);
  if (attempt === undefined) return;
  if (attempt.corrected === 1 && model.attempts.get(row.subject)?.state === 'lost') marks.hit('lost_corrected');
  if (row.action === 'attempt.offered' && model.attempts.get(row.subject)?.state === 'offered')
    marks.hit('offered_again');
  if (row.action === 'attempt.offered' && attempt.step < 0) marks.hit('way_back_offered');
  if (row.action === 'attempt.offered' && attempt.hop === 1) marks.hit('hop_offered');
  const isOfLane = books.lanes.get(attempt.lane_id)?.kind === 'rollout';
  if (row.action === 'attempt.offered' && attempt.member === 0 && isOfLane) marks.hit('late_joiner');
}

const HOLDS: Partial<Record<string, Mark>> = {
  silent: 'held_silent',
  inconclusive: 'held_inconclusive',
  too_few_successes: 'held_too_few_successes',
  no_agents: 'held_no_agents',
  metric_failing: 'held_metric_failing',
  metric_unknown: 'held_metric_unknown',
  floor_missing: 'held_floor_missing',
  too_young: 'held_too_young',
  outside_window: 'held_by_window',
  at_limit: 'held_by_limit',
  site_limit: 'held_by_limit',
  ceiling: 'held_by_ceiling',
  bandwidth: 'held_by_bandwidth',
  clock_suspect: 'held_by_clock',
  unhealthy: 'held_unhealthy',
  budget: 'held_by_budget',
  braked: 'held_by_brake',
  halted: 'held_by_halt',
  quarantined: 'quarantined',
  unknown_build: 'unknown_build_reported',
  unsupported_from: 'held_unsupported_from',
  requirement_unmet: 'held_requirement_unmet',
};

/** Of a lane, or of an agent's answer. */
export function noteHold(marks: Marks, reason: string | undefined): void {
  const mark = HOLDS[reason ?? ''];
  if (mark !== undefined) marks.hit(mark);
}
