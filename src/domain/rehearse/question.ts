// What rehearsal and back-test are asked, and the model that stands for it: the parts that both share.

import type { Policy } from '../policy.ts';
import type { Release } from '../release.ts';
import type { ProductRules } from '../snapshot.ts';
import { schemeOf } from '../version/schemes.ts';
import { digestOf } from './attempts.ts';
import type { FleetGroup, ModelInput, Pace } from './model.ts';

/** The rules of the moment, as the server has them. */
export type Surroundings = Pick<
  ModelInput,
  'product' | 'regions' | 'calendars' | 'freezes' | 'limits' | 'brakes' | 'vetoes' | 'baselines'
>;

/** What people may say of the model; null: as it is by default. */
export interface Assumed {
  seed: number;
  /** Null: nobody ever approves. */
  approveAfterMs: number | null;
  /** From the publication to when every region has the release. */
  availabilityDelayMs: number;
  pollMs: number;
  stageMs: number | null;
  activateMs: number | null;
}

const TYPICAL_STAGE_MS = 60_000;
const TYPICAL_SWAP_MS = 15_000;

/**
 * What cannot be known of modelled hosts is not asked of them: facts and metrics; `assumptions.ts` says so where the product
 * has any. Who stops where on the way is the model's own matter: a floor must not become a choice.
 */
export function modelProduct(product: ProductRules): ProductRules {
  const plain = (policy: Policy): Policy => ({ ...policy, metrics: [], begin: 'auto' });
  return {
    ...product,
    floors: [],
    requirements: [],
    policy: plain(product.policy),
    policies: Object.fromEntries(Object.entries(product.policies).map(([jump, policy]) => [jump, plain(policy)])),
  };
}

/** Never longer than the policy gives: an agent that is late by rule would be no rehearsal of a good release. */
export function paceOf(policy: Policy, { pollMs, stageMs, activateMs }: Assumed): Pace {
  return {
    pollMs,
    stageMs: Math.min(stageMs ?? TYPICAL_STAGE_MS, policy.stageWithinMs),
    activateMs: activateMs ?? Math.min(TYPICAL_SWAP_MS, policy.activateWithinMs) + policy.stableForMs,
  };
}

export function policiesOf({ product }: Pick<Surroundings, 'product'>): Policy[] {
  return [product.policy, ...Object.values(product.policies)];
}

/** The release as the model has it: complete on the platforms, whatever GitHub has of it today. */
export function modelRelease(
  known: Pick<Release, 'id' | 'product' | 'version' | 'publishedAt'>,
  scheme: Parameters<typeof schemeOf>[0],
  platforms: readonly string[],
): Release {
  const { id, product, version, publishedAt } = known;
  const parsed = schemeOf(scheme).parse(version);
  return {
    id,
    product,
    sourceId: id,
    tag: version,
    version,
    sortKey: parsed?.sortKey ?? '',
    prerelease: parsed?.prerelease ?? false,
    // Without platforms it can be no choice; it only stands for what has been completed.
    state: platforms.length === 0 ? 'pending' : 'complete',
    why: null,
    publishedAt,
    firstSeenAt: publishedAt,
    artifacts: platforms.map((platform) => ({
      platform,
      name: `${version}-${platform}`,
      size: 0,
      sha256: digestOf(version),
      assetId: '',
    })),
    missing: [],
  };
}

/** The groups with this share (0–1) of the agents away, region by region; null: away is who is away. */
export function withOffline(fleet: readonly FleetGroup[], offline: number | null): FleetGroup[] {
  if (offline === null) return [...fleet];
  const before = new Map<string, number>();
  return fleet.map((group) => {
    const from = before.get(group.region) ?? 0;
    const to = from + group.agents;
    before.set(group.region, to);
    const away = Math.round(to * offline) - Math.round(from * offline);
    return { ...group, present: group.agents - Math.min(group.agents, Math.max(0, away)) };
  });
}
