// Writes what a plan asks for: the same `apply` as in the domain gives the new values, this adds what only rows have.
import type { Attempt } from '../domain/agent.ts';
import { applyActions, withdrawn } from '../domain/apply.ts';
import { follow, STAGE_TIMEOUT, weigh } from '../domain/attempt.ts';
import { counted, retally } from '../domain/counters.ts';
import { isTerminalLane, type Lane, type Rollout, type Step } from '../domain/rollout.ts';
import type { Action, Consideration, Snapshot } from '../domain/snapshot.ts';
import { allSteps, countsIn, mapSteps } from '../domain/way-back.ts';
import { AppError, assert } from '../errors.ts';
import {
  attemptsById,
  attemptsOfAgentsInLanes,
  liveAttemptsOfAgents,
  updateAttempts,
  withdrawUngranted,
} from '../store/attempts.ts';
import { putBaseline, putVeto } from '../store/controls.ts';
import type { Tx } from '../store/database.ts';
import {
  endRollout,
  insertLane,
  insertRollout,
  insertStep,
  loadRollout,
  reopenRollout,
  saveLane,
  saveMembers,
  saveStep,
} from '../store/rollouts.ts';
import { saveConsidered } from '../store/schedules.ts';
import { type Bitset, newBitset } from './bitset.ts';
import { type CensusInput, freezeLaneStep, goneOf, takeSeats } from './census.ts';
import { inTurns } from './pieces.ts';
import type { AuditEntry } from './working-set.ts';
import { writeRollBack } from './write-roll-back.ts';

export interface ExecuteInput {
  snapshot: Snapshot;
  census: CensusInput;
  actions: readonly Action[];
  now: number;
  newId: () => string;
  audit: AuditEntry[];
}

export interface Effects {
  /** The snapshot as the rows now are. */
  snapshot: Snapshot;
  frozen: { laneId: string; step: number; members: Bitset }[];
  ended: Attempt[];
  /** Lanes whose offered and staged attempts were withdrawn. */
  withdrawnLanes: string[];
  /** Members that seem to be gone and have succeeded, as the books say: their seats are no other's. */
  proven: { laneId: string; step: number; handles: readonly number[] }[];
}

/** Throws `conflict` when a row changed since the snapshot was read: the caller reads again. */
export async function executeActions(tx: Tx, input: ExecuteInput): Promise<Effects> {
  let snapshot = input.snapshot;
  const effects: Omit<Effects, 'snapshot'> = { frozen: [], ended: [], withdrawnLanes: [], proven: [] };
  // plan names rows that it has just asked for by placeholders, counted as they are made: here they get their ids.
  const made = new Map<string, string>();
  const newId = () => {
    const id = input.newId();
    made.set(`new:${made.size + 1}`, id);
    return id;
  };
  for (const planned of input.actions) {
    const before = snapshot;
    const action = named(planned, made);
    snapshot = applyActions(snapshot, [action], { now: input.now, newId });
    snapshot = await writeAction(tx, input, action, before, snapshot, effects);
  }
  return { snapshot, ...effects };
}

function named<A extends Action>(action: A, made: ReadonlyMap<string, string>): A {
  const entries = Object.entries(action).map(([key, value]) => [key, made.get(value) ?? value]);
  return Object.fromEntries(entries) as A;
}

async function writeAction(
  tx: Tx,
  input: ExecuteInput,
  action: Action,
  before: Snapshot,
  after: Snapshot,
  effects: Omit<Effects, 'snapshot'>,
): Promise<Snapshot> {
  const { now, audit } = input;
  switch (action.kind) {
    case 'create_rollout': {
      const rollout = after.rollouts.at(-1) as Rollout;
      await insertRollout(tx, rollout);
      if (rollout.policy.schedule !== null) await saveConsidered(tx, considerationOf(after, rollout.product));
      audit.push(
        entry(now, 'rollout.created', rollout.id, {
          product: rollout.product,
          version: rollout.version,
          policy: rollout.policy.name,
        }),
      );
      return after;
    }
    case 'end_rollout':
      await endRollout(tx, action.rolloutId, now);
      audit.push(entry(now, 'rollout.ended', action.rolloutId, {}));
      return after;
    case 'end_attempt':
      return endAttempt(tx, input, action, after, effects);
    case 'open_step': {
      const { lane, rollout } = laneOf(after, action.laneId);
      const freeze = await inTurns(freezeLaneStep(input.census, rollout, lane, action.step));
      const steps = lane.steps.map((step) =>
        step.step === action.step
          ? { ...step, size: freeze.size, threshold: freeze.threshold, thresholdId: freeze.thresholdId }
          : step,
      );
      const frozen = { ...lane, steps };
      await moved(tx, frozen);
      await insertStep(tx, lane.id, steps.at(-1) as Lane['steps'][number], freeze.members);
      effects.frozen.push({ laneId: lane.id, step: action.step, members: freeze.members });
      audit.push(entry(now, 'step.opened', lane.id, { region: lane.region, step: action.step, size: freeze.size }));
      return withLane(after, frozen);
    }
    case 'open_baseline': {
      const lane = after.baselineLanes.at(-1) as Lane;
      await insertLane(tx, lane);
      for (const step of lane.steps) await insertStep(tx, lane.id, step, newBitset());
      audit.push(entry(now, 'baseline.opened', lane.id, { region: lane.region, rollout: lane.rolloutId }));
      return after;
    }
    case 'consider_schedule':
      await saveConsidered(tx, considerationOf(after, action.product));
      return after;
    case 'replace_members':
      return replaceMembers(tx, input, action, after, effects);
    case 'lift_halt': {
      const { lane, rollout } = laneOf(after, action.laneId);
      await moved(tx, lane);
      for (const step of lane.steps) await saveStep(tx, lane.id, step);
      const data = { region: lane.region, version: rollout.version, state: lane.state.name };
      audit.push(entry(now, 'lane.lifted', lane.id, data));
      return after;
    }
    case 'reopen_lane': {
      const { lane, rollout } = laneOf(after, action.laneId);
      await moved(tx, lane);
      await reopenRollout(tx, rollout.id);
      audit.push(entry(now, 'lane.reopened', lane.id, { region: lane.region, version: rollout.version }));
      return after;
    }
    case 'roll_back':
      await writeRollBack(tx, laneOf(after, action.laneId), action, { before, after, now, audit });
      effects.withdrawnLanes.push(action.laneId);
      return after;
    case 'start_soak': {
      const { lane } = laneOf(after, action.laneId);
      await moved(tx, lane);
      await saveStep(tx, lane.id, lane.steps.find((step) => step.step === action.step) as Lane['steps'][number]);
      audit.push(entry(now, 'step.done', lane.id, { region: lane.region, step: action.step }));
      return after;
    }
    default: {
      const { lane, rollout } = laneOf(after, action.laneId);
      await moved(tx, lane);
      audit.push(
        entry(now, `lane.${lane.state.name}`, lane.id, {
          region: lane.region,
          version: rollout.version,
          ...reasonOf(lane),
        }),
      );
      const veto = after.vetoes.find((one) => !before.vetoes.includes(one));
      if (veto !== undefined) {
        await putVeto(tx, veto);
        const { product, version, reason } = veto;
        audit.push(entry(now, 'release.vetoed', `${product}@${version}`, { reason }));
      }
      const baseline = after.baselines.find((one) => !before.baselines.includes(one));
      if (baseline !== undefined) await putBaseline(tx, baseline);
      if (lane.state.name !== 'halted' && !isTerminalLane(lane.state.name)) return after;
      await withdrawUngranted(tx, lane.id, now);
      effects.withdrawnLanes.push(lane.id);
      const ended = withdrawn(lane);
      for (const step of allSteps(ended)) await saveStep(tx, lane.id, step);
      return withLane(after, ended);
    }
  }
}

/** The next present agents by rank take the seats of the gone: the size stays, and the step reaches as far as they stand. */
async function replaceMembers(
  tx: Tx,
  input: ExecuteInput,
  action: Extract<Action, { kind: 'replace_members' }>,
  after: Snapshot,
  effects: Omit<Effects, 'snapshot'>,
): Promise<Snapshot> {
  const { lane, rollout } = laneOf(after, action.laneId);
  const silent = await inTurns(goneOf(input.census, rollout, lane, action.step));
  const proven = await succeededAmong(tx, input.census, lane, silent);
  const gone = silent.filter((handle) => !proven.has(handle));
  effects.proven.push({ laneId: lane.id, step: action.step, handles: [...proven] });
  // The census did not know yet, and counts without them next time.
  if (gone.length === 0) return after;
  const taking = { gone, count: action.count };
  const seats = await inTurns(takeSeats(input.census, rollout, lane, action.step, taking));
  const steps = lane.steps.map((step) =>
    step.step === action.step ? { ...step, threshold: seats.threshold, thresholdId: seats.thresholdId } : step,
  );
  const changed: Lane = { ...lane, steps, revision: lane.revision + 1 };
  await moved(tx, changed);
  await saveMembers(tx, lane.id, steps.find((step) => step.step === action.step) as Step, seats.members);
  effects.frozen.push({ laneId: lane.id, step: action.step, members: seats.members });
  // What the gone were offered is theirs no more: who comes back is a late joiner.
  const ids = seats.gone.map((handle) => input.census.roster.idOf(handle));
  let snapshot = withLane(after, changed);
  for (const attempt of await liveAttemptsOfAgents(tx, ids)) {
    if (attempt.laneId !== lane.id || attempt.grantedAt !== null) continue;
    const end = { kind: 'end_attempt', attemptId: attempt.id, laneId: lane.id, state: 'expired' } as const;
    snapshot = await endAttempt(tx, input, end, snapshot, effects);
  }
  input.audit.push(
    entry(input.now, 'step.reseated', lane.id, { region: lane.region, step: action.step, seats: ids.length }),
  );
  return snapshot;
}

/** Who has succeeded keeps its seat: its evidence counts, whatever has been heard of it since. */
async function succeededAmong(
  tx: Tx,
  { roster }: CensusInput,
  lane: Lane,
  handles: readonly number[],
): Promise<Set<number>> {
  const ids = handles.map((handle) => roster.idOf(handle));
  const attempts = await attemptsOfAgentsInLanes(tx, ids, [lane.id]);
  const succeeded = new Set(attempts.filter((one) => weigh(one) === 'succeeded').map((one) => one.agentId));
  return new Set(handles.filter((_, index) => succeeded.has(ids[index] as string)));
}

/** Books silence: `lost` is bad and may halt the lane, which the next pass sees in the counters. */
async function endAttempt(
  tx: Tx,
  input: ExecuteInput,
  action: Extract<Action, { kind: 'end_attempt' }>,
  after: Snapshot,
  effects: Omit<Effects, 'snapshot'>,
): Promise<Snapshot> {
  const [attempt] = await attemptsById(tx, [action.attemptId]);
  if (attempt === undefined) throw new AppError('conflict', `the attempt ${action.attemptId} is gone`);
  const late = action.timedOut
    ? { cause: STAGE_TIMEOUT, detail: 'offered to a host that is there, and not staged' }
    : {};
  const ended: Attempt = { ...attempt, state: follow(attempt.state, action.state), endedAt: input.now, ...late };
  await updateAttempts(tx, [ended]);
  effects.ended.push(ended);
  input.audit.push(
    entry(input.now, `attempt.${ended.state}`, ended.id, {
      agent: ended.agentId,
      product: ended.product,
      version: ended.version,
      ...late,
    }),
  );
  const found = findLane(after, ended.laneId) ?? (await loadLane(tx, ended));
  if (found === undefined || !countsIn(found.lane, ended)) return after;
  const { lane, rollout } = found;
  const inLane = await attemptsOfAgentsInLanes(tx, [ended.agentId], [lane.id]);
  const now = counted(
    inLane.filter((one) => one.step === ended.step),
    ended.budgetEpoch,
  );
  const before = now.map((one) => (one.id === attempt.id ? attempt : one));
  const next = mapSteps(lane, (step) =>
    step.step === ended.step
      ? { ...step, counters: retally(step.counters, before, now, rollout.policy.attemptsPerAgent) }
      : step,
  );
  for (const step of allSteps(next)) if (step.step === ended.step) await saveStep(tx, lane.id, step);
  return withLane(after, next);
}

/** Of a product that the config does not name now: it is not planned, but its slot must be free when it comes back. */
async function loadLane(tx: Tx, attempt: Attempt): Promise<{ lane: Lane; rollout: Rollout } | undefined> {
  const rollout = await loadRollout(tx, attempt.rolloutId);
  const lane = rollout?.lanes.find((one) => one.id === attempt.laneId);
  return rollout === undefined || lane === undefined ? undefined : { lane, rollout };
}

async function moved(tx: Tx, lane: Lane): Promise<void> {
  if (!(await saveLane(tx, lane, lane.revision - 1)))
    throw new AppError('conflict', `the lane ${lane.id} has moved meanwhile`);
}

function laneOf(snapshot: Snapshot, laneId: string): { lane: Lane; rollout: Rollout } {
  const found = findLane(snapshot, laneId);
  assert(found !== undefined, `lane ${laneId} is in the snapshot`);
  return found;
}

function findLane(snapshot: Snapshot, laneId: string): { lane: Lane; rollout: Rollout } | undefined {
  for (const rollout of snapshot.rollouts) {
    const lane = rollout.lanes.find((one) => one.id === laneId);
    if (lane !== undefined) return { lane, rollout };
  }
  const lane = snapshot.baselineLanes.find((one) => one.id === laneId);
  const rollout = snapshot.rollouts.find((one) => one.id === lane?.rolloutId);
  return lane === undefined || rollout === undefined ? undefined : { lane, rollout };
}

function withLane(snapshot: Snapshot, lane: Lane): Snapshot {
  return {
    ...snapshot,
    baselineLanes: snapshot.baselineLanes.map((one) => (one.id === lane.id ? lane : one)),
    rollouts: snapshot.rollouts.map((rollout) =>
      rollout.id === lane.rolloutId
        ? { ...rollout, lanes: rollout.lanes.map((one) => (one.id === lane.id ? lane : one)) }
        : rollout,
    ),
  };
}

function reasonOf(lane: Lane): Record<string, unknown> {
  return 'reason' in lane.state ? { reason: lane.state.reason } : {};
}

function considerationOf({ considered }: Snapshot, product: string): Consideration {
  const found = considered.find((one) => one.product === product);
  assert(found !== undefined, 'what was considered is in the snapshot after it');
  return found;
}

function entry(at: number, action: string, subject: string, data: Record<string, unknown>): AuditEntry {
  return { at, actor: 'tidegate', action, subject, data };
}
