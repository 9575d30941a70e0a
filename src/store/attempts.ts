// Attempts: written in sets, read by what the ledger and the reconciler ask; counters are folded from them for checks.
import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { Attempt } from '../domain/agent.ts';
import { ATTEMPT_STATES, type AttemptState, isHot, isLive, STAGE_TIMEOUT } from '../domain/attempt.ts';
import { foldStep } from '../domain/counters.ts';
import type { Policy } from '../domain/policy.ts';
import type { StepCounters } from '../domain/rollout.ts';
import { assert } from '../errors.ts';
import { type ColumnTypes, insertRows, rowsOf, textsIn, textsOf, toJson } from './batch.ts';
import { prepared } from './prepared.ts';
import type { DB, Db, Tx } from './schema.ts';

/** Bad attempts of an agent at a version, over all rollouts and time: what quarantine is decided by. */
export interface BadCount {
  agentId: string;
  product: string;
  version: string;
  bad: number;
}

type AttemptRow = DB['attempts'];

const COLUMNS = {
  id: 'text',
  agent_id: 'text',
  rollout_id: 'text',
  lane_id: 'text',
  step: 'bigint',
  member: 'bigint',
  budget_epoch: 'bigint',
  product: 'text',
  version: 'text',
  platform: 'text',
  sha256: 'text',
  size: 'bigint',
  from_version: 'text',
  from_digest: 'text',
  sequence: 'bigint',
  state: 'text',
  live: 'bigint',
  hot: 'bigint',
  offered_at: 'bigint',
  granted_at: 'bigint',
  ended_at: 'bigint',
  deadline_observed: 'bigint',
  cause: 'text',
  detail: 'text',
  corrected: 'bigint',
  hop: 'bigint',
} as const satisfies Record<keyof AttemptRow, ColumnTypes[string]>;

// With the 1 in the text: a bound parameter would not match the partial indexes.
const IS_LIVE = sql<boolean>`live = 1`;

/** In one statement. An attempt that ends to make room for one of these must have been updated before. */
export async function insertAttempts(tx: Tx, attempts: readonly Attempt[]): Promise<void> {
  await insertRows(tx, 'attempts', COLUMNS, attempts.map(fromAttempt));
}

/** Writes what may change of an attempt; each one once, and each must exist. */
export async function updateAttempts(tx: Tx, attempts: readonly Attempt[]): Promise<void> {
  // Those that give up a slot first: the unique indexes look at every row as it is written.
  const rows = attempts.map(fromAttempt);
  await updateRows(
    tx,
    rows.filter((row) => row.hot === 0),
  );
  await updateRows(
    tx,
    rows.filter((row) => row.hot === 1),
  );
}

async function updateRows(tx: Tx, rows: readonly AttemptRow[]): Promise<void> {
  if (rows.length === 0) return;
  const result = await UPDATE(tx, toJson(rows));
  assert(result.numAffectedRows === BigInt(rows.length), 'every attempt that is updated exists');
}

const UPDATE = prepared((db, rows: RawBuilder<string>) => {
  const { id, sequence, state, live, hot, granted_at, ended_at, deadline_observed, cause, detail, corrected } = COLUMNS;
  const columns = { id, sequence, state, live, hot, granted_at, ended_at, deadline_observed, cause, detail, corrected };
  return sql`with v as (${rowsOf(db, columns, rows)})
    update attempts set sequence = v.sequence, state = v.state, live = v.live, hot = v.hot, granted_at = v.granted_at, ended_at = v.ended_at,
      deadline_observed = v.deadline_observed, cause = v.cause, detail = v.detail, corrected = v.corrected
    from v where attempts.id = v.id`.compile(db);
});

/** All that have not ended, oldest first: what the server starts with. */
export async function liveAttempts(db: Db | Tx): Promise<Attempt[]> {
  const rows = await db.selectFrom('attempts').selectAll().where(IS_LIVE).execute();
  // Sorted here: asked for the order, SQLite would walk the whole table by id instead of the index of live ones.
  return toAttempts(rows.sort((a, b) => (a.id < b.id ? -1 : 1)));
}

export async function liveAttemptsOfAgents(db: Db | Tx, agentIds: readonly string[]): Promise<Attempt[]> {
  return toAttempts((await LIVE_OF_AGENTS(db, toJson(agentIds))).rows);
}

const LIVE_OF_AGENTS = prepared((db, ids: RawBuilder<string>) =>
  db
    .selectFrom('attempts')
    .selectAll()
    .where('agent_id', 'in', textsOf(db, ids))
    .where(IS_LIVE)
    .orderBy('id')
    .compile(),
);

/** Unknown ids are left out. */
export async function attemptsById(db: Db | Tx, ids: readonly string[]): Promise<Attempt[]> {
  return toAttempts((await BY_ID(db, toJson(ids))).rows);
}

const BY_ID = prepared((db, ids: RawBuilder<string>) =>
  db.selectFrom('attempts').selectAll().where('id', 'in', textsOf(db, ids)).orderBy('id').compile(),
);

export async function attemptsOfAgentsInLanes(
  db: Db | Tx,
  agentIds: readonly string[],
  laneIds: readonly string[],
): Promise<Attempt[]> {
  const query = db.selectFrom('attempts').selectAll().where('agent_id', 'in', textsIn(db, agentIds));
  return toAttempts(await query.where('lane_id', 'in', textsIn(db, laneIds)).orderBy('id').execute());
}

/** Made for the rollouts' releases, also in baseline lanes. */
export async function attemptsOfAgentsInRollouts(
  db: Db | Tx,
  agentIds: readonly string[],
  rolloutIds: readonly string[],
): Promise<Attempt[]> {
  return toAttempts((await OF_AGENTS_IN_ROLLOUTS(db, toJson(agentIds), toJson(rolloutIds))).rows);
}

const OF_AGENTS_IN_ROLLOUTS = prepared((db, agentIds: RawBuilder<string>, rolloutIds: RawBuilder<string>) =>
  db
    .selectFrom('attempts')
    .selectAll()
    .where('agent_id', 'in', textsOf(db, agentIds))
    .where('rollout_id', 'in', textsOf(db, rolloutIds))
    .orderBy('id')
    .compile(),
);

/** Agents and versions without a bad attempt are left out. */
export async function badCounts(db: Db | Tx, agentIds: readonly string[]): Promise<BadCount[]> {
  // The same as `weigh(attempt) === 'bad'` in the domain.
  const isBad = sql<boolean>`(state in ('rolled_back', 'lost') or (state = 'failed' and granted_at is not null))`;
  return await db
    .selectFrom('attempts')
    .select((select) => ['agent_id as agentId', 'product', 'version', select.fn.countAll<number>().as('bad')])
    .where('agent_id', 'in', textsIn(db, agentIds))
    .where(isBad)
    .groupBy(['agent_id', 'product', 'version'])
    .orderBy('agent_id')
    .orderBy('product')
    .orderBy('version')
    .execute();
}

/** Live ones whose observed deadline lies before `observedMs`, the most overdue first. */
export async function overdueAttempts(db: Db | Tx, observedMs: number, limit: number): Promise<Attempt[]> {
  const overdue = overdueBy.get(limit) ?? overdueQuery(limit);
  overdueBy.set(limit, overdue);
  return toAttempts((await overdue(db, observedMs)).rows);
}

// The limit stands in the text: see `OF_ROLLOUT` in rollouts.ts.
const overdueBy = new Map<number, ReturnType<typeof overdueQuery>>();

function overdueQuery(limit: number) {
  return prepared((db, observedMs: RawBuilder<number>) =>
    db
      .selectFrom('attempts')
      .selectAll()
      .where(IS_LIVE)
      .where('deadline_observed', '<', observedMs)
      .orderBy('deadline_observed')
      .orderBy('id')
      .limit(sql.lit(limit))
      .compile(),
  );
}

/** Offered and staged ones of a lane, oldest first. */
export async function ungrantedOfLane(db: Db | Tx, laneId: string, limit: number): Promise<Attempt[]> {
  const rows = await db
    .selectFrom('attempts')
    .selectAll()
    .where('lane_id', '=', laneId)
    .where('state', 'in', ['offered', 'staged'])
    .orderBy('id')
    .limit(limit)
    .execute();
  return toAttempts(rows);
}

/** Books every offered and staged attempt of the lane as withdrawn: it has halted or ended. Returns how many. */
export async function withdrawUngranted(tx: Tx, laneId: string, at: number): Promise<number> {
  const result = await tx
    .updateTable('attempts')
    .set({ state: 'withdrawn', live: 0, ended_at: at })
    .where('lane_id', '=', laneId)
    .where(IS_LIVE)
    .where('state', 'in', ['offered', 'staged'])
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/** Ended without a success, in rollouts that go on or are a region's baseline: what the agents' further attempts depend on. */
export async function unsuccessfulAttempts(db: Db | Tx): Promise<Attempt[]> {
  const rows = await db
    .selectFrom('attempts')
    .innerJoin('rollouts', 'rollouts.id', 'attempts.rollout_id')
    .selectAll('attempts')
    .where((is) =>
      is.or([
        is('rollouts.ended_at', 'is', null),
        is.exists(
          is
            .selectFrom('lanes')
            .select('lanes.id')
            .whereRef('lanes.rollout_id', '=', 'rollouts.id')
            .where('lanes.kind', '=', 'baseline')
            .where('lanes.state', 'in', ['open', 'halted']),
        ),
      ]),
    )
    .where((is) =>
      is.or([
        is('attempts.state', 'in', ['rolled_back', 'failed', 'inconclusive', 'declined', 'lost']),
        is.and([is('attempts.state', '=', 'expired'), is('attempts.cause', '=', STAGE_TIMEOUT)]),
      ]),
    )
    .orderBy('attempts.id')
    .execute();
  return toAttempts(rows);
}

/**
 * Agents whose attempts in the lane went bad, and should have come to an end after an observed instant, by lane: what a
 * sliding budget counts. Of observed time: a clock that is put forward must not forgive anything.
 */
export async function recentBadAgents(
  db: Db | Tx,
  lanes: readonly { id: string; budgetEpoch: number; sinceObserved: number }[],
): Promise<Map<string, Set<string>>> {
  const found = new Map(lanes.map(({ id }) => [id, new Set<string>()]));
  if (lanes.length === 0) return found;
  const since = Math.min(...lanes.map((lane) => lane.sinceObserved));
  const { rows } = await BAD_SINCE(db, toJson(lanes.map((lane) => lane.id)), since);
  const byId = new Map(lanes.map((lane) => [lane.id, lane]));
  for (const row of rows) {
    const lane = byId.get(row.lane_id);
    const isInside = lane?.budgetEpoch === row.budget_epoch && row.deadline_observed > lane.sinceObserved;
    if (isInside) found.get(row.lane_id)?.add(row.agent_id);
  }
  return found;
}

const BAD_SINCE = prepared((db, laneIds: RawBuilder<string>, since: RawBuilder<number>) =>
  db
    .selectFrom('attempts')
    .select(['lane_id', 'budget_epoch', 'agent_id', 'deadline_observed'])
    .where('lane_id', 'in', textsOf(db, laneIds))
    .where(sql<boolean>`state in ('rolled_back', 'failed', 'lost') and granted_at is not null`)
    .where('deadline_observed', '>', since)
    .compile(),
);

/** Where the agents stand that hold a slot of the limits now; few, since the limits bound them. */
export async function hotPlaces(
  db: Db | Tx,
): Promise<{ agentId: string; region: string; labels: Record<string, string> }[]> {
  const { rows } = await HOT_PLACES(db);
  return rows.map((row) => ({ ...row, labels: JSON.parse(row.labels) as Record<string, string> }));
}

const HOT_PLACES = prepared((db) =>
  db
    .selectFrom('attempts')
    .innerJoin('agents', 'agents.id', 'attempts.agent_id')
    .select(['agents.id as agentId', 'agents.region', 'agents.labels'])
    // In the text, not bound: the partial index is used only for a condition that it can see.
    .where(sql<boolean>`attempts.hot = 1`)
    .orderBy('agents.id')
    .compile(),
);

/** What the agents ran that took the lane's release, by lane, the most frequent first. */
export async function cameFrom(db: Db | Tx, laneIds: readonly string[]): Promise<Record<string, string[]>> {
  if (laneIds.length === 0) return {};
  const rows = await db
    .selectFrom('attempts')
    .select((select) => ['lane_id', 'from_version', select.fn.countAll<number>().as('count')])
    .where('lane_id', 'in', textsIn(db, laneIds))
    .where('step', '>=', 0)
    .where('state', '=', 'succeeded')
    .groupBy(['lane_id', 'from_version'])
    .execute();
  rows.sort((a, b) => Number(b.count) - Number(a.count) || (a.from_version < b.from_version ? -1 : 1));
  const found: Record<string, string[]> = {};
  for (const { lane_id: laneId, from_version: version } of rows) found[laneId] = [...(found[laneId] ?? []), version];
  return found;
}

/** Every lane that is asked for has an entry with every state. `forward`: the attempts at the release, else those on ways back. */
export async function countByState(
  db: Db | Tx,
  laneIds: readonly string[],
  forward = true,
): Promise<Map<string, Record<AttemptState, number>>> {
  const rows = await db
    .selectFrom('attempts')
    .select((select) => ['lane_id', 'state', select.fn.countAll<number>().as('count')])
    .where('lane_id', 'in', textsIn(db, laneIds))
    .where('step', forward ? '>=' : '<', 0)
    .groupBy(['lane_id', 'state'])
    .execute();
  const counts = new Map(laneIds.map((laneId) => [laneId, noAttempts()]));
  for (const row of rows) (counts.get(row.lane_id) as Record<AttemptState, number>)[row.state] = row.count;
  return counts;
}

/** Newest first. */
export async function historyOfAgent(db: Db | Tx, agentId: string, limit: number): Promise<Attempt[]> {
  const rows = await db
    .selectFrom('attempts')
    .selectAll()
    .where('agent_id', '=', agentId)
    .orderBy('sequence', 'desc')
    .limit(limit)
    .execute();
  return toAttempts(rows);
}

/** The step's counters from scratch, from all attempts of the budget epoch: what the stored ones are checked against. */
export async function foldCounters(
  db: Db | Tx,
  laneId: string,
  step: number,
  budgetEpoch: number,
): Promise<StepCounters> {
  const [lane] = (await POLICY_OF_LANE(db, laneId)).rows;
  assert(lane !== undefined, `the lane ${laneId} is of a rollout`);
  const { rows } = await ATTEMPTS_OF_STEP(db, laneId, step, budgetEpoch);
  rows.sort((a, b) => (a.id < b.id ? -1 : 1));
  return foldStep(toAttempts(rows), (JSON.parse(lane.policy) as Policy).attemptsPerAgent, budgetEpoch);
}

const POLICY_OF_LANE = prepared((db, laneId: RawBuilder<string>) =>
  db
    .selectFrom('lanes')
    .innerJoin('rollouts', 'rollouts.id', 'lanes.rollout_id')
    .select('rollouts.policy')
    .where('lanes.id', '=', laneId)
    .compile(),
);

const ATTEMPTS_OF_STEP = prepared(
  (db, laneId: RawBuilder<string>, step: RawBuilder<number>, budgetEpoch: RawBuilder<number>) =>
    db
      .selectFrom('attempts')
      .selectAll()
      .where('lane_id', '=', laneId)
      .where('step', '=', step)
      .where('budget_epoch', '<=', budgetEpoch)
      .compile(),
);

function noAttempts(): Record<AttemptState, number> {
  return Object.fromEntries(ATTEMPT_STATES.map((state) => [state, 0])) as Record<AttemptState, number>;
}

function toAttempts(rows: readonly Selectable<AttemptRow>[]): Attempt[] {
  return rows.map((row) => ({
    id: row.id,
    agentId: row.agent_id,
    rolloutId: row.rollout_id,
    laneId: row.lane_id,
    step: row.step,
    member: row.member === 1,
    budgetEpoch: row.budget_epoch,
    product: row.product,
    version: row.version,
    platform: row.platform,
    sha256: row.sha256,
    size: row.size,
    fromVersion: row.from_version,
    fromDigest: row.from_digest,
    sequence: row.sequence,
    state: row.state,
    offeredAt: row.offered_at,
    grantedAt: row.granted_at,
    endedAt: row.ended_at,
    deadlineObserved: row.deadline_observed,
    cause: row.cause,
    detail: row.detail,
    corrected: row.corrected === 1,
    ...(row.hop === 1 ? { hop: true as const } : {}),
  }));
}

function fromAttempt(attempt: Attempt): AttemptRow {
  return {
    id: attempt.id,
    agent_id: attempt.agentId,
    rollout_id: attempt.rolloutId,
    lane_id: attempt.laneId,
    step: attempt.step,
    member: attempt.member ? 1 : 0,
    budget_epoch: attempt.budgetEpoch,
    product: attempt.product,
    version: attempt.version,
    platform: attempt.platform,
    sha256: attempt.sha256,
    size: attempt.size,
    from_version: attempt.fromVersion,
    from_digest: attempt.fromDigest,
    sequence: attempt.sequence,
    state: attempt.state,
    live: isLive(attempt.state) ? 1 : 0,
    hot: isHot(attempt.state) ? 1 : 0,
    offered_at: attempt.offeredAt,
    granted_at: attempt.grantedAt,
    ended_at: attempt.endedAt,
    deadline_observed: attempt.deadlineObserved,
    cause: attempt.cause,
    detail: attempt.detail,
    corrected: attempt.corrected ? 1 : 0,
    hop: attempt.hop === true ? 1 : 0,
  };
}
