// Reads what plan looks at: the rows from the database, the census from the roster.
import type { Attempt } from '../domain/agent.ts';
import { confirmedRow, effectiveRow } from '../domain/availability.ts';
import { idleLanes } from '../domain/idle-lane.ts';
import type { Lane, Rollout } from '../domain/rollout.ts';
import type { Snapshot } from '../domain/snapshot.ts';
import { cameFrom, overdueAttempts, recentBadAgents } from '../store/attempts.ts';
import { listBaselines, listBrakes, listVetoes } from '../store/controls.ts';
import type { Db, Tx } from '../store/database.ts';
import { listTallies } from '../store/metrics.ts';
import { listAllAvailability, listReleasesOf, listSources } from '../store/releases.ts';
import { listBaselineLanes, listRolloutsOf, loadMembers } from '../store/rollouts.ts';
import { listConsidered } from '../store/schedules.ts';
import { type CensusInput, countAgents, countLanes } from './census.ts';
import type { Memory } from './memory.ts';
import { inTurns } from './pieces.ts';
import type { Roster } from './roster.ts';

// Enough for every rollout that can still matter: ended ones only say which versions have had theirs.
const MAX_ROLLOUTS = 500;
/** Overdue attempts booked in one pass; the next pass takes the rest. */
const MAX_OVERDUE = 1000;

export interface Loaded {
  snapshot: Snapshot;
  census: CensusInput;
}

export async function loadSnapshot(
  db: Db | Tx,
  memory: Memory,
  roster: Roster,
  observedMs: number,
  now: number,
  options: { everyStep?: boolean /** A rollout that a person rolls back. */; backOf?: string } = {},
): Promise<Loaded> {
  const { regions: mirrors, maxAgeMs } = memory.surroundings.mirrors;
  const mirrored = new Set(mirrors.filter((one) => one.mirror !== null).map((one) => one.name));
  const products = [...memory.rules];
  const regions = [...memory.regions];
  const names = products.map(({ name }) => name);
  const releases = await listReleasesOf(db, names);
  const polls = new Map((await listSources(db)).map((source) => [source.product, source]));
  const rollouts = await listRolloutsOf(db, names, MAX_ROLLOUTS);
  const live = rollouts.filter((rollout) => rollout.endedAt === null);
  for (const { laneId, step } of stepsOf(live))
    if (!memory.hasMembers(laneId, step)) memory.setMembers(laneId, step, await loadMembers(db, laneId, step));
  const members = (laneId: string, step: number) => memory.membersOf(laneId, step);
  const proven = (laneId: string, step: number) => memory.provenOf(laneId, step);
  const counting = { roster, observedMs, products, regions, rollouts: live, releases };
  const census: CensusInput = { ...counting, members, proven, groups: new Map() };
  const baselineLanes = await listBaselineLanes(db);
  const bad = await recentBadAgents(
    db,
    baselineLanes.flatMap((lane) => windowOf(lane, rollouts, observedMs)),
  );
  const overdue = await overdueAttempts(db, observedMs, MAX_OVERDUE);
  const counted: Snapshot = {
    observedMs,
    products,
    regions,
    // Not copied: what is known of their windows is remembered by these lists.
    calendars: memory.surroundings.calendars,
    freezes: memory.surroundings.freezes,
    clock: memory.clock.look(),
    ceilings: memory.grants.ceilings(),
    considered: await listConsidered(db),
    releases,
    availability: mapKept(await listAllAvailability(db), (row) =>
      mirrored.has(row.region)
        ? effectiveRow(row, now, maxAgeMs)
        : confirmedRow(row, polls.get(row.product), now, maxAgeMs),
    ),
    vetoes: await listVetoes(db),
    brakes: await listBrakes(db),
    rollouts,
    baselineLanes,
    recentBad: Object.fromEntries([...bad].map(([laneId, agents]) => [laneId, agents.size])),
    baselines: await listBaselines(db),
    census: await inTurns(countAgents(census)),
    lanes: [],
    metrics: await listTallies(db),
    overdue: overdue.map((one) => ({
      id: one.id,
      laneId: one.laneId,
      hot: one.grantedAt !== null,
      deadlineObserved: one.deadlineObserved,
      ...(hadItsTime(roster, one, rollouts, observedMs) ? { timedOut: true as const } : {}),
    })),
    cameFrom: await cameFrom(db, lanesGoingBack(rollouts, options.backOf)),
  };
  const idle = products.flatMap((product) => idleLanes(counted, product));
  const lanes = await inTurns(countLanes(census, { everyStep: options.everyStep === true, idle }));
  return { census, snapshot: { ...counted, lanes } };
}

/** The members of every opened step, whatever memory has of them. */
export async function loadAllMembers(db: Db, memory: Memory): Promise<void> {
  const names = memory.rules.map(({ name }) => name);
  const rollouts = await listRolloutsOf(db, names, MAX_ROLLOUTS);
  for (const { laneId, step } of stepsOf(rollouts.filter((rollout) => rollout.endedAt === null)))
    memory.setMembers(laneId, step, await loadMembers(db, laneId, step));
}

/** The list itself where no row changes: what was found in it is remembered by it. */
function mapKept<Row>(rows: Row[], change: (row: Row) => Row): Row[] {
  const changed = rows.map(change);
  return changed.every((row, at) => row === rows[at]) ? rows : changed;
}

function stepsOf(rollouts: readonly Rollout[]): { laneId: string; step: number }[] {
  const lanes = rollouts.flatMap((rollout) => rollout.lanes);
  return lanes.flatMap(({ id, steps }) => steps.map(({ step }) => ({ laneId: id, step })));
}

/** Its host is there, and still has not staged it; what lies staged waits for its turn, which is not the host's doing. */
function hadItsTime(roster: Roster, attempt: Attempt, rollouts: readonly Rollout[], observedMs: number): boolean {
  const staleMs = rollouts.find((one) => one.id === attempt.rolloutId)?.policy.staleAfterMs;
  const handle = roster.handleOf(attempt.agentId);
  if (attempt.state !== 'offered' || staleMs === undefined || handle === undefined) return false;
  return roster.hasHeard(handle) && roster.silentMs(handle, observedMs) < staleMs;
}

/** Those for which it may have to be found out where to. */
function lanesGoingBack(rollouts: readonly Rollout[], byHand: string | undefined): string[] {
  return rollouts.flatMap(({ id, endedAt, policy, lanes }) => {
    const halted = endedAt === null && policy.onHalt === 'rollback' ? lanes.filter(isHalted) : [];
    return (id === byHand ? lanes : halted).map((lane) => lane.id);
  });
}

function isHalted({ state }: Lane): boolean {
  return state.name === 'halted';
}

/** The sliding window of a baseline lane's budget. */
export function windowOf(lane: Lane, rollouts: readonly Rollout[], observedMs: number) {
  const rollout = rollouts.find((one) => one.id === lane.rolloutId);
  if (lane.kind !== 'baseline' || rollout === undefined) return [];
  return [{ id: lane.id, budgetEpoch: lane.budgetEpoch, sinceObserved: observedMs - rollout.policy.baseline.windowMs }];
}
