// What operators are shown: store rows and the engine's memory put together, with the domain's own functions for all figures.
import type { Agent, Attempt } from '../domain/agent.ts';
import { type Consent, consentTo, namesOf, sayConsent } from '../domain/approval.ts';
import type { AttemptState } from '../domain/attempt.ts';
import { type Veto, vetoFor } from '../domain/directives.ts';
import { sentenceOf } from '../domain/holds.ts';
import type { Pin } from '../domain/pin.ts';
import type { StepPolicy } from '../domain/policy.ts';
import type { Release } from '../domain/release.ts';
import { isTerminalLane, type Lane, type LaneState, type Rollout, rolloutState, type Step } from '../domain/rollout.ts';
import { budgetOf, detectableRate } from '../domain/verdict.ts';
import type { AgentView, HoldView, LaneView, PinView, RolloutView, StepView } from '../protocol/operator.ts';
import { countByState, liveAttemptsOfAgents } from '../store/attempts.ts';
import { listVetoes } from '../store/controls.ts';
import type { Db } from '../store/database.ts';
import { type HoldDuration, holdDurations, type OpenHold, openHolds } from '../store/holds.ts';
import { releasesById } from '../store/releases.ts';
import { listBaselineLanes, loadRollout } from '../store/rollouts.ts';
import { type BackRows, readBacks, viewBack } from './back-view.ts';
import type { OperatorService, PassedOver } from './services.ts';

/** In the order of the rollouts; `now` in milliseconds since the epoch. */
export async function viewRollouts(
  db: Db,
  operator: Pick<OperatorService, 'passedOver'>,
  rollouts: readonly Rollout[],
  now: number,
): Promise<RolloutView[]> {
  if (rollouts.length === 0) return [];
  const laneIds = rollouts.flatMap((rollout) => rollout.lanes.map((lane) => lane.id));
  const rows: LaneRows = {
    attempts: await countByState(db, laneIds),
    ...(await readBacks(db, rollouts)),
    holds: new Map((await openHolds(db)).map((hold) => [hold.laneId, hold])),
    durations: await holdDurations(db, laneIds, now),
    names: await namesOfNewer(db, rollouts),
    baselines: Map.groupBy(await listBaselineLanes(db), (lane) => lane.rolloutId),
    releases: await approvedReleases(db, rollouts),
    passedOver: await operator.passedOver(rollouts),
    vetoes: await listVetoes(db),
    now,
  };
  return rollouts.map((rollout) => viewRollout(rollout, rows));
}

interface LaneRows extends BackRows {
  attempts: Map<string, Record<AttemptState, number>>;
  holds: Map<string, OpenHold>;
  durations: Map<string, HoldDuration[]>;
  /** What people call the rollouts that superseded a lane, by id. */
  names: Map<string, string>;
  /** The baseline lanes that have not ended, by rollout. */
  baselines: Map<string, Lane[]>;
  /** By id, those that somebody has approved. */
  releases: Map<string, Release>;
  passedOver: Map<string, PassedOver[]>;
  vetoes: readonly Veto[];
  now: number;
}

async function approvedReleases(db: Db, rollouts: readonly Rollout[]): Promise<Map<string, Release>> {
  const approved = rollouts.filter(({ lanes }) => lanes.some((lane) => lane.approvals.length > 0));
  const ids = [...new Set(approved.map((rollout) => rollout.releaseId))];
  return new Map((await releasesById(db, ids)).map((release) => [release.id, release]));
}

async function namesOfNewer(db: Db, rollouts: readonly Rollout[]): Promise<Map<string, string>> {
  const known = new Map(rollouts.map((rollout) => [rollout.id, rollout]));
  const lanes = rollouts.flatMap((rollout) => rollout.lanes);
  const names = new Map<string, string>();
  for (const { state } of lanes) {
    if (state.name !== 'superseded' || names.has(state.by)) continue;
    const newer = known.get(state.by) ?? (await loadRollout(db, state.by));
    if (newer !== undefined) names.set(state.by, `${newer.product}@${newer.version}`);
  }
  return names;
}

function viewVeto(veto: Veto | undefined): NonNullable<RolloutView['veto']> | null {
  if (veto === undefined) return null;
  const { automatic, actor, reason, at } = veto;
  return { automatic, actor, reason, at };
}

function viewRollout(rollout: Rollout, rows: LaneRows): RolloutView {
  return {
    id: rollout.id,
    product: rollout.product,
    version: rollout.version,
    state: rolloutState(rollout),
    policy: rollout.policy.name,
    createdAt: rollout.createdAt,
    endedAt: rollout.endedAt,
    lanes: rollout.lanes.map((lane) => viewLane(lane, rollout, rows)),
    veto: viewVeto(vetoFor(rows.vetoes, rollout.product, rollout.version)),
    baselines: (rows.baselines.get(rollout.id) ?? []).map((lane) => viewBaseline(lane, rows)),
  };
}

function viewBaseline({ id, region, state }: Lane, rows: LaneRows) {
  const open = rows.holds.get(id);
  const sentence = state.name === 'halted' ? sentenceOfLane(state, 1, null, rows.names) : 'newcomers are brought to it';
  return { region, state: state.name, sentence, since: state.since, hold: open === undefined ? null : holdView(open) };
}

function viewLane(lane: Lane, rollout: Rollout, rows: LaneRows): LaneView {
  const open = rows.holds.get(lane.id);
  const hold = open === undefined ? null : holdView(open);
  const attempts = Object.entries(rows.attempts.get(lane.id) ?? {}).filter(([, count]) => count > 0);
  const consent = consentOf(lane, rollout, rows);
  return {
    id: lane.id,
    region: lane.region,
    wave: lane.wave,
    state: lane.state.name,
    sentence: sentenceOfLane(lane.state, rollout.policy.steps.length, hold, rows.names),
    since: lane.state.since,
    step: currentStep(lane.state),
    next: nextOf(lane.state, rollout.policy.steps, consent),
    steps: viewSteps(lane, rollout),
    attempts: Object.fromEntries(attempts),
    ...viewBack(lane, rows),
    ...viewPassedOver(rows.passedOver.get(lane.id)),
    hold,
    holds: (rows.durations.get(lane.id) ?? []).map(({ reason, ms }) => ({ reason, ms })),
    revision: lane.revision,
    approval: consent === null ? null : viewConsent(consent, currentStep(lane.state) ?? 0),
  };
}

function viewPassedOver(found: PassedOver[] | undefined): Pick<LaneView, 'passedOver'> {
  if (found === undefined || found.length === 0) return {};
  return {
    passedOver: found.map(({ reason, agents, detail }) => ({
      reason,
      agents,
      sentence: reason === 'away' ? 'silent, brought to it when they return' : sentenceOf(reason, detail ?? undefined),
    })),
  };
}

/** Where people must promote the step that is open; null elsewhere. */
function consentOf(lane: Lane, rollout: Rollout, { releases, now }: LaneRows): Consent | null {
  const { name } = lane.state;
  const step = currentStep(lane.state);
  if (step === null || !(name === 'open' || name === 'soaking' || name === 'approval' || name === 'paused'))
    return null;
  if (rollout.policy.steps[step]?.manual !== true && name !== 'approval') return null;
  return consentTo(lane, step, { policy: rollout.policy, release: releases.get(rollout.releaseId) }, now);
}

function viewConsent({ needed, standing, lapsed }: Consent, step: number): NonNullable<LaneView['approval']> {
  return {
    step,
    needed,
    given: standing.map(({ by, at, expiresAt }) => ({ by, at, expiresAt })),
    lapsed: lapsed.map(({ approval, why }) => ({ by: approval.by, why })),
  };
}

function sentenceOfLane(
  state: LaneState,
  steps: number,
  hold: HoldView | null,
  names: ReadonlyMap<string, string>,
): string {
  switch (state.name) {
    case 'waiting':
      return hold?.sentence ?? 'waits for its turn';
    case 'open':
      return `step ${state.step + 1} of ${steps} is open`;
    case 'soaking':
      return `step ${state.step + 1} of ${steps} is done and soaks`;
    case 'approval':
      return `step ${state.step + 1} of ${steps} waits for a person to promote it`;
    case 'paused':
      return `paused by ${state.by}: ${state.reason}`;
    case 'halted':
      return `halted by ${state.by}: ${state.reason}${state.lift ? '; goes on by itself once it is back as it was' : ''}`;
    case 'rolling_back':
      return `going back to ${state.to.version} by ${state.by}: ${state.reason}`;
    case 'rolled_back':
      return `rolled back to ${state.to}`;
    case 'completed':
      return state.evidence ? 'completed' : 'completed: there was nothing to do';
    case 'superseded':
      return `superseded by ${names.get(state.by) ?? state.by}`;
    case 'cancelled':
      return `${state.skipped ? 'skipped' : 'cancelled'} by ${state.by}: ${state.reason}`;
  }
}

function nextOf(state: LaneState, steps: readonly StepPolicy[], consent: Consent | null): string | null {
  const said = consent === null ? undefined : sayConsent(consent);
  if (state.name === 'open' && consent !== null && consent.standing.length + consent.lapsed.length > 0)
    return said ?? null;
  if (state.name !== 'soaking' && state.name !== 'approval') return null;
  const follows =
    state.step + 1 < steps.length ? `step ${state.step + 2} of ${steps.length} opens` : 'the region is completed';
  if (consent === null) return `after the soak ${follows}`;
  const who = consent.needed === 1 ? 'a person' : `${consent.needed} people`;
  if (state.name === 'approval') {
    if (consent.given)
      return `promoted by ${namesOf(consent.standing)}: ${follows} as soon as nothing stands against it`;
    const asked =
      consent.standing.length > 0 ? 'another person promotes' : `${who} promote${consent.needed === 1 ? 's' : ''}`;
    // The hold says how many have, and whose approval counts no more.
    return `${asked} step ${state.step + 1}; then ${follows}`;
  }
  if (consent.given) return `promoted by ${namesOf(consent.standing)}: after the soak ${follows}`;
  return `after the soak ${who} must promote it${said === undefined ? '' : ` (${said})`}; then ${follows}`;
}

export function currentStep(state: LaneState): number | null {
  switch (state.name) {
    case 'open':
    case 'soaking':
    case 'approval':
    case 'halted':
      return state.step;
    case 'paused':
      return state.resume.step;
    default:
      return null;
  }
}

/** One per step of the policy: opened ones with their counters, the others as `waiting` or `skipped`. */
function viewSteps(lane: Lane, rollout: Rollout): StepView[] {
  const newest = lane.steps.at(-1)?.step ?? -1;
  return rollout.policy.steps.map((_, index) => {
    const opened = lane.steps.find((step) => step.step === index);
    if (opened !== undefined) return viewStep(opened, lane, rollout);
    const over = index < newest || isTerminalLane(lane.state.name);
    return { step: index, state: over ? 'skipped' : 'waiting', ...EMPTY_STEP };
  });
}

const EMPTY_STEP = { size: 0, succeeded: 0, bad: 0, hot: 0, pending: 0, budget: 0, detects: 1 };

function viewStep(step: Step, lane: Lane, rollout: Rollout): StepView {
  const { succeeded, bad, hot, pending } = step.counters;
  return {
    step: step.step,
    state: stateOfStep(step, lane),
    size: step.size,
    succeeded,
    bad,
    hot,
    pending,
    budget: budgetOf(step.size, rollout.policy, lane.allowance),
    detects: detectableRate(step.size),
  };
}

function stateOfStep(step: Step, lane: Lane): string {
  const { state } = lane;
  if (state.name === 'completed' || currentStep(state) !== step.step) return step.done ? 'passed' : 'ended';
  return state.name;
}

export function holdView(hold: { reason: string; sentence: string; since: number; until: number | null }): HoldView {
  return { reason: hold.reason, sentence: hold.sentence, since: hold.since, until: hold.until };
}

/** In the order of the agents, with their live attempts. */
export async function viewAgents(db: Db, operator: OperatorService, agents: readonly Agent[]): Promise<AgentView[]> {
  if (agents.length === 0) return [];
  const ids = agents.map((agent) => agent.id);
  const attempts = Map.groupBy(await liveAttemptsOfAgents(db, ids), (attempt) => attempt.agentId);
  return agents.map((agent) => viewAgent(agent, attempts.get(agent.id) ?? [], operator));
}

function viewAgent(agent: Agent, attempts: readonly Attempt[], operator: OperatorService): AgentView {
  const { pins, quarantined, unknownBuilds } = operator.restraintsOf(agent.handle);
  return {
    id: agent.id,
    name: agent.name,
    region: agent.region,
    platform: agent.platform,
    products: agent.products.map(({ product, version, digest }) => ({ product, version, digest })),
    health: { status: agent.health, reason: agent.healthReason },
    enrolledAt: agent.enrolledAt,
    lastSeenAt: operator.lastSeenAt(agent.handle),
    attempts: attempts.map(({ id, product, version, state }) => ({ id, product, version, state })),
    labels: agent.labels,
    pins: pins.map(viewPin),
    quarantined: quarantined.map(({ product, version, attempts, limit }) => ({ product, version, attempts, limit })),
    unknownBuilds: unknownBuilds.map(({ product, version, digest }) => ({ product, version, digest })),
  };
}

export function viewPin({ product, version, actor, reason, at }: Pin): PinView {
  return { product, version, actor, reason, at };
}

export function viewHistory(attempts: readonly Attempt[]) {
  return attempts.map(({ id, product, version, state, offeredAt, endedAt, cause, detail }) => ({
    id,
    product,
    version,
    state,
    offeredAt,
    endedAt,
    cause,
    detail,
  }));
}
