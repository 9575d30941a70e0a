// How a product's versions are read and ordered: one interface, one implementation per scheme.

export type SchemeName = 'semver' | 'numeric';

/** The kind of jump between two versions, the upgrade that a person would call it. */
export type Jump = 'none' | 'patch' | 'minor' | 'major' | 'prerelease' | 'downgrade';

export interface Version {
  /** As the scheme prints it: what is stored, shown and compared for equality. */
  text: string;
  prerelease: boolean;
  /** Orders as text (byte order) in the same way as `compare`; equal only for versions of equal precedence. */
  sortKey: string;
}

/** A range that was read once; `text` is what the config says. */
export interface Range {
  text: string;
  includes(version: string): boolean;
}

export interface Scheme {
  name: SchemeName;
  /** Undefined for what is not a version of this scheme. A leading `v` is not part of a version: tags are cut before. */
  parse(text: string): Version | undefined;
  /** Negative, 0 or positive by precedence. Throws an assertion error for text that `parse` refuses. */
  compare(a: string, b: string): number;
  /** From `from` to `to`. `prerelease` when `to` is one. */
  jump(from: string, to: string): Jump;
  /** Undefined for what is not a range of this scheme, or for one that no version can be in. */
  range(text: string): Range | undefined;
}
