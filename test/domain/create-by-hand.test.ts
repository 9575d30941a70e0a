// What a person may begin by hand, what is refused and how it is said, and that neither schedule nor age are asked.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applyActions } from '../../src/domain/apply.ts';
import { createByHand } from '../../src/domain/create-by-hand.ts';
import { plan } from '../../src/domain/plan.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Release } from '../../src/domain/release.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import type { Baseline, ProductRules, Snapshot } from '../../src/domain/snapshot.ts';
import { AppError } from '../../src/errors.ts';
import { rules, START, testPolicy, testRelease } from '../support/fixtures.ts';
import { deepFreeze, laneIn, rolloutOf, snapshotOf, stateNamed, vetoOf } from '../support/snapshots.ts';

const WAVES = [['eu'], ['us', 'ap']];
const old = testRelease('1.0.0');
const next = testRelease('1.1.0');
const newest = testRelease('1.2.0');

function baseline(version: string, region = 'eu'): Baseline {
  return { product: 'agentd', region, version, releaseId: `release-${version}`, at: START };
}

function going(version: string, overrides: Partial<Rollout> = {}, state = stateNamed('open')): Rollout {
  return rolloutOf(version, [laneIn('eu', state)], overrides);
}

interface Row {
  title: string;
  call?: [product: string, version: string];
  product?: Partial<ProductRules>;
  policy?: Partial<Policy>;
  snapshot?: Partial<Snapshot> & { releases?: Release[] };
  /** `create 1.1.0 standard`, `have <rollout>`, or `<code>: <message>`. */
  expected: string;
  where?: string;
  hint?: RegExp;
}

const ROWS: Row[] = [
  { title: 'a complete release', expected: 'create 1.1.0 standard' },
  { title: 'by its tag', call: ['agentd', 'v1.1.0'], expected: 'create 1.1.0 standard' },
  { title: 'not the highest one', snapshot: { releases: [old, next, newest] }, expected: 'create 1.1.0 standard' },
  { title: 'younger than the policy lets out', policy: { minAgeMs: 9e9 }, expected: 'create 1.1.0 standard' },
  {
    title: 'outside the schedule',
    policy: { schedule: { cron: '0 3 * * 2', timeZone: 'UTC' } },
    expected: 'create 1.1.0 standard',
  },
  {
    title: 'complete for one platform',
    snapshot: { releases: [old, testRelease('1.1.0', { state: 'pending', why: 'linux-arm64: missing' })] },
    expected: 'create 1.1.0 standard',
  },
  {
    title: 'the kind of jump picks the policy',
    product: { policies: { minor: testPolicy({ name: 'careful', waves: [['eu']] }) } },
    snapshot: { releases: [old, next], baselines: [baseline('1.0.0')] },
    expected: 'create 1.1.0 careful',
  },
  {
    title: 'a prerelease that is let in',
    call: ['agentd', '1.1.0-rc.1'],
    product: { prereleases: ['rc'] },
    snapshot: { releases: [testRelease('1.1.0-rc.1')] },
    expected: 'create 1.1.0-rc.1 standard',
  },
  {
    title: 'it is going out already',
    snapshot: { releases: [old, next], rollouts: [going('1.1.0')] },
    expected: 'have rollout-1.1.0',
  },
  {
    title: 'it is going out already, by its tag',
    call: ['agentd', 'v1.1.0'],
    snapshot: { releases: [old, next], rollouts: [going('1.1.0')] },
    expected: 'have rollout-1.1.0',
  },
  {
    title: 'it has had its rollout, and is vetoed and gone since',
    snapshot: {
      releases: [old],
      rollouts: [going('1.1.0', { endedAt: START }, stateNamed('cancelled'))],
      vetoes: [vetoOf('1.1.0')],
    },
    expected: 'have rollout-1.1.0',
  },
  {
    title: 'a product that the config does not have',
    call: ['proxyd', '1.1.0'],
    expected: 'not_found: the config has no product proxyd',
    where: 'product',
    hint: /^There are: agentd\.$/,
  },
  {
    title: 'an unknown version',
    call: ['agentd', '1.1.1'],
    snapshot: { releases: [old, newest, next] },
    expected: 'not_found: agentd has no release 1.1.1',
    where: 'version',
    hint: /^The newest are: 1\.2\.0, 1\.1\.0, 1\.0\.0\.$/,
  },
  {
    title: 'no release at all',
    snapshot: { releases: [] },
    expected: 'not_found: agentd has no release 1.1.0',
    hint: /No release of the product is known yet/,
  },
  {
    title: 'the release of another product',
    snapshot: { releases: [{ ...next, product: 'proxyd' }] },
    expected: 'not_found: agentd has no release 1.1.0',
  },
  {
    title: 'a version that another scheme has read',
    call: ['agentd', '1.2.3.4'],
    snapshot: { releases: [old, testRelease('1.1.0', { version: '1.2.3.4' })] },
    expected: 'not_found: agentd has no release 1.2.3.4',
  },
  {
    title: 'without files',
    snapshot: { releases: [testRelease('1.1.0', { state: 'announced', artifacts: [] })] },
    expected: 'conflict: agentd 1.1.0 cannot go out, it is announced: it has no files yet',
    where: 'the release v1.1.0',
    hint: /Upload its files/,
  },
  {
    title: 'complete for no platform',
    snapshot: { releases: [testRelease('1.1.0', { state: 'pending', artifacts: [], why: 'linux-x64: missing' })] },
    expected: 'conflict: agentd 1.1.0 cannot go out, it is pending: linux-x64: missing',
    hint: /Upload the files that are missing/,
  },
  ...(['withdrawn', 'altered', 'refused'] as const).map((state) => ({
    title: state,
    snapshot: { releases: [testRelease('1.1.0', { state, why: 'so says GitHub' })] },
    expected: `conflict: agentd 1.1.0 cannot go out, it is ${state}: so says GitHub`,
    where: 'the release v1.1.0',
  })),
  {
    title: 'a prerelease where the product takes none',
    call: ['agentd', '1.1.0-rc.1'],
    snapshot: { releases: [testRelease('1.1.0-rc.1')] },
    expected: 'conflict: agentd 1.1.0-rc.1 is a prerelease rc; let in are: none',
    where: 'products[].prereleases',
  },
  {
    title: 'a prerelease of another channel',
    call: ['agentd', '1.1.0-beta.1'],
    product: { prereleases: ['rc'] },
    snapshot: { releases: [testRelease('1.1.0-beta.1')] },
    expected: 'conflict: agentd 1.1.0-beta.1 is a prerelease beta; let in are: rc',
  },
  {
    title: 'outside of accept',
    product: { accept: '<1.1.0' },
    expected: 'conflict: agentd 1.1.0 is outside of what the product accepts: <1.1.0',
    where: 'products[].accept',
    hint: /Widen the range/,
  },
  {
    title: 'vetoed',
    snapshot: { releases: [old, next], vetoes: [vetoOf('1.1.0')] },
    expected: 'conflict: agentd 1.1.0 is vetoed by me: harmful',
  },
  {
    title: 'a higher one is still going out',
    snapshot: { releases: [old, next, newest], rollouts: [going('1.2.0')] },
    expected: 'conflict: agentd 1.1.0 is not higher than 1.2.0, which is still going out',
    where: 'the rollout agentd@1.2.0',
    hint: /Cancel that one first: tidegate rollout cancel agentd@1\.2\.0 /,
  },
  {
    title: 'a higher one is halted, and nobody has vetoed it',
    snapshot: { releases: [old, next, newest], rollouts: [going('1.2.0', {}, stateNamed('halted'))] },
    expected: 'conflict: agentd 1.1.0 is not higher than 1.2.0, which is still going out',
  },
  {
    title: 'a higher one of another product',
    snapshot: { releases: [old, next], rollouts: [going('1.2.0', { product: 'proxyd' })] },
    expected: 'create 1.1.0 standard',
  },
  {
    title: 'a higher one that is halted and vetoed gives its place up by itself',
    snapshot: {
      releases: [old, next, newest],
      rollouts: [going('1.2.0', {}, stateNamed('halted'))],
      vetoes: [vetoOf('1.2.0', { automatic: true })],
    },
    expected: 'create 1.1.0 standard',
  },
  {
    title: 'a higher one that GitHub does not have any more',
    snapshot: {
      releases: [old, next, testRelease('1.2.0', { state: 'withdrawn', why: 'gone' })],
      rollouts: [going('1.2.0')],
    },
    expected: 'create 1.1.0 standard',
  },
  {
    title: 'a higher one was cancelled',
    snapshot: {
      releases: [old, next, newest],
      rollouts: [going('1.2.0', { endedAt: START }, stateNamed('cancelled'))],
    },
    expected: 'create 1.1.0 standard',
  },
  {
    title: 'a lower one is still going out',
    snapshot: { releases: [old, next], rollouts: [going('1.0.0')] },
    expected: 'create 1.1.0 standard',
  },
  {
    title: 'of equal precedence with one that is going out',
    call: ['agentd', '1.1.0+b'],
    snapshot: { releases: [testRelease('1.1.0+a'), testRelease('1.1.0+b')], rollouts: [going('1.1.0+a')] },
    expected: 'conflict: agentd 1.1.0+b is not higher than 1.1.0+a, which is still going out',
  },
  {
    title: 'a region of the last wave has completed a higher one',
    snapshot: { releases: [old, next, newest], baselines: [baseline('1.0.0'), baseline('1.2.0', 'ap')] },
    expected: 'conflict: agentd 1.1.0 is not higher than 1.2.0, which ap has completed',
    where: 'the baseline of ap',
    hint: /above 1\.2\.0\. .* tidegate release veto agentd@1\.2\.0 /,
  },
  {
    title: 'a region that the policy does not go to has completed a higher one',
    policy: { waves: [['eu']] },
    snapshot: { releases: [old, next, newest], baselines: [baseline('1.2.0', 'ap')] },
    expected: 'create 1.1.0 standard',
  },
  {
    title: 'what a region has completed is vetoed since',
    snapshot: { releases: [old, next, newest], baselines: [baseline('1.2.0')], vetoes: [vetoOf('1.2.0')] },
    expected: 'create 1.1.0 standard',
  },
];

function snapshotFor({ product = {}, policy = {}, snapshot = {} }: Row): Snapshot {
  const products = [rules(testPolicy({ waves: WAVES, ...policy }), product)];
  return deepFreeze(snapshotOf({ products, releases: [old, next], ...snapshot }));
}

describe('createByHand', () => {
  for (const row of ROWS) {
    test(`${row.title}: ${row.expected}`, () => {
      const [product, version] = row.call ?? ['agentd', '1.1.0'];
      const run = () => createByHand(snapshotFor(row), product, version);
      if (/^(create|have) /.test(row.expected)) {
        const found = run();
        const said =
          'rollout' in found
            ? `have ${found.rollout.id}`
            : `create ${found.action.version} ${found.action.policy.name}`;
        assert.equal(said, row.expected);
        return;
      }
      assert.throws(run, (error) => {
        assert(error instanceof AppError);
        assert.equal(`${error.code}: ${error.message}`, row.expected);
        if (row.where !== undefined) assert.equal(error.where, row.where);
        if (row.hint !== undefined) assert.match(error.hint, row.hint);
        return true;
      });
    });
  }

  test('the action has every region of the policy in its wave', () => {
    const found = createByHand(snapshotFor({ title: '', expected: '' }), 'agentd', '1.1.0');
    assert('action' in found);
    assert.deepEqual(found.action.lanes, [
      { region: 'eu', wave: 0 },
      { region: 'us', wave: 1 },
      { region: 'ap', wave: 1 },
    ]);
  });

  test('the planner does not begin an older release after one that was begun early', () => {
    const releases = [testRelease('1.0.0', { publishedAt: 0 }), next];
    const before = snapshotFor({ title: '', expected: '', policy: { minAgeMs: 86_400_000 }, snapshot: { releases } });
    const creations = (snapshot: Snapshot) =>
      plan(snapshot, START).actions.flatMap((action) => (action.kind === 'create_rollout' ? [action.version] : []));
    assert.deepEqual(creations(before), ['1.0.0']);
    const found = createByHand(before, 'agentd', '1.1.0');
    assert('action' in found);
    let made = 0;
    const after = applyActions(before, [found.action], { now: START, newId: () => `id-${(made += 1)}` });
    assert.deepEqual(creations(after), []);
    assert.deepEqual(createByHand(after, 'agentd', '1.1.0'), { rollout: after.rollouts[0] });
  });
});
