// The demo's mirrors: one real HTTP server per region, what lies on it, and what it has given out.
import { basename } from 'node:path';
import type { BuiltArtifact } from './build-agent.ts';
import { type Mirror, type MirrorRequest, startMirror } from './mirror.ts';

export interface Served {
  /** Whole files given out. */
  downloads: number;
  /** Bytes of these files. */
  bytes: number;
}

export interface RegionMirrors {
  /** Without a slash at the end. */
  urlOf(region: string): string;
  put(region: string, product: string, version: string, artifact: BuiltArtifact): void;
  /** Of one version, or of all. */
  servedBy(region: string, version?: string): Served;
  close(): Promise<void>;
}

interface File {
  path: string;
  version: string;
  size: number;
}

export async function openRegionMirrors(regions: readonly string[]): Promise<RegionMirrors> {
  const mirrors = new Map<string, { mirror: Mirror; files: File[] }>();
  for (const region of regions) mirrors.set(region, { mirror: await startMirror(), files: [] });
  const of = (region: string) => {
    const found = mirrors.get(region);
    if (found === undefined) throw new Error(`assertion failed: ${region} has a mirror`);
    return found;
  };
  return {
    urlOf: (region) => of(region).mirror.url,
    put(region, product, version, artifact) {
      const path = `/${product}/${version}/${basename(artifact.file)}`;
      of(region).mirror.put(path, { file: artifact.file });
      of(region).files.push({ path, version, size: artifact.size });
    },
    servedBy(region, version) {
      const { mirror, files } = of(region);
      const served: Served = { downloads: 0, bytes: 0 };
      for (const file of files.filter((one) => version === undefined || one.version === version)) {
        // HEAD is the server asking what is there.
        const isDownload = (one: MirrorRequest) => one.method === 'GET' && one.path === file.path && one.status === 200;
        const downloads = mirror.requests.filter(isDownload).length;
        served.downloads += downloads;
        served.bytes += downloads * file.size;
      }
      return served;
    },
    async close() {
      await Promise.all([...mirrors.values()].map(({ mirror }) => mirror.close()));
    },
  };
}
