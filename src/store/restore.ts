// Puts a backup in the place of a SQLite database that no server has open, and marks it as restored before it gets its name.
import { copyFileSync, existsSync, linkSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { AppError } from '../errors.ts';
import { asAppError, copyKeys, type Place, sqlitePath, sync } from './backup.ts';
import { newestInstant } from './clock-doubt.ts';
import { openDatabase } from './database.ts';
import { markRestored } from './restored.ts';
import { APPLICATION_ID, lockForReplacing } from './sqlite.ts';

export interface RestoreOptions {
  config: Place;
  /** Absolute; null: the rows are in the database already, brought by other means, and it is only marked. */
  file: string | null;
  /** Milliseconds since the epoch. */
  now: number;
}

export interface Restored {
  database: string;
  /** The newest instant that the restored database knows of; null for an empty one. */
  endsAt: number | null;
  epoch: number;
  stale: number;
  /** Where the database is now that was there before; null when there was none. */
  aside: string | null;
  keys: string;
  keysAre: 'copied' | 'kept' | 'missing';
}

/**
 * The server must not run. What is in use until now is moved aside, never deleted; whatever fails leaves it in place.
 * Throws `database_locked`, `database_newer`, `database_unusable`, `not_found`, `file_unusable`, and `config_invalid` for
 * a file where the database is not a SQLite file.
 */
export async function restore({ config, file, now }: RestoreOptions): Promise<Restored> {
  if (file === null) return await markOnly(config, now);
  const path = sqlitePath(config, 'restore', 'pg_restore');
  if (!existsSync(file))
    throw new AppError('not_found', `there is no backup at ${file}`, {
      hint: 'Name the file that `tidegate backup` wrote.',
    });
  const { real, unlock } = lockForReplacing(path);
  try {
    if (realpathSync(file) === real)
      throw new AppError('conflict', `${file} is the database itself`, { hint: 'Name a backup, or use --mark.' });
    const lastEpoch = settleAndRead(real);
    const fresh = `${real}.restoring`;
    const marked = await prepare(file, fresh, { now, lastEpoch });
    const aside = existsSync(real) ? moveAside(real, now) : null;
    renameSync(fresh, real);
    sync(dirname(real));
    return { database: path, ...marked, aside, ...restoreKeys(config, `${file}.keys`) };
  } catch (error) {
    throw asAppError(file, error);
  } finally {
    unlock();
  }
}

/** Nobody knows what it had come to before other means overwrote it. */
async function markOnly(config: Place, now: number): Promise<Restored> {
  const database = await openDatabase(config.database);
  try {
    const endsAt = await newestInstant(database.db);
    const marked = await markRestored(database, { now, from: sayFrom('a backup', endsAt), lastEpoch: null });
    const name = database.path ?? 'the PostgreSQL database';
    return { database: name, endsAt, ...marked, aside: null, ...restoreKeys(config, null) };
  } finally {
    await database.close();
  }
}

/** A copy beside the database: checked, brought to the newest schema, marked. The backup itself stays as it is. */
async function prepare(file: string, fresh: string, { now, lastEpoch }: { now: number; lastEpoch: number | null }) {
  discard(fresh);
  try {
    copyFileSync(file, fresh);
    // Of a file that somebody has copied from under a server.
    if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${fresh}-wal`);
    checkBackup(file, fresh);
    const database = await openDatabase(`sqlite:${fresh}`);
    try {
      const endsAt = await newestInstant(database.db);
      const from = sayFrom(basename(file), endsAt);
      return { endsAt, ...(await markRestored(database, { now, from, lastEpoch })) };
    } finally {
      await database.close();
    }
  } catch (error) {
    discard(fresh);
    throw error;
  } finally {
    rmSync(`${fresh}.lock`, { force: true });
  }
}

/** Opening a file makes a new database of an empty one; a backup that was cut off must not pass for that. */
function checkBackup(file: string, fresh: string): void {
  const hint = 'Restore another backup. What the server has in use was not touched.';
  const refuse = (why: string, cause?: unknown) => {
    throw new AppError('database_unusable', `${file} is no backup that can be restored: ${why}`, { cause, hint });
  };
  let raw: Sqlite.Database | undefined;
  try {
    raw = new Sqlite(fresh, { fileMustExist: true });
    const isKnown = raw.prepare("select count(*) from sqlite_master where name = 'schema_version'").pluck().get() === 1;
    const isOurs = raw.pragma('application_id', { simple: true }) === APPLICATION_ID;
    const check = raw.pragma('quick_check(1)', { simple: true });
    if (!isKnown || !isOurs) refuse(statSync(fresh).size === 0 ? 'it is empty' : 'Tidegate did not write it');
    if (check !== 'ok') refuse(String(check));
  } catch (error) {
    if (error instanceof AppError) throw error;
    refuse((error as Error).message, error);
  } finally {
    raw?.close();
  }
}

function discard(fresh: string): void {
  for (const end of ['', '-wal', '-shm', '.lock']) rmSync(fresh + end, { force: true });
}

/** What agents have heard of; null where it cannot be read. What is in the WAL goes into the file before it is moved. */
function settleAndRead(path: string): number | null {
  if (!existsSync(path)) return null;
  let raw: Sqlite.Database | undefined;
  try {
    raw = new Sqlite(path, { fileMustExist: true });
    const value = raw.prepare("select value from meta where key = 'epoch'").pluck().get();
    raw.pragma('wal_checkpoint(truncate)');
    return typeof value === 'string' ? Number(value) : null;
  } catch {
    // Damaged: that may be why it is replaced.
    return null;
  } finally {
    raw?.close();
  }
}

/** A second name first, so that at no instant there is no database under its own. */
function moveAside(path: string, now: number): string {
  const aside = `${path}.before-restore-${new Date(now).toISOString().replace(/[:.]/g, '-')}`;
  linkSync(path, aside);
  for (const end of ['-wal', '-shm']) if (existsSync(path + end)) renameSync(path + end, aside + end);
  return aside;
}

function restoreKeys({ server }: Place, copy: string | null): Pick<Restored, 'keys' | 'keysAre'> {
  const keys = join(server.dataDir, 'keys');
  if (existsSync(keys)) return { keys, keysAre: 'kept' };
  if (copy === null || !existsSync(copy)) return { keys, keysAre: 'missing' };
  copyKeys(copy, keys);
  return { keys, keysAre: 'copied' };
}

function sayFrom(name: string, endsAt: number | null): string {
  return endsAt === null ? name : `${name}, which ends at ${new Date(endsAt).toISOString().slice(0, 19)}Z`;
}
