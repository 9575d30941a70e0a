// The repositories, releases and assets of the recorded GitHub, in memory, and how GitHub writes them as JSON.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { Readable as NodeReadable } from 'node:stream';
import { AppError } from '../errors.ts';

export interface AssetOptions {
  name: string;
  /** The bytes themselves, or the file that holds them; none: an empty asset. */
  bytes?: Uint8Array;
  path?: string;
  /** Null: GitHub gives none (uploaded before June 2025). Text: what GitHub claims instead of the true one. */
  digest?: string | null;
  /** Default `uploaded`. */
  state?: string;
  /** What GitHub claims instead of the true size, in bytes. */
  size?: number;
}

export interface ReleaseOptions {
  tag: string;
  prerelease?: boolean;
  draft?: boolean;
  /** Milliseconds since the epoch; default now. */
  publishedAt?: number;
  /** What the tag was made from: default the branch `main`. */
  commit?: string;
  assets?: AssetOptions[];
}

/** Only what is named changes. */
export type AssetChange = Omit<AssetOptions, 'name'> & { remove?: boolean };
export type ReleaseChange = Pick<ReleaseOptions, 'prerelease' | 'draft' | 'publishedAt'> & { tag?: string };

export interface RecordedAsset {
  id: number;
  name: string;
  bytes: Uint8Array | null;
  path: string | null;
  /** What GitHub claims. */
  size: number;
  digest: string | null;
  state: string;
  createdAt: number;
  updatedAt: number;
}

export interface RecordedRelease {
  id: number;
  tag: string;
  prerelease: boolean;
  draft: boolean;
  targetCommitish: string;
  createdAt: number;
  publishedAt: number;
  updatedAt: number;
  assets: RecordedAsset[];
}

export interface RecordedRepository {
  id: number;
  /** `owner/name`. */
  name: string;
  releases: RecordedRelease[];
}

export class RecordedRepositories {
  readonly #now: () => number;
  readonly #byName = new Map<string, RecordedRepository>();
  #lastId = 700_000_000;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Throws `conflict` where the name is taken. */
  create(name: string): RecordedRepository {
    if (!/^[\w.-]+\/[\w.-]+$/.test(name)) throw new AppError('bad_request', `not owner/name: ${name}`);
    if (this.#byName.has(name.toLowerCase())) throw new AppError('conflict', `${name} exists`);
    const repository: RecordedRepository = { id: this.#nextId(), name, releases: [] };
    this.#byName.set(name.toLowerCase(), repository);
    return repository;
  }

  /** The old name is free afterwards. Throws `not_found`. */
  remove(name: string): void {
    this.#byName.delete(this.get(name).name.toLowerCase());
  }

  find(name: string): RecordedRepository | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  findById(id: number): RecordedRepository | undefined {
    return [...this.#byName.values()].find((repository) => repository.id === id);
  }

  /** Throws `not_found`. */
  get(name: string): RecordedRepository {
    const repository = this.find(name);
    if (repository === undefined) throw new AppError('not_found', `no repository ${name}`);
    return repository;
  }

  /** Throws `not_found`, `conflict` where the tag is taken. */
  async publish(repositoryName: string, options: ReleaseOptions): Promise<RecordedRelease> {
    const repository = this.get(repositoryName);
    if (repository.releases.some((release) => release.tag === options.tag)) {
      throw new AppError('conflict', `${repositoryName} has a release ${options.tag}`);
    }
    const publishedAt = options.publishedAt ?? this.#now();
    const release: RecordedRelease = {
      id: this.#nextId(),
      tag: options.tag,
      prerelease: options.prerelease ?? false,
      draft: options.draft ?? false,
      targetCommitish: options.commit ?? 'main',
      createdAt: publishedAt,
      publishedAt,
      updatedAt: publishedAt,
      assets: [],
    };
    for (const asset of options.assets ?? []) release.assets.push(await this.#asset(asset));
    repository.releases.push(release);
    return release;
  }

  release(repositoryName: string, tag: string): RecordedRelease {
    const release = this.get(repositoryName).releases.find((candidate) => candidate.tag === tag);
    if (release === undefined) throw new AppError('not_found', `${repositoryName} has no release ${tag}`);
    return release;
  }

  removeRelease(repositoryName: string, tag: string): void {
    const release = this.release(repositoryName, tag);
    const repository = this.get(repositoryName);
    repository.releases = repository.releases.filter((candidate) => candidate !== release);
  }

  changeRelease(repositoryName: string, tag: string, change: ReleaseChange): void {
    Object.assign(this.release(repositoryName, tag), change, { updatedAt: this.#now() });
  }

  /** Alters an asset in place (the id stays), removes it, or adds it where the release has none of that name. */
  async alterAsset(repositoryName: string, tag: string, name: string, change: AssetChange): Promise<void> {
    const release = this.release(repositoryName, tag);
    const known = release.assets.find((asset) => asset.name === name);
    const others = release.assets.filter((asset) => asset !== known);
    if (change.remove === true) {
      release.assets = others;
      return;
    }
    const hasContent = change.bytes !== undefined || change.path !== undefined;
    if (known === undefined || hasContent) {
      const fresh = await this.#asset({ ...change, name });
      release.assets = [
        ...others,
        known === undefined ? fresh : { ...fresh, id: known.id, createdAt: known.createdAt },
      ];
      return;
    }
    if (change.digest !== undefined) known.digest = change.digest;
    if (change.size !== undefined) known.size = change.size;
    if (change.state !== undefined) known.state = change.state;
    known.updatedAt = this.#now();
  }

  findAsset(id: number): RecordedAsset | undefined {
    for (const repository of this.#byName.values()) {
      for (const release of repository.releases) {
        const asset = release.assets.find((candidate) => candidate.id === id);
        if (asset !== undefined) return asset;
      }
    }
    return undefined;
  }

  async #asset(options: AssetOptions): Promise<RecordedAsset> {
    const bytes = options.bytes ?? null;
    const path = options.path ?? null;
    const trueSize = path === null ? (bytes?.length ?? 0) : (await stat(path)).size;
    const now = this.#now();
    return {
      id: this.#nextId(),
      name: options.name,
      bytes,
      path,
      size: options.size ?? trueSize,
      digest: options.digest === undefined ? `sha256:${await digestOf(bytes, path)}` : options.digest,
      state: options.state ?? 'uploaded',
      createdAt: now,
      updatedAt: now,
    };
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}

/** The asset's bytes. */
export function contentOf(asset: RecordedAsset): Readable {
  if (asset.path !== null) return createReadStream(asset.path);
  return NodeReadable.from([Buffer.from(asset.bytes ?? new Uint8Array())], { objectMode: false });
}

/** Bytes that the asset really has, whatever size it claims. */
export async function trueSizeOf(asset: RecordedAsset): Promise<number> {
  return asset.path === null ? (asset.bytes?.length ?? 0) : (await stat(asset.path)).size;
}

export function repositoryJson(repository: RecordedRepository, base: string): Record<string, unknown> {
  return {
    id: repository.id,
    node_id: `R_${repository.id}`,
    name: repository.name.split('/')[1],
    full_name: repository.name,
    private: false,
    url: `${base}/repos/${repository.name}`,
    default_branch: 'main',
  };
}

export function releaseJson(
  release: RecordedRelease,
  repository: RecordedRepository,
  base: string,
): Record<string, unknown> {
  const url = `${base}/repos/${repository.name}/releases`;
  return {
    id: release.id,
    node_id: `RE_${release.id}`,
    url: `${url}/${release.id}`,
    assets_url: `${url}/${release.id}/assets`,
    tag_name: release.tag,
    target_commitish: release.targetCommitish,
    name: release.tag,
    body: '',
    draft: release.draft,
    prerelease: release.prerelease,
    created_at: iso(release.createdAt),
    published_at: release.draft ? null : iso(release.publishedAt),
    updated_at: iso(release.updatedAt),
    assets: release.assets.map((asset) => assetJson(asset, release, repository, base)),
  };
}

export function assetJson(
  asset: RecordedAsset,
  release: RecordedRelease | null,
  repository: RecordedRepository,
  base: string,
): Record<string, unknown> {
  return {
    id: asset.id,
    node_id: `RA_${asset.id}`,
    url: `${base}/repos/${repository.name}/releases/assets/${asset.id}`,
    browser_download_url: `${base}/${repository.name}/releases/download/${release?.tag ?? ''}/${asset.name}`,
    name: asset.name,
    label: '',
    state: asset.state,
    content_type: 'application/octet-stream',
    size: asset.size,
    digest: asset.digest,
    download_count: 0,
    created_at: iso(asset.createdAt),
    updated_at: iso(asset.updatedAt),
  };
}

/** The order of GitHub's list: newest `created_at` first, equal ones by tag as text, backwards: `-2` before `-10`. */
export function inListOrder(releases: RecordedRelease[]): RecordedRelease[] {
  return [...releases].sort((a, b) => b.createdAt - a.createdAt || (a.tag < b.tag ? 1 : -1));
}

async function digestOf(bytes: Uint8Array | null, path: string | null): Promise<string> {
  const hash = createHash('sha256');
  if (path === null) return hash.update(bytes ?? new Uint8Array()).digest('hex');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function iso(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
