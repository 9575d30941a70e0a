// Where a file of a release lies on a region's mirror: fills the region's URL template, asks nobody.
import { assert } from '../errors.ts';
import type { Artifact, Release } from './release.ts';

/** What a template may hold in braces. */
export const MIRROR_PLACEHOLDERS = ['product', 'version', 'tag', 'asset', 'platform', 'region'] as const;

export interface MirroredRegion {
  name: string;
  /** `https://mirror.eu.example/{product}/{version}/{asset}`, as the config has checked it; null: no mirror. */
  mirror: string | null;
}

/** As long as a URL of an instruction may be. */
const MAX_URL_LENGTH = 2048;

/**
 * The absolute URL of one artifact. Null where the region has no mirror, and where the URL would be longer than an
 * instruction can carry. Each value is one piece of the path: a slash in a tag becomes `%2F`.
 */
export function mirrorUrl(
  region: MirroredRegion,
  product: string,
  release: Pick<Release, 'version' | 'tag'>,
  artifact: Pick<Artifact, 'platform' | 'name'>,
): string | null {
  if (region.mirror === null) return null;
  const values: Record<string, string> = {
    product,
    version: release.version,
    tag: release.tag,
    asset: artifact.name,
    platform: artifact.platform,
    region: region.name,
  };
  const filled = region.mirror.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const value = values[name];
    assert(value !== undefined, `the config has checked that {${name}} is a placeholder`);
    return encodeURIComponent(value.toWellFormed());
  });
  const url = new URL(filled).href;
  return url.length <= MAX_URL_LENGTH ? url : null;
}

/** https, or http to what only this machine can reach: the digest is checked, but what is fetched stays private. */
export function isSafeUrl(url: URL): boolean {
  // The URL parser writes every form of an IPv4 address with four numbers.
  const loopback = /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && loopback);
}
