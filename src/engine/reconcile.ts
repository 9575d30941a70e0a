// The level-triggered loop: load a snapshot, plan, write where the revisions still match; timer and nudge call the same.
import { type Violation, violations } from '../domain/check.ts';
import { plan } from '../domain/plan.ts';
import { sumSpent } from '../domain/quarantine.ts';
import type { Action, Hold, Snapshot } from '../domain/snapshot.ts';
import { appendAudits } from '../store/audit.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import { changeHold, openHolds } from '../store/holds.ts';
import { saveObserved } from '../store/meta.ts';
import type { CensusInput } from './census.ts';
import type { Clock } from './clock.ts';
import { noteDoubt } from './clock-doubt.ts';
import { type Effects, executeActions } from './execute.ts';
import { loadSnapshot } from './load-snapshot.ts';
import type { Memory, Wake } from './memory.ts';
import type { ObservedTime } from './observed-time.ts';
import { occupiedNow } from './occupied-now.ts';
import type { Roster } from './roster.ts';
import type { AuditEntry } from './working-set.ts';

export interface ReconcileDeps {
  database: Database;
  memory: Memory;
  roster: Roster;
  clock: Clock;
  observed: ObservedTime;
  newId: () => string;
  wake: (wakes: readonly Wake[]) => void;
  /** Runs one thing at a time, from the first read until memory has been told: else memory could be told in another order. */
  exclusive: <T>(run: () => Promise<T>) => Promise<T>;
  mark: (name: string) => void;
  /** Told about a broken promise in the stored state: a bug, somebody must act. */
  onViolation: (violation: Violation) => void;
}

/** A pass that moved something is followed by another, which sees the census of what is new; this many at most. */
const MAX_PASSES = 20;

/** Plans until nothing moves. Returns the actions taken. A pass without actions and without a changed hold writes nothing. */
export async function reconcile(deps: ReconcileDeps): Promise<Action[]> {
  const taken: Action[] = [];
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    const actions = await reconcileOnce(deps);
    if (actions.length === 0) break;
    taken.push(...actions);
  }
  return taken;
}

function reconcileOnce(deps: ReconcileDeps): Promise<Action[]> {
  return deps.exclusive(() => onePass(deps));
}

async function onePass(deps: ReconcileDeps): Promise<Action[]> {
  deps.mark('reconcile.begin');
  const now = deps.clock.now();
  const done = await transaction(deps.database, async (tx) => {
    await noteDoubt(tx, deps.memory.clock.look(), now);
    const { snapshot, census } = await loadSnapshot(tx, deps.memory, deps.roster, deps.observed.now(), now);
    const done = await moveAll(deps, tx, { snapshot, census, now });
    await writeHolds(tx, done.effects.snapshot, done.report, now);
    if (done.actions.length > 0 || soaks(done.effects.snapshot)) await saveObserved(tx, snapshot.observedMs);
    return done;
  });
  deps.mark('reconcile.committed');
  const { actions, report, effects } = done;
  for (const { laneId, step, members } of effects.frozen) deps.memory.setMembers(laneId, step, members);
  for (const { laneId, step, handles } of effects.proven) deps.memory.setProven(laneId, step, handles);
  for (const attempt of effects.ended) {
    const handle = deps.roster.handleOf(attempt.agentId);
    if (handle === undefined) continue;
    deps.roster.setAttempt(handle, attempt);
    deps.roster.addSpent(handle, sumSpent([attempt]));
  }
  for (const laneId of effects.withdrawnLanes) deps.roster.dropUngranted(laneId);
  for (const violation of actions.length > 0 ? violations(effects.snapshot) : []) deps.onViolation(violation);
  deps.wake(deps.memory.setSnapshot(effects.snapshot, report, now, occupiedNow(deps)));
  deps.mark('reconcile.told');
  return actions;
}

/** A booked loss may spend a budget, so planning goes on in the same transaction until nothing moves. */
async function moveAll(deps: ReconcileDeps, tx: Tx, start: { snapshot: Snapshot; census: CensusInput; now: number }) {
  const { census, now } = start;
  const audit: AuditEntry[] = [];
  const actions: Action[] = [];
  const effects: Effects = { snapshot: start.snapshot, frozen: [], ended: [], withdrawnLanes: [], proven: [] };
  for (let round = 0; round < MAX_PASSES; round += 1) {
    const planned = plan(effects.snapshot, now);
    if (planned.actions.length === 0) {
      await appendAudits(tx, audit);
      return { actions, report: planned.report, effects };
    }
    const input = { snapshot: effects.snapshot, census, actions: planned.actions, now, newId: deps.newId, audit };
    const next = await executeActions(tx, input);
    actions.push(...planned.actions);
    effects.snapshot = next.snapshot;
    effects.frozen.push(...next.frozen);
    effects.ended.push(...next.ended);
    effects.withdrawnLanes.push(...next.withdrawnLanes);
    effects.proven.push(...next.proven);
  }
  throw new Error('assertion failed: planning and booking settle');
}

/** While something soaks, observed time must not fall back by more than one tick at a crash. */
function soaks(snapshot: Snapshot): boolean {
  return snapshot.rollouts.some(
    (rollout) => rollout.endedAt === null && rollout.lanes.some((lane) => lane.state.name === 'soaking'),
  );
}

/** Keeps the history of holds per lane; holds of products live in memory only. */
async function writeHolds(tx: Tx, snapshot: Snapshot, report: readonly Hold[], now: number): Promise<void> {
  const open = await openHolds(tx);
  const wanted = new Map(
    report.flatMap((hold) => ('laneId' in hold.subject ? [[hold.subject.laneId, hold] as const] : [])),
  );
  const going = snapshot.rollouts.filter((rollout) => rollout.endedAt === null).flatMap((rollout) => rollout.lanes);
  const lanes = [...going, ...snapshot.baselineLanes];
  const ids = new Set([...open.map((hold) => hold.laneId), ...lanes.map((lane) => lane.id)]);
  for (const laneId of ids) {
    const present = open.find((hold) => hold.laneId === laneId);
    const next = wanted.get(laneId);
    if (present !== undefined && next !== undefined && isSame(present, next)) continue;
    if (present === undefined && next === undefined) continue;
    await changeHold(
      tx,
      laneId,
      next === undefined ? null : { reason: next.reason, sentence: next.sentence, until: next.until },
      now,
    );
  }
}

/** An expected end that moved by less than this is not worth a write: it is reckoned anew in every pass. */
const UNTIL_SLACK_MS = 5_000;

function isSame(
  a: Pick<Hold, 'reason' | 'sentence' | 'until'>,
  b: Pick<Hold, 'reason' | 'sentence' | 'until'>,
): boolean {
  const untilMoved =
    a.until === null || b.until === null ? a.until !== b.until : Math.abs(a.until - b.until) > UNTIL_SLACK_MS;
  return a.reason === b.reason && a.sentence === b.sentence && !untilMoved;
}
