// The doubt about the wall clock, kept over restarts, and the newest instant that the database knows of.
import type { ClockDoubt } from '../domain/clock-doubt.ts';
import { deleteMeta, getMeta, setMeta } from './meta.ts';
import type { Db, Tx } from './schema.ts';

const KEY = 'clock_doubt';

export async function loadDoubt(db: Db | Tx): Promise<ClockDoubt | null> {
  const value = await getMeta(db, KEY);
  return value === undefined ? null : (JSON.parse(value) as ClockDoubt);
}

/** Null: it is cleared. */
export async function saveDoubt(tx: Tx, doubt: ClockDoubt | null): Promise<void> {
  if (doubt === null) await deleteMeta(tx, KEY);
  else await setMeta(tx, KEY, JSON.stringify(doubt));
}

/** Of what was recorded and of the agents' last check-ins; null in a new database. */
export async function newestInstant(db: Db | Tx): Promise<number | null> {
  const audit = await db.selectFrom('audit').select('at').orderBy('seq', 'desc').limit(1).executeTakeFirst();
  const seen = await db
    .selectFrom('agent_seen')
    .select((select) => select.fn.max('seen_at').as('at'))
    .executeTakeFirst();
  const known = [audit?.at, seen?.at].filter((at) => at != null);
  return known.length === 0 ? null : Math.max(...known);
}
