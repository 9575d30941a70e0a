// Brings a database to the newest schema: forward only, each migration in one transaction with the row that says so.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { AppError } from '../errors.ts';
import type { Db, Tx } from './schema.ts';

export interface Migration {
  version: number;
  name: string;
  text: string;
  /** SHA-256 of the text, lower-case hex. */
  sha256: string;
}

export type DatabaseKind = 'sqlite' | 'postgres';

const FILE_NAME = /^(\d{3})-([a-z0-9-]+)\.sql$/;
// Any number that other programs on the same PostgreSQL database are unlikely to lock.
const MIGRATION_LOCK = 7_368_402_183;

/**
 * Applies what is missing, in order, and returns the versions applied. Killed anywhere it leaves the old or the new
 * schema. `now` in milliseconds. Throws `database_newer` when the database has a migration that is not known here, and
 * `database_unusable` when an applied one has another text; both before anything is changed.
 */
export async function migrate(
  db: Db,
  kind: DatabaseKind,
  migrations: readonly Migration[],
  now: number,
): Promise<number[]> {
  check(await readApplied(db, kind), migrations);
  const applied: number[] = [];
  for (const migration of migrations) {
    const done = await db.transaction().execute((tx) => applyOne(tx, kind, migration, now));
    if (done) applied.push(migration.version);
  }
  return applied;
}

/** Reads `NNN-name.sql` files; they must count from 1 without a gap. */
export function readMigrations(directory: string): Migration[] {
  const files = readdirSync(directory).filter((name) => name.endsWith('.sql'));
  return files.sort().map((file, index) => {
    const match = FILE_NAME.exec(file);
    const version = Number(match?.[1]);
    if (match === null || version !== index + 1) throw new Error(`migration out of order: ${file}`);
    const text = readFileSync(join(directory, file), 'utf8');
    return { version, name: match[2] as string, text, sha256: createHash('sha256').update(text).digest('hex') };
  });
}

/** The statements of a migration in the database's own dialect, comments removed. */
export function statementsOf(text: string, kind: DatabaseKind): string[] {
  return split(text).map((statement) => {
    if (kind === 'postgres') return statement.replace(/\binteger\b/gi, 'bigint');
    return /^create\s+table\b/i.test(statement) ? `${statement} strict` : statement;
  });
}

interface AppliedRow {
  version: number;
  name: string;
  sha256: string;
}

async function readApplied(db: Db | Tx, kind: DatabaseKind): Promise<AppliedRow[]> {
  const table =
    kind === 'sqlite'
      ? sql`select 1 from sqlite_master where type = 'table' and name = 'schema_version'`
      : sql`select 1 where to_regclass('schema_version') is not null`;
  if ((await table.execute(db)).rows.length === 0) return [];
  return await db.selectFrom('schema_version').select(['version', 'name', 'sha256']).orderBy('version').execute();
}

function check(applied: readonly AppliedRow[], migrations: readonly Migration[]): void {
  for (const row of applied) {
    const known = migrations.find((migration) => migration.version === row.version);
    if (known === undefined) {
      throw new AppError(
        'database_newer',
        `the database has schema ${row.version} (${row.name}), this program knows ${migrations.length}`,
      );
    }
    if (known.sha256 !== row.sha256) {
      throw new AppError(
        'database_unusable',
        `migration ${row.version} (${row.name}) was changed after it was applied`,
        {
          hint: 'Put the text of the migration back; changes go into a new one.',
        },
      );
    }
  }
}

async function applyOne(tx: Tx, kind: DatabaseKind, migration: Migration, now: number): Promise<boolean> {
  // On SQLite the transaction has the file to itself. On PostgreSQL another server may be migrating at the same time.
  if (kind === 'postgres') await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`.execute(tx);
  const applied = await readApplied(tx, kind);
  if (applied.some((row) => row.version === migration.version)) return false;
  if (applied.length === 0) await createVersionTable(tx, kind);
  for (const statement of statementsOf(migration.text, kind)) await sql.raw(statement).execute(tx);
  await tx
    .insertInto('schema_version')
    .values({ version: migration.version, name: migration.name, sha256: migration.sha256, applied_at: now })
    .execute();
  return true;
}

async function createVersionTable(tx: Tx, kind: DatabaseKind): Promise<void> {
  const text = `create table schema_version (
    version integer primary key, name text not null, sha256 text not null, applied_at integer not null)`;
  for (const statement of statementsOf(text, kind)) await sql.raw(statement).execute(tx);
}

/** Splits at semicolons outside of quotes and drops `--` comments, which may hold both. */
function split(text: string): string[] {
  const statements: string[] = [];
  let current = '';
  for (const [token] of text.matchAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|[^'";-]+|[\s\S]/g)) {
    if (token.startsWith('--')) continue;
    if (token === ';') {
      statements.push(current.trim());
      current = '';
    } else {
      current += token;
    }
  }
  statements.push(current.trim());
  return statements.filter((statement) => statement !== '');
}
