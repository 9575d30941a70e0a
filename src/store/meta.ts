// What the fleet as a whole remembers: its id, the epoch that a restore raises, and observed time.
import { type RawBuilder, sql } from 'kysely';
import { v7 } from 'uuid';
import { assert } from '../errors.ts';
import { prepared } from './prepared.ts';
import type { Db, Tx } from './schema.ts';

export interface Fleet {
  fleetId: string;
  epoch: number;
  observedMs: number;
}

export async function getMeta(db: Db | Tx, key: string): Promise<string | undefined> {
  return (await VALUE(db, key)).rows[0]?.value;
}

const VALUE = prepared((db, key: RawBuilder<string>) =>
  db.selectFrom('meta').select('value').where('key', '=', key).compile(),
);

export async function setMeta(tx: Tx, key: string, value: string): Promise<void> {
  await SET_VALUE(tx, key, value);
}

const SET_VALUE = prepared((db, key: RawBuilder<string>, value: RawBuilder<string>) =>
  db
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .compile(),
);

export async function deleteMeta(tx: Tx, key: string): Promise<void> {
  await tx.deleteFrom('meta').where('key', '=', key).execute();
}

/** Creates what a new database lacks: an id, epoch 1, observed time 0. Changes nothing later on. */
export async function ensureFleet(tx: Tx, now: number): Promise<Fleet> {
  const values = Object.entries({ fleet_id: v7(), created_at: String(now), epoch: '1', observed_ms: '0' });
  await tx
    .insertInto('meta')
    .values(values.map(([key, value]) => ({ key, value })))
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
  const fleetId = await getMeta(tx, 'fleet_id');
  assert(fleetId !== undefined, 'the fleet has an id');
  return { fleetId, epoch: await loadEpoch(tx), observedMs: await loadObserved(tx) };
}

export async function loadEpoch(db: Db | Tx): Promise<number> {
  return await loadNumber(db, 'epoch');
}

/** Milliseconds of observed time. */
export async function loadObserved(db: Db | Tx): Promise<number> {
  return await loadNumber(db, 'observed_ms');
}

/** Observed time only grows: a lower value changes nothing. */
export async function saveObserved(tx: Tx, observedMs: number): Promise<void> {
  await SAVE_OBSERVED(tx, String(Math.floor(observedMs)), Math.floor(observedMs));
}

const SAVE_OBSERVED = prepared((db, value: RawBuilder<string>, ms: RawBuilder<number>) =>
  db
    .updateTable('meta')
    .set({ value })
    .where('key', '=', 'observed_ms')
    .where(sql<boolean>`cast(value as bigint) < ${ms}`)
    .compile(),
);

async function loadNumber(db: Db | Tx, key: string): Promise<number> {
  const value = await getMeta(db, key);
  assert(value !== undefined, `ensureFleet has created ${key}`);
  return Number(value);
}
