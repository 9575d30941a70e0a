// A small fleet in the store: one release on its way through two regions, three agents, their attempts, and a hold.
import { v7 as uuidv7 } from 'uuid';
import type { Agent, Attempt } from '../../src/domain/agent.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Release } from '../../src/domain/release.ts';
import { type Lane, NO_COUNTS, type Rollout, type Step } from '../../src/domain/rollout.ts';
import { insertAgent } from '../../src/store/agents.ts';
import { insertAttempts } from '../../src/store/attempts.ts';
import { transaction } from '../../src/store/database.ts';
import { changeHold } from '../../src/store/holds.ts';
import { saveRelease } from '../../src/store/releases.ts';
import { insertRollout, insertStep } from '../../src/store/rollouts.ts';
import { insertEnrolToken } from '../../src/store/tokens.ts';
import { type Harness, T0 } from './harness.ts';

export const MINUTE = 60_000;

export interface Seeded {
  rollout: Rollout;
  older: Rollout;
  agents: Agent[];
}

const policy: Policy = {
  name: 'default',
  waves: [['eu-central'], ['us-east']],
  steps: [
    { labels: null, count: 1, percent: null, min: 1, soakMs: MINUTE, manual: false, budget: 'strict' },
    { labels: null, count: null, percent: 25, min: 1, soakMs: MINUTE, manual: false, budget: 'loose' },
    { labels: null, count: null, percent: 100, min: 1, soakMs: MINUTE, manual: true, budget: 'loose' },
  ],
  doneRatio: 9000,
  badRatio: 200,
  minSample: 20,
  badCount: null,
  maxHot: 10,
  attemptsPerAgent: 2,
  unhealthy: 'hold',
  supersede: 'replace-unstarted',
  onHalt: 'hold',
  maxSkips: 3,
  minAgeMs: 0,
  schedule: null,
  baseline: { maxHot: 5, badCount: 3, windowMs: 86_400_000 },
  staleAfterMs: 600_000,
  stageWithinMs: MINUTE,
  activateWithinMs: MINUTE,
  proveWithinMs: MINUTE,
  stableForMs: 10_000,
};

export async function seed(harness: Harness): Promise<Seeded> {
  const release = releaseOf('1.4.0');
  const before = releaseOf('1.3.9');
  const rollout = rolloutOf(release, T0 - 20 * MINUTE);
  const older = rolloutOf(before, T0 - 300 * MINUTE);
  rollout.lanes = [
    lane(rollout, 0, 'eu-central', { name: 'open', step: 1, since: T0 - 5 * MINUTE }),
    lane(rollout, 1, 'us-east', { name: 'waiting', since: T0 - 20 * MINUTE }),
  ];
  older.lanes = [
    lane(older, 0, 'eu-central', { name: 'superseded', since: T0 - 20 * MINUTE, by: rollout.id }),
    lane(older, 1, 'us-east', {
      name: 'halted',
      since: T0 - 30 * MINUTE,
      by: 'system',
      reason: 'too many failed',
      step: null,
    }),
  ];
  const token = { id: uuidv7(), secretHash: 'e'.repeat(64), region: 'eu-central', labels: {}, maxUses: 9, uses: 3 };
  const agents = await transaction(harness.database, async (tx) => {
    await saveRelease(tx, before);
    await saveRelease(tx, release);
    await insertRollout(tx, older);
    await insertRollout(tx, rollout);
    const eu = rollout.lanes[0] as Lane;
    await insertStep(tx, eu.id, stepOf(0, { succeeded: 1 }, 1, true), new Uint8Array(1));
    await insertStep(
      tx,
      eu.id,
      stepOf(1, { succeeded: 12, bad: 1, badMembers: 1, hot: 2, hotMembers: 2, pending: 3 }, 40),
      new Uint8Array(1),
    );
    await insertEnrolToken(tx, { ...token, createdBy: 'operator', createdAt: T0, expiresAt: T0 + MINUTE });
    const hold = {
      reason: 'at_limit',
      sentence: 'as many agents as allowed are being updated now: 2 of 2',
      until: null,
    } as const;
    await changeHold(tx, eu.id, hold, T0 - 90_000);
    const inserted: Agent[] = [];
    for (const name of ['edge-01', 'edge-02', 'edge-02']) inserted.push(await insertAgent(tx, agentOf(name, token.id)));
    const [first, second] = inserted as [Agent, Agent];
    await insertAttempts(tx, [
      attempt(first, eu, {
        version: '1.3.9',
        sequence: 1,
        state: 'rolled_back',
        endedAt: T0 - 200 * MINUTE,
        offeredAt: T0 - 204 * MINUTE,
        grantedAt: T0 - 203 * MINUTE,
        cause: 'crash_loop',
        detail: 'Error: \u001b[31mno such module\u001b[0m',
      }),
      attempt(first, eu, { sequence: 2, state: 'granted', grantedAt: T0 - 30_000 }),
      attempt(second, eu, { sequence: 1, state: 'succeeded', grantedAt: T0 - MINUTE, endedAt: T0 }),
    ]);
    return inserted;
  });
  return { rollout, older, agents };
}

function releaseOf(version: string): Release {
  const id = uuidv7();
  return {
    id,
    product: 'collector',
    sourceId: id,
    tag: `v${version}`,
    version,
    sortKey: version,
    prerelease: false,
    state: 'complete',
    why: null,
    publishedAt: T0 - 600 * MINUTE,
    firstSeenAt: T0 - 500 * MINUTE,
    artifacts: [{ platform: 'linux-x64', name: 'collector.tar.gz', size: 4096, sha256: 'b'.repeat(64), assetId: '1' }],
    missing: [],
  };
}

function rolloutOf(release: Release, createdAt: number): Rollout {
  const { product, version, id: releaseId } = release;
  return { id: uuidv7(), product, releaseId, version, policy, seed: 1, createdAt, endedAt: null, lanes: [] };
}

function lane(rollout: Rollout, wave: number, region: string, state: Lane['state']): Lane {
  const { id: rolloutId, product } = rollout;
  return {
    kind: 'rollout',
    id: uuidv7(),
    rolloutId,
    product,
    region,
    wave,
    state,
    budgetEpoch: 0,
    allowance: 0,
    approvals: [],
    revision: 0,
    steps: [],
    back: [],
  };
}

function stepOf(step: number, counters: Partial<Step['counters']>, size: number, done = false): Step {
  const threshold = 4_294_967_295;
  return {
    step,
    openedAt: T0 - 10 * MINUTE,
    size,
    threshold,
    thresholdId: 'z',
    done,
    counters: { ...NO_COUNTS, ...counters },
  };
}

function agentOf(name: string, enrolTokenId: string): Omit<Agent, 'handle'> {
  const id = uuidv7();
  return {
    id,
    name,
    region: 'eu-central',
    platform: 'linux-x64',
    labels: {},
    publicKey: id,
    enrolTokenId,
    enrolledAt: T0 - 1000 * MINUTE,
    sequence: 2,
    facts: null,
    health: 'ok',
    healthReason: null,
    revision: 0,
    products: [{ product: 'collector', version: '1.3.0', digest: 'a'.repeat(64) }],
  };
}

function attempt(agent: Agent, of: Lane, changes: Partial<Attempt>): Attempt {
  return {
    id: uuidv7(),
    agentId: agent.id,
    rolloutId: of.rolloutId,
    laneId: of.id,
    step: 1,
    member: true,
    budgetEpoch: 0,
    product: 'collector',
    version: '1.4.0',
    platform: 'linux-x64',
    sha256: 'b'.repeat(64),
    size: 4096,
    fromVersion: '1.3.0',
    fromDigest: 'a'.repeat(64),
    sequence: 1,
    state: 'offered',
    offeredAt: T0 - 3 * MINUTE,
    grantedAt: null,
    endedAt: null,
    deadlineObserved: 0,
    cause: null,
    detail: null,
    corrected: false,
    ...changes,
  };
}
