// What metrics have said of the steps of lanes that have not ended.
import { sql } from 'kysely';
import type { MetricTally } from '../domain/metric.ts';
import { prepared } from './prepared.ts';
import type { Db, Tx } from './schema.ts';

export async function listTallies(db: Db | Tx): Promise<MetricTally[]> {
  const { rows } = await TALLIES(db);
  return rows.map(({ lane_id: laneId, budget_epoch: budgetEpoch, ...rest }) => ({ laneId, budgetEpoch, ...rest }));
}

const TALLIES = prepared((db) =>
  db
    .selectFrom('metric_tallies')
    .innerJoin('lanes', 'lanes.id', 'metric_tallies.lane_id')
    // In the text, not bound: a bound value is compared with the partial index anew, which plans the statement anew.
    .where(sql<boolean>`lanes.live = 1`)
    .selectAll('metric_tallies')
    .orderBy('lane_id')
    .orderBy('step')
    .orderBy('metric')
    .compile(),
);

export async function saveTally(tx: Tx, { laneId, budgetEpoch, ...rest }: MetricTally): Promise<void> {
  const { step, metric, ...counts } = rest;
  await tx
    .insertInto('metric_tallies')
    .values({ lane_id: laneId, budget_epoch: budgetEpoch, step, metric, ...counts })
    .onConflict((conflict) => conflict.columns(['lane_id', 'step', 'budget_epoch', 'metric']).doUpdateSet(counts))
    .execute();
}

/** A step that soaks anew is looked at anew. */
export async function forgetTallies(tx: Tx, laneId: string, step: number): Promise<void> {
  await tx.deleteFrom('metric_tallies').where('lane_id', '=', laneId).where('step', '=', step).execute();
}
