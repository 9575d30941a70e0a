// The doubt about the clock as the database and the audit have it: noted by the planning pass, cleared by quiet or by a person.
import type { ClockDoubt } from '../domain/clock-doubt.ts';
import type { TrustOptions } from '../domain/requests.ts';
import { appendAudit } from '../store/audit.ts';
import { loadDoubt, newestInstant, saveDoubt } from '../store/clock-doubt.ts';
import { listBrakes, listVetoes } from '../store/controls.ts';
import { type Database, type Db, type Tx, transaction } from '../store/database.ts';
import type { WatchStart } from './clock-watch.ts';
import type { VerbEffects } from './operator.ts';

export async function startOfWatch(db: Db): Promise<WatchStart> {
  return { doubt: await loadDoubt(db), newestMs: await newestInstant(db) };
}

/** Writes only when the doubt has come, has another cause, or has gone. */
export async function noteDoubt(tx: Tx, doubt: ClockDoubt | null, now: number): Promise<void> {
  const known = await loadDoubt(tx);
  if (known?.why === doubt?.why && known?.until === doubt?.until) return;
  await saveDoubt(tx, doubt);
  const entry = { at: now, actor: 'tidegate', subject: 'clock' };
  // Kept over a restart it has another end, and is the same doubt.
  if (doubt !== null && known?.why !== doubt.why)
    await appendAudit(tx, { ...entry, action: 'clock.suspected', data: { reason: doubt.why } });
  if (doubt === null)
    await appendAudit(tx, { ...entry, action: 'clock.trusted', data: { reason: 'it was quiet for five minutes' } });
}

/** Unchanged when nobody doubts it. Memory must stop doubting once this is committed. */
export async function trustClock(
  database: Database,
  doubted: ClockDoubt | null,
  { actor, reason }: TrustOptions,
  now: number,
): Promise<VerbEffects> {
  return await transaction(database, async (tx) => {
    const changed = doubted !== null || (await loadDoubt(tx)) !== null;
    if (changed) {
      await saveDoubt(tx, null);
      const data = { reason, doubt: doubted?.why ?? null };
      await appendAudit(tx, { at: now, actor, action: 'clock.trusted', subject: 'clock', data });
    }
    const [vetoes, brakes] = [await listVetoes(tx), await listBrakes(tx)];
    return { changed, lanes: [], withdrawnLanes: [], vetoes, brakes };
  });
}
