// What a release is, once what GitHub said has been read: plain values, no fetching.

/**
 * `announced` (a tag without a release yet) → `pending` (files are missing; without any, its `why` begins with
 * `no_assets`) → `complete`, or `withdrawn` (deleted or unpublished upstream), `altered` (the tag, or the size or digest
 * of a file, changed after it was complete), `refused` (its version stands under two tags). Commits are not compared:
 * what GitHub lists as `target_commitish` is mostly the name of a branch, and so no fingerprint.
 */
export type ReleaseState = 'announced' | 'pending' | 'complete' | 'withdrawn' | 'altered' | 'refused';

/** Why a release, or one platform of it, is not complete. */
export type PendingReason =
  | 'no_assets'
  | 'asset_missing'
  | 'asset_not_uploaded'
  | 'asset_without_digest'
  | 'asset_empty'
  | 'asset_ambiguous';

/** One file of a release for one platform. */
export interface Artifact {
  /** `os-arch[-libc]`, e.g. `linux-x64`. */
  platform: string;
  /** File name of the asset. */
  name: string;
  /** Bytes. */
  size: number;
  /** 64 lower-case hex digits. */
  sha256: string;
  /** GitHub's id of the asset, as text. */
  assetId: string;
}

export interface MissingPlatform {
  platform: string;
  reason: PendingReason;
}

export interface Release {
  id: string;
  product: string;
  /** GitHub's id of the release, as text. */
  sourceId: string;
  tag: string;
  /** As the product's scheme prints it. */
  version: string;
  /** Orders as text in the same way as the scheme orders versions. */
  sortKey: string;
  prerelease: boolean;
  state: ReleaseState;
  /** Set when the state is `pending`, `withdrawn`, `altered` or `refused`: one sentence with what and where. */
  why: string | null;
  /** Milliseconds since the epoch, from GitHub. */
  publishedAt: number;
  firstSeenAt: number;
  /** The platforms that are complete. */
  artifacts: Artifact[];
  /** The platforms of the product that are not. */
  missing: MissingPlatform[];
}

/** True when nothing stands against letting the release out on its complete platforms. */
export function isUsable(release: Release): boolean {
  const state = release.state;
  return (state === 'complete' || state === 'pending') && release.artifacts.length > 0;
}

/**
 * What has come between a release and its rollout, as one sentence; undefined when nothing has. It stops what is going
 * out: the release was deleted, unpublished, changed, or its version has come to stand under two tags.
 */
export function troubleOf(release: Pick<Release, 'version' | 'state' | 'why'> | undefined): string | undefined {
  if (release === undefined) return 'the release is not known any more';
  if (release.state !== 'withdrawn' && release.state !== 'altered' && release.state !== 'refused') return undefined;
  return `the release ${release.version} is ${release.state}: ${release.why ?? 'GitHub does not say why'}`;
}

export function artifactFor(release: Release, platform: string): Artifact | undefined {
  return release.artifacts.find((artifact) => artifact.platform === platform);
}
