// The real tags of three repositories, and what the tracker makes of them: releases without files.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SchemeName } from '../../src/domain/version/scheme.ts';
import type { TrackedProduct } from '../../src/tracker/assets.ts';
import { type ReadListing, readListing } from '../../src/tracker/read-listing.ts';

export const REAL_DIR = join(import.meta.dirname, '..', 'data', 'releases');

export interface RealHistory {
  repository: string;
  tags: { tag: string; commit: string; date: string }[];
}

export function realHistory(name: string): RealHistory {
  return JSON.parse(readFileSync(join(REAL_DIR, `${name}.json`), 'utf8')) as RealHistory;
}

export function realProduct(name: string, scheme: SchemeName, tags: string[]): TrackedProduct {
  const artifacts = [{ platform: 'linux-x64', asset: `${name}-{version}-linux-x64.tar.gz` }];
  return { name, repository: realHistory(name).repository, scheme, tags, artifacts };
}

export const SSM = realProduct('amazon-ssm-agent', 'numeric', ['v{version}', '{version}']);
export const ALLOY = realProduct('alloy', 'semver', ['v{version}']);
export const ELASTIC = realProduct('elastic-agent', 'semver', ['v{version}']);

/** As a first poll reads them. */
export function readReal(product: TrackedProduct, file = product.name): ReadListing {
  const releases = realHistory(file).tags.map(({ tag, commit, date }, index) => ({
    id: String(index),
    tag,
    draft: false,
    prerelease: false,
    publishedAt: Date.parse(date),
    targetCommitish: commit,
    assets: [],
  }));
  let lastId = 0;
  const newId = () => `r-${(lastId += 1)}`;
  return readListing(product, { releases, complete: true }, [], Date.UTC(2026, 8, 1), newId);
}
