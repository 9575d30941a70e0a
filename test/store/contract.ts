// What every database must do, run on SQLite and on PostgreSQL: one suite, each case on an empty database.
import type { TestContext } from 'node:test';
import type { Database } from '../../src/store/database.ts';
import { attemptCases } from './cases-attempts.ts';
import { fleetCases } from './cases-fleet.ts';
import { releaseCases } from './cases-releases.ts';
import { restraintCases } from './cases-restraints.ts';
import { rolloutCases } from './cases-rollouts.ts';
import { transactionCases } from './cases-transactions.ts';

export type Cases = Record<string, (database: Database) => Promise<void>>;

/** `open` gives an empty database of its own at every call. */
export async function storeContract(t: TestContext, open: () => Promise<Database>): Promise<void> {
  const groups: Cases[] = [transactionCases, releaseCases, fleetCases, rolloutCases, attemptCases, restraintCases];
  for (const [title, run] of groups.flatMap((cases) => Object.entries(cases))) {
    await t.test(title, async () => {
      const database = await open();
      try {
        await run(database);
      } finally {
        await database.close();
      }
    });
  }
}

/** For writes outside of what the store offers, and to see that a rule holds against them. */
export async function refuses(run: () => Promise<unknown>): Promise<boolean> {
  try {
    await run();
    return false;
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    // SQLite: SQLITE_CONSTRAINT_…; PostgreSQL: class 23, integrity constraint violation.
    if (!/^(SQLITE_CONSTRAINT|23)/.test(code)) throw error;
    return true;
  }
}
