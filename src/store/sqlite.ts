// Opens a SQLite file: one server per file, settings read back on every open, refuses what is not ours before touching it.
import { closeSync, existsSync, mkdirSync, openSync, readSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import {
  type CompiledQuery,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteDialect,
  type SqliteStatement,
} from 'kysely';
import { AppError, assert } from '../errors.ts';
import type { DB, Db } from './schema.ts';
import { type WrittenTables, watchWrites, wordsOf } from './written-tables.ts';

/** `TDGT`: stands in the file's header (offset 68) and says whose file it is. */
export const APPLICATION_ID = 0x54444754;

// Older versions can lose committed writes when a WAL file is reset under a second connection
// (https://sqlite.org/wal.html, "The WAL-Reset Bug").
const OLDEST_SQLITE = '3.51.3';
const MEMORY = ':memory:';
// SQLite waits inside its call and so blocks the whole process; only a person's own sqlite3 shell can be in the way,
// and `transaction` tries again.
const BUSY_TIMEOUT_MS = 250;
const JOURNAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024;
const MAX_STATEMENTS = 500;

// Files that this process has open, each with the connection that holds its lock. Looked at first: to open and close a
// file again, even only to read its header, would drop the POSIX locks that this process holds on it. The connection is
// kept here, out of reach of the garbage collector: collected, it would let a second server in.
const openPaths = new Map<string, Sqlite.Database>();

export interface SqliteHandle {
  db: Db;
  /** Null in memory. */
  path: string | null;
  /** Forgets prepared statements; after migrations. */
  forgetStatements(): void;
  /** The whole database, as `openSqlite` takes it for one in memory. */
  image(): Buffer;
  /** Closes the connection for good and releases the file for other servers; after `db.destroy()`. */
  unlock(): void;
}

/**
 * Opens or creates the file (and its directory, 0700). Throws `database_locked` when another server has it,
 * `database_unusable` when it is not a Tidegate database, is damaged, or cannot be written. A database in memory begins
 * as a copy of `image`, or empty.
 */
export function openSqlite(path: string, image?: Buffer): SqliteHandle {
  assertVersion(sqliteVersion());
  if (path === MEMORY) return connect(path, image ?? path, () => {});
  const unlock = lock(path);
  try {
    return connect(path, path, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

/** Throws `database_unusable` for a SQLite that is too old to be trusted with a WAL file. */
export function assertVersion(version: string): void {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0, leastPatch = 0] = OLDEST_SQLITE.split('.').map(Number);
  const difference = major - leastMajor || minor - leastMinor || patch - leastPatch;
  if (difference < 0) {
    throw new AppError('database_unusable', `SQLite ${version} is older than ${OLDEST_SQLITE}`, {
      hint: 'Install the dependencies of the lock file with `npm ci`.',
    });
  }
}

function sqliteVersion(): string {
  const memory = new Sqlite(MEMORY);
  try {
    return memory.prepare('select sqlite_version()').pluck().get() as string;
  } finally {
    memory.close();
  }
}

/** Makes this process the only server of the file, after a look whether it is one of ours. Returns the way back. */
function lock(path: string): () => void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const real = realPath(path);
    if (openPaths.has(real)) throw new AppError('database_locked', `this process has ${path} open already`);
    checkHeader(real);
    return hold(real);
  } catch (error) {
    if (isBusy(error)) throw new AppError('database_locked', `another server has ${path} open`, { cause: error });
    throw unusable(path, error);
  }
}

/**
 * The lock alone, of a file that may be damaged or not there: for who is about to put another in its place. Throws
 * `database_locked` when a server has it, `database_unusable` when it is another program's. Returns where the file really is, and the way back.
 */
export function lockForReplacing(path: string): { real: string; unlock(): void } {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const real = realPath(path);
    if (openPaths.has(real)) throw new AppError('database_locked', `this process has ${path} open already`);
    if (existsSync(real) && isSqlite(real)) checkHeader(real);
    return { real, unlock: hold(real) };
  } catch (error) {
    if (isBusy(error)) throw new AppError('database_locked', `a server has ${path} open`, { cause: error });
    throw unusable(path, error);
  }
}

function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path));
}

function hold(real: string): () => void {
  const held = lockFile(`${real}.lock`);
  openPaths.set(real, held);
  return () => {
    held.close();
    openPaths.delete(real);
  };
}

function isSqlite(path: string): boolean {
  const file = openSync(path, 'r');
  try {
    const magic = Buffer.alloc(16);
    return readSync(file, magic, 0, 16, 0) === 16 && magic.toString('latin1') === 'SQLite format 3\0';
  } finally {
    closeSync(file);
  }
}

function checkHeader(path: string): void {
  // The WAL files take over the mode of the file.
  const file = openSync(path, 'a+', 0o600);
  try {
    const header = Buffer.alloc(100);
    if (readSync(file, header, 0, 100, 0) === 0) return;
    if (header.toString('latin1', 0, 16) !== 'SQLite format 3\0') {
      throw new AppError('database_unusable', `${path} is not a SQLite database`);
    }
    // Ours is in the header from the first write on, before the file turns to WAL, so it can be read without SQLite.
    if (header.readUInt32BE(68) !== APPLICATION_ID) {
      throw new AppError('database_unusable', `${path} is a database of another program`, {
        hint: 'Name another file in `database`; this one was not touched.',
      });
    }
  } finally {
    closeSync(file);
  }
}

/** An exclusive lock that the kernel releases when this process ends, however it ends. Throws SQLITE_BUSY. */
function lockFile(path: string): Sqlite.Database {
  closeSync(openSync(path, 'a', 0o600));
  const held = new Sqlite(path, { timeout: 0 });
  try {
    // Nothing is ever written to it, so it needs no journal beside it.
    held.pragma('journal_mode = memory');
    held.exec('begin exclusive');
  } catch (error) {
    held.close();
    throw error;
  }
  return held;
}

function connect(path: string, source: string | Buffer, unlock: () => void): SqliteHandle {
  let raw: Sqlite.Database | undefined;
  try {
    raw = new Sqlite(source, { timeout: BUSY_TIMEOUT_MS });
    configure(raw, path);
  } catch (error) {
    raw?.close();
    throw unusable(path, error);
  }
  const opened = raw;
  const version = raw.prepare('pragma data_version').pluck();
  const writes = watchWrites(() => version.get() as number);
  const { database, forgetStatements } = withStatementCache(raw, writes);
  const db = new Kysely<DB>({ dialect: new Dialect(database, () => opened.inTransaction, writes) });
  return {
    db,
    path: path === MEMORY ? null : path,
    forgetStatements,
    image: () => opened.serialize(),
    unlock() {
      // Kysely closes only what it has asked something: a database that nobody used would stay open, and usable.
      opened.close();
      unlock();
    },
  };
}

class Dialect extends SqliteDialect {
  readonly #adapter: DirectAdapter;

  constructor(database: CachedDatabase, isOpen: () => boolean, writes: WrittenTables) {
    super({ database });
    this.#adapter = new DirectAdapter(database, isOpen, writes);
  }

  override createAdapter(): DirectAdapter {
    return this.#adapter;
  }
}

/**
 * Whoever holds a transaction has the only connection, and a statement of somebody else's is done before anybody can
 * begin one: with nobody to wait for they need not go by kysely's queues, which take as long as a small statement itself.
 */
export class DirectAdapter extends SqliteAdapter {
  readonly writes: WrittenTables;
  readonly #database: CachedDatabase;
  readonly #isOpen: () => boolean;

  constructor(database: CachedDatabase, isOpen: () => boolean, writes: WrittenTables) {
    super();
    this.writes = writes;
    this.#database = database;
    this.#isOpen = isOpen;
  }

  /** Whether a statement outside of transactions may run at once: it must not read what another one has not committed. */
  isFree(): boolean {
    return !this.#isOpen();
  }

  /** Only for who holds the transaction, or where none is open. The result is as kysely's driver has it. */
  run<Row>({ sql, parameters }: CompiledQuery<Row>, isInTransaction: boolean): QueryResult<Row> {
    assert(this.#isOpen() === isInTransaction, 'the transaction has not ended');
    const statement = this.#database.prepare(sql);
    if (statement.reader) return { rows: statement.all(parameters) as Row[] };
    const { changes, lastInsertRowid } = statement.run(parameters);
    return { insertId: BigInt(lastInsertRowid), numAffectedRows: BigInt(changes), rows: [] };
  }
}

function configure(raw: Sqlite.Database, path: string): void {
  // Before WAL: then it is in the file's header at once.
  if (raw.pragma('application_id', { simple: true }) === 0) raw.pragma(`application_id = ${APPLICATION_ID}`);
  set(raw, 'journal_mode', path === MEMORY ? 'memory' : 'wal');
  // better-sqlite3 opens existing WAL files at NORMAL (1), which may lose committed transactions at power loss.
  set(raw, 'synchronous', 'full', 2);
  set(raw, 'foreign_keys', 'on', 1);
  set(raw, 'trusted_schema', 'off', 0);
  set(raw, 'cell_size_check', 'on', 1);
  set(raw, 'journal_size_limit', JOURNAL_SIZE_LIMIT_BYTES);
  set(raw, 'busy_timeout', BUSY_TIMEOUT_MS);
  const check = raw.pragma('quick_check(1)', { simple: true });
  if (check !== 'ok') throw new AppError('database_unusable', `${path} is damaged: ${String(check)}`);
}

function set(raw: Sqlite.Database, name: string, value: string | number, expected: string | number = value): void {
  raw.pragma(`${name} = ${value}`);
  const actual = raw.pragma(name, { simple: true });
  if (actual !== expected) {
    throw new AppError('database_unusable', `SQLite has ${name} = ${String(actual)}, not ${expected}`);
  }
}

interface CachedDatabase {
  prepare(text: string): SqliteStatement;
  close(): void;
}

/**
 * kysely prepares every query anew, which costs more than running it. The oldest statement leaves when there are too
 * many. Transactions begin immediate: a deferred one that turns to writing fails where waiting would have helped.
 */
function withStatementCache(
  raw: Sqlite.Database,
  writes: WrittenTables,
): { database: CachedDatabase; forgetStatements(): void } {
  const statements = new Map<string, SqliteStatement>();
  const begin = raw.prepare('begin immediate') as unknown as SqliteStatement;
  const rollback = tolerantRollback(raw, () => writes.noteAll());
  function prepare(text: string): SqliteStatement {
    if (text === 'begin') return begin;
    if (text === 'rollback') return rollback;
    const known = statements.get(text);
    if (known !== undefined) return known;
    const statement = noting(raw.prepare(text), writes);
    if (statements.size >= MAX_STATEMENTS) statements.delete(statements.keys().next().value as string);
    statements.set(text, statement);
    return statement;
  }
  return { database: { prepare, close: () => raw.close() }, forgetStatements: () => statements.clear() };
}

/** The same statement; what it may write to is noted before it runs. */
function noting(prepared: Sqlite.Statement, writes: WrittenTables): SqliteStatement {
  const statement = prepared as unknown as SqliteStatement;
  if (prepared.readonly) return statement;
  const words = wordsOf(prepared.source);
  const noted = <Result>(run: () => Result): Result => {
    writes.note(words);
    return run();
  };
  return {
    reader: statement.reader,
    all: (parameters) => noted(() => statement.all(parameters)),
    run: (parameters) => noted(() => statement.run(parameters)),
    iterate: (parameters) => noted(() => statement.iterate(parameters)),
  };
}

/** SQLite rolls back by itself on a full disk or an I/O error; a second rollback would hide the first error. */
function tolerantRollback(raw: Sqlite.Database, onUndone: () => void): SqliteStatement {
  const statement = raw.prepare('rollback');
  return {
    reader: false,
    all: () => [],
    run() {
      onUndone();
      return raw.inTransaction ? statement.run() : { changes: 0, lastInsertRowid: 0 };
    },
    iterate: () => [][Symbol.iterator](),
  };
}

export function isBusy(error: unknown): boolean {
  return error instanceof Sqlite.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code);
}

function unusable(path: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError('database_unusable', `cannot use ${path}: ${(error as Error).message}`, { cause: error });
}
