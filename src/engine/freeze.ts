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
  /** Agents inside the step that do not run the release yet, present or not, members of earlier steps left out. */
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
  const orders = new Map<string, number>();
  const order = (version: string) => {
    const known = orders.get(version);
    if (known !== undefined) return known;
    const found = scheme.parse(version) === undefined ? Number.NaN : scheme.compare(version, rollout.version);
    orders.set(version, found);
    return found;
  };
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

export interface FreezeInput {
  roster: Roster;
  population: LanePopulation;
  policy: StepPolicy;
  seed: number;
  /** How far the steps before reach; a later step never reaches less far. */
  before: { threshold: number; thresholdId: string };
  isEarlierMember: (handle: number) => boolean;
  isPresent: (handle: number) => boolean;
}

export function freezeStep(input: FreezeInput): Freeze {
  return input.policy.labels === null ? freezeByRank(input) : freezeByLabels(input, input.policy.labels);
}

function freezeByLabels(input: FreezeInput, labels: Record<string, string>): Freeze {
  const result = emptyFreeze(input.before);
  input.population.handles.forEach((handle, index) => {
    if (input.population.eligible[index] !== true || input.isEarlierMember(handle)) return;
    if (carries(input.roster.labelsOf(handle), labels)) admit(input, result, handle);
  });
  return result;
}

function freezeByRank(input: FreezeInput): Freeze {
  const { population, policy, before } = input;
  const ranked = population.handles
    .map((handle, index) => ({
      handle,
      eligible: population.eligible[index] === true,
      place: rank(input.roster.hashOf(handle), input.seed),
    }))
    .sort((a, b) => (isBefore(a.place, input.roster.idOf(a.handle), b.place, input.roster.idOf(b.handle)) ? -1 : 1));
  const share = policy.count ?? Math.ceil(((policy.percent as number) * ranked.length) / 100);
  const everybody = policy.percent === 100;
  const result = emptyFreeze(before);
  // Members are at most those that the lane has; a smaller step is widened by rank up to `min`.
  for (const [index, agent] of ranked.entries()) {
    const id = input.roster.idOf(agent.handle);
    const reached = !isBefore(before.threshold, before.thresholdId, agent.place, id);
    if (!everybody && !reached && index >= share && result.size >= policy.min) break;
    if (!reached) {
      result.threshold = agent.place;
      result.thresholdId = id;
    }
    if (agent.eligible && !input.isEarlierMember(agent.handle)) admit(input, result, agent.handle);
  }
  return everybody ? { ...result, ...EVERYBODY } : result;
}

function emptyFreeze(before: { threshold: number; thresholdId: string }): Freeze {
  return { members: newBitset(), size: 0, eligible: 0, threshold: before.threshold, thresholdId: before.thresholdId };
}

function admit(input: FreezeInput, result: Freeze, handle: number): void {
  result.eligible += 1;
  if (!input.isPresent(handle)) return;
  result.members = setBit(result.members, handle);
  result.size += 1;
}
