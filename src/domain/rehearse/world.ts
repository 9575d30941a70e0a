// The state of one run on the virtual clock, and the snapshot that `plan` is shown of it.
import type { Availability } from '../availability.ts';
import { carries, type Directive } from '../directives.ts';
import type { HoldReason } from '../holds.ts';
import { countOccupied, type Occupied } from '../limits.ts';
import { isTerminalLane, type Lane, passesWave, type Rollout } from '../rollout.ts';
import type { CensusRow, LaneCensus, Snapshot } from '../snapshot.ts';
import type { Verdict } from '../verdict.ts';
import type { Scheme } from '../version/scheme.ts';
import { schemeOf } from '../version/schemes.ts';
import { createGrantTimes, type GrantTimes } from './ceilings.ts';
import { createEventQueue, type EventQueue } from './event-queue.ts';
import { agentsOf, createRegions, isBelow, type ModelAgent, type ModelRegion } from './fleet.ts';
import { freezeModel, labelsOfSteps, type ModelFreeze, type Ranked, rankAll } from './freeze.ts';
import type { ModelInput } from './model.ts';
import type { LaneRecord } from './record.ts';

export type ModelEvent =
  /** A member checks in and asks what there is to do. */
  | { kind: 'ask'; place: Place; agent: ModelAgent }
  | { kind: 'staged'; place: Place; agent: ModelAgent; attemptId: string }
  | { kind: 'ended'; place: Place; agent: ModelAgent }
  | { kind: 'approve'; place: Place; step: number }
  /** A ceiling has room again. */
  | { kind: 'freed' }
  /** A window opens or closes, a release appears, a soak is over: planning looks again. */
  | { kind: 'look' };

/** A lane with all that belongs to it in the model. */
export interface Place {
  lane: Lane;
  rollout: Rollout;
  region: ModelRegion;
  record: LaneRecord;
  platforms: ReadonlySet<string>;
  /** Sorted when it is first asked for. */
  ranked: Ranked[] | null;
  previews: { key: string; rows: LaneCensus['previews'] };
  directive: Directive | null;
  /** Agents with something staged, by step and site, in the order in which they came. */
  ready: Map<string, Line>;
  /** Members with an attempt that is not granted. */
  ungranted: Set<ModelAgent>;
  /** Were told to wait; they ask again when the lane has moved. */
  idle: ModelAgent[];
  /** The lane's revision at which they were told to. */
  idleSince: number;
  /** Were told to wait until another download has ended. */
  thirsty: Line;
  verdicts: (Verdict['kind'] | undefined)[];
}

/** Those before `head` have been let go. */
export interface Line {
  agents: ModelAgent[];
  head: number;
  /** What its first was answered last, by which directive and after how many moves. */
  held: { directive: Directive; moves: number; reason: HoldReason; sentence: string } | null;
}

export interface World {
  input: ModelInput;
  scheme: Scheme;
  now: number;
  events: EventQueue<ModelEvent>;
  regions: Map<string, ModelRegion>;
  /** All but the lanes and the counts, which are put in when `plan` is asked. */
  base: Snapshot;
  rollouts: Rollout[];
  places: Map<string, Place>;
  occupied: Occupied;
  grants: GrantTimes;
  /** Slots taken and given back so far; counted only where limits are set. */
  moves: number;
  /** Live lanes that go first although a newer release is there. */
  undisplaced: ReadonlySet<string>;
  planDue: boolean;
  /** Instants at which planning looks again anyway. */
  looks: Set<number>;
  /** Instants at which a ceiling has room again. */
  freeing: Set<number>;
  /** Number of releases that have appeared. */
  shown: number;
  made: number;
  handled: number;
  granted: number;
}

export function createWorld(input: ModelInput): World {
  const grants = createGrantTimes(input.limits);
  return {
    input,
    scheme: schemeOf(input.product.scheme),
    now: input.startMs,
    events: createEventQueue(),
    regions: createRegions(input.regions, input.fleet),
    base: emptySnapshot(input),
    rollouts: [],
    places: new Map(),
    occupied: countOccupied([], input.limits, { ceilings: grants.at(input.startMs) }),
    grants,
    moves: 0,
    undisplaced: new Set(),
    planDue: true,
    looks: new Set(),
    freeing: new Set(),
    shown: 0,
    made: 0,
    handled: 0,
    granted: 0,
  };
}

function emptySnapshot(input: ModelInput): Snapshot {
  const { product, regions, calendars, freezes, vetoes, brakes, baselines } = input;
  return {
    observedMs: 0,
    products: [product],
    regions,
    calendars,
    freezes,
    clock: null,
    ceilings: [],
    metrics: [],
    // As if its schedule had been looked at just now: what was due before is over.
    considered: [{ product: product.name, at: input.startMs }],
    releases: [],
    availability: [],
    vetoes,
    brakes,
    rollouts: [],
    baselineLanes: [],
    recentBad: {},
    baselines,
    census: [],
    lanes: [],
    overdue: [],
  };
}

/** The server of a rehearsal is always up: observed time is the clock's. */
export function observedAt({ input, now }: World): number {
  return now - input.startMs;
}

export function newId(world: World): string {
  world.made += 1;
  return `rehearsal-${world.input.seed.toString(16)}-${world.made.toString(16)}`;
}

export function snapshotOf(world: World): Snapshot {
  const rollouts = world.rollouts.map((rollout) => ({
    ...rollout,
    lanes: rollout.lanes.map((lane) => world.places.get(lane.id)?.lane ?? lane),
  }));
  return {
    ...world.base,
    observedMs: observedAt(world),
    ceilings: [...world.grants.at(world.now)],
    rollouts,
    census: censusRows(world),
    lanes: rollouts.filter((one) => one.endedAt === null).flatMap((rollout) => laneRows(world, rollout)),
  };
}

function censusRows({ input, regions }: World): CensusRow[] {
  return [...regions.values()].flatMap((region) =>
    [...region.counts.values()].flatMap((row) =>
      row.agents === 0 ? [] : { product: input.product.name, region: region.name, ...row },
    ),
  );
}

function laneRows(world: World, rollout: Rollout): LaneCensus[] {
  return rollout.lanes.flatMap((lane) => {
    const place = world.places.get(lane.id);
    return place === undefined || isTerminalLane(lane.state.name) ? [] : laneRow(world, place, rollout);
  });
}

function laneRow(world: World, place: Place, rollout: Rollout): LaneCensus {
  const { lane, region, platforms } = place;
  const release = { version: rollout.version, platforms, from: world.input.product.from };
  const below = [...region.counts.values()].filter((row) => row.agents > 0 && isBelow(world.scheme, row, release));
  return {
    laneId: lane.id,
    agents: region.total,
    eligible: below.reduce((sum, row) => sum + row.agents, 0),
    platforms: [...new Set(below.map((row) => row.platform))].sort(),
    // They can be had everywhere.
    floors: [],
    previews: mayOpenStep(world, rollout, lane) ? previewsOf(world, place) : [],
    steps: lane.steps.map(({ step, counters: { succeeded } }) => ({
      step,
      gone: 0,
      ineligible: 0,
      replaceable: 0,
      updated: succeeded,
      updatedPresent: succeeded,
      unheard: 0,
    })),
  };
}

/** What a step would freeze is dear to reckon, and asked only where one could open now. */
function mayOpenStep(world: World, rollout: Rollout, { state, wave, approvals }: Lane): boolean {
  if (state.name === 'waiting') return rollout.lanes.every((one) => one.wave >= wave || passesWave(one));
  if (state.name === 'approval') return approvals.length > 0;
  if (state.name !== 'soaking') return false;
  return observedAt(world) - state.observedMs >= (rollout.policy.steps[state.step]?.soakMs ?? 0);
}

/** Nobody comes or goes, so it changes only with the lane's steps and with what runs in the region. */
function previewsOf(world: World, place: Place): LaneCensus['previews'] {
  const key = `${place.lane.steps.length} ${place.region.changes}`;
  if (place.previews.key === key) return place.previews.rows;
  const opened = place.lane.steps.at(-1)?.step ?? -1;
  const rows = place.rollout.policy.steps.flatMap((_, step) => {
    if (step <= opened) return [];
    const { members, eligible } = freezeIn(world, place, step);
    const held = heldIn(world, place, step);
    return [{ step, members: members.length, eligible, ...(held === 0 ? {} : { held }) }];
  });
  place.previews = { key, rows };
  return rows;
}

/** Of those that the release passes over as many as stand in the step by its labels, and in none before it. */
function heldIn({ input }: World, { lane, rollout, region }: Place, step: number): number {
  const labels = rollout.policy.steps[step]?.labels ?? null;
  if (labels === null) return 0;
  const before = labelsOfSteps({ steps: lane.steps.filter((one) => one.step < step) }, rollout.policy);
  return input.passedOver
    .filter((one) => one.region === region.name && carries(one.labels, labels))
    .filter((one) => !before.some((earlier) => carries(one.labels, earlier)))
    .reduce((sum, { agents }) => sum + agents, 0);
}

/** What opening the step now takes in. */
export function freezeIn({ scheme, input }: World, place: Place, step: number): ModelFreeze {
  const { lane, rollout, region, platforms } = place;
  const { version, policy, seed } = rollout;
  const isMember = (agent: ModelAgent) => agent.seat?.laneId === lane.id;
  place.ranked ??= rankAll(agentsOf(region), seed);
  // Many agents that are alike come one after another.
  let like: { version: string; platform: string; eligible: boolean } | undefined;
  const isEligible = ({ version: running, group: { platform } }: ModelAgent) => {
    if (like?.version !== running || like.platform !== platform) {
      const eligible = isBelow(
        scheme,
        { version: running, platform },
        { version, platforms, from: input.product.from },
      );
      like = { version: running, platform, eligible };
    }
    return like.eligible;
  };
  const last = lane.steps.findLast((one) => one.step < step);
  return freezeModel({
    candidates: place.ranked.filter(({ agent }) => isMember(agent) || isEligible(agent)),
    isMember,
    step: policy.steps[step] as NonNullable<(typeof policy.steps)[number]>,
    before: { threshold: last?.threshold ?? 0, thresholdId: last?.thresholdId ?? '' },
    labelsBefore: labelsOfSteps(lane, policy),
  });
}

/** Every visible release can be had everywhere. */
export function availabilityOf(
  { input }: World,
  versions: readonly { version: string; platforms: string[] }[],
): Availability[] {
  return versions.flatMap(({ version, platforms }) =>
    input.regions.flatMap((region) =>
      platforms.map(
        (platform): Availability => ({
          product: input.product.name,
          version,
          region,
          platform,
          status: 'available',
          why: 'taken as available in a rehearsal',
          since: input.startMs,
          checkedAt: input.startMs,
        }),
      ),
    ),
  );
}
