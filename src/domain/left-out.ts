// Regions that a product's policies leave out: whoever runs it there is told so, and nobody takes it for an oversight of theirs.
import { acceptedBy, objectionTo } from './choose.ts';
import { type HoldReason, sentenceOf } from './holds.ts';
import { releaseOf, rolloutsOf } from './lookup.ts';
import { isTerminalLane, type Rollout } from './rollout.ts';
import type { Hold, ProductRules, Snapshot } from './snapshot.ts';
import { schemeOf } from './version/schemes.ts';

export interface LeftOut {
  /** The release that goes past the region; null: every one does. */
  version: string | null;
  detail: string;
}

export const LEFT_OUT: HoldReason = 'not_assigned';

/** Of the product, by region: only those where the newest release that may go out does not go. */
export function leftOut(snapshot: Snapshot, product: ProductRules): ReadonlyMap<string, LeftOut> {
  const inWaves = regionsIn([product.policy, ...Object.values(product.policies)]);
  const newest = newestOf(snapshot, product);
  const there = newest === undefined ? undefined : new Set(newest.lanes.map((lane) => lane.region));
  return new Map(
    snapshot.regions.flatMap((region): [string, LeftOut][] => {
      if (!inWaves.has(region))
        return [[region, { version: null, detail: `no policy of ${product.name} has ${region} in a wave` }]];
      if (newest === undefined || there?.has(region) === true) return [];
      const { version, policy } = newest;
      const detail = `${version} goes out under the policy ${policy.name}, which has ${region} in no wave`;
      return [[region, { version, detail }]];
    }),
  );
}

/** For people, while nothing of the product goes out: the first such region in which somebody runs less than its newest. */
export function leftOutHold(snapshot: Snapshot, product: ProductRules): Hold | undefined {
  const scheme = schemeOf(product.scheme);
  for (const [region, { version, detail }] of leftOut(snapshot, product)) {
    const passed = snapshot.census.filter(
      (row) =>
        row.product === product.name &&
        row.region === region &&
        (version === null || (scheme.parse(row.version) !== undefined && scheme.compare(row.version, version) < 0)),
    );
    const number = passed.reduce((sum, row) => sum + row.agents, 0);
    if (number === 0) continue;
    const sentence = sentenceOf(LEFT_OUT, `${detail}, and ${number} of its agents stand there`);
    return { subject: { product: product.name }, reason: LEFT_OUT, sentence, until: null };
  }
  return undefined;
}

function regionsIn(policies: readonly { waves: readonly string[][] }[]): Set<string> {
  return new Set(policies.flatMap(({ waves }) => waves.flat()));
}

/** What went out to nobody goes past nobody. */
function newestOf(snapshot: Snapshot, product: ProductRules): Rollout | undefined {
  const range = acceptedBy(product);
  return rolloutsOf(snapshot.rollouts, product.name).findLast(({ releaseId, lanes }) => {
    if (lanes.every(({ state }) => isTerminalLane(state.name) && state.name !== 'completed')) return false;
    const release = releaseOf(snapshot.releases, releaseId);
    return release !== undefined && objectionTo(snapshot, product, release, range) === undefined;
  });
}
