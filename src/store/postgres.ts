// Opens a pool to PostgreSQL with the settings that the store counts on.
import type { Socket } from 'node:net';
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { AppError } from '../errors.ts';
import type { DB, Db } from './schema.ts';

const MAX_CONNECTIONS = 10;
const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;
/** The server answers or ends each statement before that: when nothing has come by then, nobody is there any more. */
const DEAD_AFTER_MS = 75_000;

/**
 * Connects once to see that it works. `onIdleError` hears of connections that broke while nobody used them: the pool
 * replaces them. Where a connection that is used says nothing for `deadAfterMs`, what waits for it fails. Throws
 * `database_unusable`.
 */
export async function openPostgres(
  url: string,
  onIdleError: (error: Error) => void,
  deadAfterMs = DEAD_AFTER_MS,
): Promise<Db> {
  const pool = new pg.Pool({
    connectionString: url,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    application_name: 'tidegate',
    types: { getTypeParser },
  });
  // Without a listener a broken idle connection ends the process.
  pool.on('error', onIdleError);
  pool.on('connect', (client) => {
    // Nor must one that breaks while it is used: whoever asked hears of it by the query that fails.
    client.on('error', () => {});
    // A host that has lost its power ends no connection, and one thing at a time is written: all would wait for ever.
    const stream = client.connection.stream as Socket;
    stream.setTimeout(deadAfterMs, () => stream.destroy());
  });
  const db = new Kysely<DB>({
    dialect: new PostgresDialect({
      pool,
      // A database may have it off, and then a crash of PostgreSQL takes acknowledged reports with it.
      onCreateConnection: async (connection) => {
        await connection.executeQuery(
          CompiledQuery.raw(
            `select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`,
          ),
        );
      },
    }),
  });
  try {
    await db.executeQuery(CompiledQuery.raw('select 1'));
  } catch (error) {
    await db.destroy();
    throw new AppError('database_unusable', `cannot use PostgreSQL at ${placeOf(url)}: ${(error as Error).message}`, {
      cause: error,
      hint: 'Check the address, the name and the password in `database`, and that PostgreSQL runs.',
    });
  }
  return db;
}

/** SQLSTATE of an error of PostgreSQL. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Of the network, and what pg says itself where a connection has ended. */
const BROKEN =
  /\b(?:ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|connection terminated|connection error|not queryable)\b/i;

/** What a query has thrown because its connection broke, or because PostgreSQL ends: class 57P of its states, or 08. */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return state.startsWith('57P') || state.startsWith('08');
  if (!(error instanceof Error) || error instanceof AppError) return false;
  return BROKEN.test(`${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}`);
}

/** For people and agents: nothing was written. */
export function databaseAway(cause: unknown): AppError {
  return new AppError('not_ready', 'the database cannot be reached', {
    cause,
    hint: 'Nothing was written. Look whether PostgreSQL runs, and try again.',
    retryAfterMs: 5_000,
  });
}

// int8 arrives as text; everything that is stored in one (times, counts) is far below 2^53.
function getTypeParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
  if (oid === pg.types.builtins.INT8 && format !== 'binary') return readInteger;
  return pg.types.getTypeParser(oid, format as 'text') as (text: string) => unknown;
}

function readInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`integer out of range: ${text}`);
  return value;
}

/** Host and database, never the password. */
function placeOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  return parsed === undefined ? 'an unreadable address' : `${parsed.host}${parsed.pathname}`;
}
