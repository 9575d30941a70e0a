// Why lanes did not go on and for how long: one open hold for each lane, the earlier ones kept for the report.
import { type RawBuilder, sql } from 'kysely';
import type { HoldReason } from '../domain/holds.ts';
import { textsIn } from './batch.ts';
import { prepared } from './prepared.ts';
import type { Db, Tx } from './schema.ts';

export interface OpenHold {
  laneId: string;
  reason: HoldReason;
  sentence: string;
  since: number;
  until: number | null;
}

export interface HoldDuration {
  reason: HoldReason;
  /** Milliseconds, up to now for the open one. */
  ms: number;
}

export async function openHolds(db: Db | Tx): Promise<OpenHold[]> {
  return (await OPEN_HOLDS(db)).rows;
}

const OPEN_HOLDS = prepared((db) =>
  db
    .selectFrom('lane_holds')
    .select(['lane_id as laneId', 'reason', 'sentence', 'since', 'until'])
    .where('ended_at', 'is', null)
    .orderBy('lane_id')
    .compile(),
);
const OPEN_HOLD = prepared((db, laneId: RawBuilder<string>) =>
  db
    .selectFrom('lane_holds')
    .select(['reason', 'sentence', 'since', 'until'])
    .where('lane_id', '=', laneId)
    .where('ended_at', 'is', null)
    .compile(),
);

/**
 * Sets the lane's hold as of `at`, or ends it with null. The same reason goes on with its `since`; nothing is written
 * when nothing is new.
 */
export async function changeHold(
  tx: Tx,
  laneId: string,
  hold: { reason: HoldReason; sentence: string; until: number | null } | null,
  at: number,
): Promise<void> {
  const [open] = (await OPEN_HOLD(tx, laneId)).rows;
  if (open?.reason === hold?.reason && open?.sentence === hold?.sentence && open?.until === hold?.until) return;
  if (open !== undefined) {
    const goesOn = open.reason === hold?.reason;
    await tx
      .updateTable('lane_holds')
      .set(goesOn ? { until: hold.until, sentence: hold.sentence } : { ended_at: Math.max(at, open.since) })
      .where('lane_id', '=', laneId)
      .where('ended_at', 'is', null)
      .execute();
    if (goesOn) return;
  }
  if (hold === null) return;
  const { reason, sentence, until } = hold;
  await tx
    .insertInto('lane_holds')
    .values({ lane_id: laneId, reason, sentence, since: at, until, ended_at: null })
    // The same reason may have begun and ended within this millisecond.
    .onConflict((conflict) =>
      conflict.columns(['lane_id', 'since', 'reason']).doUpdateSet({ sentence, until, ended_at: null }),
    )
    .execute();
}

/** By lane, the longest first; lanes that were never held are not in it. */
export async function holdDurations(
  db: Db | Tx,
  laneIds: readonly string[],
  now: number,
): Promise<Map<string, HoldDuration[]>> {
  // A hold never ends before it begins, but the wall clock may stand before the beginning of the open one.
  const ms = sql<number>`cast(sum(case when coalesce(ended_at, ${now}) > since
    then coalesce(ended_at, ${now}) - since else 0 end) as bigint)`;
  const rows = await db
    .selectFrom('lane_holds')
    .select(['lane_id', 'reason', ms.as('ms')])
    .where('lane_id', 'in', textsIn(db, laneIds))
    .groupBy(['lane_id', 'reason'])
    .orderBy('ms', 'desc')
    .orderBy('reason')
    .execute();
  const byLane = Map.groupBy(rows, (row) => row.lane_id);
  return new Map(
    [...byLane].map(([laneId, list]) => [laneId, list.map((row) => ({ reason: row.reason, ms: row.ms }))]),
  );
}
