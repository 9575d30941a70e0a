// A database in memory that can be copied whole, as a backup is, and begun from such a copy.
import { join } from 'node:path';
import type { Database } from '../../src/store/database.ts';
import { migrate, readMigrations } from '../../src/store/migrate.ts';
import { openSqlite } from '../../src/store/sqlite.ts';

export interface SimDatabase extends Database {
  /** As of now: between two transactions. */
  image(): Buffer;
}

const MIGRATIONS_DIR = join(import.meta.dirname, '../../migrations');

let migrated: Buffer | undefined;

/** Migrated once in a process. */
export async function openFresh(): Promise<SimDatabase> {
  if (migrated !== undefined) return openFrom(migrated);
  const { db, image } = openSqlite(':memory:');
  await migrate(db, 'sqlite', readMigrations(MIGRATIONS_DIR), 0);
  migrated = image();
  await db.destroy();
  return openFrom(migrated);
}

export function openFrom(copy: Buffer): SimDatabase {
  const { db, image } = openSqlite(':memory:', copy);
  return { db, kind: 'sqlite', path: null, image, close: () => db.destroy() };
}
