// The `release` probe: what a release on GitHub says about where it can be had. Pure.
import { type Availability, isMirrorsWord } from '../domain/availability.ts';
import { artifactFor, isUsable, type Release } from '../domain/release.ts';
import { sentenceOfReason, type TrackedProduct } from './assets.ts';

/** What a row of a region with a mirror says until that mirror has been asked. */
export const NOT_ASKED = 'the region’s mirror has not been asked yet';

/**
 * The rows that differ from the existing ones in status or reason; what stays the same stays unwritten, so that a poll
 * of a thousand old releases costs no writes. How fresh they all are says the source's last success.
 *
 * In the regions of `mirrored` GitHub alone can say what is absent, and the mirror has the last word on what is
 * available (probes.ts).
 */
export function changedAvailability(
  product: TrackedProduct,
  regions: readonly string[],
  releases: readonly Release[],
  existing: readonly Availability[],
  now: number,
  mirrored: ReadonlySet<string> = new Set(),
): Availability[] {
  const known = new Map(existing.map((row) => [keyOf(row), row]));
  const changed: Availability[] = [];
  for (const release of oneByVersion(releases)) {
    for (const { platform } of product.artifacts) {
      const onGitHub = probe(release, platform);
      for (const region of regions) {
        const row = { product: product.name, version: release.version, region, platform };
        const before = known.get(keyOf(row));
        const seen = mirrored.has(region) ? besideMirror(onGitHub, before) : onGitHub;
        if (seen === undefined) continue;
        if (before?.status === seen.status && before.why === seen.why) continue;
        const since = before?.status === seen.status ? before.since : now;
        changed.push({ ...row, ...seen, since, checkedAt: now });
      }
    }
  }
  return changed;
}

/** GitHub serves all regions alike. */
function probe(release: Release, platform: string): Pick<Availability, 'status' | 'why'> {
  if (!isUsable(release) && release.why !== null) return { status: 'absent', why: `${release.state}: ${release.why}` };
  if (artifactFor(release, platform) !== undefined) return { status: 'available', why: 'uploaded on GitHub' };
  const reason = release.missing.find((missing) => missing.platform === platform)?.reason ?? 'asset_missing';
  return { status: 'absent', why: sentenceOfReason(reason) };
}

/** Undefined where nothing is to be said beside the mirror's word, or before it. */
function besideMirror(onGitHub: Pick<Availability, 'status' | 'why'>, before: Availability | undefined) {
  if (onGitHub.status !== 'available') return onGitHub;
  if (before === undefined || isMirrorsWord(before)) return undefined;
  return { status: 'unknown' as const, why: NOT_ASKED };
}

/** A version can stand in several releases (refused, or gone and made anew); the one that may be let out speaks for it. */
function oneByVersion(releases: readonly Release[]): Release[] {
  const byVersion = new Map<string, Release>();
  for (const release of releases) {
    const other = byVersion.get(release.version);
    if (other === undefined || (!isUsable(other) && isUsable(release))) byVersion.set(release.version, release);
  }
  return [...byVersion.values()];
}

function keyOf(row: Pick<Availability, 'version' | 'region' | 'platform'>): string {
  return `${row.version}\n${row.region}\n${row.platform}`;
}
