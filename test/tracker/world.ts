// What the tracker's tests share: a recorded GitHub, the real octokit pointed at it, and a real database.
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DestinationStream, type Logger, pino } from 'pino';
import {
  type RecordedGitHub,
  type RecordedGitHubOptions,
  startRecordedGitHub,
} from '../../src/demo/recorded-github.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import type { TrackedProduct } from '../../src/tracker/assets.ts';
import { type GitHubSource, openGitHubSource } from '../../src/tracker/github.ts';
import type { FetchLimits } from '../../src/tracker/github-fetch.ts';

export const NOW = Date.UTC(2026, 7, 3, 9);
export const REPOSITORY = 'acme/agent';
export const NEVER = new AbortController().signal;

export const PRODUCT: TrackedProduct = {
  name: 'agent',
  repository: REPOSITORY,
  scheme: 'semver',
  tags: ['v{version}'],
  artifacts: [
    { platform: 'linux-x64', asset: 'agent-{version}-linux-x64.tar.gz' },
    { platform: 'linux-arm64', asset: 'agent-{version}-linux-arm64.tar.gz' },
  ],
};

export interface World extends AsyncDisposable {
  github: RecordedGitHub;
  source: GitHubSource;
  clock: { now: number };
}

/** A recorded GitHub with the repository `acme/agent`, and a source that reads it. */
export async function openWorld(
  options: RecordedGitHubOptions & { token?: string; limits?: Partial<FetchLimits> } = {},
): Promise<World> {
  const clock = { now: NOW };
  const github = await startRecordedGitHub({ now: () => clock.now, ...options });
  github.repositories.create(REPOSITORY);
  const source = openGitHubSource({
    apiUrl: github.url,
    token: options.token ?? null,
    version: '0.0.0-test',
    now: () => clock.now,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  return {
    github,
    source,
    clock,
    async [Symbol.asyncDispose]() {
      await source.close();
      await github.close();
    },
  };
}

/** Publishes a release with the assets of both platforms. */
export async function publish(world: World, version: string, publishedAt = NOW - 3_600_000): Promise<void> {
  const assets = PRODUCT.artifacts.map(({ platform }) => ({
    name: assetName(version, platform),
    bytes: bytesOf(version),
  }));
  await world.github.repositories.publish(REPOSITORY, { tag: `v${version}`, publishedAt, assets });
}

export function assetName(version: string, platform = 'linux-x64'): string {
  return `agent-${version}-${platform}.tar.gz`;
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(`bytes of ${text}\n`.repeat(1000));
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export async function tempDir(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'tidegate-tracker-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export async function memoryDatabase(): Promise<AsyncDisposable & { database: Database }> {
  const database = await openDatabase('sqlite::memory:');
  return { database, [Symbol.asyncDispose]: () => database.close() };
}

export interface LogLine {
  level: number;
  msg: string;
  [key: string]: unknown;
}

/** A real logger whose lines can be read. */
export function readableLogger(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const destination: DestinationStream = { write: (line) => void lines.push(JSON.parse(line) as LogLine) };
  return { logger: pino({ level: 'debug' }, destination), lines };
}
