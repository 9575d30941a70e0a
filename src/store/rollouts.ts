// Rollouts with their lanes and steps; a lane is written only where its revision is still the one that was read.
import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Policy } from '../domain/policy.ts';
import {
  isLiveLane,
  type Lane,
  type LaneState,
  type Rollout,
  type Step,
  type StepCounters,
} from '../domain/rollout.ts';
import { goesBack } from '../domain/way-back.ts';
import { assert } from '../errors.ts';
import { textsOf, toJson } from './batch.ts';
import { isPostgres, prepared, preparedByName } from './prepared.ts';
import { remembered } from './remembered.ts';
import type { DB, Db, Tx } from './schema.ts';

export interface RolloutFilter {
  product?: string;
  /** Only those that have not ended. */
  liveOnly?: boolean;
  limit?: number;
}

// A constant stands in the text where a partial index has that column, and as a limit: SQLite plans a statement anew
// whenever another value is bound that could have chosen another plan, which costs more than to run it.
const OF_ROLLOUT = sql<boolean>`kind = 'rollout'`;
const GOING_BASELINE = sql<boolean>`kind = 'baseline' and state in ('open', 'halted')`;

type StepRow = Omit<Selectable<DB['steps']>, 'members'>;

const COUNTERS = [
  'pending',
  'downloading',
  'hot',
  'hot_members',
  'succeeded',
  'bad',
  'bad_members',
  'bad_hops',
  'declined',
  'failed_before_grant',
  'inconclusive',
  'exhausted',
] as const;
const STEP_COLUMNS = [
  ...(['lane_id', 'step', 'opened_at', 'size', 'threshold', 'threshold_id', 'done'] as const),
  ...COUNTERS,
] as const;

/** Inserts the rollout with its lanes; none of them has a step yet. */
export async function insertRollout(tx: Tx, rollout: Rollout): Promise<void> {
  await tx
    .insertInto('rollouts')
    .values({
      id: rollout.id,
      product: rollout.product,
      release_id: rollout.releaseId,
      version: rollout.version,
      policy: JSON.stringify(rollout.policy),
      seed: rollout.seed,
      created_at: rollout.createdAt,
      ended_at: rollout.endedAt,
    })
    .execute();
  if (rollout.lanes.length === 0) return;
  await tx.insertInto('lanes').values(rollout.lanes.map(fromLane)).execute();
}

/** Newest first, with lanes (by wave, then region) and steps. */
export async function listRollouts(db: Db | Tx, filter: RolloutFilter = {}): Promise<Rollout[]> {
  const rows = await db
    .selectFrom('rollouts')
    .selectAll()
    .$if(filter.product !== undefined, (query) => query.where('product', '=', filter.product as string))
    .$if(filter.liveOnly === true, (query) => query.where('ended_at', 'is', null))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .$if(filter.limit !== undefined, (query) => query.limit(sql.lit(filter.limit as number)))
    .execute();
  return await withLanes(db, rows);
}

/** Of each of these products the newest `limitEach`, the oldest of all first. */
export const listRolloutsOf = remembered(
  ['rollouts', 'lanes', 'steps'],
  async (db, products: readonly string[], limitEach: number): Promise<Rollout[]> => {
    const { rows } = await ROLLOUTS_OF(db, limitEach, toJson(products));
    const rollouts = await withLanes(db, rows);
    return rollouts.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  },
);

const ROLLOUTS_OF = prepared((db, limitEach: RawBuilder<number>, products: RawBuilder<string>) => {
  const place = sql<number>`row_number() over (partition by product order by created_at desc, id desc)`;
  return db
    .with('placed', (query) => query.selectFrom('rollouts').selectAll().select(place.as('place')))
    .selectFrom('placed')
    .selectAll()
    .where('place', '<=', limitEach)
    .where('product', 'in', textsOf(db, products))
    .compile();
});

export async function loadRollout(db: Db | Tx, id: string): Promise<Rollout | undefined> {
  const { rows } = await ROLLOUT(db, id);
  return (await withLanes(db, rows))[0];
}

const ROLLOUT = prepared((db, id: RawBuilder<string>) =>
  db.selectFrom('rollouts').selectAll().where('id', '=', id).compile(),
);

/** A release has one rollout at most. */
export async function rolloutIdOf(db: Db | Tx, product: string, version: string): Promise<string | undefined> {
  const query = db.selectFrom('rollouts').select('id').where('product', '=', product).where('version', '=', version);
  return (await query.executeTakeFirst())?.id;
}

/** The regions' baseline lanes that have not ended, with their step. */
export async function listBaselineLanes(db: Db | Tx): Promise<Lane[]> {
  return await withSteps(db, (await BASELINE_LANES(db)).rows);
}

const BASELINE_LANES = prepared((db) =>
  db.selectFrom('lanes').selectAll().where(GOING_BASELINE).orderBy('product').orderBy('region').compile(),
);

export async function insertLane(tx: Tx, lane: Lane): Promise<void> {
  await tx.insertInto('lanes').values(fromLane(lane)).execute();
}

/**
 * In the order of their ids, with steps; unknown ones are left out. `forUpdate` locks the rows on PostgreSQL, in that
 * order, so that two transactions cannot wait for each other; on SQLite the transaction has the whole file.
 */
export async function loadLanes(
  tx: Db | Tx,
  laneIds: readonly string[],
  options: { forUpdate?: boolean } = {},
): Promise<Lane[]> {
  const load = options.forUpdate === true ? LOCKED_LANES : LANES;
  return await withSteps(tx, (await load(tx, toJson(laneIds))).rows);
}

const LANES = prepared((db, ids: RawBuilder<string>) =>
  db.selectFrom('lanes').selectAll().where('id', 'in', textsOf(db, ids)).orderBy('id').compile(),
);
const LOCKED_LANES = prepared((db, ids: RawBuilder<string>) =>
  db
    .selectFrom('lanes')
    .selectAll()
    .where('id', 'in', textsOf(db, ids))
    .orderBy('id')
    .$if(isPostgres(db), (query) => query.forUpdate())
    .compile(),
);

/**
 * Writes state, budget epoch, allowance, approvals and revision if the stored revision is still `expectedRevision`; false if not.
 * `lane.revision` must be a higher one.
 */
export async function saveLane(tx: Tx, lane: Lane, expectedRevision: number): Promise<boolean> {
  assert(lane.revision > expectedRevision, 'a changed lane has a new revision');
  const saved = await SAVE_LANE(tx, { ...fromLane(lane), expectedRevision });
  return saved.numAffectedRows === 1n;
}

type LaneChange = Pick<DB['lanes'], 'id' | (typeof CHANGING)[number]> & { expectedRevision: number };

const CHANGING = ['state', 'live', 'detail', 'budget_epoch', 'allowance', 'approvals', 'revision'] as const;

const SAVE_LANE = preparedByName<LaneChange, unknown>([...CHANGING, 'id', 'expectedRevision'], (db, slots) => {
  const { id, expectedRevision, ...changes } = slots;
  return db.updateTable('lanes').set(changes).where('id', '=', id).where('revision', '=', expectedRevision).compile();
});

/** Keeps the first end. */
export async function endRollout(tx: Tx, id: string, at: number): Promise<void> {
  await tx.updateTable('rollouts').set({ ended_at: at }).where('id', '=', id).where('ended_at', 'is', null).execute();
}

/** It goes on: a lane of it is rolled back. */
export async function reopenRollout(tx: Tx, id: string): Promise<void> {
  await tx.updateTable('rollouts').set({ ended_at: null }).where('id', '=', id).execute();
}

/** `members`: bitset over agent handles, who was frozen into the step. */
export async function insertStep(tx: Tx, laneId: string, step: Step, members: Uint8Array): Promise<void> {
  await tx
    .insertInto('steps')
    .values({
      lane_id: laneId,
      step: step.step,
      opened_at: step.openedAt,
      size: step.size,
      members: Buffer.from(members).toString('base64'),
      threshold: step.threshold,
      threshold_id: step.thresholdId,
      done: step.done ? 1 : 0,
      ...fromCounters(step.counters),
    })
    .execute();
}

/** Writes another set of members into an opened step, and how far it reaches for them. */
export async function saveMembers(tx: Tx, laneId: string, step: Step, members: Uint8Array): Promise<void> {
  await tx
    .updateTable('steps')
    .set({
      members: Buffer.from(members).toString('base64'),
      threshold: step.threshold,
      threshold_id: step.thresholdId,
    })
    .where('lane_id', '=', laneId)
    .where('step', '=', step.step)
    .execute();
}

/** Writes what may change of an opened step: `done` and the counters. */
export async function saveStep(tx: Tx, laneId: string, step: Step): Promise<void> {
  const { counters } = step;
  await SAVE_STEP(tx, { laneId, step: step.step, done: step.done ? 1 : 0, ...fromCounters(counters) });
}

type StepChange = { laneId: string; step: number; done: 0 | 1 } & ReturnType<typeof fromCounters>;

const SAVE_STEP = preparedByName<StepChange, unknown>(['laneId', 'step', 'done', ...COUNTERS], (db, slots) => {
  const { laneId, step, ...changes } = slots;
  return db.updateTable('steps').set(changes).where('lane_id', '=', laneId).where('step', '=', step).compile();
});

/** The bitset of `insertStep`; the step must have been opened. */
export async function loadMembers(db: Db | Tx, laneId: string, step: number): Promise<Uint8Array> {
  const [row] = (await MEMBERS(db, laneId, step)).rows;
  assert(row !== undefined, `step ${step} of lane ${laneId} has been opened`);
  return new Uint8Array(Buffer.from(row.members, 'base64'));
}

const MEMBERS = prepared((db, laneId: RawBuilder<string>, step: RawBuilder<number>) =>
  db.selectFrom('steps').select('members').where('lane_id', '=', laneId).where('step', '=', step).compile(),
);

async function withLanes(db: Db | Tx, rows: readonly Selectable<DB['rollouts']>[]): Promise<Rollout[]> {
  if (rows.length === 0) return [];
  const lanes = await LANES_OF_ROLLOUTS(db, toJson(rows.map((row) => row.id)));
  const byRollout = Map.groupBy(await withSteps(db, lanes.rows), (lane) => lane.rolloutId);
  return rows.map((row) => ({
    id: row.id,
    product: row.product,
    releaseId: row.release_id,
    version: row.version,
    policy: policyOf(row.policy),
    seed: row.seed,
    createdAt: row.created_at,
    endedAt: row.ended_at,
    lanes: byRollout.get(row.id) ?? [],
  }));
}

const LANES_OF_ROLLOUTS = prepared((db, ids: RawBuilder<string>) =>
  db
    .selectFrom('lanes')
    .selectAll()
    .where('rollout_id', 'in', textsOf(db, ids))
    .where(OF_ROLLOUT)
    .orderBy('wave')
    .orderBy('region')
    .compile(),
);

async function withSteps(db: Db | Tx, rows: readonly Selectable<DB['lanes']>[]): Promise<Lane[]> {
  if (rows.length === 0) return [];
  const steps = await STEPS_OF_LANES(db, toJson(rows.map((row) => row.id)));
  const byLane = Map.groupBy(steps.rows, (step) => step.lane_id);
  return rows.map((row) => toLane(row, (byLane.get(row.id) ?? []).map(toStep)));
}

const STEPS_OF_LANES = prepared((db, ids: RawBuilder<string>) =>
  db
    .selectFrom('steps')
    .select(STEP_COLUMNS)
    .where('lane_id', 'in', textsOf(db, ids))
    .orderBy('lane_id')
    .orderBy('step')
    .compile(),
);

const MAX_POLICIES = 1_000;
const policies = new Map<string, Policy>();

/** Rollouts of one policy have the same text, and none of them ever changes it: each is read once. */
function policyOf(text: string): Policy {
  const known = policies.get(text);
  if (known !== undefined) return known;
  if (policies.size >= MAX_POLICIES) policies.clear();
  const policy = JSON.parse(text) as Policy;
  policies.set(text, policy);
  return policy;
}

/** `steps` in ascending order: the ways back are those below 0, the first of them −1. */
function toLane(row: Selectable<DB['lanes']>, steps: Step[]): Lane {
  return {
    id: row.id,
    kind: row.kind,
    rolloutId: row.rollout_id,
    product: row.product,
    region: row.region,
    wave: row.wave,
    state: { name: row.state, ...JSON.parse(row.detail) } as LaneState,
    budgetEpoch: row.budget_epoch,
    allowance: row.allowance,
    approvals: JSON.parse(row.approvals),
    revision: row.revision,
    steps: steps.filter((step) => !goesBack(step)),
    back: steps.filter(goesBack).toReversed(),
  };
}

function fromLane(lane: Lane): DB['lanes'] {
  const { name, ...detail } = lane.state;
  return {
    id: lane.id,
    rollout_id: lane.rolloutId,
    product: lane.product,
    region: lane.region,
    wave: lane.wave,
    state: name,
    live: isLiveLane(name) ? 1 : 0,
    detail: JSON.stringify(detail),
    budget_epoch: lane.budgetEpoch,
    allowance: lane.allowance,
    revision: lane.revision,
    kind: lane.kind,
    approvals: JSON.stringify(lane.approvals),
  };
}

function toStep(row: StepRow): Step {
  return {
    step: row.step,
    openedAt: row.opened_at,
    size: row.size,
    threshold: row.threshold,
    thresholdId: row.threshold_id,
    done: row.done === 1,
    counters: {
      pending: row.pending,
      downloading: row.downloading,
      hot: row.hot,
      hotMembers: row.hot_members,
      succeeded: row.succeeded,
      bad: row.bad,
      badMembers: row.bad_members,
      badHops: row.bad_hops,
      declined: row.declined,
      failedBeforeGrant: row.failed_before_grant,
      inconclusive: row.inconclusive,
      exhausted: row.exhausted,
    },
  };
}

function fromCounters(counters: StepCounters) {
  return {
    pending: counters.pending,
    downloading: counters.downloading,
    hot: counters.hot,
    hot_members: counters.hotMembers,
    succeeded: counters.succeeded,
    bad: counters.bad,
    bad_members: counters.badMembers,
    bad_hops: counters.badHops,
    declined: counters.declined,
    failed_before_grant: counters.failedBeforeGrant,
    inconclusive: counters.inconclusive,
    exhausted: counters.exhausted,
  };
}
