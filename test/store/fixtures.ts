// Values for the store's tests: complete, small, and different wherever a mix-up could hide.
import { v7 } from 'uuid';
import type { Agent, Attempt } from '../../src/domain/agent.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Release } from '../../src/domain/release.ts';
import { type Lane, type LaneState, NO_COUNTS, type Rollout, type Step } from '../../src/domain/rollout.ts';
import { insertAgent } from '../../src/store/agents.ts';
import { type Database, transaction } from '../../src/store/database.ts';
import { saveRelease } from '../../src/store/releases.ts';
import { insertRollout } from '../../src/store/rollouts.ts';
import { type EnrolTokenRecord, insertEnrolToken } from '../../src/store/tokens.ts';

/** A fixed instant, 2026-01-01. */
export const T0 = 1_767_225_600_000;

export const policy: Policy = {
  name: 'careful',
  waves: [['eu'], ['us']],
  steps: [
    { labels: null, count: 1, percent: null, min: 1, soakMs: 1000, manual: false, budget: 'strict' },
    { labels: null, count: null, percent: 100, min: 1, soakMs: 1000, manual: false, budget: 'loose' },
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
  stageWithinMs: 60_000,
  activateWithinMs: 60_000,
  proveWithinMs: 60_000,
  stableForMs: 10_000,
};

export function makeRelease(changes: Partial<Release> = {}): Release {
  const id = v7();
  return {
    id,
    product: 'probe',
    sourceId: id,
    tag: 'v1.2.3',
    version: '1.2.3',
    sortKey: '0001.0002.0003',
    prerelease: false,
    state: 'complete',
    why: null,
    publishedAt: T0 - 1000,
    firstSeenAt: T0,
    artifacts: [makeArtifact('linux-arm64', 'a'), makeArtifact('linux-x64', 'b')],
    missing: [],
    ...changes,
  };
}

export function makeArtifact(platform: string, digit: string) {
  return {
    platform,
    name: `probe-${platform}.tar.gz`,
    size: 4096,
    sha256: digit.repeat(64),
    assetId: `asset-${digit}`,
  };
}

export function makeEnrolToken(changes: Partial<EnrolTokenRecord> = {}): EnrolTokenRecord {
  return {
    id: v7(),
    secretHash: 'e'.repeat(64),
    region: 'eu',
    labels: { ring: 'canary' },
    maxUses: 1000,
    uses: 0,
    createdBy: 'anna',
    createdAt: T0,
    expiresAt: T0 + 3_600_000,
    ...changes,
  };
}

export function makeAgent(enrolTokenId: string, changes: Partial<Agent> = {}): Omit<Agent, 'handle'> {
  const id = v7();
  return {
    id,
    name: 'host-1',
    region: 'eu',
    platform: 'linux-x64',
    labels: { ring: 'canary' },
    publicKey: id,
    enrolTokenId,
    enrolledAt: T0,
    sequence: 0,
    facts: null,
    health: 'ok',
    healthReason: null,
    revision: 0,
    products: [{ product: 'probe', version: '1.0.0', digest: 'c'.repeat(64) }],
    ...changes,
  };
}

export function makeLane(rolloutId: string, changes: Partial<Lane> = {}): Lane {
  return {
    kind: 'rollout',
    id: v7(),
    rolloutId,
    product: 'probe',
    region: 'eu',
    wave: 0,
    state: { name: 'waiting', since: T0 },
    budgetEpoch: 0,
    allowance: 0,
    approvals: [{ step: 0, by: 'anna', at: T0, expiresAt: T0 + 1000, subject: 'release 1\nstep 0' }],
    revision: 0,
    steps: [],
    back: [],
    ...changes,
  };
}

export function makeRollout(
  release: Release,
  states: Record<string, LaneState>,
  changes: Partial<Rollout> = {},
): Rollout {
  const id = changes.id ?? v7();
  return {
    id,
    product: release.product,
    releaseId: release.id,
    version: release.version,
    policy,
    seed: 4_294_967_295,
    createdAt: T0,
    endedAt: null,
    lanes: Object.entries(states).map(([region, state], wave) =>
      makeLane(id, { product: release.product, region, wave, state }),
    ),
    ...changes,
  };
}

export function makeStep(changes: Partial<Step> = {}): Step {
  return {
    step: 0,
    openedAt: T0,
    size: 3,
    threshold: 4_294_967_295,
    thresholdId: 'zz',
    done: false,
    counters: NO_COUNTS,
    ...changes,
  };
}

export function makeAttempt(agent: Agent, lane: Lane, changes: Partial<Attempt> = {}): Attempt {
  return {
    id: v7(),
    agentId: agent.id,
    rolloutId: lane.rolloutId,
    laneId: lane.id,
    step: 0,
    member: true,
    budgetEpoch: 0,
    product: lane.product,
    version: '1.2.3',
    platform: agent.platform,
    sha256: 'b'.repeat(64),
    size: 4096,
    fromVersion: '1.0.0',
    fromDigest: 'c'.repeat(64),
    sequence: 1,
    state: 'offered',
    offeredAt: T0,
    grantedAt: null,
    endedAt: null,
    deadlineObserved: 60_000,
    cause: null,
    detail: null,
    corrected: false,
    ...changes,
  };
}

export interface World {
  release: Release;
  rollout: Rollout;
  lane: Lane;
  agents: Agent[];
}

/** A release, a rollout with one open lane in `eu`, and agents there. */
export async function makeWorld(database: Database, agentCount: number): Promise<World> {
  const release = makeRelease();
  const rollout = makeRollout(release, { eu: { name: 'open', step: 0, since: T0 } });
  const token = makeEnrolToken();
  return await transaction(database, async (tx) => {
    await saveRelease(tx, release);
    await insertRollout(tx, rollout);
    await insertEnrolToken(tx, token);
    const agents: Agent[] = [];
    for (let index = 0; index < agentCount; index += 1) agents.push(await insertAgent(tx, makeAgent(token.id)));
    return { release, rollout, lane: rollout.lanes[0] as Lane, agents };
  });
}
