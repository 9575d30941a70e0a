// The config file and the environment, read once into one validated, frozen value; nothing else reads the environment.
import type { Policy } from './domain/policy.ts';
import type { SchemeName } from './domain/version/scheme.ts';

export interface ProductConfig {
  name: string;
  /** `owner/name` on GitHub. */
  repository: string;
  scheme: SchemeName;
  /** What a tag must start with; the rest is the version. Default `v`. */
  tagPrefix: string;
  /** Range of the scheme; null: every version. */
  accept: string | null;
  prereleases: boolean;
  artifacts: { platform: string /** May hold `{version}` and `{tag}`. */; asset: string }[];
  /** Name of the policy. */
  policy: string;
}

export interface RegionConfig {
  name: string;
  /** IANA zone. */
  timeZone: string;
}

export interface Config {
  /** Absolute path of the file that this was read from. */
  file: string;
  server: {
    host: string;
    port: number;
    /** Null: plain http, allowed on loopback only. */
    tls: { certFile: string; keyFile: string } | null;
    /** Absolute. Keys, artifacts and, by default, the database live here. */
    dataDir: string;
  };
  /** `sqlite:<absolute path>` or `postgres://…`. */
  database: string;
  github: {
    /** e.g. https://api.github.com */
    apiUrl: string;
    token: string | null;
    /** Cron expression of the polls, five or six fields. */
    poll: string;
  };
  agents: {
    /** How often an idle agent checks in. */
    pollMs: number;
    /** Longest that a long poll is kept open. */
    maxWaitMs: number;
  };
  regions: RegionConfig[];
  products: ProductConfig[];
  policies: Record<string, Policy>;
}
