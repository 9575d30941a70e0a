// Answers one check-in: from memory while there is no news, through the ledger when there is, parked while nothing is due.
import type { AgentReport } from '../domain/agent.ts';
import type { CheckInAnswer, CheckInResult } from '../domain/check-in.ts';
import { type AgentView, type Answer, decide } from '../domain/decide.ts';
import type { Directive } from '../domain/directives.ts';
import { AppError, assert } from '../errors.ts';
import { checkVersions, isOvertaken, lostStages, notEnrolled } from './book.ts';
import type { Clock } from './clock.ts';
import type { LedgerItem, LedgerResult } from './commit.ts';
import type { Ledger } from './ledger.ts';
import type { Memory } from './memory.ts';
import type { ObservedTime } from './observed-time.ts';
import type { Roster, RosterEntry } from './roster.ts';
import type { Waiters } from './waiters.ts';

export interface CheckInDeps {
  roster: Roster;
  memory: Memory;
  ledger: Ledger<LedgerItem, LedgerResult>;
  waiters: Waiters;
  clock: Clock;
  observed: ObservedTime;
  pollMs: number;
  maxWaitMs: number;
  /** 0 ≤ x < 1: spreads the agents' next check-ins. */
  random: () => number;
}

/** An agent with an attempt comes back soon even when its poll interval is long. */
const BUSY_NEXT_MS = 1_000;

/**
 * The answer to a check-in that has no news and does not wait; undefined where the books have to look. Without a
 * promise, since most check-ins of a fleet at rest are such. Throws `auth_invalid`, `unenrolled`, `unknown_version`.
 */
export function answerAtOnce(deps: CheckInDeps, report: AgentReport): CheckInResult | undefined {
  const entry = knownEntry(deps, report);
  const now = deps.clock.now();
  deps.roster.seen(report.handle, now, deps.observed.now());
  if (hasNews(deps.roster, entry, report)) return undefined;
  const answer = fromMemory(deps, entry, report, now);
  if (needsCommit(answer, report)) return undefined;
  deps.waiters.end(report.handle);
  return reply(deps, entry, answer, [], 0);
}

function knownEntry({ roster, memory }: CheckInDeps, report: AgentReport): RosterEntry {
  const entry = roster.entry(report.handle);
  if (entry === undefined) {
    // Another server may know an agent that this one has not heard of yet: that is not for ever.
    if (roster.isRetired(report.handle)) throw notEnrolled();
    throw new AppError('auth_invalid', 'this agent is not enrolled here');
  }
  // What the roster has was looked at when it was booked.
  if (!runsTheSame(entry, report)) checkVersions(report.products, memory);
  return entry;
}

/** Throws `auth_invalid`, `unenrolled`, `unknown_version`, `foreign_attempt`, `conflict`, `illegal_transition`, `overloaded`. */
export async function answerCheckIn(
  deps: CheckInDeps,
  report: AgentReport,
  waitMs: number,
  signal: AbortSignal,
): Promise<CheckInResult> {
  let entry = knownEntry(deps, report);
  const startedAt = deps.clock.monotonic();
  const limit = Math.min(waitMs, deps.maxWaitMs);
  const seen = () => deps.roster.seen(report.handle, deps.clock.now(), deps.observed.now());
  seen();
  for (;;) {
    // Also after a wait: what the agent holds may have been withdrawn meanwhile, and it should not go on downloading.
    if (hasNews(deps.roster, entry, report)) return await throughLedger(deps, report);
    let answer: CheckInAnswer | Answer = fromMemory(deps, entry, report, deps.clock.now());
    if (needsCommit(answer, report)) {
      const booked = await throughLedger(deps, report);
      answer = booked.answer;
      // Another one of those that were woken was faster: it waits on, and is not sent away for a whole interval.
      if (answer.kind !== 'hold' || deps.clock.monotonic() - startedAt >= limit) return booked;
    }
    if (answer.kind !== 'none' && answer.kind !== 'hold') return reply(deps, entry, answer, [], 0);
    const waitedMs = deps.clock.monotonic() - startedAt;
    // Parked until the directive changes; the loop is bounded by the wait.
    const forDownload = answer.kind === 'hold' && answer.reason === 'bandwidth';
    const woken = await deps.waiters.park(report.handle, limit - waitedMs, signal, forDownload);
    // An agent that hangs on the line is there.
    seen();
    // Taken out of the fleet while it waited.
    entry = knownEntry(deps, report);
    if (!woken) return reply(deps, entry, answer, [], deps.clock.monotonic() - startedAt);
  }
}

async function throughLedger(deps: CheckInDeps, report: AgentReport): Promise<CheckInResult> {
  const result = await deps.ledger.submit({ kind: 'check_in', report });
  assert(result.kind === 'check_in', 'a check-in is answered as one');
  const entry = deps.roster.entry(report.handle);
  if (entry === undefined) throw notEnrolled();
  return reply(deps, entry, result.answer, result.acknowledged, 0);
}

/** True when the books have to look: the report says something that memory does not have. */
function hasNews(roster: Roster, entry: RosterEntry, report: AgentReport): boolean {
  if (roster.isStale(report.handle)) return true;
  if (report.facts !== null || report.platform !== entry.platform) return true;
  if (report.health !== entry.health || report.healthReason !== entry.healthReason) return true;
  if (!runsTheSame(entry, report)) return true;
  const live = roster.liveOf(report.handle);
  if (live.length === 0 && report.attempts.length === 0) return false;
  if (lostStages(live, report).length > 0) return true;
  return report.attempts.some((reported) => {
    const known = live.find((attempt) => attempt.id === reported.id);
    if (known === undefined) return true;
    // The agent is still downloading, or has not heard of its grant yet: no news.
    return (
      known.state !== reported.state &&
      reported.state !== 'offered' &&
      !(known.state === 'granted' && reported.state === 'staged')
    );
  });
}

function runsTheSame(entry: RosterEntry, report: AgentReport): boolean {
  if (report.products.length !== entry.products.length) return false;
  return report.products.every((one, index) => {
    const known = entry.products[index];
    return known?.product === one.product && known.version === one.version && known.digest === one.digest;
  });
}

function fromMemory(deps: CheckInDeps, entry: RosterEntry, report: AgentReport, now: number): Answer {
  const view = viewOf(
    deps,
    entry,
    report.attempts.map((one) => one.id),
  );
  const directives: Directive[] = [];
  for (const { product } of view.products) {
    const directive = deps.memory.directive(product, view.region);
    if (directive !== undefined) directives.push(directive);
  }
  return decide(view, directives, now).answer;
}

/** What `decide` looks at, from memory. */
export function viewOf(
  { roster, memory }: Pick<CheckInDeps, 'roster' | 'memory'>,
  { handle, id, region, platform, labels, products, health, healthReason, facts, pins }: RosterEntry,
  holding: string[],
): AgentView {
  return {
    id,
    hash: roster.hashOf(handle),
    region,
    platform,
    labels,
    products,
    live: roster.liveOf(handle),
    holding,
    ended: [],
    spent: roster.spentOf(handle),
    seats: memory.seatsOf(handle, region, products),
    health,
    healthReason,
    facts,
    pins,
    stale: roster.isStale(handle),
  };
}

function needsCommit(answer: Answer, { sequence }: AgentReport): boolean {
  return (
    // From memory it can only be one that is live: the books know which have ended.
    answer.kind === 'withdraw' ||
    (answer.kind === 'stage' && (answer.attempt === null || isOvertaken(answer.attempt, sequence))) ||
    (answer.kind === 'activate' && answer.attempt.state === 'staged')
  );
}

function reply(
  deps: CheckInDeps,
  entry: RosterEntry,
  answer: Answer,
  acknowledged: CheckInResult['acknowledged'],
  waitedMs: number,
): CheckInResult {
  // After a withdrawal there may be something else to do.
  const busy = answer.kind === 'withdraw' || deps.roster.liveOf(entry.handle).length > 0;
  const interval = busy ? Math.min(BUSY_NEXT_MS, deps.pollMs) : deps.pollMs;
  // ±10 %, so that agents that were started together do not stay together; the time on the line counts.
  const jittered = interval * (0.9 + 0.2 * deps.random());
  return {
    answer: wire(deps, entry, answer),
    acknowledged,
    nextInMs: Math.round(Math.max(0, jittered - waitedMs)),
    wantFacts: !entry.factsKnown,
  };
}

function wire(deps: Pick<CheckInDeps, 'memory'>, { region }: RosterEntry, answer: Answer): CheckInAnswer {
  switch (answer.kind) {
    case 'none':
      return { kind: 'none' };
    case 'hold':
      return answer;
    case 'withdraw':
      return {
        kind: 'instruction',
        action: 'withdraw',
        attempt: answer.attempt,
        mirrorUrl: null,
        override: false,
        rollback: false,
        stageWithinMs: 0,
        activateWithinMs: 0,
        proveWithinMs: 0,
        stableForMs: 0,
      };
    default: {
      const { stageWithinMs, activateWithinMs, proveWithinMs, stableForMs, budgetEpoch, takesBack } = answer.lane;
      assert(answer.attempt !== null, 'an instruction leaves only after its attempt is committed');
      // A person ordered the retry that began this budget epoch: the hosts' skip lists give way.
      return {
        kind: 'instruction',
        action: answer.kind,
        attempt: answer.attempt,
        mirrorUrl: deps.memory.mirrorUrlFor(answer.attempt, region),
        override: budgetEpoch > 0,
        rollback: takesBack.includes(answer.attempt.fromVersion),
        stageWithinMs,
        activateWithinMs,
        proveWithinMs,
        stableForMs,
      };
    }
  }
}
