// What plan may know of the agents: counts per version, and per lane what opening a step would freeze; taken from the roster.
import type { InstalledProduct } from '../domain/agent.ts';
import { type Place, releaseOf } from '../domain/lookup.ts';
import { unhealthyUnder } from '../domain/policy.ts';
import { attemptsUsed, isExhausted, quarantineLane, type Spent } from '../domain/quarantine.ts';
import { isBefore, rank } from '../domain/rank.ts';
import type { Release } from '../domain/release.ts';
import { isTerminalLane, type Lane, passesWave, type Rollout, type Step } from '../domain/rollout.ts';
import type { CensusRow, LaneCensus, ProductRules } from '../domain/snapshot.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import { type Stop, stopsFrom, type Way } from '../domain/way.ts';
import { assert } from '../errors.ts';
import { type Bitset, clearBit, eachBit, hasBit, setBit } from './bitset.ts';
import { countBack } from './count-back.ts';
import { type Fitness, fitnessOf, wayTo } from './fitness.ts';
import { type Freeze, freezeStep, type LanePopulation, orderOf, populationOf } from './freeze.ts';
import { missingFloors } from './missing-floors.ts';
import { eachIndex, type Pieces } from './pieces.ts';
import type { Group, Kind, Roster, RosterEntry } from './roster.ts';

export interface CensusInput {
  roster: Roster;
  observedMs: number;
  products: readonly ProductRules[];
  regions: readonly string[];
  rollouts: readonly Rollout[];
  releases: readonly Release[];
  /** The frozen members of an opened step. */
  members: (laneId: string, step: number) => Bitset;
  /** Members that have succeeded by the books although they seem to be gone. */
  proven: (laneId: string, step: number) => ReadonlySet<number>;
  /** What has been counted of the roster so far, by stale time; begin with an empty one. */
  groups: Map<number, readonly Group[]>;
}

export function* countAgents(input: CensusInput): Pieces<CensusRow[]> {
  const rows = new Map<string, CensusRow>();
  for (const { name: product, policy } of input.products) {
    for (const { region, platform, products, agents, present } of yield* groupsOf(input, policy.staleAfterMs)) {
      const version = products.find((one) => one.product === product)?.version;
      if (version === undefined || !input.regions.includes(region)) continue;
      const key = `${product} ${region} ${version} ${platform}`;
      const row = rows.get(key) ?? { product, region, version, platform, agents: 0, present: 0 };
      row.agents += agents;
      row.present += present;
      rows.set(key, row);
    }
  }
  return [...rows.values()].sort(byPlace(input));
}

/** In the order of the config's products and regions; within a region as text. */
function byPlace({ products, regions }: CensusInput): (a: CensusRow, b: CensusRow) => number {
  const placeOf = new Map(products.map(({ name }, index) => [name, index]));
  const regionOf = new Map(regions.map((name, index) => [name, index]));
  const order = ({ product, region }: CensusRow) => [placeOf.get(product) as number, regionOf.get(region) as number];
  const text = ({ version, platform }: CensusRow) => `${version} ${platform}`;
  return (a, b) => {
    const [product, region] = order(a);
    const [otherProduct, otherRegion] = order(b);
    return (
      (product as number) - (otherProduct as number) ||
      (region as number) - (otherRegion as number) ||
      (text(a) < text(b) ? -1 : 1)
    );
  };
}

/** One pass over all agents serves everything that is counted of them; nearly all policies have the same stale time. */
function* groupsOf(input: CensusInput, staleMs: number): Pieces<readonly Group[]> {
  const found = input.groups.get(staleMs) ?? (yield* input.roster.groups(staleMs, input.observedMs));
  input.groups.set(staleMs, found);
  return found;
}

/**
 * `everyStep`: previews also of lanes that can open none now, for people who ask. `idle`: lanes that have completed and
 * open anew once somebody is eligible.
 */
export function* countLanes(
  input: CensusInput,
  { everyStep = false, idle = [] }: { everyStep?: boolean; idle?: readonly Place[] } = {},
): Pieces<LaneCensus[]> {
  const counted: LaneCensus[] = [];
  for (const { rollout, lane } of idle) counted.push(yield* countIdle(input, rollout, lane));
  for (const rollout of input.rollouts) {
    for (const lane of rollout.lanes) {
      if (isTerminalLane(lane.state.name)) continue;
      counted.push(yield* countLane(input, rollout, lane, everyStep || mayOpenStep(input, rollout, lane)));
    }
  }
  return counted;
}

/** What a step would freeze is dear to reckon, and asked only where one could open now. */
function mayOpenStep({ observedMs }: CensusInput, rollout: Rollout, { state, wave, approvals }: Lane): boolean {
  if (state.name === 'waiting') {
    return rollout.lanes.every((one) => one.wave >= wave || passesWave(one));
  }
  if (state.name === 'approval') return approvals.length > 0;
  if (state.name !== 'soaking') return false;
  return observedMs - state.observedMs >= (rollout.policy.steps[state.step]?.soakMs ?? 0);
}

/** Mostly nobody is eligible there, so what a step would freeze is not asked. */
function* countIdle(input: CensusInput, rollout: Rollout, lane: Lane): Pieces<LaneCensus> {
  const counted = yield* countRegion(input, rollout, lane);
  if (counted.eligible > 0) return yield* countLane(input, rollout, lane, true);
  return { laneId: lane.id, ...counted, previews: [], steps: [] };
}

function* countLane(input: CensusInput, rollout: Rollout, lane: Lane, withPreviews: boolean): Pieces<LaneCensus> {
  const opened = lane.steps.at(-1)?.step ?? -1;
  const population = withPreviews ? yield* lanePopulation(input, rollout, lane) : undefined;
  const counted: LaneCensus = {
    laneId: lane.id,
    ...(yield* countRegion(input, rollout, lane)),
    previews: [],
    steps: [],
  };
  for (let step = opened + 1; population !== undefined && step < rollout.policy.steps.length; step += 1) {
    const { size, eligible, held } = yield* freezeLaneStep(input, rollout, lane, step, population);
    counted.previews.push({ step, members: size, eligible, ...(held === 0 ? {} : { held }) });
  }
  for (const step of lane.steps) counted.steps.push(yield* countStep(input, rollout, lane, step));
  if (lane.state.name === 'rolling_back') counted.back = yield* countBack(input, rollout, lane, lane.state.to);
  return counted;
}

/** Who runs the product in the region, and who of them is below the release on a platform that it has. */
function* countRegion(
  input: CensusInput,
  rollout: Rollout,
  lane: Lane,
): Pieces<Pick<LaneCensus, 'agents' | 'eligible' | 'unwell' | 'platforms' | 'floors' | 'missingFloors'>> {
  const found = { agents: 0, eligible: 0, platforms: new Set<string>() };
  let unwell = 0;
  const floors = new Map<string, Set<string>>();
  const release = releaseOf(input.releases, rollout.releaseId);
  if (release === undefined) return { ...found, platforms: [], floors: [] };
  const offered = new Set(release.artifacts.map((artifact) => artifact.platform));
  const order = orderIn(input, rollout);
  const way = wayIn(input, rollout);
  const missing = missingFloors(way, (past, kind) => isEligible(past, rollout, kind));
  for (const group of yield* groupsOf(input, rollout.policy.staleAfterMs)) {
    const { region, platform, products, agents } = group;
    const running = region === lane.region ? products.find((one) => one.product === lane.product) : undefined;
    if (running === undefined) continue;
    found.agents += agents;
    if (!(order(running.version) < 0) || !offered.has(platform)) continue;
    const fitness = way === undefined ? 'unfit' : fitnessOf(way, lane.product, group);
    if (!isFitOrUnwell(fitness)) {
      missing.note(running.version, group);
      continue;
    }
    found.eligible += agents;
    if (fitness === 'unwell') unwell += group.present;
    found.platforms.add(platform);
    for (const { version } of floorsAbove(way, running.version))
      floors.set(version, (floors.get(version) ?? new Set()).add(platform));
  }
  const needed = (way?.stops ?? []).flatMap(({ version }) => {
    const platforms = floors.get(version);
    return platforms === undefined ? [] : [{ version, platforms: [...platforms].sort() }];
  });
  const sick = unwell === 0 ? {} : { unwell };
  return { ...found, ...sick, platforms: [...found.platforms].sort(), floors: needed, ...missing.found() };
}

/** Where an agent at the version has to stop on the way. */
function floorsAbove(way: Way | undefined, version: string): Stop[] {
  return way === undefined ? [] : stopsFrom(way.scheme, way.stops, version).slice(0, -1);
}

/** As good for all lanes of a pass. */
function wayIn(input: CensusInput, rollout: Rollout): Way | undefined {
  return wayTo(input.products, input.releases, rollout);
}

function isEligible(way: Way | undefined, { product }: Rollout, kind: Kind): boolean {
  return way !== undefined && isFitOrUnwell(fitnessOf(way, product, kind));
}

/** Who is unwell is counted among them, and waited for. */
function isFitOrUnwell(fitness: Fitness): boolean {
  return fitness === 'fit' || fitness === 'unwell';
}

/** What opening the step would freeze now. */
export function* freezeLaneStep(
  input: CensusInput,
  rollout: Rollout,
  lane: Lane,
  step: number,
  known?: LanePopulation,
): Pieces<Freeze> {
  const policy = rollout.policy.steps[step];
  assert(policy !== undefined, `step ${step} is in the policy`);
  const earlier = lane.steps.filter((one) => one.step < step);
  const last = earlier.at(-1);
  const sets = earlier.map((one) => input.members(lane.id, one.step));
  return yield* freezeStep({
    roster: input.roster,
    population: known ?? (yield* lanePopulation(input, rollout, lane)),
    policy,
    seed: rollout.seed,
    before: last === undefined ? { threshold: 0, thresholdId: '' } : last,
    labelsBefore: earlier.map((one) => rollout.policy.steps[one.step]?.labels ?? null).filter((one) => one !== null),
    // A late joiner whom an earlier step has admitted, or who has no attempt left, could give no evidence here.
    isEarlierMember: (handle) =>
      sets.some((set) => hasBit(set, handle)) || isTaken(input.roster, rollout, lane, handle),
    isPresent: (handle) => isThere(input, rollout, handle),
    // One that is unwell and away must not keep the others waiting for it.
    goesFirst: (handle) =>
      unhealthyUnder(rollout.policy) === 'first' && input.roster.isUnhealthy(handle) && isThere(input, rollout, handle),
  });
}

/** Has checked in, also since a restore, and is not held as unhealthy. */
function isThere({ roster, observedMs }: CensusInput, { policy }: Rollout, handle: number): boolean {
  if (roster.isStale(handle) || roster.silentMs(handle, observedMs) >= policy.staleAfterMs) return false;
  return unhealthyUnder(policy) !== 'hold' || !roster.isUnhealthy(handle);
}

function* lanePopulation(input: CensusInput, rollout: Rollout, lane: Lane): Pieces<LanePopulation> {
  const release = input.releases.find((one) => one.id === rollout.releaseId);
  const rules = input.products.find((one) => one.name === rollout.product);
  if (release === undefined || rules === undefined) return { handles: [], eligible: [], unfit: [] };
  const way = wayIn(input, rollout);
  const isFit = input.roster.byKind((kind) => isEligible(way, rollout, kind));
  return yield* populationOf(input.roster, schemeOf(rules.scheme), lane, rollout, release, isFit);
}

function isTaken(roster: Roster, rollout: Rollout, lane: Lane, handle: number): boolean {
  return liveIn(roster, lane, handle) !== undefined || isUsedUp(roster, rollout, lane, handle);
}

/** No further attempt will be offered here, whichever of the release's lanes and steps the earlier ones were in. */
function isUsedUp(roster: Roster, rollout: Rollout, lane: Lane, handle: number): boolean {
  const spent = roster.spentOf(handle);
  if (spent.length === 0) return false;
  return attemptsUsed(spent, quarantineLane(rollout, lane)) >= rollout.policy.attemptsPerAgent;
}

function liveIn(roster: Roster, lane: Lane, handle: number) {
  return roster.liveOf(handle).find((attempt) => attempt.laneId === lane.id);
}

function spentIn(roster: Roster, { id, budgetEpoch }: Lane, step: number, handle: number): Spent | undefined {
  const isHere = (one: Spent) => one.laneId === id && one.budgetEpoch === budgetEpoch && one.step === step;
  return roster.spentOf(handle).find(isHere);
}

/** Out by what it has tried in the step: the counters have it already. */
function isOutHere(roster: Roster, rollout: Rollout, lane: Lane, step: number, handle: number): boolean {
  const spent = spentIn(roster, lane, step, handle);
  return spent !== undefined && isExhausted(spent, rollout.policy.attemptsPerAgent);
}

function* countStep(input: CensusInput, rollout: Rollout, lane: Lane, step: Step): Pieces<LaneCensus['steps'][number]> {
  const { roster, observedMs } = input;
  const way = wayIn(input, rollout);
  const fitness = roster.byKind((kind) => (way === undefined ? 'unfit' : fitnessOf(way, lane.product, kind)));
  const platforms = input.releases.find((one) => one.id === rollout.releaseId)?.artifacts.map((one) => one.platform);
  const order = orderIn(input, rollout);
  const proven = input.proven(lane.id, step.step);
  const found = { gone: 0, ineligible: 0, updated: 0, updatedPresent: 0, unheard: 0, settled: 0 };
  yield* eachBit(input.members(lane.id, step.step), (handle) => {
    const entry = roster.entry(handle);
    const running = entry?.region === lane.region ? runningOf(entry, lane) : undefined;
    const place = running === undefined ? Number.NaN : order(running.version);
    if (place === 0) {
      found.updated += 1;
      const silent = roster.silentMs(handle, observedMs) >= rollout.policy.staleAfterMs;
      if (!silent && roster.hasHeard(handle)) found.updatedPresent += 1;
      else if (!silent) found.unheard += 1;
    }
    const live = liveIn(roster, lane, handle);
    // What is hot or bad stands in the counters.
    if ((live !== undefined && live.grantedAt !== null) || spentIn(roster, lane, step.step, handle)?.weight === 'bad')
      return;
    if (proven.has(handle)) {
      found.settled += 1;
      return;
    }
    const usedUp = live === undefined && isUsedUp(roster, rollout, lane, handle);
    if (place >= 0 && !usedUp) found.settled += live === undefined ? 1 : 0;
    else if (isOutHere(roster, rollout, lane, step.step, handle)) return;
    else if (usedUp) found.ineligible += 1;
    else if (isGone(input, rollout, lane, step.step, handle, order)) found.gone += 1;
    else if (live === undefined && !canTake(entry, running, lane, platforms)) found.ineligible += 1;
    else if (isHeld(fitness(handle), live !== undefined, roster.unchangedMs(handle, observedMs), rollout))
      found.ineligible += 1;
  });
  // Brought to the release, or beyond it, by somebody else: no evidence, and none to come.
  const byHand = Math.max(0, found.settled - step.counters.succeeded);
  // Succeeded, and now seems to be out: moved away, or by an old message that has come late.
  const missing = Math.max(0, step.counters.succeeded - found.settled);
  const { updated, updatedPresent, unheard } = found;
  const ineligible = Math.max(0, found.ineligible - missing);
  const gone = Math.max(0, found.gone - Math.max(0, missing - found.ineligible));
  return {
    step: step.step,
    gone,
    ineligible: ineligible + byHand,
    replaceable: gone === 0 ? 0 : (yield* candidatesFor(input, rollout, lane, step.step, gone)).length,
    updated,
    updatedPresent,
    unheard,
  };
}

function runningOf(entry: RosterEntry | undefined, lane: Lane): InstalledProduct | undefined {
  return entry?.products.find((one) => one.product === lane.product);
}

/** Where a version stands to the release; NaN when it cannot be read, or the config does not name the product. */
type Order = (version: string) => number;

function orderIn(input: CensusInput, rollout: Rollout): Order {
  const rules = input.products.find((one) => one.name === rollout.product);
  return rules === undefined ? () => Number.NaN : orderOf(schemeOf(rules.scheme), rollout.version);
}

/** Moved away, without the product, or on a platform that the release has not: nothing is offered. */
function canTake(
  entry: RosterEntry | undefined,
  running: InstalledProduct | undefined,
  lane: Lane,
  platforms: readonly string[] | undefined,
): boolean {
  if (entry === undefined || running === undefined || entry.region !== lane.region) return false;
  return platforms?.includes(entry.platform) === true;
}

/** What a host lacks may come back, so it is waited for; what it runs does not change by itself. */
function isHeld(fitness: Fitness, hasLive: boolean, unchangedMs: number, { policy }: Rollout): boolean {
  if (fitness === 'fit') return false;
  return (fitness === 'unfit' && !hasLive) || unchangedMs >= policy.staleAfterMs;
}

export interface Seats {
  members: Bitset;
  threshold: number;
  thresholdId: string;
  /** Handles that have lost their seat. */
  gone: number[];
}

/** Gives the seats of at most `count` of the members that are gone (`goneOf`) to the next by rank. */
export function* takeSeats(
  input: CensusInput,
  rollout: Rollout,
  lane: Lane,
  step: number,
  { gone: all, count }: { gone: readonly number[]; count: number },
): Pieces<Seats> {
  const before = input.members(lane.id, step);
  const opened = lane.steps.find((one) => one.step === step);
  assert(opened !== undefined, `step ${step} of lane ${lane.id} is open`);
  const gone = all.slice(0, count);
  const taking = yield* candidatesFor(input, rollout, lane, step, gone.length);
  let members: Bitset = new Uint8Array(before);
  for (const handle of gone.slice(0, taking.length)) clearBit(members, handle);
  for (const { handle } of taking) members = setBit(members, handle);
  const last = taking.at(-1);
  const reached = last === undefined || !isBefore(opened.threshold, opened.thresholdId, last.place, last.id);
  return {
    members,
    threshold: reached ? opened.threshold : last.place,
    thresholdId: reached ? opened.thresholdId : last.id,
    gone: gone.slice(0, taking.length),
  };
}

/** Present agents by rank that are in no opened step and could take a seat of this one. None in a step by labels. */
function* candidatesFor(
  input: CensusInput,
  rollout: Rollout,
  lane: Lane,
  step: number,
  limit: number,
): Pieces<Candidate[]> {
  const policy = rollout.policy.steps[step];
  if (policy === undefined || policy.labels !== null || limit === 0) return [];
  const { roster } = input;
  const population = yield* lanePopulation(input, rollout, lane);
  const sets = lane.steps.map((one) => input.members(lane.id, one.step));
  const found: Candidate[] = [];
  yield* eachIndex(population.handles.length, (index) => {
    const handle = population.handles[index] as number;
    if (population.eligible[index] !== true || sets.some((set) => hasBit(set, handle))) return;
    if (isTaken(roster, rollout, lane, handle) || !isThere(input, rollout, handle)) return;
    found.push({ handle, id: roster.idOf(handle), place: rank(roster.hashOf(handle), rollout.seed) });
  });
  return found.sort((a, b) => (isBefore(a.place, a.id, b.place, b.id) ? -1 : 1)).slice(0, limit);
}

interface Candidate {
  handle: number;
  id: string;
  place: number;
}

/** By what the roster knows: also one that has succeeded, where an old message that came late denies it. */
export function* goneOf(input: CensusInput, rollout: Rollout, lane: Lane, step: number): Pieces<number[]> {
  const gone: number[] = [];
  const order = orderIn(input, rollout);
  yield* eachBit(input.members(lane.id, step), (handle) => {
    if (isGone(input, rollout, lane, step, handle, order)) gone.push(handle);
  });
  return gone;
}

/** Silent for the stale time, not granted, without the release, and nothing said about it: neither bad nor used up. */
function isGone(input: CensusInput, rollout: Rollout, lane: Lane, step: number, handle: number, order: Order): boolean {
  const { roster, observedMs } = input;
  const entry = roster.entry(handle);
  // Taken out of the fleet by a person, who knows: it is out, and no sign of anything.
  if (entry === undefined) return false;
  const running = runningOf(entry, lane);
  if (running !== undefined && order(running.version) >= 0) return false;
  // Silent or not, it is out: its seat is no other's.
  if (roster.isPinned(handle, lane.product)) return false;
  const live = liveIn(roster, lane, handle);
  if (live !== undefined && live.grantedAt !== null) return false;
  if (live === undefined && isUsedUp(roster, rollout, lane, handle)) return false;
  if (spentIn(roster, lane, step, handle)?.weight === 'bad') return false;
  if (isOutHere(roster, rollout, lane, step, handle)) return false;
  return roster.silentMs(handle, observedMs) >= rollout.policy.staleAfterMs;
}
