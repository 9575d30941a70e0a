// Where releases come from, as the tracker sees it: what is listed and the bytes of one asset; deciding nothing.
import type { Readable } from 'node:stream';

export interface SourceAsset {
  /** The source's id, as text. */
  id: string;
  name: string;
  /** Bytes. */
  size: number;
  /** `uploaded` once the source has all bytes. */
  state: string;
  /** SHA-256, 64 lower-case hex digits; null where the source gives none. */
  digest: string | null;
}

export interface SourceRelease {
  /** The source's id, as text. */
  id: string;
  tag: string;
  draft: boolean;
  prerelease: boolean;
  /** Milliseconds since the epoch; null where the source gives none. */
  publishedAt: number | null;
  /** Branch or commit named at creation; not the commit of the tag. */
  targetCommitish: string;
  assets: SourceAsset[];
}

/** What the caller knows from the listing before. */
export interface Seen {
  /** The source's own id of the repository: a name can come to stand for another repository. */
  repositoryId: string;
  /** Null: list even if nothing has changed. */
  etag: string | null;
}

export interface Listing {
  kind: 'listed';
  /** Null where the source gives none. */
  etag: string | null;
  repositoryId: string;
  /** Each id once; in no order. */
  releases: SourceRelease[];
  /** False where the source has more than it was asked for: then what is not here may still be there. */
  complete: boolean;
  /** One sentence for the log where something is worth saying. */
  notice: string | null;
}

/** Two implementations: GitHub over octokit (github.ts), and a recorded list for back-tests and the simulator. */
export interface ReleaseSource {
  /**
   * The releases of a repository (`owner/name`), or that nothing has changed since the listing that gave the ETag. What
   * breaks off throws, and so does a name that now stands for another repository; a list that is longer than what is
   * read of it, or that ends in an odd way, is given with `complete: false` and a notice. Throws `github_auth`, `github_rate_limited`
   * (with retryAfterMs), `github_not_found`, `github_unavailable`, `github_bad_response`.
   */
  listReleases(repository: string, seen: Seen | null, signal: AbortSignal): Promise<{ kind: 'unchanged' } | Listing>;
  /**
   * The bytes of one asset and their number where the source says it. Nothing is verified here, and the stream may fail
   * half-way with any error. Throws the same codes.
   */
  download(
    repository: string,
    assetId: string,
    signal: AbortSignal,
  ): Promise<{ stream: Readable; size: number | null }>;
}
