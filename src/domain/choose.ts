// Which release of a product is the one to let out now, or why none is.
import { vetoFor } from './directives.ts';
import { type HoldReason, sentenceOf } from './holds.ts';
import { baselinesThere, releaseOf } from './lookup.ts';
import type { Policy } from './policy.ts';
import { isUsable, type Release, troubleOf } from './release.ts';
import { isMissed, nextRun } from './schedule.ts';
import type { Action, Baseline, PolicyJump, ProductRules, Snapshot } from './snapshot.ts';
import type { Range, Scheme } from './version/scheme.ts';
import { schemeOf } from './version/schemes.ts';

export type Choice = { release: Release } | Refusal;

/** Why none is. */
export interface Refusal {
  release: null;
  reason: HoldReason;
  sentence: string;
  /** Since when the release has waited, milliseconds since the epoch; null where its dates do not tell. */
  since: number | null;
  until: number | null;
}

/** The choice of the moment. `waiting`: the highest release above it that may follow, and what it waits for. */
export interface Considered {
  choice: Choice;
  waiting: Refusal | undefined;
  /** Why the highest ones are not the choice, by version. */
  refused: ReadonlyMap<string, Refusal>;
}

/** The highest release that nothing stands against. `now` in milliseconds since the epoch. */
export function chooseRelease(snapshot: Snapshot, product: ProductRules, now: number): Choice {
  return considerReleases(snapshot, product, now).choice;
}

export function considerReleases(snapshot: Snapshot, product: ProductRules, now: number): Considered {
  const range = acceptedBy(product);
  const refused = new Map<string, Refusal>();
  let atRun: Refusal | undefined;
  let lags: Refusal | undefined;
  let newer = 0;
  for (const release of releasesOf(snapshot, product, schemeOf(product.scheme))) {
    const found = refusalOf(snapshot, product, release, range, now);
    if (found === undefined && (newer >= product.lag || isBegun(snapshot, release)))
      return { choice: { release }, waiting: firstToFollow(refused), refused };
    // What waits for a person or a run is there: what comes before it is not kept waiting for that.
    if (newer < product.lag && (found === undefined || BEGINS_LATER.has(found.reason))) {
      newer += 1;
      const lag = lagging(product, release);
      lags ??= lag;
      refused.set(release.version, lag);
    } else if (found !== undefined) {
      refused.set(release.version, found);
      if (found.reason === 'outside_window') atRun ??= found;
    }
  }
  // The highest one that was refused is what a person asks about, unless another one goes out by itself later.
  const [first = none('not_available', 'no release of the product is known')] = refused.values();
  return { choice: atRun ?? lags ?? first, waiting: firstToFollow(refused), refused };
}

function firstToFollow(refused: ReadonlyMap<string, Refusal>): Refusal | undefined {
  for (const one of refused.values()) if (FOLLOWS.has(one.reason)) return one;
  return undefined;
}

/** What only a person begins, or a run. */
const BEGINS_LATER: ReadonlySet<HoldReason> = new Set(['needs_approval', 'outside_window']);

/** What is refused for these may go out yet, with nothing of it changed. */
const FOLLOWS: ReadonlySet<HoldReason> = new Set([...BEGINS_LATER, 'too_young']);

/** The first thing that stands against the release now, undefined when nothing does. */
function refusalOf(
  snapshot: Snapshot,
  product: ProductRules,
  release: Release,
  range: Range | undefined,
  now: number,
): Refusal | undefined {
  const { version, publishedAt } = release;
  const objection = objectionTo(snapshot, product, release, range);
  if (objection !== undefined) return none(HELD_AS[objection.kind], objection.detail);
  // One that a person has begun early is the choice: else the one before it would be begun after it, and take its place.
  if (isBegun(snapshot, release)) return undefined;
  const policy = policyFor(snapshot, product, version);
  const seenAt = release.firstSeenAt;
  const readyAt = publishedAt + policy.minAgeMs;
  if (now < readyAt) return tooYoung(version, policy, seenAt, readyAt);
  // It waits since it is old enough.
  const since = Math.max(seenAt, readyAt);
  if (policy.begin === 'manual') return none('needs_approval', sayBegin(product, version, policy), since);
  const run = waitsForRun(snapshot, product, version, policy, now);
  return run && { ...run, since };
}

/** Old enough between two runs, it waits for the second: a schedule says when rollouts begin, and they begin at no other time. */
function tooYoung(version: string, { name, schedule }: Policy, seenAt: number, readyAt: number): Refusal {
  if (schedule === null) return none('too_young', version, seenAt, readyAt);
  const detail = `${version}, whose policy ${name} then begins it at the next run of “${schedule.cron}”`;
  return none('too_young', detail, seenAt, nextRun(schedule, readyAt - 1));
}

/** A scheduled policy creates rollouts only at its runs; one that was missed is taken once. */
function waitsForRun(
  snapshot: Snapshot,
  product: ProductRules,
  version: string,
  { name, schedule }: Policy,
  now: number,
): Refusal | undefined {
  if (schedule === null) return undefined;
  const considered = snapshot.considered.find((one) => one.product === product.name);
  if (isMissed(schedule, considered, now)) return undefined;
  const detail = `${version} waits: its policy ${name} begins rollouts at “${schedule.cron}”`;
  return none('outside_window', detail, null, nextRun(schedule, now));
}

function sayBegin({ name }: ProductRules, version: string, policy: Policy): string {
  return `${version}, since its policy ${policy.name} begins by hand: tidegate rollout create ${name}@${version} --reason TEXT`;
}

/** Highest first. A version read by another scheme, before the config changed, has no place in this one's order. */
function releasesOf({ releases }: Snapshot, { name }: ProductRules, scheme: Scheme): Release[] {
  return releases
    .filter((release) => release.product === name && scheme.parse(release.version) !== undefined)
    .sort((a, b) => scheme.compare(b.version, a.version));
}

function isBegun({ rollouts }: Snapshot, { product, version }: Release): boolean {
  return rollouts.some((one) => one.product === product && one.version === version);
}

function lagging({ lag }: ProductRules, { version, firstSeenAt }: Release): Refusal {
  const newer = lag === 1 ? 'a newer release is' : `${lag} newer releases are`;
  return none('too_young', `${version}: the product lets one out when ${newer} there (lag ${lag})`, firstSeenAt);
}

export interface Objection {
  kind: 'unusable' | 'prerelease' | 'outside' | 'vetoed';
  detail: string;
}

const HELD_AS: Record<Objection['kind'], HoldReason> = {
  unusable: 'not_available',
  prerelease: 'out_of_range',
  outside: 'out_of_range',
  vetoed: 'vetoed',
};

/** What stands against the release whoever asks, a person too. `range`: what the product accepts, undefined for everything. */
export function objectionTo(
  { vetoes }: Pick<Snapshot, 'vetoes'>,
  product: ProductRules,
  release: Release,
  range: Range | undefined,
): Objection | undefined {
  const { version, tag, why, state } = release;
  if (!isUsable(release)) return { kind: 'unusable', detail: `${tag}: ${why ?? state}` };
  if (!isInChannel(release, product.prereleases)) {
    return { kind: 'prerelease', detail: `${version} is ${sayPrerelease(version, product.prereleases)}` };
  }
  if (range?.includes(version) === false) return { kind: 'outside', detail: `${version} is not in ${product.accept}` };
  const veto = vetoFor(vetoes, product.name, version);
  return veto === undefined ? undefined : { kind: 'vetoed', detail: `${version}: ${veto.reason}` };
}

/** Undefined: every version. */
export function acceptedBy({ scheme, accept }: ProductRules): Range | undefined {
  return accept === null ? undefined : schemeOf(scheme).range(accept);
}

/** The action that lets the release out, in all regions of the policy that its kind of jump picks. */
export function creationOf(
  snapshot: Snapshot,
  product: ProductRules,
  { id, version }: Release,
): Extract<Action, { kind: 'create_rollout' }> {
  const policy = policyFor(snapshot, product, version);
  const lanes = policy.waves.flatMap((regions, wave) => regions.map((region) => ({ region, wave })));
  return { kind: 'create_rollout', product: product.name, releaseId: id, version, policy, lanes };
}

/**
 * Stable releases always are; a prerelease only where its first identifier is let in, as it is or without the digits at
 * its end: `rc` lets in 2.0.0-rc.1 and 2.0.0-rc1, `rc1` only the latter, and neither 2.0.0-rc-broken.
 */
export function isInChannel(
  release: Pick<Release, 'version' | 'prerelease'>,
  prereleases: ProductRules['prereleases'],
): boolean {
  if (!release.prerelease) return true;
  if (typeof prereleases === 'boolean') return prereleases;
  const identifier = identifierOf(release.version);
  if (identifier === undefined) return false;
  return prereleases.includes(identifier) || prereleases.includes(identifier.replace(/\d+$/, ''));
}

/** “a prerelease rc1; let in are: beta”: what follows “is”. */
export function sayPrerelease(version: string, prereleases: ProductRules['prereleases']): string {
  const identifier = identifierOf(version);
  const name = identifier === undefined ? 'a prerelease by GitHub’s word' : `a prerelease ${identifier}`;
  return `${name}; let in are: ${typeof prereleases === 'boolean' ? 'none' : prereleases.join(', ')}`;
}

/** The first, up to a dot: `rc` of 2.0.0-rc.1, `rc-broken` of 2.0.0-rc-broken. */
export function identifierOf(version: string): string | undefined {
  return /^[^-+]*-([0-9A-Za-z-]+)/.exec(version)?.[1];
}

/**
 * The kind of jump that the release is, the largest over the baselines of the regions, picks the policy; with no baseline
 * the most cautious one.
 */
export function policyFor(snapshot: Snapshot, product: ProductRules, version: string): Policy {
  const scheme = schemeOf(product.scheme);
  const order: PolicyJump[] = ['patch', 'prerelease', 'minor', 'major'];
  let largest = -1;
  for (const region of snapshot.regions) {
    const baseline = baselineOf(snapshot, product.name, region);
    if (baseline === undefined || scheme.parse(baseline.version) === undefined) continue;
    largest = Math.max(largest, order.indexOf(scheme.jump(baseline.version, version) as PolicyJump));
  }
  const jump = order[largest];
  return (jump === undefined ? undefined : product.policies[jump]) ?? product.policy;
}

/** The newest that the region has completed and that nothing has been said against since. */
export function baselineOf(snapshot: Snapshot, product: string, region: string): Baseline | undefined {
  return standingBaselines(snapshot, product, region).at(-1);
}

/** All of these, oldest first. */
export function standingBaselines(snapshot: Snapshot, product: string, region: string): Baseline[] {
  return baselinesThere(snapshot.baselines, product, region)
    .filter((one) => !isBarredVersion(snapshot, one))
    .toSorted((a, b) => a.at - b.at);
}

function isBarredVersion(snapshot: Snapshot, { product, version, releaseId }: Baseline): boolean {
  if (vetoFor(snapshot.vetoes, product, version) !== undefined) return true;
  return troubleOf(releaseOf(snapshot.releases, releaseId)) !== undefined;
}

function none(reason: HoldReason, detail: string, since: number | null = null, until: number | null = null): Refusal {
  // No region is meant yet.
  return { release: null, reason, sentence: OF_PRODUCTS[reason]?.(detail) ?? sentenceOf(reason, detail), since, until };
}

const OF_PRODUCTS: Partial<Record<HoldReason, (detail: string) => string>> = {
  not_available: (detail) => `there is nothing to let out yet: ${detail}`,
  needs_approval: (detail) => `a person must begin ${detail}`,
  outside_window: (detail) => detail,
};
