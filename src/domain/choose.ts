// Which release of a product is the one to let out now, or why none is.
import { vetoFor } from './directives.ts';
import { type HoldReason, sentenceOf } from './holds.ts';
import type { Policy } from './policy.ts';
import { isUsable, type Release, troubleOf } from './release.ts';
import type { Baseline, PolicyJump, ProductRules, Snapshot } from './snapshot.ts';
import { schemeOf } from './version/schemes.ts';

export type Choice =
  | { release: Release }
  | { release: null; reason: HoldReason; sentence: string; until: number | null };

/** The highest release that nothing stands against. `now` in milliseconds since the epoch. */
export function chooseRelease(snapshot: Snapshot, product: ProductRules, now: number): Choice {
  const scheme = schemeOf(product.scheme);
  const range = product.accept === null ? undefined : scheme.range(product.accept);
  let refused: Choice = none('not_available', 'no release of the product is known');
  const releases = snapshot.releases
    // A version read by another scheme, before the config changed, has no place in this one's order.
    .filter((release) => release.product === product.name && scheme.parse(release.version) !== undefined)
    .sort((a, b) => scheme.compare(b.version, a.version));
  for (const release of releases) {
    const veto = vetoFor(snapshot.vetoes, product.name, release.version);
    const age = now - release.publishedAt;
    const found = !isUsable(release)
      ? none('not_available', `${release.tag}: ${release.why ?? release.state}`)
      : !isInChannel(release, product.prereleases)
        ? none('out_of_range', `${release.version} is a prerelease`)
        : range !== undefined && !range.includes(release.version)
          ? none('out_of_range', `${release.version} is not in ${product.accept}`)
          : veto !== undefined
            ? none('vetoed', `${release.version}: ${veto.reason}`)
            : age < policyFor(snapshot, product, release.version).minAgeMs
              ? none(
                  'too_young',
                  release.version,
                  release.publishedAt + policyFor(snapshot, product, release.version).minAgeMs,
                )
              : { release };
    if (found.release !== null) return found;
    // The highest one that was refused is what a person asks about.
    if (release === releases[0]) refused = found;
  }
  return refused;
}

/** Stable releases always are; a prerelease only where its first identifier (`rc` of 2.0.0-rc.1) is let in. */
export function isInChannel(
  release: Pick<Release, 'version' | 'prerelease'>,
  prereleases: ProductRules['prereleases'],
): boolean {
  if (!release.prerelease) return true;
  if (typeof prereleases === 'boolean') return prereleases;
  const identifier = /^[^-+]*-([0-9A-Za-z]+)/.exec(release.version)?.[1];
  return identifier !== undefined && prereleases.includes(identifier);
}

/**
 * The kind of jump that the release is, the largest over the baselines of the regions, picks the policy; with no baseline
 * the most cautious one.
 */
export function policyFor(snapshot: Snapshot, product: ProductRules, version: string): Policy {
  const scheme = schemeOf(product.scheme);
  const order: PolicyJump[] = ['patch', 'prerelease', 'minor', 'major'];
  let largest = -1;
  for (const region of snapshot.regions) {
    const baseline = baselineOf(snapshot, product.name, region);
    if (baseline === undefined || scheme.parse(baseline.version) === undefined) continue;
    largest = Math.max(largest, order.indexOf(scheme.jump(baseline.version, version) as PolicyJump));
  }
  const jump = order[largest];
  return (jump === undefined ? undefined : product.policies[jump]) ?? product.policy;
}

/** The newest that the region has completed and that nothing has been said against since. */
export function baselineOf(snapshot: Snapshot, product: string, region: string): Baseline | undefined {
  return snapshot.baselines
    .filter((one) => one.product === product && one.region === region && !isBarredVersion(snapshot, one))
    .toSorted((a, b) => a.at - b.at)
    .at(-1);
}

function isBarredVersion(snapshot: Snapshot, { product, version, releaseId }: Baseline): boolean {
  if (vetoFor(snapshot.vetoes, product, version) !== undefined) return true;
  return troubleOf(snapshot.releases.find((one) => one.id === releaseId)) !== undefined;
}

function none(reason: HoldReason, detail: string, until: number | null = null): Choice {
  return { release: null, reason, sentence: sentenceOf(reason, detail), until };
}
