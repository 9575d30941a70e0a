// The way from the version that a host runs to a release: the stops on it, and what of the host itself stands against it.
import type { Veto } from './directives.ts';
import type { HoldReason } from './holds.ts';
import type { Unhealthy } from './policy.ts';
import { type Artifact, type Release, troubleOf } from './release.ts';
import { type Facts, type Requirement, requirementsFor, unmetOf } from './requirement.ts';
import type { ProductRules, UnknownBuilds } from './snapshot.ts';
import type { SchemeName } from './version/scheme.ts';
import { schemeOf } from './version/schemes.ts';

/** A version that agents are brought to: a floor, or the release itself. */
export interface Stop {
  version: string;
  artifacts: readonly Artifact[];
  requirements: readonly Requirement[];
  /** What has come between this version and its agents, e.g. a veto; null: nothing. */
  trouble: string | null;
}

/** Digest → versions over all releases of a product: one file may stand under several, as a candidate made final does. */
export type Builds = Readonly<Record<string, readonly string[]>>;

export interface Way {
  scheme: SchemeName;
  builds: Builds;
  from: string | null;
  unknownBuilds: UnknownBuilds;
  unhealthy: Unhealthy;
  /** Ascending; the last one is the release. */
  stops: readonly Stop[];
}

/** What is looked at of a host. */
export interface Host {
  version: string;
  digest: string;
  platform: string;
  facts: Facts | null;
  health: 'ok' | 'unhealthy';
  healthReason: string | null;
}

export interface HostCheck {
  rule: string;
  /** What was found. */
  sentence: string;
  /** Null: passed. */
  objection: { reason: HoldReason; detail: string } | null;
}

type WayRules = Pick<ProductRules, 'scheme' | 'floors' | 'requirements'>;

/** The floors below the version, as releases; a floor that has no release has no artifacts. */
export function floorsBelow(
  rules: WayRules,
  version: string,
  releaseOf: (version: string) => Release | undefined,
  vetoOf: (version: string) => Veto | undefined = () => undefined,
): Stop[] {
  const scheme = schemeOf(rules.scheme);
  return rules.floors
    .filter((floor) => scheme.compare(floor.version, version) < 0)
    .map((floor) => stopAt(rules, floor.version, releaseOf(floor.version), vetoOf(floor.version)));
}

export function stopAt(
  rules: WayRules,
  version: string,
  release: Release | undefined,
  veto: Veto | undefined,
): Stop & { artifacts: Artifact[] } {
  const trouble = release === undefined ? undefined : troubleOf(release);
  return {
    version,
    artifacts: release?.artifacts ?? [],
    requirements: requirementsFor(rules.requirements, rules.scheme, version),
    trouble: trouble ?? (veto === undefined ? null : `${version} is vetoed: ${veto.reason}`),
  };
}

/** The stops that are left from a version: the floors above it, then the release. */
export function stopsFrom<S extends { version: string }>(
  scheme: SchemeName,
  stops: readonly S[],
  version: string,
): S[] {
  return stops.filter((stop) => schemeOf(scheme).compare(version, stop.version) < 0);
}

/** Whether the host runs a build that was published. */
export function isKnownBuild(builds: Builds, running: { version: string; digest: string }): boolean {
  return Object.hasOwn(builds, running.digest) && builds[running.digest]?.includes(running.version) === true;
}

export function unknownBuild(builds: Builds, { version, digest }: Pick<Host, 'version' | 'digest'>): string {
  const others = Object.hasOwn(builds, digest) ? `, which is that of ${builds[digest]?.join(' and ')}` : '';
  return `${version} with digest ${digest.slice(0, 12)}…${others}`;
}

/**
 * What of the host itself stands against the way, in order, up to the first objection. The host runs a version below the
 * release that the scheme can read.
 */
export function hostChecks(way: Way, host: Host): HostCheck[] {
  const checks: HostCheck[] = [];
  for (const ask of [checkBuild, checkFrom, checkPath, checkRequirements, checkHealth]) {
    const check = ask(way, host);
    if (check === undefined) continue;
    checks.push(check);
    if (check.objection !== null) break;
  }
  return checks;
}

/** The first thing of the host that stands against the way; undefined when nothing does. */
export function hostObjection(way: Way, host: Host): HostCheck | undefined {
  const last = hostChecks(way, host).at(-1);
  return last === undefined || last.objection === null ? undefined : last;
}

function pass(rule: string, sentence: string): HostCheck {
  return { rule, sentence, objection: null };
}

function hold(rule: string, reason: HoldReason, detail: string): HostCheck {
  return { rule, sentence: detail, objection: { reason, detail } };
}

function checkBuild({ builds, unknownBuilds }: Way, host: Host): HostCheck {
  if (isKnownBuild(builds, host)) return pass('build', 'runs a published build');
  if (unknownBuilds === 'hold') return hold('build', 'unknown_build', unknownBuild(builds, host));
  return pass('build', `runs a build that no release has (${unknownBuild(builds, host)}); such agents are updated`);
}

function checkFrom({ scheme, from }: Way, { version }: Host): HostCheck | undefined {
  if (from === null) return undefined;
  const runs = `runs ${version}, agents are updated from ${from} up`;
  return schemeOf(scheme).compare(version, from) < 0 ? hold('from', 'unsupported_from', runs) : pass('from', runs);
}

function checkPath({ scheme, stops }: Way, { version, platform }: Host): HostCheck | undefined {
  const floors = stopsFrom(scheme, stops, version).slice(0, -1);
  if (floors.length === 0) return undefined;
  const missing = floors.find(({ artifacts }) => !artifacts.some((artifact) => artifact.platform === platform));
  if (missing !== undefined) {
    const detail = `${missing.version} must not be jumped over, and there is no release of it for ${platform}`;
    return hold('path', 'no_path', detail);
  }
  const names = floors.map((floor) => floor.version).join(', then ');
  return pass('path', `goes to ${names} first, which must not be jumped over`);
}

/** Of every stop that is left: at one in the middle nobody is to be left behind. */
function checkRequirements({ scheme, stops }: Way, { version, facts }: Host): HostCheck | undefined {
  const left = stopsFrom(scheme, stops, version).filter(({ requirements }) => requirements.length > 0);
  if (left.length === 0) return undefined;
  for (const stop of left) {
    const unmet = unmetOf(stop.requirements, facts);
    if (unmet !== undefined) return hold('requirement', 'requirement_unmet', unmet);
  }
  const names = new Set(left.flatMap(({ requirements }) => requirements.map(({ fact }) => fact)));
  return pass('requirement', `the host has what is required of it: ${[...names].join(', ')}`);
}

function checkHealth({ unhealthy }: Way, { health, healthReason }: Host): HostCheck | undefined {
  if (health === 'ok') return undefined;
  const detail = healthReason ?? 'it does not say why';
  if (unhealthy === 'hold') return hold('health', 'unhealthy', detail);
  const first = unhealthy === 'first' ? 'in the first step' : 'all the same';
  return pass('health', `reports itself unhealthy (${detail}); the policy updates it ${first}`);
}
