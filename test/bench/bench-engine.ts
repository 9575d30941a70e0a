// The engine on the system's clock and any database, as the benchmarks measure it.
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import type { Policy } from '../../src/domain/policy.ts';
import { systemClock } from '../../src/engine/clock.ts';
import { type Engine, openEngine } from '../../src/engine/engine.ts';
import type { Database } from '../../src/store/database.ts';
import { rules } from '../support/fixtures.ts';

export async function openBenchEngine(database: Database, policy: Policy, regions: readonly string[]): Promise<Engine> {
  return await openEngine({
    database,
    clock: systemClock,
    logger: pino({ level: 'error' }),
    newId: uuidv7,
    random: Math.random,
    products: [rules(policy)],
    regions,
    surroundings: {
      calendars: regions.map((region) => ({ region, timeZone: 'UTC', windows: { allow: [], deny: [] } })),
      freezes: [],
      limits: NO_LIMITS,
      mirrors: { regions: [], maxAgeMs: 600_000 },
    },
    pollMs: 60_000,
    maxWaitMs: 25_000,
  });
}
