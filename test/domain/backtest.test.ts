// Back-tests: histories worked out by hand, and a real one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_LIMITS } from '../../src/domain/limits.ts';
import type { Policy } from '../../src/domain/policy.ts';
import { type BacktestQuestion, backtest } from '../../src/domain/rehearse/backtest.ts';
import { rules, START, stepPolicy, testPolicy, testRelease } from '../support/fixtures.ts';
import { readReal, SSM } from '../support/real-releases.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function question(policy: Partial<Policy>, overrides: Partial<BacktestQuestion> = {}): BacktestQuestion {
  const regions = ['eu', 'us'];
  return {
    product: rules(testPolicy({ waves: [['eu'], ['us']], ...policy })),
    regions,
    calendars: regions.map((region) => ({ region, timeZone: 'UTC', windows: { allow: [], deny: [] } })),
    freezes: [],
    limits: NO_LIMITS,
    brakes: [],
    vetoes: [],
    baselines: [],
    seed: 1,
    approveAfterMs: 0,
    availabilityDelayMs: 0,
    pollMs: 0,
    stageMs: null,
    activateMs: null,
    releases: [],
    since: START,
    now: START + 30 * DAY,
    agentsPerRegion: 3,
    ...overrides,
  };
}

/** Version and days after the start; before it for what was there at first. */
function published(...rows: [version: string, days: number][]) {
  return rows.map(([version, days]) => testRelease(version, { publishedAt: START + days * DAY }));
}

const slow = { steps: [stepPolicy({ percent: 100, soakMs: 4 * DAY })] };

describe('backtest', () => {
  it('a release every ten days reaches both regions, one after the other', () => {
    const found = backtest(question(slow, { releases: published(['1.0.0', -5], ['1.1.0', 5], ['1.2.0', 15]) }));
    assert.deepEqual([found.first, found.releases], ['1.0.0', 2]);
    assert.deepEqual(
      found.rollouts.map((one) => [one.version, one.outcome, one.regions.completed]),
      [
        ['1.1.0', 'completed', 2],
        ['1.2.0', 'completed', 2],
      ],
    );
    const [eu, us] = found.regions;
    assert.deepEqual([eu?.version, eu?.completed, eu?.skipped, us?.completed], ['1.2.0', 2, 0, 2]);
    // Four days of soak and minutes of work here, twice that there.
    assert.ok(Math.abs((eu?.lead?.maxMs ?? 0) - 4 * DAY) < HOUR && Math.abs((us?.lead?.maxMs ?? 0) - 8 * DAY) < HOUR);
    assert.equal(eu?.behind.endMs, 0);
    assert.equal(eu?.behind.maxMs, eu?.lead?.maxMs);
  });

  it('releases faster than a region soaks starve the second one, which is further and further behind', () => {
    const releases = published(['1.0.0', -5], ['1.1.0', 1], ['1.2.0', 3], ['1.3.0', 5], ['1.4.0', 7]);
    const found = backtest(question({ ...slow, maxSkips: 100 }, { releases, now: START + 8 * DAY }));
    assert.deepEqual(
      found.rollouts.map((one) => [one.version, one.outcome, one.regions]),
      [
        ['1.1.0', 'superseded', { completed: 1, superseded: 0, starved: 1, going: 0 }],
        ['1.2.0', 'starved', { completed: 0, superseded: 0, starved: 2, going: 0 }],
        ['1.3.0', 'going', { completed: 0, superseded: 0, starved: 1, going: 1 }],
        ['1.4.0', 'going', { completed: 0, superseded: 0, starved: 0, going: 2 }],
      ],
    );
    const [, us] = found.regions;
    // Since the first release that it has not: out since the first day.
    assert.deepEqual([us?.version, us?.completed, us?.behind.endMs], ['1.0.0', 0, 7 * DAY]);
    assert.deepEqual(
      found.lines.map((one) => one.line),
      ['1.1', '1.2', '1.3', '1.4'],
    );
  });

  it('counts what waits for a person when nobody comes', () => {
    const policy = { steps: [stepPolicy({ percent: 100, soakMs: 0, manual: true })] };
    const releases = published(['1.0.0', -5], ['1.1.0', 10]);
    const [one] = backtest(question(policy, { releases, approveAfterMs: null })).rollouts;
    assert.deepEqual([one?.outcome, one?.waitingForApproval], ['going', 1]);
    assert.ok(Math.abs((one?.approvalMs ?? 0) - 20 * DAY) < HOUR);
  });

  it('leaves out what nobody could have got: withdrawn, vetoed, outside the range, prereleases', () => {
    const releases = [
      ...published(['1.0.0', -5], ['1.1.0', 1], ['2.0.0', 2], ['1.3.0', 3], ['1.4.0-rc.1', 4]),
      testRelease('1.2.0', { publishedAt: START + 2 * DAY, state: 'withdrawn' }),
    ];
    const veto = { product: 'agentd', version: '1.3.0', automatic: false, actor: 'anna', reason: 'harm', at: START };
    const asked = question(slow, { releases, vetoes: [veto] });
    const found = backtest({ ...asked, product: { ...asked.product, accept: '<2' } });
    assert.deepEqual(
      found.rollouts.map((one) => one.version),
      ['1.1.0'],
    );
  });

  it('without any release there is nothing to tell', () => {
    const found = backtest(question(slow));
    assert.deepEqual([found.first, found.rollouts, found.regions], [null, [], []]);
  });

  it('plays three years of a real history, the same each time', () => {
    const { releases } = readReal({ ...SSM, name: 'agentd' }, 'amazon-ssm-agent');
    const product = { ...question(slow).product, scheme: 'numeric' as const };
    const asked = question(slow, { releases, product, since: Date.UTC(2023, 0, 1), now: Date.UTC(2026, 0, 1) });
    const found = backtest(asked);
    assert.deepEqual(found, backtest(asked));
    const number = (outcome: string) => found.rollouts.filter((one) => one.outcome === outcome).length;
    assert.equal(
      number('completed') + number('superseded') + number('starved') + number('going'),
      found.rollouts.length,
    );
    assert.ok(found.rollouts.length > 20 && number('completed') > 10, JSON.stringify(found.lines));
    for (const region of found.regions) assert.equal(region.behind.endMs, 0);
  });
});
