// Whether agents can be brought to a rollout's release at all, and whether they are held for reasons of their own: once for all of a kind.
import { buildsOf } from '../domain/directives.ts';
import type { HoldReason } from '../domain/holds.ts';
import { releaseAt } from '../domain/lookup.ts';
import { unhealthyUnder } from '../domain/policy.ts';
import type { Release } from '../domain/release.ts';
import type { Rollout } from '../domain/rollout.ts';
import type { ProductRules } from '../domain/snapshot.ts';
import { type Builds, floorsBelow, hostObjection, stopAt, type Way } from '../domain/way.ts';
import type { Kind } from './roster.ts';

/**
 * `fit`: nothing stands against it. `unwell`: it reports itself unhealthy and the policy holds such agents: it counts among
 * the lane's agents, and is as good as absent. `lacking`: it does not have what is required; facts may change. `unfit`: the
 * release cannot be reached from what it runs, or a person has pinned the agent there.
 */
export type Fitness = 'fit' | 'unwell' | 'lacking' | 'unfit';

/** The way to the rollout's release; undefined when release or product are not known any more. */
export function wayTo(
  products: readonly ProductRules[],
  releases: readonly Release[],
  rollout: Rollout,
): Way | undefined {
  const rules = products.find((one) => one.name === rollout.product);
  const release = releases.find((one) => one.id === rollout.releaseId);
  if (rules === undefined || release === undefined) return undefined;
  const releaseOf = (version: string) => releaseAt(releases, rollout.product, version);
  const floors = floorsBelow(rules, rollout.version, releaseOf);
  return {
    scheme: rules.scheme,
    builds: buildsIn(releases, rollout.product),
    from: rules.from,
    unknownBuilds: rules.unknownBuilds,
    unhealthy: unhealthyUnder(rollout.policy),
    stops: [...floors, stopAt(rules, rollout.version, release, undefined)],
  };
}

const known = new WeakMap<readonly Release[], Map<string, Builds>>();

/** Every lane asks for them, and a list of releases is replaced and never changed. */
function buildsIn(releases: readonly Release[], product: string): Builds {
  const byProduct = known.get(releases) ?? new Map<string, Builds>();
  known.set(releases, byProduct);
  const builds = byProduct.get(product) ?? buildsOf(releases, product);
  byProduct.set(product, builds);
  return builds;
}

/** Of an agent that runs the product at a version below the release, on a platform that the release has. */
export function fitnessOf(way: Way, product: string, { products, platform, facts, health, pinned }: Kind): Fitness {
  const running = products.find((one) => one.product === product);
  if (running === undefined || pinned.includes(product)) return 'unfit';
  const { version, digest } = running;
  const found = hostObjection(way, { version, digest, platform, facts, health, healthReason: null });
  return found === undefined || found.objection === null ? 'fit' : (FITNESS[found.objection.reason] ?? 'unfit');
}

const FITNESS: Partial<Record<HoldReason, Fitness>> = { unhealthy: 'unwell', requirement_unmet: 'lacking' };
