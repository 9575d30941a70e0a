// What a restore leaves in the database, whoever brought the rows back: a new epoch, the fleet's brake, every agent stale.
import { appendAudit } from './audit.ts';
import { listBrakes } from './controls.ts';
import { type Database, transaction } from './database.ts';
import { ensureFleet, loadObserved, setMeta } from './meta.ts';
import type { Tx } from './schema.ts';
import { markAllStale } from './stale-agents.ts';

export interface RestoreMark {
  /** Milliseconds since the epoch. */
  now: number;
  /** Where the rows came from, for people. */
  from: string;
  /** The epoch that agents have heard of from the database in use until now; null where it cannot be read. */
  lastEpoch: number | null;
}

export interface Marked {
  epoch: number;
  /** Agents that are held until they report. */
  stale: number;
}

const LEAP = 1_000;
/** However often it is restored on top of a brake. */
const MAX_REASON = 1_000;

/**
 * In one transaction. Raises the epoch, which voids every session and instruction of before, sets the brake on the whole
 * fleet, which only a person takes off, and marks each agent stale.
 */
export async function markRestored(database: Database, mark: RestoreMark): Promise<Marked> {
  return await transaction(database, async (tx) => {
    const fleet = await ensureFleet(tx, mark.now);
    const epoch =
      mark.lastEpoch === null ? unheardOf(fleet.epoch, mark.now) : Math.max(fleet.epoch, mark.lastEpoch) + 1;
    await setMeta(tx, 'epoch', String(epoch));
    const stale = await markAllStale(tx);
    await brakeFleet(tx, mark);
    await appendAudit(tx, {
      at: mark.now,
      actor: 'tidegate',
      action: 'database.restored',
      subject: 'fleet',
      data: { from: mark.from, was: fleet.epoch, epoch, stale },
    });
    return { epoch, stale };
  });
}

/**
 * Nobody knows how far the epoch had come: the database that is replaced is damaged or gone. Agents take no instruction
 * of a lower epoch than they have accepted, and every restore before this one may have raised it, one of the same backup
 * too: so it leaps to the clock's seconds, which no restore before has reached.
 */
function unheardOf(epoch: number, now: number): number {
  return Math.max(epoch + LEAP, Math.floor(now / 1000));
}

/** A brake that stood already stays, and says now that there is more to look at before it is taken off. */
async function brakeFleet(tx: Tx, { now, from }: RestoreMark): Promise<void> {
  const restored = `restored from ${from}: look at what has changed since, then \`tidegate brake off\``;
  const standing = (await listBrakes(tx)).find((brake) => brake.scope === 'fleet');
  const reason =
    standing === undefined ? restored : `${restored}; on before that because: ${standing.reason}`.slice(0, MAX_REASON);
  await tx
    .insertInto('brakes')
    .values({ scope: 'fleet', actor: 'tidegate', reason, at: now, since_observed: await loadObserved(tx) })
    .onConflict((conflict) => conflict.column('scope').doUpdateSet({ reason }))
    .execute();
  await appendAudit(tx, { at: now, actor: 'tidegate', action: 'brake.on', subject: 'fleet', data: { reason } });
}
