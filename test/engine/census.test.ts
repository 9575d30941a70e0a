// What the roster says of a step's members: who is gone, who is out, who is updated; each kind of member by itself.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Lane, NO_COUNTS, type Rollout, type StepCounters } from '../../src/domain/rollout.ts';
import { newBitset, setBit } from '../../src/engine/bitset.ts';
import { type CensusInput, countLanes, goneOf, takeSeats } from '../../src/engine/census.ts';
import { finish } from '../../src/engine/pieces.ts';
import { Roster } from '../../src/engine/roster.ts';
import { digestOf, rules, stepPolicy, testAgent, testPolicy, testRelease } from '../support/fixtures.ts';

const STALE = 600_000;
const POLICY = testPolicy({ attemptsPerAgent: 2, steps: [stepPolicy({ percent: 50 }), stepPolicy()] });
const RELEASES = ['1.0.0', '1.1.0', '1.2.0'].map((version) => testRelease(version));

interface Member {
  version?: string;
  digest?: string;
  region?: string;
  platform?: string;
  silent?: boolean;
  /** Ends without a success in this lane's present epoch. */
  setbacks?: number;
  bad?: boolean;
  declined?: boolean;
  /** Of the setbacks, forgiven. */
  cleared?: number;
  /** Not in this step, as a late joiner. */
  spentIn?: number;
  /** The setbacks stand in an earlier epoch. */
  earlierEpoch?: boolean;
  /** An attempt that was offered, or granted. */
  live?: 'offered' | 'granted';
  withoutProduct?: boolean;
  /** Not a member, but in the region. */
  outside?: boolean;
}

/** Everybody enrolled at 0; those who are not silent have been heard of just now. */
function world(kinds: Member[], counters: Partial<StepCounters> = {}) {
  const roster = new Roster();
  const observedMs = STALE;
  let members = newBitset();
  kinds.forEach((kind, handle) => {
    const version = kind.version ?? '1.0.0';
    const agent = testAgent(handle, {
      region: kind.region ?? 'eu-west-1',
      platform: kind.platform ?? 'linux-x64',
      products: kind.withoutProduct ? [] : [{ product: 'agentd', version, digest: kind.digest ?? digestOf(version) }],
    });
    roster.put(agent, 0);
    if (kind.silent !== true) roster.seen(handle, 0, observedMs);
    if (kind.setbacks !== undefined) {
      const budgetEpoch = kind.earlierEpoch ? 0 : 1;
      const weight = kind.bad === true ? 'bad' : (kind.declined ?? false) ? 'declined' : 'failed_before_grant';
      const where = { rolloutId: 'rollout', laneId: 'lane', step: kind.spentIn ?? 0, budgetEpoch };
      roster.setSpent(handle, [
        {
          ...where,
          count: kind.setbacks,
          cleared: kind.cleared ?? 0,
          timedOut: 0,
          weight,
          member: kind.spentIn === undefined,
        },
      ]);
    }
    if (kind.live !== undefined) {
      roster.setAttempt(handle, {
        id: `attempt-${handle}`,
        agentId: agent.id,
        rolloutId: 'rollout',
        laneId: 'lane',
        step: 0,
        member: true,
        budgetEpoch: 1,
        product: 'agentd',
        version: '1.1.0',
        platform: 'linux-x64',
        sha256: digestOf('1.1.0'),
        size: 1,
        fromVersion: '1.0.0',
        fromDigest: digestOf('1.0.0'),
        sequence: 1,
        state: kind.live,
        offeredAt: 0,
        grantedAt: kind.live === 'granted' ? 0 : null,
        endedAt: null,
        deadlineObserved: 0,
        cause: null,
        detail: null,
        corrected: false,
      });
    }
    if (kind.outside !== true) members = setBit(members, handle);
  });
  const step = { step: 0, openedAt: 0, size: kinds.length, threshold: 0, thresholdId: '', done: false };
  const lane: Lane = {
    id: 'lane',
    kind: 'rollout',
    rolloutId: 'rollout',
    product: 'agentd',
    region: 'eu-west-1',
    wave: 0,
    state: { name: 'open', step: 0, since: 0 },
    budgetEpoch: 1,
    allowance: 0,
    approvals: [],
    revision: 1,
    steps: [{ ...step, counters: { ...NO_COUNTS, ...counters } }],
    back: [],
  };
  const rollout: Rollout = {
    id: 'rollout',
    product: 'agentd',
    releaseId: 'release-1.1.0',
    version: '1.1.0',
    policy: POLICY,
    seed: 1,
    createdAt: 0,
    endedAt: null,
    lanes: [lane],
  };
  const input: CensusInput = {
    roster,
    observedMs,
    products: [rules(POLICY)],
    regions: ['eu-west-1'],
    rollouts: [rollout],
    releases: RELEASES,
    members: () => members,
    proven: () => new Set<number>(),
    groups: new Map(),
  };
  return { input, rollout, lane };
}

function counted(kinds: Member[], counters: Partial<StepCounters> = {}) {
  const found = finish(countLanes(world(kinds, counters).input))[0]?.steps[0];
  assert(found !== undefined);
  const { gone, ineligible, replaceable, updated, updatedPresent } = found;
  return { gone, ineligible, replaceable, updated, updatedPresent };
}

test('who has the release and has not come by since the start is neither present nor silent', () => {
  const { input } = world([{ version: '1.1.0', silent: true }]);
  const early = { ...input, observedMs: POLICY.staleAfterMs - 1 };
  const found = finish(countLanes(early))[0]?.steps[0];
  assert.deepEqual([found?.updated, found?.updatedPresent, found?.unheard], [1, 0, 1]);
});

describe('one member', () => {
  const NOTHING = { gone: 0, ineligible: 0, replaceable: 0, updated: 0, updatedPresent: 0 };
  const rows: [title: string, Member, Partial<StepCounters>, Partial<typeof NOTHING>][] = [
    ['present and due', {}, {}, {}],
    ['silent', { silent: true }, {}, { gone: 1 }],
    ['silent with an offer', { silent: true, live: 'offered' }, {}, { gone: 1 }],
    ['silent after the grant: lost in time, not gone', { silent: true, live: 'granted' }, {}, {}],
    ['bad', { setbacks: 1, bad: true }, {}, {}],
    ['bad and silent', { setbacks: 1, bad: true, silent: true }, {}, {}],
    ['bad before a retry, and silent', { setbacks: 1, bad: true, silent: true, earlierEpoch: true }, {}, { gone: 1 }],
    ['one setback', { setbacks: 1 }, {}, {}],
    ['one setback and silent', { setbacks: 1, silent: true }, {}, { gone: 1 }],
    ['used up: stands in the counters', { setbacks: 2 }, { exhausted: 1 }, {}],
    ['used up and silent', { setbacks: 2, silent: true }, { exhausted: 1 }, {}],
    ['used up and moved', { setbacks: 2, region: 'us' }, { exhausted: 1 }, {}],
    [
      'used up, then brought there by hand',
      { setbacks: 2, version: '1.1.0' },
      { exhausted: 1 },
      { updated: 1, updatedPresent: 1 },
    ],
    ['used up in another step', { setbacks: 2, spentIn: 1 }, {}, { ineligible: 1 }],
    [
      'declined and silent: stands in the counters, and is no second one',
      { setbacks: 1, declined: true, silent: true },
      { exhausted: 1 },
      {},
    ],
    ['declined in another step and silent', { setbacks: 1, declined: true, silent: true, spentIn: 1 }, {}, { gone: 1 }],
    [
      'used up and cleared: the counters have it still',
      { setbacks: 2, cleared: 2, silent: true },
      { exhausted: 1 },
      {},
    ],
    [
      'cleared, then succeeded',
      { setbacks: 2, cleared: 2, version: '1.1.0' },
      { succeeded: 1 },
      { updated: 1, updatedPresent: 1 },
    ],
    ['used up in another step and cleared', { setbacks: 2, spentIn: 1, cleared: 2 }, {}, {}],
    ['succeeded', { version: '1.1.0' }, { succeeded: 1 }, { updated: 1, updatedPresent: 1 }],
    ['succeeded and silent', { version: '1.1.0', silent: true }, { succeeded: 1 }, { updated: 1 }],
    ['succeeded, then brought beyond it', { version: '1.2.0' }, { succeeded: 1 }, {}],
    ['brought to it by hand', { version: '1.1.0' }, {}, { updated: 1, updatedPresent: 1, ineligible: 1 }],
    ['brought beyond it by hand', { version: '1.2.0' }, {}, { ineligible: 1 }],
    ['beyond it and silent', { version: '1.2.0', silent: true }, {}, { ineligible: 1 }],
    [
      'bad, then brought there by hand',
      { setbacks: 1, bad: true, version: '1.1.0' },
      {},
      { updated: 1, updatedPresent: 1 },
    ],
    ['moved', { region: 'us' }, {}, { ineligible: 1 }],
    [
      'moved with the release, leaves both sides of the soak',
      { region: 'us', version: '1.1.0' },
      { succeeded: 1 },
      // It stands in the counters: nobody is both.
      {},
    ],
    ['succeeded, and an old message denies it', { silent: true }, { succeeded: 1 }, {}],
    ['without the product', { withoutProduct: true }, {}, { ineligible: 1 }],
    ['of another platform', { platform: 'linux-arm64' }, {}, { ineligible: 1 }],
    ['running a build of no release', { digest: 'f'.repeat(64) }, {}, { ineligible: 1 }],
    ['running what cannot be read', { version: 'nightly', digest: digestOf('1.0.0') }, {}, { ineligible: 1 }],
  ];
  for (const [title, member, counters, expected] of rows) {
    test(title, () => assert.deepEqual(counted([member], counters), { ...NOTHING, ...expected }));
  }
});

test('the gone are replaced by present agents outside that could take part, at most as many', () => {
  const outside = { outside: true };
  const kinds: Member[] = [
    { silent: true },
    { silent: true },
    {},
    { ...outside, silent: true },
    { ...outside, version: '1.1.0' },
    { ...outside, setbacks: 2 },
    { ...outside, live: 'offered' },
    { ...outside, platform: 'linux-arm64' },
    outside,
  ];
  assert.deepEqual(counted(kinds), { gone: 2, ineligible: 0, replaceable: 1, updated: 0, updatedPresent: 0 });
  const { input, rollout, lane } = world(kinds);
  const seats = finish(takeSeats(input, rollout, lane, 0, { gone: finish(goneOf(input, rollout, lane, 0)), count: 1 }));
  assert.deepEqual([seats.gone, [...seats.members]], [[0], [0b0000_0110, 0b0000_0001]]);
  assert(seats.threshold > 0, 'the step reaches as far as the one who took the seat');
});
