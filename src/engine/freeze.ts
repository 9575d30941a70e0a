// Which agents a step takes in: the freezing of its members when it opens, and the same reckoning as a preview for plan.
import { carries } from '../domain/directives.ts';
import type { StepPolicy } from '../domain/policy.ts';
import { EVERYBODY, isBefore, rank } from '../domain/rank.ts';
import type { Release } from '../domain/release.ts';
import type { Lane, Rollout } from '../domain/rollout.ts';
import type { Scheme } from '../domain/version/scheme.ts';
import { assert } from '../errors.ts';
import type { Bitset } from './bitset.ts';
import { newBitset, setBit } from './bitset.ts';
import { eachIndex, type Pieces } from './pieces.ts';
import type { Roster } from './roster.ts';

export interface Freeze {
  members: Bitset;
  size: number;
  /** Agents that the step adds to the earlier ones and that do not run the release yet, present or not. */
  eligible: number;
  /** Agents below the release that carry the step's labels, but no earlier step's, and cannot be brought to it. */
  held: number;
  threshold: number;
  thresholdId: string;
}

export interface LanePopulation {
  /** In the region, with an artifact for their platform, at the release's version or lower. */
  handles: number[];
  /** Parallel: runs a lower version, and can be brought to the release. */
  eligible: boolean[];
  /** Those that run a lower version and cannot be brought to the release, for reasons of their own. */
  unfit: number[];
}

/** One pass over the roster; what the steps of the lane are reckoned from. */
export function* populationOf(
  roster: Roster,
  scheme: Scheme,
  lane: Lane,
  rollout: Rollout,
  release: Release,
  isFit: (handle: number) => boolean = () => true,
): Pieces<LanePopulation> {
  const platforms = new Set(release.artifacts.map((artifact) => artifact.platform));
  const order = orderOf(scheme, rollout.version);
  const found: LanePopulation = { handles: [], eligible: [], unfit: [] };
  yield* roster.visit(lane.product, lane.region, (handle, version, platform) => {
    const place = order(version);
    if (!(place <= 0) || !platforms.has(platform)) return;
    found.handles.push(handle);
    const fit = place < 0 && isFit(handle);
    found.eligible.push(fit);
    if (place < 0 && !fit) found.unfit.push(handle);
  });
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
  /** Inside every step, whatever its rank and labels. */
  goesFirst?: (handle: number) => boolean;
}

/** The lane's eligible agents, and the members of earlier steps, as columns: there may be a million. */
interface Candidates {
  length: number;
  handles: Uint32Array;
  places: Uint32Array;
  kinds: Uint8Array;
}

const ELIGIBLE = 1;
const EARLIER_MEMBER = 2;
/** Inside an earlier step, whether or not it was there when that one opened. */
const REACHED = 4;
const PRESENT = 8;
const FIRST = 16;
/** Becomes a member when the step reaches it. */
const isNewMember = (kind: number) => (kind & (ELIGIBLE | EARLIER_MEMBER | REACHED | PRESENT)) === (ELIGIBLE | PRESENT);

interface Place {
  place: number;
  id: string;
}

const NOWHERE: Place = { place: EVERYBODY.threshold, id: EVERYBODY.thresholdId };

/** Members: eligible, present, inside this step or an earlier one, and not members of an earlier one. */
export function* freezeStep(input: FreezeInput): Pieces<Freeze> {
  const candidates = yield* candidatesOf(input);
  const { policy, roster } = input;
  const { threshold, thresholdId } = input.before;
  const result: Freeze = { members: newBitset(), size: 0, eligible: 0, held: 0, threshold, thresholdId };
  const take = takerFor(candidates, result);
  yield* eachIndex(candidates.length, (index) => {
    if (isKind(candidates, index, REACHED)) take(index);
  });
  const { labels } = policy;
  if (labels !== null) {
    yield* eachIndex(candidates.length, (index) => {
      if (isKind(candidates, index, REACHED)) return;
      const isFirst = isKind(candidates, index, FIRST);
      if (isFirst || carries(roster.labelsOf(candidates.handles[index] as number), labels)) take(index);
    });
    const { unfit } = input.population;
    yield* eachIndex(unfit.length, (at) => {
      const own = roster.labelsOf(unfit[at] as number);
      if (carries(own, labels) && !input.labelsBefore.some((before) => carries(own, before))) result.held += 1;
    });
    return result;
  }
  const last = yield* lastByRank(input, candidates, result.size);
  if (last === undefined) return result;
  const isInside = policy.percent === 100 ? () => true : insideOf(input, candidates, last);
  yield* eachIndex(candidates.length, (index) => {
    if (!isKind(candidates, index, REACHED) && (isKind(candidates, index, FIRST) || isInside(index))) take(index);
  });
  if (policy.percent === 100) return { ...result, ...EVERYBODY };
  if (!isBefore(result.threshold, result.thresholdId, last.place, last.id)) return result;
  return { ...result, threshold: last.place, thresholdId: last.id };
}

/** Of eligible agents and earlier members a share is taken: who had the release without the lane uses up none of it. */
function* candidatesOf(input: FreezeInput): Pieces<Candidates> {
  const { roster, population, seed, before, labelsBefore, isEarlierMember, isPresent, goesFirst } = input;
  const size = population.handles.length;
  const found = {
    length: 0,
    handles: new Uint32Array(size),
    places: new Uint32Array(size),
    kinds: new Uint8Array(size),
  };
  yield* eachIndex(size, (at) => {
    const handle = population.handles[at] as number;
    const eligible = population.eligible[at] === true;
    const isMember = isEarlierMember(handle);
    if (!eligible && !isMember) return;
    const place = rank(roster.hashOf(handle), seed);
    const byRank =
      place < before.threshold || (place === before.threshold && roster.idOf(handle) <= before.thresholdId);
    const reached = byRank || labelsBefore.some((labels) => carries(roster.labelsOf(handle), labels));
    found.handles[found.length] = handle;
    found.places[found.length] = place;
    found.kinds[found.length] =
      (eligible ? ELIGIBLE : 0) |
      (isMember ? EARLIER_MEMBER : 0) |
      (reached ? REACHED : 0) |
      (isPresent(handle) ? PRESENT : 0) |
      (goesFirst?.(handle) === true ? FIRST : 0);
    found.length += 1;
  });
  return found;
}

function isKind({ kinds }: Candidates, index: number, kind: number): boolean {
  return ((kinds[index] as number) & kind) === kind;
}

/** Counts a candidate that the step reaches, and makes it a member where it can be one. */
function takerFor(candidates: Candidates, result: Freeze): (index: number) => void {
  return (index) => {
    if (!isKind(candidates, index, ELIGIBLE) || isKind(candidates, index, EARLIER_MEMBER)) return;
    if (!isKind(candidates, index, REACHED)) result.eligible += 1;
    if (!isKind(candidates, index, PRESENT)) return;
    result.members = setBit(result.members, candidates.handles[index] as number);
    result.size += 1;
  };
}

/**
 * The last by rank that the step reaches: its share, widened until it has `min` members, as far as there are any.
 * `size`: members that earlier steps reach. Undefined where there is nobody.
 */
function* lastByRank(input: FreezeInput, candidates: Candidates, size: number): Pieces<Place | undefined> {
  const { policy } = input;
  const all = candidates.length;
  if (all === 0) return undefined;
  const share = Math.min(all, policy.count ?? Math.ceil(((policy.percent as number) * all) / 100));
  // Everybody is inside whatever the rank.
  if (policy.percent === 100) return NOWHERE;
  const last = yield* nthByRank(input, candidates, share, () => true);
  if (share === all) return last;
  const isInside = insideOf(input, candidates, last);
  const fresh = (index: number) => isNewMember(candidates.kinds[index] as number);
  let inside = size;
  let beyond = 0;
  yield* eachIndex(all, (index) => {
    if (!fresh(index)) return;
    if (isInside(index)) inside += 1;
    else beyond += 1;
  });
  const lacking = policy.min - inside;
  if (lacking <= 0) return last;
  if (lacking > beyond) return yield* nthByRank(input, candidates, all, () => true);
  return yield* nthByRank(input, candidates, lacking, (index) => fresh(index) && !isInside(index));
}

function insideOf({ roster }: FreezeInput, { handles, places }: Candidates, last: Place): (index: number) => boolean {
  return (index) => {
    const place = places[index] as number;
    return place < last.place || (place === last.place && roster.idOf(handles[index] as number) <= last.id);
  };
}

const MANY = 4_096;

/** The nth (from 1) of those that `isWanted`, by rank and then by id: found by counting, for sorting all is too slow. */
function* nthByRank(
  { roster }: FreezeInput,
  { length, handles, places }: Candidates,
  nth: number,
  isWanted: (index: number) => boolean,
): Pieces<Place> {
  // Many buckets leave few to sort, but to clear them all is dear where there are few agents.
  const bits = length < MANY ? 6 : 16;
  const counts = new Uint32Array(2 ** bits);
  const bucketOf = (index: number) => (places[index] as number) >>> (32 - bits);
  yield* eachIndex(length, (index) => {
    if (isWanted(index)) counts[bucketOf(index)] = (counts[bucketOf(index)] as number) + 1;
  });
  let bucket = 0;
  let before = 0;
  while (before + (counts[bucket] as number) < nth) {
    before += counts[bucket] as number;
    bucket += 1;
    assert(bucket < counts.length, `there are ${nth} by rank`);
  }
  const inBucket: Place[] = [];
  yield* eachIndex(length, (index) => {
    if (bucketOf(index) !== bucket || !isWanted(index)) return;
    inBucket.push({ place: places[index] as number, id: roster.idOf(handles[index] as number) });
  });
  inBucket.sort((a, b) => (isBefore(a.place, a.id, b.place, b.id) ? -1 : 1));
  return inBucket[nth - before - 1] as Place;
}
