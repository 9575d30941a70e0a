// Regions that a product's policies leave out: whoever runs it there is told so, and nobody takes it for an oversight of theirs.
import { acceptedBy, objectionTo } from './choose.ts';
import { type HoldReason, sentenceOf } from './holds.ts';
import { releaseOf, rolloutsOf } from './lookup.ts';
import { isTerminalLane } from './rollout.ts';
import type { Hold, ProductRules, Snapshot } from './snapshot.ts';
import { schemeOf } from './version/schemes.ts';

export interface LeftOut {
  /** The release that goes past the region; null: every one does. */
  version: string | null;
  detail: string;
}

export const LEFT_OUT: HoldReason = 'not_assigned';

/** Undefined where the newest release that may go out goes to the region as well. */
export function leftOutOf(snapshot: Snapshot, product: ProductRules, region: string): LeftOut | undefined {
  const policies = [product.policy, ...Object.values(product.policies)];
  const isIn = ({ waves }: { waves: readonly string[][] }) => waves.some((wave) => wave.includes(region));
  if (!policies.some(isIn)) return { version: null, detail: `no policy of ${product.name} has ${region} in a wave` };
  const newest = rolloutsOf(snapshot.rollouts, product.name).findLast(({ releaseId, lanes }) => {
    const release = releaseOf(snapshot.releases, releaseId);
    if (lanes.every(({ state }) => isTerminalLane(state.name) && state.name !== 'completed')) return false;
    return release !== undefined && objectionTo(snapshot, product, release, acceptedBy(product)) === undefined;
  });
  if (newest === undefined || newest.lanes.some((lane) => lane.region === region)) return undefined;
  const { version, policy } = newest;
  return { version, detail: `${version} goes out under the policy ${policy.name}, which has ${region} in no wave` };
}

/** For people, while nothing of the product goes out: the first such region in which somebody runs less than its newest. */
export function leftOutHold(snapshot: Snapshot, product: ProductRules): Hold | undefined {
  const scheme = schemeOf(product.scheme);
  for (const region of snapshot.regions) {
    const agents = snapshot.census.filter((row) => row.product === product.name && row.region === region);
    const over = agents.length === 0 ? undefined : leftOutOf(snapshot, product, region);
    if (over === undefined) continue;
    const { version } = over;
    const passed = agents.filter(
      (row) =>
        version === null || (scheme.parse(row.version) !== undefined && scheme.compare(row.version, version) < 0),
    );
    const number = passed.reduce((sum, row) => sum + row.agents, 0);
    if (number === 0) continue;
    const sentence = sentenceOf(LEFT_OUT, `${over.detail}, and ${number} of its agents stand there`);
    return { subject: { product: product.name }, reason: LEFT_OUT, sentence, until: null };
  }
  return undefined;
}
