// Which release of a product is the one to let out now, or why none is.
import { vetoFor } from './directives.ts';
import { type HoldReason, sentenceOf } from './holds.ts';
import { isUsable, type Release } from './release.ts';
import type { ProductRules, Snapshot } from './snapshot.ts';
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
      : release.prerelease && !product.prereleases
        ? none('out_of_range', `${release.version} is a prerelease`)
        : range !== undefined && !range.includes(release.version)
          ? none('out_of_range', `${release.version} is not in ${product.accept}`)
          : veto !== undefined
            ? none('vetoed', `${release.version}: ${veto.reason}`)
            : age < product.policy.minAgeMs
              ? none('too_young', release.version, release.publishedAt + product.policy.minAgeMs)
              : { release };
    if (found.release !== null) return found;
    // The highest one that was refused is what a person asks about.
    if (release === releases[0]) refused = found;
  }
  return refused;
}

function none(reason: HoldReason, detail: string, until: number | null = null): Choice {
  return { release: null, reason, sentence: sentenceOf(reason, detail), until };
}
