// What GitHub and the mirrors say, as the tracker would have written it: releases appear, vanish and change.
import { createHash } from 'node:crypto';
import type { Release } from '../../src/domain/release.ts';
import { transaction } from '../../src/store/database.ts';
import { saveAvailability, saveRelease } from '../../src/store/releases.ts';
import { testRelease } from '../support/fixtures.ts';
import type { SimServer } from './server.ts';
import { placeKey, type Quality, releaseKey, type TrueStatus, type World } from './world.ts';

export interface Github {
  digestOf(product: string, version: string, platform: string): string;
  /** Of the product, oldest first. */
  versions(product: string): string[];
  publish(product: string, version: string, quality: Quality, everywhere: boolean): Promise<void>;
  /** Says something new about one release in one region. */
  changeAvailability(): Promise<void>;
  /** The newest release of a product, or the one before it, is deleted or changed. */
  spoil(): Promise<void>;
  /** One of the last releases, or that one, gets another file: for a platform that it lacked, or that nobody here has. */
  arrive(of?: { product: string; version: string }): Promise<void>;
  /** The version that comes after the newest. */
  nextVersion(product: string): string;
  availableEverywhere(): Promise<void>;
  /** After a restore: what the tracker finds at its first look. */
  lookAgain(): Promise<void>;
}

export function createGithub(world: World, server: SimServer): Github {
  const { time, truth, marks, plan } = world;
  const random = world.random.fork('github');
  const arrivals = world.random.fork('arrivals');
  const stored = new Map<string, Release>();

  function digestOf(product: string, version: string, platform: string): string {
    return createHash('sha256').update(`${product} ${version} ${platform}`).digest('hex');
  }

  const due: ((save: Save) => Promise<void>)[] = [];
  let isRetrying = false;

  /**
   * The tracker writes when the server runs; else it finds the same at its next poll, and never what is older after what
   * is newer. One transaction, all or nothing.
   */
  async function write(run: (save: Save) => Promise<void>): Promise<void> {
    due.push(run);
    if (!server.isUp() || time.now() < server.pausedUntil()) return retryLater();
    for (let next = due.shift(); next !== undefined; next = due.shift()) await perform(next);
  }

  function retryLater(): void {
    if (isRetrying) return;
    isRetrying = true;
    time.after(60_000, () => {
      isRetrying = false;
      void write(async () => {});
    });
  }

  async function perform(run: (save: Save) => Promise<void>): Promise<void> {
    await transaction(server.database, async (tx) => {
      await run({
        release: (release) => saveRelease(tx, release),
        availability: (rows) => saveAvailability(tx, rows),
      });
    });
    server.plan().catch(() => {});
  }

  interface Save {
    release(release: Release): Promise<void>;
    availability(rows: Parameters<typeof saveAvailability>[1]): Promise<void>;
  }

  function rowOf(product: string, version: string, region: string, platform: string, status: TrueStatus['status']) {
    const key = placeKey(product, version, region, platform);
    truth.availability.set(key, [...(truth.availability.get(key) ?? []), { at: time.now(), status }]);
    const at = server.wallNow();
    return { product, version, region, platform, status, why: `the list says ${status}`, since: at, checkedAt: at };
  }

  function sourceOf(product: string): string {
    return product === 'agentd' ? '' : `${product}-`;
  }

  const github: Github = {
    digestOf,
    versions: (product) => [...stored.values()].filter((one) => one.product === product).map((one) => one.version),
    nextVersion(product) {
      const [major = 1, minor = 0, patch = 0] = (github.versions(product).at(-1) ?? '1.0.0').split('.').map(Number);
      const kind = random.weighted([
        [6, 'patch'],
        [3, 'minor'],
        [1, 'major'],
      ] as const);
      if (kind === 'patch') return `${major}.${minor}.${patch + 1}`;
      return kind === 'minor' ? `${major}.${minor + 1}.0` : `${major + 1}.0.0`;
    },
    async publish(product, version, quality, everywhere) {
      const platforms = everywhere || random.chance(85) ? plan.platforms : plan.platforms.slice(0, 1);
      if (platforms.length < plan.platforms.length) marks.hit('platform_missing');
      const digests = new Map(platforms.map((platform) => [platform, digestOf(product, version, platform)]));
      const region = random.pick(plan.regions);
      truth.releases.set(releaseKey(product, version), { product, version, quality, region, digests, gone: false });
      const release = testRelease(version, {
        id: `release-${sourceOf(product)}${version}`,
        sourceId: `source-${sourceOf(product)}${version}`,
        product,
        // GitHub's own clock is right.
        publishedAt: Math.floor(plan.startAt + time.now()),
        firstSeenAt: Math.floor(plan.startAt + time.now()),
        artifacts: platforms.map((platform) => ({
          platform,
          name: `${product}-${version}-${platform}`,
          size: 1000,
          sha256: digestOf(product, version, platform),
          assetId: `${product}-${version}-${platform}`,
        })),
      });
      stored.set(releaseKey(product, version), release);
      const mixed = !everywhere && random.chance(35);
      const places = plan.regions.flatMap((place) => platforms.map((platform) => ({ place, platform })));
      const statuses = places.map(() =>
        mixed ? random.pick(['available', 'absent', 'unknown'] as const) : ('available' as const),
      );
      if (statuses.includes('absent')) marks.hit('release_absent_somewhere');
      if (statuses.includes('unknown')) marks.hit('release_unknown_somewhere');
      world.say(`github: ${product} ${version} (${quality}) ${[...new Set(statuses)].join(', ')}`);
      await write(async (save) => {
        // As it is when the tracker gets to see it: it may have been withdrawn meanwhile.
        await save.release(stored.get(releaseKey(product, version)) ?? release);
        await save.availability(
          places.map(({ place, platform }, at) =>
            rowOf(product, version, place, platform, statuses[at] as TrueStatus['status']),
          ),
        );
      });
    },
    async changeAvailability() {
      const release = random.pick([...stored.values()].slice(-3));
      const artifact = random.pick(release.artifacts);
      const region = random.pick(plan.regions);
      const status = random.pick(['available', 'available', 'absent', 'unknown'] as const);
      world.say(`github: ${release.product} ${release.version} ${status} in ${region} for ${artifact.platform}`);
      if (status !== 'available') marks.hit('availability_lost_while_open');
      await write((save) =>
        save.availability([rowOf(release.product, release.version, region, artifact.platform, status)]),
      );
    },
    async spoil() {
      const release = random.pick([...stored.values()].slice(-2));
      const truly = truth.releases.get(releaseKey(release.product, release.version));
      if (release.version === '1.0.0' || truly === undefined) return;
      const state = random.pick(['withdrawn', 'altered'] as const);
      marks.hit(state === 'withdrawn' ? 'release_withdrawn' : 'release_altered');
      world.say(`github: ${release.product} ${release.version} is ${state}`);
      const next: Release = { ...release, state, why: 'somebody changed it' };
      stored.set(releaseKey(release.product, release.version), next);
      await write(async (save) => {
        truly.gone = true;
        await save.release(next);
      });
    },
    async arrive(of) {
      const known = of === undefined ? undefined : stored.get(releaseKey(of.product, of.version));
      const release = known ?? arrivals.pick([...stored.values()].slice(-2));
      const { product, version } = release;
      const truly = truth.releases.get(releaseKey(product, version));
      const lacked = [...plan.platforms, 'darwin-arm64'].find((one) => truly?.digests.has(one) === false);
      if (truly === undefined || truly.gone || version === '1.0.0' || lacked === undefined) return;
      marks.hit('file_arrived_later');
      world.say(`github: ${product} ${version} for ${lacked} arrives`);
      const sha256 = digestOf(product, version, lacked);
      const name = `${product}-${version}-${lacked}`;
      await write(async (save) => {
        const present = stored.get(releaseKey(product, version)) ?? release;
        if (present.artifacts.some(({ platform }) => platform === lacked)) return;
        const artifacts = [...present.artifacts, { platform: lacked, name, size: 1000, sha256, assetId: name }];
        const next: Release = { ...present, artifacts };
        stored.set(releaseKey(product, version), next);
        truly.digests.set(lacked, sha256);
        await save.release(next);
        await save.availability(plan.regions.map((place) => rowOf(product, version, place, lacked, 'available')));
      });
    },
    async lookAgain() {
      const known = [...stored.values()].filter(({ product, version, artifacts }) =>
        artifacts.some(({ platform }) =>
          plan.regions.some((region) => truth.availability.has(placeKey(product, version, region, platform))),
        ),
      );
      await transaction(server.database, async (tx) => {
        for (const release of known) await saveRelease(tx, release);
        const rows = known.flatMap(({ product, version, artifacts }) =>
          artifacts.flatMap(({ platform }) =>
            plan.regions.flatMap((region) => {
              const last = truth.availability.get(placeKey(product, version, region, platform))?.at(-1);
              return last === undefined ? [] : [rowOf(product, version, region, platform, last.status)];
            }),
          ),
        );
        await saveAvailability(tx, rows);
      });
    },
    async availableEverywhere() {
      await write(async (save) => {
        const rows = [...stored.values()].flatMap((release) =>
          release.artifacts.flatMap(({ platform }) =>
            plan.regions.map((region) => rowOf(release.product, release.version, region, platform, 'available')),
          ),
        );
        await save.availability(rows);
      });
    },
  };
  return github;
}
