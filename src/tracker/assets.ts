// What a tag and a list of assets mean for a product: the version, and which platforms have their file. Pure.
import type { Artifact, MissingPlatform, PendingReason } from '../domain/release.ts';
import type { SchemeName, Version } from '../domain/version/scheme.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import type { SourceAsset } from './source.ts';

/** What the tracker needs of a product's config. */
export interface TrackedProduct {
  name: string;
  /** `owner/name`. */
  repository: string;
  scheme: SchemeName;
  /** Tags with `{version}` in the place of the version; the first that fits and holds a version counts. */
  tags: readonly string[];
  /** `asset` may hold `{version}` and `{tag}`; the rest stands for itself. */
  artifacts: { platform: string; asset: string }[];
}

export interface TagReading {
  version: Version;
  /** What stands for `{version}`, as the tag has it. */
  raw: string;
}

/** The version that a tag stands for, or in one sentence why it stands for none. */
export function readTag(product: TrackedProduct, tag: string): TagReading | { why: string } {
  const fitting = product.tags.map((pattern) => between(pattern, tag)).filter((raw) => raw !== undefined);
  for (const raw of fitting) {
    const version = schemeOf(product.scheme).parse(raw);
    if (version !== undefined) return { version, raw };
  }
  const [first] = fitting;
  if (first !== undefined) return { why: `“${first}” is not a version of the scheme ${product.scheme}` };
  const patterns = product.tags.map((pattern) => `“${pattern}”`);
  return { why: `the tag does not fit ${patterns.join(' or ')}` };
}

/** What the tag has in the place of `{version}`; undefined where the rest is not the same. */
function between(pattern: string, tag: string): string | undefined {
  const [before = '', after = ''] = pattern.split('{version}');
  if (tag.length < before.length + after.length || !tag.startsWith(before) || !tag.endsWith(after)) return undefined;
  return tag.slice(before.length, tag.length - after.length);
}

/** Each platform of the product, in the config's order, either with its file or with the reason why not. */
export function matchAssets(
  product: TrackedProduct,
  tag: string,
  reading: TagReading,
  assets: readonly SourceAsset[],
): { artifacts: Artifact[]; missing: MissingPlatform[] } {
  const artifacts: Artifact[] = [];
  const missing: MissingPlatform[] = [];
  for (const { platform, asset: template } of product.artifacts) {
    const names = assetNames(template, tag, reading);
    const found = findAsset(assets, names);
    if (typeof found === 'string') missing.push({ platform, reason: found });
    else artifacts.push({ platform, ...found });
  }
  return { artifacts, missing };
}

/** Why the asset cannot be used yet; undefined when it can. */
export function unusable(asset: SourceAsset): PendingReason | undefined {
  // GitHub documents `uploaded` and `open`; others have been seen for broken uploads.
  if (asset.state !== 'uploaded') return 'asset_not_uploaded';
  if (asset.size === 0) return 'asset_empty';
  return asset.digest === null ? 'asset_without_digest' : undefined;
}

const REASONS: Record<PendingReason, string> = {
  no_assets: 'the release has no assets yet',
  asset_missing: 'the release has no asset of the configured name',
  asset_not_uploaded: 'the asset is not uploaded to its end',
  asset_without_digest: 'GitHub gives no SHA-256 for the asset',
  asset_empty: 'the asset is empty',
  asset_ambiguous: 'more than one asset matches',
};

/** One sentence without the platform. */
export function sentenceOfReason(reason: PendingReason): string {
  return REASONS[reason];
}

function findAsset(assets: readonly SourceAsset[], names: Set<string>): Omit<Artifact, 'platform'> | PendingReason {
  if (assets.length === 0) return 'no_assets';
  const matching = assets.filter((asset) => names.has(asset.name));
  const [asset, second] = matching;
  if (asset === undefined) return 'asset_missing';
  if (second !== undefined) return 'asset_ambiguous';
  const reason = unusable(asset);
  if (reason !== undefined || asset.digest === null) return reason ?? 'asset_without_digest';
  return { name: asset.name, size: asset.size, sha256: asset.digest, assetId: asset.id };
}

/** Files are named by the version as the tag writes it or as the scheme prints it: `1.02` and `1.2`. */
function assetNames(template: string, tag: string, reading: TagReading): Set<string> {
  const named = template.replaceAll('{tag}', () => tag);
  return new Set([reading.version.text, reading.raw].map((version) => named.replaceAll('{version}', () => version)));
}
