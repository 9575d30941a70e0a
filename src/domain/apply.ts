// The effect of a plan's actions on the snapshot, as new values: what the engine writes and what the laws are tested on.
import { assert, unreachable } from '../errors.ts';
import type { Veto } from './directives.ts';
import { isMarked, lifted, liftFor } from './lift.ts';
import { EVERYBODY, hash32 } from './rank.ts';
import { isTerminalLane, type Lane, type LaneState, moveLane, NO_COUNTS, type Rollout, type Step } from './rollout.ts';
import { schedulesOf } from './schedule.ts';
import type { Action, Baseline, Snapshot } from './snapshot.ts';
import { mapSteps, openWayBack } from './way-back.ts';

export interface ApplyOptions {
  now: number;
  /** Makes the ids of new rows; must never repeat one. */
  newId: () => string;
}

/** The snapshot after the actions. Throws `illegal_transition` for an action that the tables do not have. */
export function applyActions(snapshot: Snapshot, actions: readonly Action[], options: ApplyOptions): Snapshot {
  return actions.reduce((current, action) => applyAction(current, action, options), snapshot);
}

function applyAction(snapshot: Snapshot, action: Action, options: ApplyOptions): Snapshot {
  switch (action.kind) {
    case 'create_rollout': {
      const rollouts = [...snapshot.rollouts, createRollout(action, snapshot.rollouts, options)];
      const created = { ...snapshot, rollouts };
      return action.policy.schedule === null ? created : consider(created, action.product, options.now);
    }
    case 'open_baseline':
      return { ...snapshot, baselineLanes: [...snapshot.baselineLanes, baselineLane(action, options)] };
    case 'consider_schedule':
      return consider(snapshot, action.product, options.now);
    case 'replace_members':
      return replaceMembers(snapshot, action);
    case 'end_rollout':
      return mapRollout(snapshot, action.rolloutId, (rollout) => ({ ...rollout, endedAt: options.now }));
    case 'end_attempt':
      // The counters change with the row, in the ledger's transaction; the snapshot only forgets that it is overdue.
      return { ...snapshot, overdue: snapshot.overdue.filter((one) => one.id !== action.attemptId) };
    case 'roll_back':
      return rollBack(snapshot, action, options.now);
    case 'finish_rollback':
      return finishRollback(snapshot, action, options.now);
    case 'reopen_lane':
      return reopenLane(snapshot, action.laneId, options.now);
    case 'complete_lane':
      return completeLane(snapshot, action, options.now);
    case 'halt_lane': {
      const halted = mapLane(snapshot, action.laneId, (lane) => {
        const common = { name: 'halted', by: 'tidegate', reason: action.reason, step: lastStep(lane) } as const;
        // It has been halted since then, and now for another reason.
        if (isMarked(lane.state))
          return { ...lane, state: { ...common, since: lane.state.since }, revision: lane.revision + 1 };
        const lift = action.withdrawn === true ? { lift: liftFor(lane) } : {};
        return withdrawn(moveLane(lane, { ...common, since: options.now, ...lift }));
      });
      return action.veto ? addVeto(halted, action, options.now) : halted;
    }
    default:
      return mapLane(snapshot, action.laneId, (lane) => applyToLane(snapshot, lane, action, options.now));
  }
}

type LaneAction = Extract<
  Action,
  { kind: 'open_step' | 'start_soak' | 'await_approval' | 'supersede_lane' | 'cancel_lane' | 'lift_halt' }
>;

function applyToLane(snapshot: Snapshot, lane: Lane, action: LaneAction, now: number): Lane {
  switch (action.kind) {
    case 'open_step':
      return {
        ...moveLane(lane, { name: 'open', step: action.step, since: now }),
        approvals: [],
        steps: [...lane.steps, openStep(snapshot, lane, action.step, now)],
      };
    case 'start_soak': {
      const soaking: LaneState = { name: 'soaking', step: action.step, since: now, observedMs: snapshot.observedMs };
      return {
        ...moveLane(lane, soaking),
        steps: lane.steps.map((step) => (step.step === action.step ? { ...step, done: true } : step)),
      };
    }
    case 'await_approval':
      return {
        ...moveLane(lane, { name: 'approval', step: action.step, since: now }),
        approvals: action.doubt ? [] : lane.approvals,
      };
    case 'supersede_lane':
      return withdrawn(moveLane(lane, { name: 'superseded', since: now, by: action.by }));
    case 'lift_halt':
      return lifted(lane, now);
    case 'cancel_lane':
      return withdrawn(moveLane(lane, { name: 'cancelled', since: now, by: action.by, reason: action.reason }));
    default:
      return unreachable(action);
  }
}

/** The size comes from the census; the engine replaces it by the number that it really freezes. */
function openStep(snapshot: Snapshot, lane: Lane, step: number, now: number): Step {
  const preview = snapshot.lanes.find((one) => one.laneId === lane.id)?.previews.find((one) => one.step === step);
  assert(preview !== undefined, `no preview of step ${step} of lane ${lane.id}`);
  return {
    step,
    openedAt: now,
    size: preview.members,
    ...reach(lane),
    done: false,
    counters: NO_COUNTS,
  };
}

function consider(snapshot: Snapshot, product: string, now: number): Snapshot {
  const others = snapshot.considered.filter((one) => one.product !== product);
  const rules = snapshot.products.find((one) => one.name === product);
  const schedules = rules === undefined ? {} : { schedules: schedulesOf(rules) };
  return { ...snapshot, considered: [...others, { product, at: now, ...schedules }] };
}

/** The seats are taken: the census counts neither the gone any more nor those who could replace them. */
function replaceMembers(snapshot: Snapshot, action: Extract<Action, { kind: 'replace_members' }>): Snapshot {
  return {
    ...snapshot,
    lanes: snapshot.lanes.map((lane) =>
      lane.laneId !== action.laneId
        ? lane
        : {
            ...lane,
            steps: lane.steps.map((step) =>
              step.step !== action.step ? step : { ...step, gone: step.gone - action.count, replaceable: 0 },
            ),
          },
    ),
  };
}

/** At least as far as the step before; the engine knows how far exactly. */
function reach(lane: Lane): Pick<Step, 'threshold' | 'thresholdId'> {
  const before = lane.steps.at(-1);
  return { threshold: before?.threshold ?? 0, thresholdId: before?.thresholdId ?? '' };
}

/**
 * Rollouts are in the order of `createdAt`, and the newest supersedes those before it: after the wall clock was put back
 * a new one must not come to stand before the old ones.
 */
function createRollout(
  action: Extract<Action, { kind: 'create_rollout' }>,
  rollouts: readonly Rollout[],
  options: ApplyOptions,
): Rollout {
  const id = options.newId();
  const newest = Math.max(...rollouts.filter(({ product }) => product === action.product).map((one) => one.createdAt));
  return {
    id,
    product: action.product,
    releaseId: action.releaseId,
    version: action.version,
    policy: action.policy,
    seed: hash32(id),
    createdAt: Math.max(options.now, newest + 1),
    endedAt: null,
    lanes: action.lanes.map(({ region, wave }) => ({
      id: options.newId(),
      kind: 'rollout',
      rolloutId: id,
      product: action.product,
      region,
      wave,
      state: { name: 'waiting', since: options.now },
      budgetEpoch: 0,
      allowance: 0,
      approvals: [],
      revision: 0,
      steps: [],
      back: [],
    })),
  };
}

/** Open for good, with one step that reaches everybody and has no members: it gives no evidence. */
function baselineLane(action: Extract<Action, { kind: 'open_baseline' }>, options: ApplyOptions): Lane {
  const { product, region, rolloutId } = action;
  const step: Step = { step: 0, openedAt: options.now, size: 0, ...EVERYBODY, done: false, counters: NO_COUNTS };
  return {
    id: options.newId(),
    kind: 'baseline',
    rolloutId,
    product,
    region,
    wave: 0,
    state: { name: 'open', step: 0, since: options.now },
    budgetEpoch: 0,
    allowance: 0,
    approvals: [],
    revision: 0,
    steps: [step],
    back: [],
  };
}

function completeLane(snapshot: Snapshot, action: Extract<Action, { kind: 'complete_lane' }>, now: number): Snapshot {
  const after = mapLane(snapshot, action.laneId, (lane) =>
    withdrawn(moveLane(lane, { name: 'completed', since: now, evidence: action.evidence })),
  );
  if (!action.baseline) return after;
  const rollout = after.rollouts.find((one) => one.lanes.some((lane) => lane.id === action.laneId));
  const lane = rollout?.lanes.find((one) => one.id === action.laneId);
  assert(rollout !== undefined && lane !== undefined, `lane ${action.laneId} is in the snapshot`);
  const others = after.baselines.filter(
    (one) => !(one.product === lane.product && one.region === lane.region && one.version === rollout.version),
  );
  const baseline = {
    product: lane.product,
    region: lane.region,
    version: rollout.version,
    releaseId: rollout.releaseId,
    at: afterAll(others, lane, now),
  };
  return { ...after, baselines: [...others, baseline] };
}

/** A rollout that had ended goes on until this lane has. */
function reopenLane(snapshot: Snapshot, laneId: string, now: number): Snapshot {
  const after = mapLane(snapshot, laneId, (lane) => moveLane(lane, { name: 'waiting', since: now }));
  return mapRollout(after, rolloutOf(after, laneId).id, (rollout) => ({ ...rollout, endedAt: null }));
}

/** A rollout that had ended goes on until the lane is back; the release is vetoed, so that nobody gets it again. */
function rollBack(snapshot: Snapshot, action: Extract<Action, { kind: 'roll_back' }>, now: number): Snapshot {
  const { laneId, by, reason, to, agents, automatic } = action;
  const after = mapLane(snapshot, laneId, (lane) => {
    const moved = withdrawn(moveLane(lane, { name: 'rolling_back', since: now, by, reason, to }));
    return { ...moved, back: [...moved.back, openWayBack(lane, agents, now)] };
  });
  const { product, version } = rolloutOf(after, laneId);
  const veto: Veto = { product, version, automatic, actor: by, reason, at: now };
  const reopened = mapRollout(after, rolloutOf(after, laneId).id, (rollout) => ({ ...rollout, endedAt: null }));
  return { ...reopened, vetoes: withVeto(after.vetoes, veto) };
}

/** A person's replaces an automatic one, never the other way round. */
function withVeto(vetoes: Veto[], veto: Veto): Veto[] {
  const isSame = (one: Veto) => one.product === veto.product && one.version === veto.version;
  const standing = vetoes.find(isSame);
  if (standing !== undefined && (!standing.automatic || veto.automatic)) return vetoes;
  return [...vetoes.filter((one) => !isSame(one)), veto];
}

/** What the region is back at is its baseline. */
function finishRollback(
  snapshot: Snapshot,
  action: Extract<Action, { kind: 'finish_rollback' }>,
  now: number,
): Snapshot {
  const lane = rolloutOf(snapshot, action.laneId).lanes.find((one) => one.id === action.laneId);
  assert(lane?.state.name === 'rolling_back', `lane ${action.laneId} is rolling back`);
  const { product, region } = lane;
  const { version, releaseId } = lane.state.to;
  const after = mapLane(snapshot, lane.id, (one) =>
    withdrawn(moveLane(one, { name: 'rolled_back', since: now, to: version })),
  );
  const others = after.baselines.filter(
    (one) => !(one.product === product && one.region === region && one.version === version),
  );
  return {
    ...after,
    baselines: [...others, { product, region, version, releaseId, at: afterAll(others, lane, now) }],
  };
}

/**
 * The newest is the one that counts, also where the clock was put back since another one was set, and where the region
 * has another one of the same millisecond.
 */
function afterAll(others: readonly Baseline[], { product, region }: Lane, now: number): number {
  const own = others.filter((one) => one.product === product);
  const latest = own.reduce((most, { at }) => Math.max(most, at), now);
  return latest > now || own.some((one) => one.region === region && one.at === now) ? latest + 1 : now;
}

function rolloutOf(snapshot: Snapshot, laneId: string): Rollout {
  const rollout = snapshot.rollouts.find((one) => one.lanes.some((lane) => lane.id === laneId));
  assert(rollout !== undefined, `lane ${laneId} is in the snapshot`);
  return rollout;
}

function addVeto(snapshot: Snapshot, action: Extract<Action, { kind: 'halt_lane' }>, now: number): Snapshot {
  const rollout = snapshot.rollouts.find((one) => one.lanes.some((lane) => lane.id === action.laneId));
  assert(rollout !== undefined, `lane ${action.laneId} is in the snapshot`);
  const { product, version } = rollout;
  if (snapshot.vetoes.some((veto) => veto.product === product && veto.version === version)) return snapshot;
  return {
    ...snapshot,
    vetoes: [
      ...snapshot.vetoes,
      { product, version, automatic: true, actor: 'tidegate', reason: action.reason, at: now },
    ],
  };
}

/** A lane that halted or ended: its offered and staged attempts are booked withdrawn with it. */
export function withdrawn(lane: Lane): Lane {
  return mapSteps(lane, (step) => ({ ...step, counters: { ...step.counters, pending: 0, downloading: 0 } }));
}

/** The step that a lane's state is about; null while it waits. */
export function lastStep(lane: Lane): number | null {
  return lane.steps.at(-1)?.step ?? null;
}

export function allTerminal(rollout: Rollout): boolean {
  return rollout.lanes.every((lane) => isTerminalLane(lane.state.name));
}

function mapRollout(snapshot: Snapshot, id: string, change: (rollout: Rollout) => Rollout): Snapshot {
  return { ...snapshot, rollouts: snapshot.rollouts.map((rollout) => (rollout.id === id ? change(rollout) : rollout)) };
}

function mapLane(snapshot: Snapshot, laneId: string, change: (lane: Lane) => Lane): Snapshot {
  return {
    ...snapshot,
    baselineLanes: snapshot.baselineLanes.map((lane) => (lane.id === laneId ? change(lane) : lane)),
    rollouts: snapshot.rollouts.map((rollout) =>
      rollout.lanes.some((lane) => lane.id === laneId)
        ? { ...rollout, lanes: rollout.lanes.map((lane) => (lane.id === laneId ? change(lane) : lane)) }
        : rollout,
    ),
  };
}
