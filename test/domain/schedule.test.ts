// Scheduled rollouts: what is due, and that what was missed is taken once.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applyActions } from '../../src/domain/apply.ts';
import { plan } from '../../src/domain/plan.ts';
import { isDue, nextRun, schedulesOf } from '../../src/domain/schedule.ts';
import fc from '../support/fast-check.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { snapshotOf } from '../support/snapshots.ts';

const DAY = 86_400_000;
const BERLIN = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };

describe('nextRun', () => {
  const rows: [string, string][] = [
    ['2027-03-27T12:00:00Z', '2027-03-28T01:00:00Z'], // 2:30 is in the gap: the first instant after it
    ['2027-03-28T01:00:00Z', '2027-03-29T00:30:00Z'],
    ['2027-10-30T12:00:00Z', '2027-10-31T00:30:00Z'], // 2:30 comes twice: once is enough
    ['2027-10-31T00:30:00Z', '2027-11-01T01:30:00Z'],
  ];
  for (const [after, wanted] of rows) {
    test(`nextRun(30 2 * * * in Berlin, ${after})`, () => {
      assert.equal(nextRun(BERLIN, Date.parse(after)), Date.parse(wanted));
    });
  }
  test('isDue: however many runs were missed', () => {
    const considered = Date.parse('2027-03-01T00:00:00Z');
    assert.equal(isDue(BERLIN, considered, considered + 20 * DAY), true);
    assert.equal(isDue(BERLIN, considered, considered + 60_000), false);
  });
});

describe('plan with a schedule', () => {
  // Noon, every day; the tests begin at midnight.
  const policy = testPolicy({ waves: [['eu']], schedule: { cron: '0 12 * * *', timeZone: 'UTC' } });
  const scheduled = (at: number | null) =>
    snapshotOf({
      products: [rules(policy)],
      releases: [testRelease('1.1.0')],
      considered: at === null ? [] : [{ product: 'agentd', at }],
    });
  const kinds = (at: number | null, now: number) => plan(scheduled(at), now).actions.map((action) => action.kind);

  test('seen for the first time it begins now: nothing was missed', () => {
    assert.deepEqual(kinds(null, START), ['consider_schedule']);
  });
  test('before the run the product is held, and says until when', () => {
    const { actions, report } = plan(scheduled(START), START + 1000);
    assert.deepEqual(actions, []);
    assert.equal(report[0]?.reason, 'outside_window');
    assert.equal(report[0]?.until, START + DAY / 2);
  });
  test('what is too young at a run begins at the next one, and says so', () => {
    const [noon, day] = [START + DAY / 2, DAY];
    // Published as the tests begin: old enough an hour after the run.
    const young = rules({ ...policy, minAgeMs: DAY / 2 + 3_600_000 });
    const before = { ...scheduled(START), products: [young], releases: [testRelease('1.1.0', { publishedAt: START })] };
    const at = plan(before, noon);
    assert.deepEqual(
      at.actions.map((action) => action.kind),
      ['consider_schedule'],
    );
    assert.deepEqual([at.report[0]?.reason, at.report[0]?.until], ['too_young', noon + day]);
    assert.match(
      at.report[0]?.sentence ?? '',
      /1\.1\.0, whose policy standard then begins it at the next run of “0 12/,
    );
    const after = applyActions(before, at.actions, { now: noon, newId: () => 'id' });
    assert.deepEqual(plan(after, noon + 2 * 3_600_000).actions, []);
    assert.deepEqual(plan(after, noon + 2 * 3_600_000).report[0]?.until, noon + day);
    assert.equal(plan(after, noon + day).actions[0]?.kind, 'create_rollout');
  });
  test('at the run the rollout is created', () => {
    assert.deepEqual(kinds(START, START + DAY / 2), ['create_rollout']);
  });
  test('a week of missed runs is one', () => {
    const now = START + 7 * DAY;
    const before = scheduled(START);
    const { actions } = plan(before, now);
    assert.deepEqual(
      actions.map((action) => action.kind),
      ['create_rollout'],
    );
    const after = applyActions(before, actions, { now, newId: () => `id-${Math.imul(actions.length, 7)}` });
    const later = { ...after, releases: [...after.releases, testRelease('1.2.0')] };
    assert.deepEqual(
      plan(later, now + 1000).actions.map((action) => action.kind),
      [],
    );
  });
  const noon = { cron: '0 12 * * *', timeZone: 'UTC' };
  const edits: [title: string, schedules: string[] | undefined, expected: string[]][] = [
    ['as it was: taken', schedulesOf(rules(policy)), ['create_rollout']],
    ['not known: taken', undefined, ['create_rollout']],
    ['beside one that is gone: taken', ['UTC 0 12 * * *', 'UTC 0 9 * * 1'], ['create_rollout']],
    ['in place of another: nothing was missed', ['UTC 0 9 * * 1'], ['consider_schedule']],
    ['in another zone: nothing was missed', ['Europe/Berlin 0 12 * * *'], ['consider_schedule']],
    ['after none at all: nothing was missed', [], ['consider_schedule']],
  ];
  for (const [title, schedules, expected] of edits) {
    test(`a missed run of a schedule ${title}`, () => {
      const now = START + 3 * DAY;
      const considered = [{ product: 'agentd', at: START, ...(schedules === undefined ? {} : { schedules }) }];
      const { actions } = plan({ ...scheduled(null), considered }, now);
      assert.deepEqual(
        actions.map(({ kind }) => kind),
        expected,
      );
    });
  }
  test('a schedule that goes, and comes back later, begins then', () => {
    const without = { ...policy, schedule: null, begin: 'manual' as const };
    const gone = { ...scheduled(START), considered: [{ product: 'agentd', at: START, schedules: ['UTC 0 12 * * *'] }] };
    const { actions } = plan({ ...gone, products: [rules(without)] }, START + 1000);
    assert.deepEqual(actions, [{ kind: 'consider_schedule', product: 'agentd' }]);
    const later = applyActions({ ...gone, products: [rules(without)] }, actions, {
      now: START + 1000,
      newId: () => 'id',
    });
    assert.deepEqual(plan(later, START + 2000).actions, []);
    const back = plan({ ...later, products: [rules({ ...policy, schedule: noon })] }, START + 9 * DAY);
    assert.deepEqual(
      back.actions.map(({ kind }) => kind),
      ['consider_schedule'],
    );
  });
  test('a run that finds nothing is over: what comes after waits for the next', () => {
    const none = { ...scheduled(START), releases: [] };
    const now = START + DAY / 2;
    const { actions } = plan(none, now);
    assert.deepEqual(
      actions.map((action) => action.kind),
      ['consider_schedule'],
    );
    const after = applyActions(none, actions, { now, newId: () => 'id' });
    assert.deepEqual(plan({ ...after, releases: [testRelease('1.1.0')] }, now + 60_000).actions, []);
  });
});

test('law: however often one looks, what is due is the same; at the run itself it is due, a moment before it is not', () => {
  const minutes = fc.nat({ max: 60 * 24 * 400 });
  fc.assert(
    fc.property(minutes, minutes, minutes, (a, b, c) => {
      const [first = 0, middle = 0, last = 0] = [a, b, c].sort((x, y) => x - y).map((one) => START + one * 60_000);
      assert.equal(isDue(BERLIN, first, last), isDue(BERLIN, first, middle) || isDue(BERLIN, middle, last));
      const next = nextRun(BERLIN, first);
      assert(next !== null && next > first && next <= first + 2 * DAY);
      assert.deepEqual([isDue(BERLIN, first, next - 1), isDue(BERLIN, first, next)], [false, true]);
    }),
    { numRuns: 40 },
  );
});
