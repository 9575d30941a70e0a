// The config file and the environment, read once into one validated, frozen value; nothing else reads the environment.
import { dirname, resolve } from 'node:path';
import { normalRequirement } from './config/check-hosts.ts';
import { sortedFloors } from './config/check-way.ts';
import { checkConfig } from './config/checks.ts';
import { type CalendarRead, resolveFreezes } from './config/freezes.ts';
import { type Environment, resolveSettings } from './config/resolve.ts';
import { CONFIG, type RawConfig, type RawLimits, type RawPolicy, type RawProduct } from './config/shape.ts';
import { readYamlFile } from './config/yaml-file.ts';
import { type Limits, NO_LIMITS } from './domain/limits.ts';
import type { Policy, StepPolicy } from './domain/policy.ts';
import type { Requirement } from './domain/requirement.ts';
import type { Calendar, Floor, PolicyJump, ProductRules, UnknownBuilds } from './domain/snapshot.ts';
import type { SchemeName } from './domain/version/scheme.ts';
import type { Freeze, WindowRules } from './domain/window.ts';
import { assert } from './errors.ts';

export interface ProductConfig {
  name: string;
  /** `owner/name` on GitHub. */
  repository: string;
  scheme: SchemeName;
  /** Tags with `{version}` in the place of the version; the first that fits a tag reads it. */
  tags: string[];
  /** Range of the scheme; null: every version. */
  accept: string | null;
  /** None, all, or those whose first identifier is one of these. */
  prereleases: boolean | string[];
  /** How many newer releases must be there before one is let out. */
  lag: number;
  /** The lowest version that agents are updated from; null: any. */
  from: string | null;
  /** Versions that must not be jumped over, ascending. */
  floors: Floor[];
  /** What hosts must have. */
  requirements: Requirement[];
  unknownBuilds: UnknownBuilds;
  artifacts: { platform: string /** May hold `{version}` and `{tag}`. */; asset: string }[];
  /** Name of the policy; the most cautious one where there are several. */
  policy: string;
  /** Names of the policies that single kinds of jump have; empty: `policy` is for all. */
  policies: Partial<Record<PolicyJump, string>>;
}

export interface RegionConfig {
  name: string;
  /** IANA zone. */
  timeZone: string;
  /**
   * Where the region's agents find the files of releases: a URL with {product} {version} {tag} {asset} {platform}
   * {region}, to be filled in by `mirrorUrl`. Null: they get them through this server.
   */
  mirror: string | null;
  /** When something may start there. */
  windows: WindowRules;
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
    /** What stands before the server ends TLS: plain http is allowed on any address then. */
    behindProxy: boolean;
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
  /** How the regions' mirrors are probed. */
  availability: {
    /** How often what is absent or unknown is asked for. */
    everyMs: number;
    /** Longest that one probe may take, redirects included. */
    timeoutMs: number;
    /** An older answer counts as unknown. */
    maxAgeMs: number;
    /** Requests to one host at a time. */
    perHost: number;
    /** Requests at a time in all. */
    total: number;
  };
  /** Where the metrics of policies are read; null: nowhere. */
  metrics: { url: string; token: string | null; timeoutMs: number } | null;
  regions: RegionConfig[];
  products: ProductConfig[];
  policies: Record<string, Policy>;
  freezes: Freeze[];
  /** What was read of the calendars of the freezes. */
  calendars: CalendarRead[];
  /** Over all rollouts and products. */
  limits: Limits;
}

/**
 * Reads the file, the four overrides (TIDEGATE_DATABASE, TIDEGATE_LISTEN, TIDEGATE_DATA_DIR, TIDEGATE_GITHUB_API) and
 * the secrets and calendars that the file names; what is over `now` is left out of these. The result is frozen throughout. Throws `config_missing` when the file cannot be
 * read, and `config_invalid` with every problem: file:line:column, what, and how to mend it.
 */
export function readConfig(options: { file: string; env: Environment; now?: number }): Config {
  const file = resolve(options.file);
  const { root, report } = readYamlFile(options.file);
  const raw = CONFIG.read(root, [], report);
  checkConfig(raw, report);
  const { server, database, apiUrl, token, metricsToken } = resolveSettings(raw, {
    env: options.env,
    directory: dirname(file),
    report,
  });
  const { freezes, calendars } = resolveFreezes(raw, {
    directory: dirname(file),
    report,
    now: options.now ?? Date.now(),
  });
  report.done();
  return deepFreeze({
    file,
    server,
    database,
    github: { apiUrl, token, poll: raw.github.poll },
    agents: { pollMs: raw.agents.pollInterval, maxWaitMs: raw.agents.maxWait },
    availability: {
      everyMs: raw.availability.every,
      timeoutMs: raw.availability.timeout,
      maxAgeMs: raw.availability.maxAge,
      perHost: raw.availability.perHost,
      total: raw.availability.total,
    },
    metrics: raw.metrics && {
      url: raw.metrics.prometheus,
      token: metricsToken,
      timeoutMs: raw.metrics.timeout,
    },
    regions: raw.regions,
    products: raw.products.map(normalProduct),
    policies: Object.fromEntries(
      Object.entries(raw.policies).map(([name, policy]) => [name, normalPolicy(name, policy, raw)]),
    ),
    freezes,
    calendars,
    limits: normalLimits(raw.limits),
  });
}

/** The product with its policies in place of their names. */
export function rulesOf(config: Config, product: ProductConfig): ProductRules {
  const policyOf = (name: string) => {
    const policy = config.policies[name];
    assert(policy !== undefined, `the config has checked that the policy ${name} exists`);
    return policy;
  };
  const { name, scheme, accept, prereleases, lag, from, floors, requirements, unknownBuilds } = product;
  const policies = Object.entries(product.policies).map(([jump, policy]) => [jump, policyOf(policy)]);
  return {
    name,
    scheme,
    accept,
    prereleases,
    lag,
    from,
    floors,
    requirements,
    unknownBuilds,
    policy: policyOf(product.policy),
    policies: Object.fromEntries(policies) as ProductRules['policies'],
  };
}

/** In the order of the config. */
export function calendarsOf(config: Config): Calendar[] {
  return config.regions.map(({ name, timeZone, windows }) => ({ region: name, timeZone, windows }));
}

const LEAST_STALE_MS = 600_000;

function normalProduct(product: RawProduct): ProductConfig {
  const { tagPrefix, requirements: asked, ...raw } = product;
  const tags = raw.tags ?? [`${tagPrefix ?? 'v'}{version}`];
  const requirements = asked.flatMap((one) => normalRequirement(one) ?? []);
  const own = { ...raw, tags, requirements, floors: sortedFloors(product) };
  if (typeof raw.policy === 'string') return { ...own, policy: raw.policy, policies: {} };
  const named = Object.entries(raw.policy).filter(([, name]) => name !== null);
  return { ...own, policy: raw.policy.major, policies: Object.fromEntries(named) };
}

/** A number alone is for the whole fleet. */
function normalLimits({ downloads, ...raw }: RawLimits): Limits {
  if (typeof downloads === 'number') return { ...raw, downloads: { fleet: downloads, region: null } };
  return { ...raw, downloads: downloads ?? NO_LIMITS.downloads };
}

/** The policy as a rollout stores it: every default filled in. */
function normalPolicy(name: string, raw: RawPolicy, config: RawConfig): Policy {
  return {
    name,
    waves: raw.waves ?? config.regions.map((region) => [region.name]),
    steps: raw.steps.map(normalStep),
    doneRatio: raw.doneRatio,
    badRatio: raw.badRatio,
    minSample: raw.minSample,
    badCount: raw.badCount,
    maxHot: raw.maxHot,
    attemptsPerAgent: raw.attemptsPerAgent,
    unhealthy: raw.unhealthy,
    supersede: raw.supersede,
    onHalt: raw.onHalt,
    maxSkips: raw.maxSkips,
    minAgeMs: raw.minAge,
    metrics: (raw.metrics ?? []).map(({ every, ...metric }) => ({ ...metric, everyMs: every })),
    begin: raw.begin,
    schedule: raw.schedule,
    approvals: { approvers: raw.approvals.approvers, expireMs: raw.approvals.expire },
    baseline: { maxHot: raw.baseline.maxHot, badCount: raw.baseline.badCount, windowMs: raw.baseline.window },
    staleAfterMs: raw.staleAfter ?? Math.max(3 * config.agents.pollInterval, LEAST_STALE_MS),
    stageWithinMs: raw.stageWithin,
    activateWithinMs: raw.activateWithin,
    proveWithinMs: raw.proveWithin,
    stableForMs: raw.stableFor,
  };
}

function normalStep(raw: RawPolicy['steps'][number], index: number): StepPolicy {
  return {
    labels: raw.labels,
    count: raw.count,
    percent: raw.percent,
    min: raw.min,
    soakMs: raw.soak,
    manual: raw.promotion === 'manual',
    // The first step is where least is known of a release.
    budget: raw.budget ?? (index === 0 ? 'strict' : 'loose'),
  };
}

function deepFreeze<T>(value: T): T {
  if (value === null || typeof value !== 'object' || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
