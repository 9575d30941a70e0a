// One ledger batch as one transaction: read the touched rows, book the items one by one, write once; then tell memory.
import type { Agent, AgentReport } from '../domain/agent.ts';
import { withdrawn } from '../domain/apply.ts';
import type { EnrolInput } from '../domain/check-in.ts';
import type { Answer } from '../domain/decide.ts';
import { limitsDownloads } from '../domain/limits.ts';
import type { Lane, Rollout } from '../domain/rollout.ts';
import { allSteps } from '../domain/way-back.ts';
import { AppError } from '../errors.ts';
import { loadAgentsByHandles, saveAgents } from '../store/agents.ts';
import {
  attemptsById,
  attemptsOfAgentsInRollouts,
  hotPlaces,
  insertAttempts,
  liveAttemptsOfAgents,
  recentBadAgents,
  updateAttempts,
  withdrawUngranted,
} from '../store/attempts.ts';
import { appendAudits } from '../store/audit.ts';
import { listClearances } from '../store/clearances.ts';
import { listBrakes, listVetoes, putVeto } from '../store/controls.ts';
import { CommitInDoubt, type Database, type Tx, transaction } from '../store/database.ts';
import { downloadingPlaces } from '../store/grants.ts';
import { listPins } from '../store/pins.ts';
import { loadLanes, loadRollout, saveLane, saveStep } from '../store/rollouts.ts';
import { forgetStale, listStale } from '../store/stale-agents.ts';
import { bookCheckIn } from './book.ts';
import type { Clock } from './clock.ts';
import { enrolAgent } from './enrol.ts';
import type { Settled } from './ledger.ts';
import { windowOf } from './load-snapshot.ts';
import type { Memory, Wake } from './memory.ts';
import type { ObservedTime } from './observed-time.ts';
import { occupiedNow } from './occupied-now.ts';
import type { Roster } from './roster.ts';
import { WorkingSet } from './working-set.ts';

export type LedgerItem = { kind: 'check_in'; report: AgentReport } | { kind: 'enrol'; input: EnrolInput };
export type LedgerResult =
  | { kind: 'check_in'; answer: Answer; acknowledged: { id: string; state: string }[] }
  | { kind: 'enrol'; agent: Agent };

export interface CommitDeps {
  database: Database;
  memory: Memory;
  roster: Roster;
  clock: Clock;
  observed: ObservedTime;
  newId: () => string;
  /** Called after a commit with what has to be asked again. */
  wake: (wakes: readonly Wake[]) => void;
  /** Called after a commit that moved a lane. */
  nudge: () => void;
  /** Named instants that the crash test waits for; does nothing otherwise. */
  mark: (name: string) => void;
}

/** The function that `openLedger` is given. */
export function committer(deps: CommitDeps): (items: readonly LedgerItem[]) => Promise<Settled<LedgerResult>[]> {
  return async (items) => {
    deps.mark('ledger.begin');
    let granted = 0;
    const written = transaction(deps.database, async (tx) => {
      const batch = await writeBatch(deps, tx, items);
      granted = batch.set.granted;
      return batch;
    });
    const { settled, set, enrolled } = await written.catch((error) => {
      // They may stand in the books: rather twice than not at all.
      if (error instanceof CommitInDoubt) deps.memory.grants.add(granted);
      throw error;
    });
    deps.mark('ledger.committed');
    remember(deps, set, enrolled);
    deps.mark('ledger.replying');
    return settled;
  };
}

interface Batch {
  settled: Settled<LedgerResult>[];
  set: WorkingSet;
  enrolled: Agent[];
}

async function writeBatch(deps: CommitDeps, tx: Tx, items: readonly LedgerItem[]): Promise<Batch> {
  const reports = items.flatMap((item) => (item.kind === 'check_in' ? [item.report] : []));
  const set = await load(deps, tx, reports);
  const context = { memory: deps.memory, now: deps.clock.now(), observedMs: deps.observed.now(), newId: deps.newId };
  const settled: Settled<LedgerResult>[] = [];
  const enrolled: Agent[] = [];
  for (const item of items) {
    try {
      if (item.kind === 'enrol') {
        const agent = await enrolAgent(tx, item.input, {
          now: context.now,
          newId: deps.newId,
          memory: deps.memory,
          audit: set.audit,
        });
        enrolled.push(agent);
        settled.push({ ok: true, result: { kind: 'enrol', agent } });
      } else {
        settled.push({ ok: true, result: { kind: 'check_in', ...bookCheckIn(set, item.report, context) } });
      }
    } catch (error) {
      // A refused item has changed nothing; anything else is a fault, and the whole batch is written again in halves.
      if (!(error instanceof AppError)) throw error;
      settled.push({ ok: false, error });
    }
  }
  await write(tx, set, context.now);
  deps.mark('ledger.written');
  return { settled, set, enrolled };
}

async function load(deps: CommitDeps, tx: Tx, reports: readonly AgentReport[]): Promise<WorkingSet> {
  const agents = await loadAgentsByHandles(tx, [...new Set(reports.map((report) => report.handle))]);
  const live = await liveAttemptsOfAgents(
    tx,
    agents.map((agent) => agent.id),
  );
  const reported = await attemptsById(tx, [
    ...new Set(reports.flatMap((report) => report.attempts.map((one) => one.id))),
  ]);
  const followed = agents.flatMap((agent) =>
    agent.products.flatMap(({ product }) => followedIn(deps.memory, product, agent.region)),
  );
  const fresh = reports.flatMap((report) => {
    const region = agents.find((agent) => agent.handle === report.handle)?.region;
    return region === undefined
      ? []
      : report.products.flatMap(({ product }) => followedIn(deps.memory, product, region));
  });
  const laneIds = new Set([
    ...followed,
    ...fresh,
    ...live.map((one) => one.laneId),
    ...reported.map((one) => one.laneId),
  ]);
  laneIds.delete(undefined);
  const ids = [...laneIds].sort() as string[];
  const lanes = await loadLanes(tx, ids, { forUpdate: true });
  const rollouts = new Map<string, Rollout | undefined>();
  for (const { rolloutId } of lanes) {
    // Memory forgets what has ended everywhere; its counters stay true all the same.
    if (!rollouts.has(rolloutId))
      rollouts.set(rolloutId, deps.memory.rollout(rolloutId) ?? (await loadRollout(tx, rolloutId)));
  }
  const owners = [...new Set([...agents.map((agent) => agent.id), ...reported.map((one) => one.agentId)])];
  // In all lanes of a release an agent has the same number of attempts.
  const earlier = await attemptsOfAgentsInRollouts(tx, owners, [...rollouts.keys()]);
  const attempts = new Map([...earlier, ...reported, ...live].map((attempt) => [attempt.id, attempt]));
  return new WorkingSet({
    agents,
    attempts: [...attempts.values()],
    lanes,
    brakes: await listBrakes(tx),
    vetoes: await listVetoes(tx),
    pins: Map.groupBy(await listPins(tx, owners), (pin) => pin.agentId),
    clearances: Map.groupBy(await listClearances(tx, owners), (one) => one.agentId),
    hot: await hotPlaces(tx),
    downloading: limitsDownloads(deps.memory.surroundings.limits) ? await downloadingPlaces(tx) : [],
    // Of this server alone: the one that writes. What was granted before it is in there since its start.
    ceilings: deps.memory.grants.ceilings(),
    recentBad: await recentBadAgents(
      tx,
      lanes.flatMap((lane) =>
        windowOf(
          lane,
          [...rollouts.values()].filter((one) => one !== undefined),
          deps.observed.now(),
        ),
      ),
    ),
    rolloutOf: (lane: Lane) => rollouts.get(lane.rolloutId),
    // After a restore alone, until all have reported: at all other times it costs nothing.
    stale: deps.roster.staleCount === 0 ? [] : await listStale(tx, owners),
  });
}

/** The lanes that a region's agents follow for a product: that of the rollout, and the baseline's. */
function followedIn(memory: Memory, product: string, region: string): (string | undefined)[] {
  return [memory.laneFor(product, region)?.id, memory.baselineLaneFor(product, region)?.id];
}

async function write(tx: Tx, set: WorkingSet, now: number): Promise<void> {
  await saveAgents(tx, pick(set.agents, set.changedAgents));
  for (const id of set.newAttempts) set.changedAttempts.delete(id);
  // First those that end: a new one may take the place of one of them.
  await updateAttempts(tx, pick(set.attempts, set.changedAttempts));
  await insertAttempts(tx, pick(set.attempts, set.newAttempts));
  for (const id of set.halted) await withdrawUngranted(tx, id, now);
  for (const lane of pick(set.lanes, set.changedLanes)) {
    // Withdrawn together, so nothing is pending any more, whoever's it was.
    const written = set.halted.has(lane.id) ? withdrawn(lane) : lane;
    set.lanes.set(lane.id, written);
    for (const step of allSteps(written)) await saveStep(tx, lane.id, step);
    if (set.halted.has(lane.id)) await saveLane(tx, lane, lane.revision - 1);
  }
  for (const veto of set.newVetoes) await putVeto(tx, veto);
  await forgetStale(tx, set.heard);
  await appendAudits(tx, set.audit);
}

function pick<K, V>(from: Map<K, V>, keys: Set<K>): V[] {
  return [...keys].map((key) => from.get(key) as V);
}

/** Memory follows the database, never the other way round. */
function remember(deps: CommitDeps, set: WorkingSet, enrolled: readonly Agent[]): void {
  const observedMs = deps.observed.now();
  deps.memory.grants.add(set.granted);
  for (const agentId of set.heard) {
    const handle = deps.roster.handleOf(agentId);
    if (handle !== undefined) deps.roster.setStale(handle, false);
  }
  for (const agent of [...enrolled, ...pick(set.agents, set.changedAgents)]) deps.roster.put(agent, observedMs);
  const touched = new Set<string>();
  for (const id of [...set.newAttempts, ...set.changedAttempts]) {
    const attempt = set.attempts.get(id);
    const handle = attempt === undefined ? undefined : deps.roster.handleOf(attempt.agentId);
    if (attempt === undefined || handle === undefined) continue;
    deps.roster.setAttempt(handle, attempt);
    touched.add(attempt.agentId);
  }
  for (const agentId of touched) deps.roster.setSpent(deps.roster.handleOf(agentId) as number, set.spentOf(agentId));
  for (const laneId of set.halted) deps.roster.dropUngranted(laneId);
  if (set.changedLanes.size === 0) return;
  deps.wake(
    deps.memory.setLanes(
      pick(set.lanes, set.changedLanes),
      set.vetoes,
      set.brakes,
      deps.clock.now(),
      occupiedNow(deps),
      set.recentBadCounts(),
    ),
  );
  deps.nudge();
}
