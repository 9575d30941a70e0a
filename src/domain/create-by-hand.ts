// A rollout that a person begins now: what may stand against it, and whether there is one already.
import { AppError } from '../errors.ts';
import { acceptedBy, baselineOf, creationOf, type Objection, objectionTo, sayPrerelease } from './choose.ts';
import { vetoFor } from './directives.ts';
import { productNamed, releaseNamed } from './named.ts';
import { type Release, troubleOf } from './release.ts';
import type { Rollout } from './rollout.ts';
import type { Action, ProductRules, Snapshot } from './snapshot.ts';
import { schemeOf } from './version/schemes.ts';

export type CreateAction = Extract<Action, { kind: 'create_rollout' }>;

/** The rollout that there is, or the action that makes one. */
export type Creation = { rollout: Rollout } | { action: CreateAction };

/**
 * `version` as the product's scheme prints it, or the release's tag. The policy's schedule and minimum age are not asked:
 * the person is. Everything else that keeps the planner from a release keeps a person from it too, and no region is ever
 * led to a lower version. Throws `not_found` for what is not known, `conflict` for what stands against the release.
 */
export function createByHand(snapshot: Snapshot, productName: string, version: string): Creation {
  const product = productNamed(snapshot.products, productName);
  const rollouts = snapshot.rollouts.filter((one) => one.product === product.name);
  const exact = rollouts.find((one) => one.version === version);
  if (exact !== undefined) return { rollout: exact };
  const release = releaseNamed(snapshot.releases, product, version);
  const rollout = rollouts.find((one) => one.version === release.version);
  if (rollout !== undefined) return { rollout };
  const objection = objectionTo(snapshot, product, release, acceptedBy(product));
  if (objection !== undefined) throw refusal(product, release, objection, snapshot);
  refuseBesideHigher(snapshot, product, release, rollouts);
  const action = creationOf(snapshot, product, release);
  refuseBelowBaseline(snapshot, product, release, action);
  return { action };
}

function refusal(product: ProductRules, release: Release, { kind }: Objection, snapshot: Snapshot): AppError {
  const { version, tag, state } = release;
  const title = `${product.name} ${version}`;
  switch (kind) {
    case 'unusable':
      return conflict(`${title} cannot go out, it is ${state}: ${release.why ?? 'it has no files yet'}`, {
        where: `the release ${tag}`,
        hint: UNUSABLE_HINTS[state],
      });
    case 'prerelease': {
      return conflict(`${title} is ${sayPrerelease(version, product.prereleases)}`, {
        where: 'products[].prereleases',
        hint: 'Let it in there in the config, or publish it as a stable release.',
      });
    }
    case 'outside':
      return conflict(`${title} is outside of what the product accepts: ${product.accept}`, {
        where: 'products[].accept',
        hint: 'Widen the range in the config, or choose a version inside it.',
      });
    case 'vetoed': {
      const veto = vetoFor(snapshot.vetoes, product.name, version);
      return conflict(`${title} is vetoed by ${veto?.actor}: ${veto?.reason}`, {
        hint: 'A vetoed release goes out nowhere: publish what mends it under a higher version, or lift the veto with `tidegate release unveto`.',
      });
    }
  }
}

const PUBLISH_ANEW = 'Publish it under a new version: what hosts may have by now must not change under its name.';

const UNUSABLE_HINTS: Record<Release['state'], string> = {
  announced: 'Upload its files to GitHub; the next poll finds them.',
  pending: 'Upload the files that are missing to GitHub; the next poll finds them.',
  complete: 'Give the product artifacts in the config.',
  withdrawn: 'Publish it again on GitHub, or choose another version.',
  altered: PUBLISH_ANEW,
  refused: 'Delete one of the two tags on GitHub, or choose another version.',
};

/**
 * The newest rollout takes the place of those before it, so a lower one would end a higher one half-way. One whose
 * release may not go out any more is in nobody's way: it gives its place up by itself.
 */
function refuseBesideHigher(
  { releases, vetoes }: Snapshot,
  product: ProductRules,
  { version }: Release,
  rollouts: readonly Rollout[],
): void {
  const scheme = schemeOf(product.scheme);
  const other = rollouts.findLast(
    (one) =>
      one.endedAt === null &&
      scheme.parse(one.version) !== undefined &&
      scheme.compare(version, one.version) <= 0 &&
      vetoFor(vetoes, product.name, one.version) === undefined &&
      troubleOf(releases.find((release) => release.id === one.releaseId)) === undefined,
  );
  if (other === undefined) return;
  const name = `${product.name}@${other.version}`;
  throw conflict(`${product.name} ${version} is not higher than ${other.version}, which is still going out`, {
    where: `the rollout ${name}`,
    hint: `Cancel that one first: tidegate rollout cancel ${name} --reason TEXT`,
  });
}

/** A region's agents are never brought down, and its newcomers must not be brought to something lower than the others. */
function refuseBelowBaseline(
  snapshot: Snapshot,
  product: ProductRules,
  { version }: Release,
  { lanes }: CreateAction,
): void {
  const scheme = schemeOf(product.scheme);
  for (const { region } of lanes) {
    const baseline = baselineOf(snapshot, product.name, region);
    if (baseline === undefined || scheme.parse(baseline.version) === undefined) continue;
    if (scheme.compare(version, baseline.version) > 0) continue;
    const done = `${product.name}@${baseline.version}`;
    throw conflict(`${product.name} ${version} is not higher than ${baseline.version}, which ${region} has completed`, {
      where: `the baseline of ${region}`,
      hint:
        `Publish it under a version above ${baseline.version}. If that one does harm, veto it first: ` +
        `tidegate release veto ${done} --reason TEXT`,
    });
  }
}

function conflict(message: string, options: { where?: string; hint: string }): AppError {
  return new AppError('conflict', message, options);
}
