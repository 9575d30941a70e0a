// The versions of a product that stand under two tags, for people: none of them is ever let out.
import type { Release } from './release.ts';

export interface RefusedVersion {
  version: string;
  /** In the order of the text. */
  tags: string[];
}

/** In the order of the releases. Versions of equal precedence are one: 3.3 and 3.3.0. */
export function refusedVersions(
  releases: readonly Pick<Release, 'version' | 'sortKey' | 'tag' | 'state'>[],
): RefusedVersion[] {
  const refused = releases.filter((release) => release.state === 'refused');
  return [...Map.groupBy(refused, ({ sortKey }) => sortKey).values()].map((same) => {
    const [first] = same.toSorted((a, b) => a.version.length - b.version.length);
    return { version: first?.version ?? '', tags: same.map(({ tag }) => tag).toSorted() };
  });
}
