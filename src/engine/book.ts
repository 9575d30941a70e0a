// What one check-in does to the books: its reports, then the decision and the admission or grant that it leads to.
import type { Agent, AgentReport, Attempt, InstalledProduct, ReportedAttempt } from '../domain/agent.ts';
import { type AttemptState, isHot, isLive, mayFollow } from '../domain/attempt.ts';
import { type Answer, decide } from '../domain/decide.ts';
import type { Directive } from '../domain/directives.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import { AppError } from '../errors.ts';
import { adoptKnown, adoptUnknown, endsForgotten, isStillStale } from './adopt.ts';
import { hasBit } from './bitset.ts';
import type { Memory } from './memory.ts';
import type { WorkingSet } from './working-set.ts';

export interface BookContext {
  memory: Memory;
  now: number;
  observedMs: number;
  newId: () => string;
}

interface AdmitContext extends BookContext {
  /** The highest sequence that the agent has accepted. */
  seenSequence: number;
}

export interface Booked {
  answer: Answer;
  acknowledged: { id: string; state: string }[];
}

/** How long what lies verified on a host's disk waits for its turn, observed; then the attempt is booked as expired. */
const STAGED_FOR_MS = 86_400_000;

/** No honest agent comes near; beyond 2^53 the number could not be read back. */
const HIGHEST_BELIEVED_SEQUENCE = 2 ** 40;

const ENDED_BY_AGENT = new Set<AttemptState>(['succeeded', 'rolled_back', 'failed', 'inconclusive', 'declined']);

/** For one that has a session: it was taken out of the fleet since that was opened. */
export function notEnrolled(): AppError {
  return new AppError('unenrolled', 'this agent was taken out of the fleet');
}

/** Throws before anything in the set has changed for: `unenrolled`, `foreign_attempt`, `unknown_version`, `conflict`, `illegal_transition`. */
export function bookCheckIn(set: WorkingSet, report: AgentReport, context: BookContext): Booked {
  const agent = set.agents.get(report.handle);
  if (agent === undefined) throw notEnrolled();
  checkVersions(report.products, context.memory);
  const changes = report.attempts.map((one) => ({ reported: one, next: readReport(set, agent, one, report, context) }));
  const isStale = set.stale.has(agent.id);
  if (isStale && report.attempts.filter((one) => isHot(one.state)).length > 1)
    throw new AppError('conflict', 'an agent has one attempt at risk at most', { where: '/attempts' });
  if (isStale) adoptEnds(set, agent, report, context);
  for (const { next } of changes) {
    if (next === undefined) continue;
    if (next.grantedAt !== set.attempts.get(next.id)?.grantedAt) auditAdopted(set, agent, next, context.now);
    set.putAttempt(timed(next, context), context.now);
    auditAttempt(set, agent, set.attempts.get(next.id) as Attempt, `agent:${agent.id}`, context.now);
  }
  for (const attempt of lostStages(set.liveOf(agent.id), report)) {
    set.putAttempt({ ...attempt, state: 'expired', endedAt: context.now }, context.now);
    auditAttempt(set, agent, set.attempts.get(attempt.id) as Attempt, 'tidegate', context.now);
  }
  bookAgent(set, set.agents.get(report.handle) as Agent, report);
  if (isStale && !isStillStale(set, report)) set.hear(agent.id);
  const holding = report.attempts.filter((one) => !ENDED_BY_AGENT.has(one.state)).map((one) => one.id);
  const answer = admit(set, set.agents.get(report.handle) as Agent, holding, {
    ...context,
    seenSequence: report.sequence,
  });
  return { answer, acknowledged: acknowledge(changes) };
}

/** What ended while nobody wrote it down that is still there. */
function adoptEnds(set: WorkingSet, agent: Agent, report: AgentReport, context: BookContext): void {
  for (const ended of endsForgotten(set.liveOf(agent.id), report, context)) {
    auditAdopted(set, agent, ended, context.now);
    set.putAttempt(ended, context.now);
    auditAttempt(set, agent, ended, 'tidegate', context.now);
  }
  for (const reported of report.attempts) {
    if (set.attempts.has(reported.id) || !ENDED_BY_AGENT.has(reported.state)) continue;
    const adopted = adoptUnknown(set, agent, { reported, report }, context);
    if (adopted !== null) auditAttempt(set, agent, adopted, `agent:${agent.id}`, context.now);
  }
}

function auditAdopted(set: WorkingSet, agent: Agent, next: Attempt, now: number): void {
  const { id, product, version, state, cause, detail, laneId: lane, step } = next;
  const was = set.attempts.get(id)?.state;
  const data = { agent: agent.id, product, version, was, state, cause, detail, booked: true, lane, step };
  set.audit.push({ at: now, actor: `agent:${agent.id}`, action: 'attempt.adopted', subject: id, data });
}

/**
 * Staged attempts that the agent does not hold any more (its journal was damaged). They end, so that another one can
 * begin: of an attempt that it does not know the agent takes nothing at a sequence that it has seen.
 */
export function lostStages(live: readonly Attempt[], report: AgentReport): Attempt[] {
  return live.filter((one) => one.state === 'staged' && !report.attempts.some(({ id }) => id === one.id));
}

/** Of an offer that the agent does not hold: whether its sequence is one that the agent has left behind. */
export function isOvertaken(attempt: Attempt, seenSequence: number): boolean {
  return attempt.state === 'offered' && attempt.sequence <= Math.min(seenSequence, HIGHEST_BELIEVED_SEQUENCE);
}

function acknowledge(changes: { reported: ReportedAttempt }[]): Booked['acknowledged'] {
  return changes
    .filter(({ reported }) => ENDED_BY_AGENT.has(reported.state))
    .map(({ reported }) => ({ id: reported.id, state: reported.state }));
}

/** A version that the product's scheme cannot read would be a guess in every comparison. Throws `unknown_version`. */
export function checkVersions(products: readonly InstalledProduct[], memory: Memory): void {
  products.forEach(({ product, version }, index) => {
    const rules = memory.rules.find((one) => one.name === product);
    if (rules === undefined || schemeOf(rules.scheme).parse(version) !== undefined) return;
    throw new AppError(
      'unknown_version',
      `${version} is not a version of the scheme ${rules.scheme}, by which ${product} is read`,
      {
        where: `/products/${index}/version`,
      },
    );
  });
}

/** The attempt as the report makes it; undefined where nothing changes. */
function readReport(
  set: WorkingSet,
  agent: Agent,
  reported: ReportedAttempt,
  report: AgentReport,
  context: BookContext,
): Attempt | undefined {
  const attempt = set.attempts.get(reported.id);
  // Booked in a database that was lost since: adopted below, or nothing that this one could book it on.
  if (attempt === undefined) return undefined;
  if (attempt.agentId !== agent.id)
    throw new AppError('foreign_attempt', `the attempt ${reported.id} is not this agent's`, { where: '/attempts' });
  // A report names each product once, so this also keeps one report from booking one attempt twice.
  if (attempt.product !== reported.product)
    throw new AppError('conflict', `the attempt ${reported.id} is one at ${attempt.product}`, { where: '/attempts' });
  if (attempt.state === reported.state || reported.state === 'offered') return undefined;
  const adopted = set.stale.has(agent.id) ? adoptKnown(attempt, reported, context) : undefined;
  if (adopted === undefined && !mayFollow(attempt.state, reported.state)) {
    // A late or repeated message is no news; a claim that the server never allowed is a conflict.
    if (isLate(attempt, reported.state)) return undefined;
    throw new AppError(
      'illegal_transition',
      `the attempt ${attempt.id} is ${attempt.state} and cannot become ${reported.state}`,
      { where: '/attempts' },
    );
  }
  if (attempt.state === 'lost' && attempt.corrected) return undefined;
  if (reported.state === 'succeeded' && !runs(report.products, attempt)) {
    throw new AppError(
      'conflict',
      `the attempt ${attempt.id} cannot have succeeded: the agent does not run ${attempt.version} of digest ${attempt.sha256}`,
      { where: '/attempts' },
    );
  }
  if (adopted !== undefined) return adopted;
  return {
    ...attempt,
    state: reported.state,
    cause: reported.cause,
    detail: reported.detail,
    corrected: attempt.state === 'lost',
  };
}

const PROGRESS: AttemptState[] = ['offered', 'staged', 'granted', 'activating', 'proving'];

function isLate(attempt: Attempt, reported: AttemptState): boolean {
  if (!isLive(attempt.state))
    return !ENDED_BY_AGENT.has(reported) || attempt.grantedAt === null || ENDED_BY_AGENT.has(attempt.state);
  const place = PROGRESS.indexOf(reported);
  return place >= 0 && place < PROGRESS.indexOf(attempt.state);
}

function runs(products: readonly InstalledProduct[], attempt: Attempt): boolean {
  return products.some(
    (one) => one.product === attempt.product && one.version === attempt.version && one.digest === attempt.sha256,
  );
}

function timed(attempt: Attempt, context: BookContext): Attempt {
  if (ENDED_BY_AGENT.has(attempt.state)) return { ...attempt, endedAt: context.now };
  // The time for staging is over with it; how long the turn takes to come is not the agent's doing.
  return attempt.state === 'staged' ? { ...attempt, deadlineObserved: context.observedMs + STAGED_FOR_MS } : attempt;
}

function bookAgent(set: WorkingSet, agent: Agent, report: AgentReport): void {
  const next: Agent = {
    ...agent,
    platform: report.platform,
    health: report.health,
    healthReason: report.healthReason,
    facts: report.facts ?? agent.facts,
    products: report.products,
  };
  if (JSON.stringify(next) === JSON.stringify(agent)) return;
  set.putAgent({ ...next, revision: agent.revision + 1 });
}

function admit(set: WorkingSet, agent: Agent, holding: string[], context: AdmitContext): Answer {
  const directives = agent.products
    .map(({ product }) => directiveFor(set, agent.region, product, context))
    .filter((one) => one !== undefined);
  const held = holding.map((id) => set.attempts.get(id)).filter((one) => one !== undefined);
  const { answer } = decide(
    {
      id: agent.id,
      region: agent.region,
      platform: agent.platform,
      labels: agent.labels,
      products: agent.products,
      live: set.liveOf(agent.id),
      holding,
      ended: held.filter((attempt) => !isLive(attempt.state)),
      spent: set.spentOf(agent.id),
      seats: context.memory.seatsOf(agent.handle, agent.region, agent.products),
      health: agent.health,
      healthReason: agent.healthReason,
      facts: agent.facts,
      pins: set.pinsOf(agent.id),
      stale: set.stale.has(agent.id),
    },
    directives,
    context.now,
  );
  if (answer.kind === 'withdraw' && isLive(answer.attempt.state)) {
    const withdrawn: Attempt = { ...answer.attempt, state: 'withdrawn', endedAt: context.now };
    set.putAttempt(withdrawn, context.now);
    auditAttempt(set, agent, withdrawn, 'tidegate', context.now);
    // Who holds nothing of it goes on at once; else the agent drops it first.
    return admit(set, agent, holding, context);
  }
  if (answer.kind === 'stage' && answer.attempt === null)
    return { ...answer, attempt: offer(set, agent, answer, context) };
  if (answer.kind === 'stage' && answer.attempt !== null && isOvertaken(answer.attempt, context.seenSequence))
    return { ...answer, attempt: offerAgain(set, agent, answer.attempt, context) };
  if (answer.kind === 'activate' && answer.attempt.state === 'staged')
    return { ...answer, attempt: grant(set, agent, answer, context) };
  return answer;
}

function directiveFor(set: WorkingSet, region: string, product: string, context: BookContext): Directive | undefined {
  const known = context.memory.laneFor(product, region);
  // The row as this transaction has read it, never the one in memory.
  const lane = known === null ? null : (set.lanes.get(known.id) ?? null);
  const baselineLane = context.memory.baselineLaneFor(product, region);
  const occupied = set.occupied(context.memory.surroundings.limits);
  return context.memory.compile(product, region, lane, {
    brakes: set.brakes,
    vetoes: set.vetoes,
    occupied,
    now: context.now,
    baseline: baselineLane === null ? null : (set.lanes.get(baselineLane.id) ?? null),
    recentBad: set.recentBadCounts(),
  });
}

function offer(
  set: WorkingSet,
  agent: Agent,
  answer: Extract<Answer, { kind: 'stage' }>,
  context: AdmitContext,
): Attempt {
  const { lane, step, artifact } = answer;
  const running = agent.products.find((one) => one.product === productOf(set, lane.laneId)) as InstalledProduct;
  const sequence = nextSequence(agent, context);
  const attempt: Attempt = {
    id: context.newId(),
    agentId: agent.id,
    rolloutId: lane.rolloutId,
    laneId: lane.laneId,
    step: step.step,
    member: hasBit(context.memory.membersOf(lane.laneId, step.step), agent.handle),
    budgetEpoch: lane.budgetEpoch,
    product: running.product,
    version: answer.version,
    ...(answer.hop ? { hop: true as const } : {}),
    platform: artifact.platform,
    sha256: artifact.sha256,
    size: artifact.size,
    fromVersion: running.version,
    fromDigest: running.digest,
    sequence,
    state: 'offered',
    offeredAt: context.now,
    grantedAt: null,
    endedAt: null,
    deadlineObserved: context.observedMs + lane.stageWithinMs,
    cause: null,
    detail: null,
    corrected: false,
  };
  set.putAgent({ ...agent, sequence });
  set.putAttempt(attempt, context.now);
  auditAttempt(set, agent, attempt, 'tidegate', context.now);
  return attempt;
}

/** After a restore of an older database the agent knows higher ones, and takes nothing at or below them. */
function nextSequence(agent: Agent, { seenSequence }: AdmitContext): number {
  return Math.max(agent.sequence, Math.min(seenSequence, HIGHEST_BELIEVED_SEQUENCE)) + 1;
}

/**
 * The reply that carried the offer was lost, and the agent has accepted a later one for another product since: it takes
 * nothing at the old sequence any more, so the same attempt gets a new one.
 */
function offerAgain(set: WorkingSet, agent: Agent, attempt: Attempt, context: AdmitContext): Attempt {
  const sequence = nextSequence(agent, context);
  const again: Attempt = { ...attempt, sequence };
  set.putAgent({ ...agent, sequence });
  set.putAttempt(again, context.now);
  auditAttempt(set, agent, again, 'tidegate', context.now);
  return again;
}

function grant(
  set: WorkingSet,
  agent: Agent,
  answer: Extract<Answer, { kind: 'activate' }>,
  context: BookContext,
): Attempt {
  const deadlineObserved = context.observedMs + answer.lane.attemptBudgetMs;
  const granted: Attempt = { ...answer.attempt, state: 'granted', grantedAt: context.now, deadlineObserved };
  set.putAttempt(granted, context.now);
  auditAttempt(set, agent, granted, 'tidegate', context.now);
  return granted;
}

function productOf(set: WorkingSet, laneId: string): string {
  return set.lanes.get(laneId)?.product as string;
}

function auditAttempt(set: WorkingSet, agent: Agent, attempt: Attempt, actor: string, now: number): void {
  set.audit.push({
    at: now,
    actor,
    action: `attempt.${attempt.state}`,
    subject: attempt.id,
    data: {
      agent: agent.id,
      product: attempt.product,
      version: attempt.version,
      from: attempt.fromVersion,
      cause: attempt.cause,
      detail: attempt.detail,
    },
  });
}
