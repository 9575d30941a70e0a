// What a server does first with a database that it has opened: from then on it alone writes, whoever has it open besides.
import { type Database, transaction } from './database.ts';
import { type Fence, openFence } from './fence.ts';
import { ensureFleet, getMeta, setMeta } from './meta.ts';

export interface OwnDatabase extends Database {
  fence: Fence;
}

/**
 * Raises the term. A server that had the database before (woken from a pause, or started by mistake) writes nothing any
 * more: the one that was started last is the one. On SQLite its lock keeps a second one out already; that lock is a file,
 * which can be deleted or lie on a file system that does not honour it. One that has taken over is returned as it is.
 * `now` in milliseconds since the epoch.
 */
export async function takeOver(database: Database, now: number): Promise<OwnDatabase> {
  if (isOwn(database)) return database;
  const mine = await transaction(database, async (tx) => {
    const { epoch } = await ensureFleet(tx, now);
    const term = Number((await getMeta(tx, 'term')) ?? 0) + 1;
    await setMeta(tx, 'term', String(term));
    return { epoch, term };
  });
  return { ...database, fence: openFence(mine) };
}

function isOwn(database: Database): database is OwnDatabase {
  return database.fence !== undefined;
}
