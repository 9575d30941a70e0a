// Which of an agent's attempts count towards its quarantine in a lane.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attemptsUsed, type QuarantineLane, type Spent } from '../../src/domain/quarantine.ts';

const ROLLOUT = 'rollout';
const lane = (overrides: Partial<QuarantineLane> = {}): QuarantineLane => ({
  laneId: 'eu',
  rolloutId: ROLLOUT,
  budgetEpoch: 0,
  retried: [],
  ...overrides,
});
const spent = (overrides: Partial<Spent> = {}): Spent => ({
  ...{ rolloutId: ROLLOUT, laneId: 'eu', step: 0, budgetEpoch: 0 },
  ...{ count: 2, cleared: 0, weight: 'bad', member: true },
  ...overrides,
});

describe('attemptsUsed', () => {
  const rows: [title: string, Spent, QuarantineLane, number][] = [
    ['its own lane', spent(), lane(), 2],
    ['another lane of the release', spent({ laneId: 'us' }), lane(), 2],
    ['another lane, forgiven by a retry there', spent({ laneId: 'us' }), retriedIn('us'), 0],
    ['another release', spent({ rolloutId: 'other' }), lane(), 0],
    ['its own way back, while it goes forward', spent({ step: -1, budgetEpoch: -1 }), lane(), 0],
    ['another lane’s way back, while it goes forward', spent({ laneId: 'us', step: -1, budgetEpoch: -1 }), lane(), 0],
    ['what went forward elsewhere, on the way back', spent({ laneId: 'us' }), lane({ budgetEpoch: -1 }), 0],
    ['its own way back', spent({ step: -1, budgetEpoch: -1 }), lane({ budgetEpoch: -1 }), 2],
    ['its way back before', spent({ step: -1, budgetEpoch: -1 }), lane({ budgetEpoch: -2 }), 0],
  ];
  for (const [title, one, where, used] of rows)
    test(`${title}: ${used}`, () => assert.equal(attemptsUsed([one], where), used));
});

function retriedIn(laneId: string): QuarantineLane {
  return lane({ retried: [{ laneId, budgetEpoch: 1 }] });
}
