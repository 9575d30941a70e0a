// Which agents a step takes in: the freezing of its members when it opens, and the same reckoning as a preview for plan.
import { carries } from '../domain/directives.ts';
import type { StepPolicy } from '../domain/policy.ts';
import { EVERYBODY, isBefore, rank } from '../domain/rank.ts';
import type { Release } from '../domain/release.ts';
import type { Lane, Rollout } from '../domain/rollout.ts';
import type { Scheme } from '../domain/version/scheme.ts';
import type { Bitset } from './bitset.ts';
import { newBitset, setBit } from './bitset.ts';
import type { Roster } from './roster.ts';

export interface Freeze {
  members: Bitset;
  size: number;
  /** Agents that the step adds to the earlier ones and that do not run the release yet, present or not. */
  eligible: number;
  threshold: number;
  thresholdId: string;
}

export interface LanePopulation {
  /** In the region, with an artifact for their platform, at the release's version or lower. */
  handles: number[];
  /** Parallel: runs a lower version. */
  eligible: boolean[];
  /** Everybody who runs the product in the region. */
  agents: number;
  platforms: string[];
}

/** One pass over the roster; what the steps of the lane are reckoned from. */
export function populationOf(
  roster: Roster,
  scheme: Scheme,
  lane: Lane,
  rollout: Rollout,
  release: Release,
): LanePopulation {
  const platforms = new Set(release.artifacts.map((artifact) => artifact.platform));
  const order = orderOf(scheme, rollout.version);
  const found: LanePopulation = { handles: [], eligible: [], agents: 0, platforms: [] };
  const needed = new Set<string>();
  roster.visit(lane.product, lane.region, (handle, version, platform) => {
    found.agents += 1;
    const place = order(version);
    if (!(place <= 0) || !platforms.has(platform)) return;
    found.handles.push(handle);
    found.eligible.push(place < 0);
    if (place < 0) needed.add(platform);
  });
  found.platforms = [...needed].sort();
  return found;
}

/** Below, at or above the release (negative, 0, positive); NaN for a version that cannot be read. Remembers. */
export function orderOf(scheme: Scheme, release: string): (version: string) => number {
  const orders = new Map<string, number>();
  return (version) => {
    const known = orders.get(version);
    if (known !== undefined) return known;
    const found = scheme.parse(version) === undefined ? Number.NaN : scheme.compare(version, release);
    orders.set(version, found);
    return found;
  };
}

export interface FreezeInput {
  roster: Roster;
  population: LanePopulation;
  policy: StepPolicy;
  seed: number;
  /** How far the steps before reach; a later step never reaches less far. */
  before: { threshold: number; thresholdId: string };
  /** The labels of the earlier steps that go by labels: who carries them is inside this one, too. */
  labelsBefore: readonly Record<string, string>[];
  /** Or one that could give no evidence here any more. */
  isEarlierMember: (handle: number) => boolean;
  isPresent: (handle: number) => boolean;
}

interface Candidate {
  handle: number;
  id: string;
  place: number;
  eligible: boolean;
  isEarlierMember: boolean;
  /** Inside an earlier step, whether or not it was there when that one opened. */
  reached: boolean;
}

/** Members: eligible, present, inside this step or an earlier one, and not members of an earlier one. */
export function freezeStep(input: FreezeInput): Freeze {
  const candidates = candidatesOf(input);
  const { threshold, thresholdId } = input.before;
  const result: Freeze = { members: newBitset(), size: 0, eligible: 0, threshold, thresholdId };
  for (const one of candidates) if (one.reached) admit(input, result, one);
  if (input.policy.labels === null) return freezeByRank(input, candidates, result);
  for (const one of candidates) {
    if (!one.reached && carries(input.roster.labelsOf(one.handle), input.policy.labels)) admit(input, result, one);
  }
  return result;
}

/**
 * The lane's eligible agents, and the members of earlier steps, which were: of these a count or a percentage is taken.
 * Who had the release without the lane does not use up a share.
 */
function candidatesOf({ roster, population, seed, before, labelsBefore, isEarlierMember }: FreezeInput): Candidate[] {
  return population.handles.flatMap((handle, index) => {
    const eligible = population.eligible[index] === true;
    const isMember = isEarlierMember(handle);
    if (!eligible && !isMember) return [];
    const id = roster.idOf(handle);
    const place = rank(roster.hashOf(handle), seed);
    const reached =
      !isBefore(before.threshold, before.thresholdId, place, id) ||
      labelsBefore.some((labels) => carries(roster.labelsOf(handle), labels));
    return [{ handle, id, place, eligible, isEarlierMember: isMember, reached }];
  });
}

function freezeByRank(input: FreezeInput, candidates: Candidate[], result: Freeze): Freeze {
  const { policy } = input;
  const ranked = candidates.sort((a, b) => (isBefore(a.place, a.id, b.place, b.id) ? -1 : 1));
  const share = policy.count ?? Math.ceil(((policy.percent as number) * ranked.length) / 100);
  const everybody = policy.percent === 100;
  for (const [index, one] of ranked.entries()) {
    // `min` is at most what the lane has; a smaller step is widened by rank up to it.
    if (!everybody && index >= share && result.size >= policy.min) break;
    if (isBefore(result.threshold, result.thresholdId, one.place, one.id)) {
      result.threshold = one.place;
      result.thresholdId = one.id;
    }
    if (!one.reached) admit(input, result, one);
  }
  return everybody ? { ...result, ...EVERYBODY } : result;
}

function admit(input: FreezeInput, result: Freeze, one: Candidate): void {
  if (!one.eligible || one.isEarlierMember) return;
  if (!one.reached) result.eligible += 1;
  if (!input.isPresent(one.handle)) return;
  result.members = setBit(result.members, one.handle);
  result.size += 1;
}
