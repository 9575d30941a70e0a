// A copy of a SQLite database as of one instant, taken while the server may be writing; checked before it has its name.
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { AppError } from '../errors.ts';
import { APPLICATION_ID } from './sqlite.ts';

export interface Place {
  /** `sqlite:<absolute path>` or `postgres://…`. */
  database: string;
  server: { dataDir: string };
}

export interface BackupOptions {
  config: Place;
  /** Absolute. */
  file: string;
  /** The server's keys are copied to `<file>.keys`. */
  withKeys: boolean;
}

// All in one go: between two pieces another process may write, and then SQLite begins anew, again and again.
const ALL_PAGES = 0x7fff_ffff;

/**
 * Needs no server, and disturbs none: readers of a WAL file do not hold up its writer. Throws `conflict` when the file
 * is there, `not_found` when there is no database, `database_unusable`, `file_unusable`.
 */
export async function backUp({ config, file, withKeys }: BackupOptions) {
  const path = sqlitePath(config, 'backup', 'pg_dump');
  const keys = join(config.server.dataDir, 'keys');
  const keysCopy = withKeys ? `${file}.keys` : null;
  for (const one of [file, ...(keysCopy === null ? [] : [keysCopy])]) refuseToOverwrite(one);
  if (!existsSync(path)) throw new AppError('not_found', `there is no database at ${path} yet`);
  const temporary = `${file}.${process.pid}.new`;
  try {
    // The copy takes over the mode.
    closeSync(openSync(temporary, 'wx', 0o600));
    await copyOnline(path, temporary);
    const agents = checkCopy(temporary);
    if (keysCopy !== null) copyKeys(keys, keysCopy);
    give(temporary, file);
    return { file, bytes: statSync(file).size, agents, keys, keysCopy };
  } catch (error) {
    throw asAppError(file, error);
  } finally {
    for (const end of ['', '-wal', '-shm', '-journal']) rmSync(temporary + end, { force: true });
  }
}

/** Throws `config_invalid` for a database that is not a SQLite file. */
export function sqlitePath({ database }: Place, verb: string, instead: string): string {
  if (database.startsWith('sqlite:') && database !== 'sqlite::memory:') return database.slice('sqlite:'.length);
  throw new AppError('config_invalid', `${verb} is for a SQLite file, and the config names another database`, {
    hint: `With PostgreSQL use ${instead}; after its restore run \`tidegate restore --mark\` before the server starts.`,
  });
}

/** Into a directory that is not there yet; for their owner alone. */
export function copyKeys(from: string, to: string): void {
  const names = readdirSync(from);
  mkdirSync(to, { mode: 0o700 });
  for (const name of names) {
    const copy = join(to, name);
    copyFileSync(join(from, name), copy, constants.COPYFILE_EXCL);
    chmodSync(copy, 0o600);
    sync(copy);
  }
  sync(to);
}

/** Durable when it returns. */
export function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function asAppError(file: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = error instanceof Sqlite.SqliteError ? 'database_unusable' : 'file_unusable';
  return new AppError(code, `${file}: ${(error as Error).message}`, { cause: error });
}

async function copyOnline(path: string, to: string): Promise<void> {
  const source = new Sqlite(path, { readonly: true, fileMustExist: true });
  try {
    if (source.pragma('application_id', { simple: true }) !== APPLICATION_ID)
      throw new AppError('database_unusable', `${path} is a database of another program`);
    await source.backup(to, { progress: () => ALL_PAGES });
  } finally {
    source.close();
  }
}

/** One plain file, sound throughout. Returns how many agents it knows. */
function checkCopy(path: string): number {
  const copy = new Sqlite(path);
  try {
    copy.pragma('journal_mode = delete');
    const check = copy.pragma('quick_check(1)', { simple: true });
    if (check !== 'ok') throw new AppError('database_unusable', `the copy is damaged: ${String(check)}`);
    return copy.prepare('select count(*) from agents').pluck().get() as number;
  } finally {
    copy.close();
  }
}

/** A link fails where the name is taken meanwhile, a rename would not. */
function give(temporary: string, file: string): void {
  sync(temporary);
  linkSync(temporary, file);
  sync(dirname(file));
}

function refuseToOverwrite(file: string): void {
  if (!existsSync(file)) return;
  throw new AppError('conflict', `${file} is there already`, { hint: 'Name another file; no backup is overwritten.' });
}
