// The end of a server whose database has gone, and agents that know more than a database that was restored.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import { openEngine } from '../../src/engine/engine.ts';
import { openDatabase } from '../../src/store/database.ts';
import { rules, testClock, testPolicy } from '../support/fixtures.ts';
import { openFleet } from '../support/fleet.ts';
import { createIds } from '../support/ids.ts';

test('an engine closes although its database has gone, and says what it could not write', async () => {
  const database = await openDatabase('sqlite::memory:');
  const log: string[] = [];
  const engine = await openEngine({
    database,
    clock: testClock(),
    logger: pino({ level: 'error' }, { write: (line: string) => void log.push(line) }),
    newId: createIds(),
    random: () => 0.5,
    products: [rules(testPolicy())],
    regions: ['eu-west-1'],
    surroundings: { calendars: [], freezes: [], limits: NO_LIMITS, mirrors: { regions: [], maxAgeMs: 600_000 } },
    pollMs: 60_000,
    maxWaitMs: 25_000,
  });
  await database.close();
  await engine.close();
  assert.match(log.join(''), /the last writes before the end failed/);
});

test('an agent that has seen higher sequences than a restored database is offered one that it takes', async (t) => {
  const fleet = await openFleet(t, rules(testPolicy()));
  await fleet.publish('1.0.0');
  const agents = [await fleet.enrol('a'), await fleet.enrol('b')];
  await fleet.publish('1.1.0');
  const [honest, liar] = agents;
  const offered = await honest?.checkIn({ sequence: 41 });
  assert(offered?.answer.kind === 'instruction');
  assert.equal(offered.answer.attempt.sequence, 42);
  const bounded = await liar?.checkIn({ sequence: Number.MAX_SAFE_INTEGER });
  assert(bounded?.answer.kind === 'instruction');
  assert.equal(bounded.answer.attempt.sequence, 2 ** 40 + 1);
});
