// What restrains every plan: vetoes and brakes; and the baselines that regions have reached.
import { sql } from 'kysely';
import type { Brake, Veto } from '../domain/directives.ts';
import type { Baseline } from '../domain/snapshot.ts';
import { prepared } from './prepared.ts';
import { remembered } from './remembered.ts';
import type { Db, Tx } from './schema.ts';

export const listVetoes = remembered(['vetoes'], async (db): Promise<Veto[]> => {
  const { rows } = await VETOES(db);
  return rows.map((row) => ({ ...row, automatic: row.automatic === 1 }));
});

const VETOES = prepared((db) => db.selectFrom('vetoes').selectAll().orderBy('product').orderBy('version').compile());

/** False when it stood already. A person's replaces an automatic one, which a retry would lift, never the other way round. */
export async function putVeto(tx: Tx, veto: Veto): Promise<boolean> {
  const written = await tx
    .insertInto('vetoes')
    .values({
      product: veto.product,
      version: veto.version,
      automatic: veto.automatic ? 1 : 0,
      actor: veto.actor,
      reason: veto.reason,
      at: veto.at,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['product', 'version'])
        .doUpdateSet((set) => ({
          automatic: set.ref('excluded.automatic'),
          actor: set.ref('excluded.actor'),
          reason: set.ref('excluded.reason'),
          at: set.ref('excluded.at'),
        }))
        .where(sql<boolean>`excluded.automatic < vetoes.automatic`),
    )
    .executeTakeFirst();
  return (written.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** False when there was none. */
export async function deleteVeto(tx: Tx, product: string, version: string): Promise<boolean> {
  const deleted = await tx
    .deleteFrom('vetoes')
    .where('product', '=', product)
    .where('version', '=', version)
    .executeTakeFirst();
  return deleted.numDeletedRows === 1n;
}

export const listBrakes = remembered(['brakes'], async (db): Promise<Brake[]> => (await BRAKES(db)).rows);

const BRAKES = prepared((db) =>
  db.selectFrom('brakes').select(['scope', 'actor', 'reason', 'at']).orderBy('scope').compile(),
);

/** False when the brake was set already; then who set it first, and why, stays. */
export async function putBrake(tx: Tx, brake: Brake, observedMs: number): Promise<boolean> {
  const inserted = await tx
    .insertInto('brakes')
    .values({ ...brake, since_observed: observedMs })
    .onConflict((conflict) => conflict.column('scope').doNothing())
    .executeTakeFirst();
  return inserted.numInsertedOrUpdatedRows === 1n;
}

/** The observed instant at which the brake was set; undefined when it is not. */
export async function brakeObserved(db: Db | Tx, scope: string): Promise<number | undefined> {
  const row = await db.selectFrom('brakes').select('since_observed').where('scope', '=', scope).executeTakeFirst();
  return row?.since_observed;
}

/** False when it was not set. */
export async function deleteBrake(tx: Tx, scope: string): Promise<boolean> {
  const deleted = await tx.deleteFrom('brakes').where('scope', '=', scope).executeTakeFirst();
  return deleted.numDeletedRows === 1n;
}

/** All that were ever reached, oldest first. */
export const listBaselines = remembered(['baselines'], async (db): Promise<Baseline[]> => {
  const { rows } = await BASELINES(db);
  return rows.map(({ release_id, ...same }) => ({ ...same, releaseId: release_id }));
});

const BASELINES = prepared((db) =>
  db.selectFrom('baselines').selectAll().orderBy('at').orderBy('product').orderBy('region').compile(),
);

/** A baseline that is reached again becomes the newest again. */
export async function putBaseline(tx: Tx, baseline: Baseline): Promise<void> {
  const { releaseId, at, ...key } = baseline;
  await tx
    .insertInto('baselines')
    .values({ ...key, release_id: releaseId, at })
    .onConflict((conflict) =>
      conflict.columns(['product', 'region', 'version']).doUpdateSet({ release_id: releaseId, at }),
    )
    .execute();
}
