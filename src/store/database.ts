// Opens the database that a URL names, brought to the newest schema, and runs transactions on it with bounded retries.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { AppError } from '../errors.ts';
import type { Fence } from './fence.ts';
import { type DatabaseKind, migrate, readMigrations } from './migrate.ts';
import { databaseAway, isConnectionLost, openPostgres, sqlState } from './postgres.ts';
import type { Db, Tx } from './schema.ts';
import { isBusy, openSqlite } from './sqlite.ts';

export type { Db, Tx } from './schema.ts';

export interface Database {
  db: Db;
  kind: DatabaseKind;
  /** File of a SQLite database; null in memory and for PostgreSQL. */
  path: string | null;
  /** Of a server, since it has taken over: asked in every transaction. */
  fence?: Fence;
  close(): Promise<void>;
}

/** The connection broke at a commit: whether it was written is not known. What is in memory must be read anew. */
export class CommitInDoubt extends AppError {
  constructor(cause: unknown) {
    super('not_ready', 'the database was lost at a commit', {
      cause,
      hint: 'Look whether it has been done before you do it again.',
      retryAfterMs: 1_000,
    });
  }
}

export interface OpenOptions {
  /** Default: the repository's own. */
  migrationsDir?: string;
  /** Hears of PostgreSQL connections that broke while idle; the pool replaces them. */
  onIdleError?: (error: Error) => void;
}

const MIGRATIONS_DIR = join(import.meta.dirname, '../../migrations');
const MAX_TRIES = 5;
const FIRST_PAUSE_MS = 10;

// What a database in memory begins with: the migrations run once in a process.
let migratedImage: Buffer | undefined;

/**
 * `sqlite:<absolute path>`, `sqlite::memory:` or `postgres://…`. Throws `database_locked`, `database_newer`,
 * `database_unusable`; in each case the database is as it was.
 */
export async function openDatabase(url: string, options: OpenOptions = {}): Promise<Database> {
  const isCopied = url === 'sqlite::memory:' && options.migrationsDir === undefined;
  if (isCopied && migratedImage !== undefined) return databaseOf(await connect(url, options, migratedImage));
  const migrations = readMigrations(options.migrationsDir ?? MIGRATIONS_DIR);
  const database = await connect(url, options);
  try {
    await migrate(database.db, database.kind, migrations, Date.now());
    database.forgetStatements();
    if (isCopied) migratedImage = database.image?.();
  } catch (error) {
    await database.close();
    if (error instanceof AppError) throw error;
    throw new AppError('database_unusable', `cannot migrate the database: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return databaseOf(database);
}

function databaseOf({ db, kind, path, close }: Connected): Database {
  return { db, kind, path, close };
}

interface Connected extends Database {
  forgetStatements(): void;
  /** Undefined for PostgreSQL. */
  image: (() => Buffer) | undefined;
}

async function connect(url: string, options: OpenOptions, image?: Buffer): Promise<Connected> {
  if (url.startsWith('sqlite:')) {
    const opened = openSqlite(url.slice('sqlite:'.length), image);
    const { db, unlock } = opened;
    return {
      db,
      kind: 'sqlite',
      path: opened.path,
      forgetStatements: opened.forgetStatements,
      image: opened.image,
      close: once(async () => {
        await db.destroy();
        unlock();
      }),
    };
  }
  if (/^postgres(ql)?:\/\//.test(url)) {
    const db = await openPostgres(url, options.onIdleError ?? (() => {}));
    return {
      db,
      kind: 'postgres',
      path: null,
      forgetStatements: () => {},
      image: undefined,
      close: once(() => db.destroy()),
    };
  }
  throw new AppError('config_invalid', 'a database is named by sqlite:<absolute path> or postgres://…');
}

function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined;
  return () => (closing ??= close());
}

/**
 * Runs `fn` in one transaction and commits, or rolls back when it throws. `fn` may run up to five times and must
 * have no effect outside of `tx`: use what it returns. Throws `not_ready` where another server has taken over, or the
 * database cannot be reached, and `CommitInDoubt`.
 *
 * SQLite: `begin immediate`, so there is one writer at a time. PostgreSQL: serializable. Rows that decide are locked in
 * sorted order by the queries (`forUpdate`), which makes rivals wait; serializable catches what no row lock can see, a
 * row that was not there yet (a second live attempt, a brake, the next handle): then one of the two fails and runs again.
 * A second try first queues for the audit table, before its snapshot is taken: nearly every writer meets there, and so
 * it cannot lose to the same rival again.
 */
export async function transaction<T>(database: Database, fn: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(database, fn, attempt > 1);
    } catch (error) {
      if (attempt === MAX_TRIES || !mayTryAgain(error)) throw error;
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()));
    }
  }
}

async function runOnce<T>(database: Database, run: (tx: Tx) => Promise<T>, queue: boolean): Promise<T> {
  const fn = async (tx: Tx) => {
    await database.fence?.check(tx);
    return await run(tx);
  };
  if (database.kind === 'sqlite') return await database.db.transaction().execute(fn);
  let [isBegun, isDone] = [false, false];
  try {
    return await database.db
      .transaction()
      .setIsolationLevel('serializable')
      .execute(async (tx) => {
        isBegun = true;
        if (queue) await sql`lock table audit in share row exclusive mode`.execute(tx);
        const result = await fn(tx);
        isDone = true;
        return result;
      });
  } catch (error) {
    if (isDone && !isRefused(error)) throw new CommitInDoubt(error);
    // Before the commit was sent nothing can have been written.
    if (isConnectionLost(error) || (!isBegun && !isRefused(error))) throw databaseAway(error);
    throw error;
  }
}

/** PostgreSQL has answered, and not that it ends: nothing was written. */
function isRefused(error: unknown): boolean {
  return sqlState(error) !== undefined && !isConnectionLost(error);
}

// 40001 serialization failure, 40P01 deadlock; https://www.postgresql.org/docs/18/errcodes-appendix.html
function mayTryAgain(error: unknown): boolean {
  const state = sqlState(error);
  return state === '40001' || state === '40P01' || isBusy(error);
}
