// What an agent's first reports after a restore say of attempts that the database has forgotten, or knows at an earlier
// state: adopted, as far as there is a lane to book it on. Of an agent that has reported nothing is adopted any more.
import type { Agent, AgentReport, Attempt, InstalledProduct, ReportedAttempt } from '../domain/agent.ts';
import { type AttemptState, isHot, isLive, weigh } from '../domain/attempt.ts';
import { attemptBudgetMs } from '../domain/policy.ts';
import type { Release } from '../domain/release.ts';
import type { Lane } from '../domain/rollout.ts';
import type { ProductRules } from '../domain/snapshot.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import type { Memory } from './memory.ts';
import type { WorkingSet } from './working-set.ts';

export interface AdoptContext {
  memory: Memory;
  /** Milliseconds since the epoch. */
  now: number;
  observedMs: number;
}

/** Not granted: it failed while it was staged. Any other failure is taken for one after the grant, which is bad. */
const STAGING_CAUSES: ReadonlySet<string | null> = new Set([
  'download_failed',
  'digest_mismatch',
  'archive_rejected',
  'selftest_failed',
  'disk_full',
]);
/** How the server ends what was never granted; after the restore, perhaps, and before the agent's report. */
const UNGRANTED_ENDS: ReadonlySet<AttemptState> = new Set(['withdrawn', 'expired']);
const OUTCOMES: ReadonlySet<AttemptState> = new Set(['succeeded', 'rolled_back', 'failed', 'inconclusive', 'declined']);

/**
 * The attempt as the agent tells it where the books alone would call that illegal: the grant was booked in what is lost.
 * Undefined where the report follows from what is known, or contradicts it.
 */
export function adoptKnown(attempt: Attempt, reported: ReportedAttempt, context: AdoptContext): Attempt | undefined {
  const { state, cause, detail } = reported;
  if (!(isHot(state) || OUTCOMES.has(state)) || !wasGranted(state, cause)) return undefined;
  if (isLive(attempt.state) ? attempt.grantedAt !== null : isHot(state) || !UNGRANTED_ENDS.has(attempt.state))
    return undefined;
  // While it was not staged yet, nearly every failure is one of staging.
  if (attempt.state === 'offered' && state === 'failed') return undefined;
  const policy = context.memory.rollout(attempt.rolloutId)?.policy;
  const known = attempt.deadlineObserved;
  return {
    ...attempt,
    ...{ state, cause, detail },
    grantedAt: context.now,
    endedAt: isLive(state) ? null : context.now,
    deadlineObserved: isHot(state) && policy !== undefined ? context.observedMs + attemptBudgetMs(policy) : known,
  };
}

/**
 * What the database has as live and the agent does not hold: its end was acknowledged by what is lost. Who runs it has
 * succeeded; what was granted and does not run is lost, which is bad: nobody can say that it was good.
 */
export function endsForgotten(live: readonly Attempt[], report: AgentReport, { now }: AdoptContext): Attempt[] {
  return live
    .filter((one) => !report.attempts.some(({ id }) => id === one.id))
    .flatMap((one) => {
      const isRunning = report.products.some((product) => isAt(product, one));
      if (!isRunning && !isHot(one.state)) return [];
      const state: AttemptState = isRunning ? 'succeeded' : 'lost';
      return [{ ...one, state, grantedAt: one.grantedAt ?? now, endedAt: now }];
    });
}

/** True while the agent has an attempt at risk that nobody knows here: it stays stale until that has ended. */
export function isStillStale(set: WorkingSet, report: AgentReport): boolean {
  return report.attempts.some((one) => isHot(one.state) && !set.attempts.has(one.id));
}

/**
 * The outcome of an attempt that the database has forgotten, as a row in the step that the agent is in, so that counters
 * stay the fold of the attempts and budgets halt as ever. Null where no lane is there for it: then what is bad vetoes
 * the release until a person has looked. `agent` is what was known before this report.
 */
export function adoptUnknown(
  set: WorkingSet,
  agent: Agent,
  { reported, report }: { reported: ReportedAttempt; report: AgentReport },
  context: AdoptContext,
): Attempt | null {
  const { state, cause, detail, product } = reported;
  const { memory, now } = context;
  const found = targetOf(agent, reported, report, memory);
  const place = found === undefined ? undefined : placeOf(set, agent, found, memory);
  const data = { agent: agent.id, product, version: found?.release.version ?? reported.version ?? null, state, cause };
  const booked = place === undefined ? { booked: false } : { booked: true, lane: place.lane.id, step: place.step };
  const entry = { at: now, actor: `agent:${agent.id}`, action: 'attempt.adopted', subject: reported.id };
  set.audit.push({ ...entry, data: { ...data, detail, ...booked } });
  const grantedAt = wasGranted(state, cause) ? now : null;
  if (found === undefined) return null;
  const { release, from, artifact } = found;
  if (place === undefined) {
    if (weigh({ state, grantedAt }) === 'bad') set.veto(release, sayUnbooked(agent, release, cause), now);
    return null;
  }
  const sequence = Math.max(agent.sequence, ...set.attemptsOf(agent.id).map((one) => one.sequence)) + 1;
  const attempt: Attempt = {
    id: reported.id,
    agentId: agent.id,
    rolloutId: place.lane.rolloutId,
    laneId: place.lane.id,
    step: place.step,
    member: place.member,
    budgetEpoch: place.lane.budgetEpoch,
    product,
    version: release.version,
    ...(place.hop ? { hop: true as const } : {}),
    ...artifact,
    fromVersion: from.version,
    fromDigest: from.digest,
    sequence,
    state,
    offeredAt: now,
    grantedAt,
    endedAt: now,
    deadlineObserved: context.observedMs,
    cause,
    detail,
    corrected: false,
  };
  set.putAgent({ ...(set.agents.get(agent.handle) ?? agent), sequence });
  set.putAttempt(attempt, now);
  return attempt;
}

interface Target {
  release: Release;
  artifact: Pick<Attempt, 'platform' | 'sha256' | 'size'>;
  from: InstalledProduct;
  rules: ProductRules;
}

/** Undefined where no known release fits, the agent does not say, or it was on its way back. */
function targetOf(agent: Agent, reported: ReportedAttempt, report: AgentReport, memory: Memory): Target | undefined {
  const running = report.products.find((one) => one.product === reported.product);
  const before = agent.products.find((one) => one.product === reported.product);
  const from = reported.state === 'succeeded' ? before : running;
  const { version = running?.version, digest = running?.digest } =
    reported.state === 'succeeded' || reported.version !== undefined ? reported : { version: '', digest: '' };
  const rules = memory.rules.find((one) => one.name === reported.product);
  if (rules === undefined || from === undefined || version === undefined) return undefined;
  const release = memory.releaseOf(reported.product, version);
  const artifact = release?.artifacts.find((one) => one.sha256 === digest && one.platform === report.platform);
  if (release === undefined || artifact === undefined) return undefined;
  const isRunning = running?.version === version && running.digest === digest;
  if ((reported.state === 'succeeded') !== isRunning) return undefined;
  if (!isBelow(rules, from.version, version)) return undefined;
  const { platform, sha256, size } = artifact;
  return { release, artifact: { platform, sha256, size }, from, rules };
}

interface Place {
  lane: Lane;
  step: number;
  member: boolean;
  hop: boolean;
}

/** In one of the lanes that the agent follows: its seat, else the newest step, where it is a late joiner. */
function placeOf(set: WorkingSet, agent: Agent, { release, rules }: Target, memory: Memory): Place | undefined {
  const { product, version } = release;
  const isFloor = rules.floors.some((floor) => floor.version === version);
  for (const followed of [memory.laneFor(product, agent.region), memory.baselineLaneFor(product, agent.region)]) {
    const lane = followed === null ? undefined : set.lanes.get(followed.id);
    const target = lane === undefined ? undefined : memory.rollout(lane.rolloutId)?.version;
    const last = lane?.steps.at(-1);
    if (lane === undefined || target === undefined || last === undefined) continue;
    const hop = isFloor && isBelow(rules, version, target);
    if (version !== target && !hop) continue;
    const seat = memory.seatsOf(agent.handle, agent.region, [{ product }]).find((one) => one.laneId === lane.id);
    return { lane, step: seat?.step ?? last.step, member: seat !== undefined, hop };
  }
  return undefined;
}

function isBelow({ scheme: name }: ProductRules, version: string, than: string): boolean {
  const scheme = schemeOf(name);
  return scheme.parse(version) !== undefined && scheme.compare(version, than) < 0;
}

function isAt(running: InstalledProduct, attempt: Attempt): boolean {
  return (
    running.product === attempt.product && running.version === attempt.version && running.digest === attempt.sha256
  );
}

function wasGranted(state: AttemptState, cause: string | null): boolean {
  return state !== 'declined' && !(state === 'failed' && STAGING_CAUSES.has(cause));
}

function sayUnbooked(agent: Agent, { version }: Release, cause: string | null): string {
  const why = cause === null ? '' : ` (${cause})`;
  return `after the restore agent ${agent.name} reports ${version} as bad${why}, and no lane of it is open to count that`;
}
