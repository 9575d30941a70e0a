// Reconciles what GitHub lists with the releases that the store knows. Pure: no requests, no writes.
import type { Artifact, MissingPlatform, Release } from '../domain/release.ts';
import { matchAssets, readTag, sentenceOfReason, type TagReading, type TrackedProduct, unusable } from './assets.ts';
import type { Listing, SourceAsset, SourceRelease } from './source.ts';

export interface RejectedTag {
  tag: string;
  /** One sentence. */
  why: string;
}

export interface ReadListing {
  /** Every known release in its present state, then the new ones. */
  releases: Release[];
  rejectedTags: RejectedTag[];
  /** Assets for which GitHub gives no digest any more, while one is known: `v1.2.0: name`. */
  undigested: string[];
}

interface Reading {
  source: SourceRelease;
  tag: TagReading;
}

/**
 * A release's identity is its tag with the name, size and digest of each complete platform. What differs from the first
 * reading is `altered` for good and keeps the first artifacts; what is gone is `withdrawn` and comes back as it was; one
 * version under two tags is `refused`, both of them. Drafts are never read. A digest that GitHub has ceased to give for
 * the same asset is the one that is known. `now`: milliseconds since the epoch.
 */
export function readListing(
  product: TrackedProduct,
  listing: Pick<Listing, 'releases' | 'complete'>,
  known: readonly Release[],
  now: number,
  newId: () => string,
): ReadListing {
  const listed = listing.releases.filter((release) => !release.draft);
  const rejectedTags: RejectedTag[] = [];
  const readings: Reading[] = [];
  for (const source of listed) {
    const tag = readTag(product, source.tag);
    if ('why' in tag) rejectedTags.push({ tag: source.tag, why: tag.why });
    else readings.push({ source, tag });
  }
  const claims = claim(known, readings);
  const undigested: string[] = [];
  const present: Release[] = [];
  const absent: Release[] = [];
  for (const release of known) {
    const reading = claims.get(release.id);
    if (reading === undefined) absent.push(notRead(release, listed, rejectedTags, listing.complete));
    else {
      undigested.push(...undigestedIn(release, reading.source));
      present.push(reconcile(product, release, withHeldDigests(release, reading)));
    }
  }
  const claimed = new Set(claims.values());
  for (const reading of readings) {
    if (!claimed.has(reading)) present.push(firstReading(product, reading, now, newId()));
  }
  return { releases: inKnownOrder(known, [...absent, ...refuseDoubles(present, absent)]), rejectedTags, undigested };
}

/** Which reading continues which known release: the same id, or, made anew under the same tag, another id. */
function claim(known: readonly Release[], readings: readonly Reading[]): Map<string, Reading> {
  const byId = new Map(readings.map((reading) => [reading.source.id, reading]));
  const knownIds = new Set(known.map((release) => release.sourceId));
  const byTag = new Map<string, Reading>();
  for (const reading of readings) if (!knownIds.has(reading.source.id)) byTag.set(reading.source.tag, reading);
  const claims = new Map<string, Reading>();
  for (const release of known) {
    const reading = byId.get(release.sourceId) ?? byTag.get(release.tag);
    if (reading === undefined) continue;
    claims.set(release.id, reading);
    byTag.delete(reading.source.tag);
  }
  return claims;
}

function firstReading(product: TrackedProduct, reading: Reading, now: number, id: string): Release {
  const { source, tag } = reading;
  const matched = matchAssets(product, source.tag, tag, source.assets);
  return {
    id,
    product: product.name,
    ...versionOf(reading),
    sourceId: source.id,
    // Without a time of its own a release counts as published when it was first seen: never too old too early.
    publishedAt: source.publishedAt ?? now,
    firstSeenAt: now,
    ...matched,
    ...stateOf(matched, source.assets),
  };
}

function reconcile(product: TrackedProduct, known: Release, reading: Reading): Release {
  const { source } = reading;
  if (known.state === 'altered') return { ...known, sourceId: source.id };
  const why = alteration(known, source);
  if (why !== undefined) return { ...known, sourceId: source.id, state: 'altered', why };
  const matched = mergeMatched(known, matchAssets(product, source.tag, reading.tag, source.assets), source.assets);
  const lost = known.artifacts.find((artifact) => usableAsset(artifact, source.assets) === undefined);
  const state =
    lost === undefined
      ? stateOf(matched, source.assets)
      : { state: 'withdrawn' as const, why: lossOf(lost, source.assets) };
  return {
    ...known,
    ...versionOf(reading),
    sourceId: source.id,
    publishedAt: source.publishedAt ?? known.publishedAt,
    ...matched,
    ...state,
  };
}

/** A release that is known and has no reading: its tag stopped being a version, it is gone, or it was not looked for. */
function notRead(
  known: Release,
  listed: readonly SourceRelease[],
  rejected: readonly RejectedTag[],
  complete: boolean,
): Release {
  if (known.state === 'altered') return known;
  const source = listed.find((release) => release.id === known.sourceId);
  if (source !== undefined && source.tag !== known.tag && known.artifacts.length > 0) {
    return { ...known, state: 'altered', why: tagSentence(known, source) };
  }
  const why = rejected.find((rejection) => rejection.tag === (source?.tag ?? known.tag))?.why;
  if (source !== undefined && why !== undefined) return withdrawn(known, `${source.tag}: ${why}`);
  return complete ? withdrawn(known, 'GitHub does not list the release any more') : known;
}

function withdrawn(known: Release, why: string): Release {
  return known.state === 'withdrawn' ? known : { ...known, state: 'withdrawn', why };
}

/** In one sentence what differs from the first reading; only what was complete can be altered. */
function alteration(known: Release, source: SourceRelease): string | undefined {
  if (known.artifacts.length === 0) return undefined;
  if (source.tag !== known.tag) return tagSentence(known, source);
  for (const artifact of known.artifacts) {
    const asset = usableAsset(artifact, source.assets) ?? source.assets.find((one) => isUndigested(artifact, one));
    if (asset === undefined) continue;
    const name = `${artifact.platform}: ${artifact.name}`;
    if (asset.digest !== null && asset.digest !== artifact.sha256)
      return `${name} had SHA-256 ${artifact.sha256}, has ${asset.digest}`;
    if (asset.size !== artifact.size) return `${name} had ${artifact.size} bytes, has ${asset.size}`;
  }
  return undefined;
}

/** Uploaded under the name of the first reading, and GitHub gives no digest. */
function isUndigested({ name }: Artifact, asset: SourceAsset): boolean {
  return asset.name === name && unusable(asset) === 'asset_without_digest';
}

/** The very asset, of the same size: its bytes are those that were read, although GitHub has ceased to give a digest. */
function hasHeldDigest(artifact: Artifact, asset: SourceAsset): boolean {
  return isUndigested(artifact, asset) && asset.id === artifact.assetId && asset.size === artifact.size;
}

function withHeldDigests(known: Release, { source, tag }: Reading): Reading {
  const assets = source.assets.map((asset) => {
    const held = known.artifacts.find((artifact) => hasHeldDigest(artifact, asset));
    return held === undefined ? asset : { ...asset, digest: held.sha256 };
  });
  return { source: { ...source, assets }, tag };
}

function undigestedIn(known: Release, { tag, assets }: SourceRelease): string[] {
  const held = assets.filter((asset) => known.artifacts.some((artifact) => hasHeldDigest(artifact, asset)));
  return held.map(({ name }) => `${tag}: ${name}`);
}

/** Why what was complete cannot be had: the first asset of the name says what is off. */
function lossOf({ platform, name }: Artifact, assets: readonly SourceAsset[]): string {
  const asset = assets.find((one) => one.name === name);
  return `${platform}: ${name} cannot be had on GitHub any more: ${whatIsOff(asset)}`;
}

function whatIsOff(asset: SourceAsset | undefined): string {
  if (asset === undefined) return 'the release has no asset of that name';
  if (asset.state !== 'uploaded') return `its state is ${asset.state}`;
  return asset.size === 0 ? 'it is empty' : 'it was uploaded again, and GitHub gives no SHA-256 for it';
}

function tagSentence(known: Release, source: SourceRelease): string {
  return `the tag was ${known.tag}, is ${source.tag}`;
}

/** By the name of the first reading, so that a new template in the config does not read as an alteration. */
function usableAsset(artifact: Artifact, assets: readonly SourceAsset[]): SourceAsset | undefined {
  const usable = assets.filter((asset) => asset.name === artifact.name && unusable(asset) === undefined);
  return usable.find((asset) => asset.digest === artifact.sha256) ?? usable[0];
}

/** Platforms that were complete keep their artifact (with the asset's present id); the others are as they now match. */
function mergeMatched(
  known: Release,
  matched: { artifacts: Artifact[]; missing: MissingPlatform[] },
  assets: readonly SourceAsset[],
): { artifacts: Artifact[]; missing: MissingPlatform[] } {
  const kept = known.artifacts.map((artifact) => ({
    ...artifact,
    assetId: usableAsset(artifact, assets)?.id ?? artifact.assetId,
  }));
  const platforms = new Set(kept.map((artifact) => artifact.platform));
  return {
    artifacts: [...kept, ...matched.artifacts.filter((artifact) => !platforms.has(artifact.platform))],
    missing: matched.missing.filter((missing) => !platforms.has(missing.platform)),
  };
}

function stateOf(
  matched: { artifacts: Artifact[]; missing: MissingPlatform[] },
  assets: readonly SourceAsset[],
): Pick<Release, 'state' | 'why'> {
  if (matched.missing.length === 0) return { state: 'complete', why: null };
  if (assets.length === 0 && matched.artifacts.length === 0) {
    return { state: 'pending', why: `no_assets: ${sentenceOfReason('no_assets')}` };
  }
  const reasons = matched.missing.map(({ platform, reason }) => `${platform}: ${sentenceOfReason(reason)}`);
  return { state: 'pending', why: reasons.join('; ') };
}

function versionOf(reading: Reading): Pick<Release, 'tag' | 'version' | 'sortKey' | 'prerelease'> {
  const { text, sortKey, prerelease } = reading.tag.version;
  return { tag: reading.source.tag, version: text, sortKey, prerelease: prerelease || reading.source.prerelease };
}

/**
 * Nobody can say which of two is meant, so neither is let out. A release that is gone still counts if it was complete
 * for a platform: agents may run it, and its version must not come to stand for other bytes under another tag.
 */
function refuseDoubles(present: readonly Release[], absent: readonly Release[]): Release[] {
  const tags = new Map<string, string[]>();
  const remembered = absent.filter((release) => release.artifacts.length > 0);
  for (const release of [...remembered, ...present]) {
    tags.set(release.sortKey, [...(tags.get(release.sortKey) ?? []), release.tag]);
  }
  return present.map((release) => {
    const same = tags.get(release.sortKey) ?? [];
    if (same.length < 2 || release.state === 'altered') return release;
    return {
      ...release,
      state: 'refused',
      // In one order, whichever GitHub lists first: another sentence would read as news.
      why: `version ${release.version} stands under the tags ${same.toSorted().join(' and ')}`,
    };
  });
}

function inKnownOrder(known: readonly Release[], releases: readonly Release[]): Release[] {
  const place = new Map(known.map((release, index) => [release.id, index]));
  return [...releases].sort((a, b) => (place.get(a.id) ?? known.length) - (place.get(b.id) ?? known.length));
}
