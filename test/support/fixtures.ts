// Small true values for tests of domain and engine: a policy, a release, a clock that only the test moves.
import { createHash } from 'node:crypto';
import type { Agent } from '../../src/domain/agent.ts';
import type { Policy, StepPolicy } from '../../src/domain/policy.ts';
import type { Release } from '../../src/domain/release.ts';
import type { ProductRules } from '../../src/domain/snapshot.ts';
import { schemeOf } from '../../src/domain/version/schemes.ts';
import type { Clock } from '../../src/engine/clock.ts';

export const START = Date.UTC(2026, 0, 1);

/** `jump` moves the wall clock alone. */
export function testClock(startAt = START): Clock & { advance(ms: number): void; jump(ms: number): void } {
  let elapsed = 0;
  let jumped = 0;
  return {
    now: () => startAt + elapsed + jumped,
    monotonic: () => elapsed,
    advance(ms: number) {
      elapsed += ms;
    },
    jump(ms: number) {
      jumped += ms;
    },
  };
}

export function stepPolicy(overrides: Partial<StepPolicy> = {}): StepPolicy {
  return {
    labels: null,
    count: null,
    percent: 100,
    min: 1,
    soakMs: 60_000,
    manual: false,
    budget: 'strict',
    ...overrides,
  };
}

export function testPolicy(overrides: Partial<Policy> = {}): Policy {
  return {
    name: 'standard',
    waves: [['eu-west-1']],
    steps: [stepPolicy()],
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
    stageWithinMs: 1_800_000,
    activateWithinMs: 600_000,
    proveWithinMs: 600_000,
    stableForMs: 60_000,
    ...overrides,
  };
}

export function rules(policy: Policy, overrides: Partial<ProductRules> = {}): ProductRules {
  const own = { name: 'agentd', scheme: 'semver', accept: null, prereleases: false, policy, policies: {} } as const;
  return { ...own, lag: 0, from: null, floors: [], requirements: [], unknownBuilds: 'hold', ...overrides };
}

export function digestOf(version: string): string {
  return createHash('sha256').update(version).digest('hex');
}

export function testRelease(version: string, overrides: Partial<Release> = {}): Release {
  const parsed = schemeOf('semver').parse(version);
  if (parsed === undefined) throw new Error(`not a version: ${version}`);
  return {
    id: `release-${version}`,
    product: 'agentd',
    sourceId: `source-${version}`,
    tag: `v${version}`,
    version,
    sortKey: parsed.sortKey,
    prerelease: parsed.prerelease,
    state: 'complete',
    why: null,
    publishedAt: START - 3_600_000,
    firstSeenAt: START - 3_600_000,
    artifacts: [
      {
        platform: 'linux-x64',
        name: `agentd-${version}.tar.gz`,
        size: 1000,
        sha256: digestOf(version),
        assetId: `asset-${version}`,
      },
    ],
    missing: [],
    ...overrides,
  };
}

/** The id orders as the handle. */
export function testAgent(handle: number, overrides: Partial<Agent> = {}): Agent {
  return {
    id: `00000000-0000-7000-8000-${String(handle).padStart(12, '0')}`,
    handle,
    name: `host-${handle}`,
    region: 'eu-west-1',
    platform: 'linux-x64',
    labels: {},
    publicKey: `key-${handle}`,
    enrolTokenId: 'token',
    enrolledAt: 0,
    sequence: 0,
    facts: null,
    health: 'ok',
    healthReason: null,
    revision: 0,
    products: [{ product: 'agentd', version: '1.0.0', digest: digestOf('1.0.0') }],
    ...overrides,
  };
}
