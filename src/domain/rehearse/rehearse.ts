// A rehearsal: how one release would go out to this fleet, and how far a bad one would come before it halts.
import { considerReleases } from '../choose.ts';
import type { Release } from '../release.ts';
import type { Hold } from '../snapshot.ts';
import { detectableRate } from '../verdict.ts';
import { agentsOf } from './fleet.ts';
import type { FleetGroup, ModelInput, PassedOver } from './model.ts';
import { type Assumed, modelProduct, modelRelease, paceOf, type Surroundings, withOffline } from './question.ts';
import type { LaneRecord, StepRecord } from './record.ts';
import { type Simulation, type StoppedBy, simulate } from './simulate.ts';
import { snapshotOf } from './world.ts';

export interface RehearsalQuestion extends Assumed, Surroundings {
  /** As the product's scheme prints it. */
  version: string;
  /** Null: not published yet. */
  release: Release | null;
  /** On which it is taken as complete. */
  platforms: string[];
  /** The floors of the product below the version, ascending, as they are published. */
  floors: Release[];
  fleet: FleetGroup[];
  passedOver: PassedOver[];
  /** Share of the agents that are away, 0–1; null: as the groups say. */
  offline: number | null;
  /** Share of the agents on which a bad release fails, 0–1. */
  failureRate: number;
  /** Milliseconds since the epoch. */
  now: number;
  horizonMs: number;
}

export type RehearsedStep = StepRecord & {
  /** The failure rate (0–1) that so many clean agents rule out at 95 % confidence. */
  detects: number;
};

export interface Exposure {
  failureRate: number;
  runs: number;
  /** Of these runs: a lane halted, no lane went on by itself, everybody got it. */
  halted: number;
  held: number;
  passed: number;
  /** Agents that were let go when the first lane halted, over the runs in which one did; null: in none. */
  exposed: { least: number; median: number; most: number } | null;
  /** Of these at most so many were broken by then. */
  broken: number | null;
  /** The longest time from the beginning to the halt. */
  haltedAfterMs: number | null;
}

export interface Rehearsal {
  /** Null: no rollout would begin; `hold` says why. */
  policy: string | null;
  from: number;
  /** When everything had ended, or the clock was stopped. */
  to: number;
  stoppedBy: StoppedBy;
  hold: Pick<Hold, 'reason' | 'sentence' | 'until'> | null;
  /** Agents by how they end; together all of them. */
  agents: {
    total: number;
    updated: number;
    failed: number;
    /** Below the release, and away all the time. */
    away: number;
    /** Present and below the release, but not let go by the end. */
    waiting: number;
    /** At the release or above it from the beginning, or nothing that it is for. */
    untouched: number;
  };
  lanes: (Omit<LaneRecord, 'steps'> & { steps: RehearsedStep[] })[];
  exposure: Exposure;
  /** Number of things that happened on the virtual clock, over all runs. */
  events: number;
}

/** As many as are played with a bad release … */
const MAX_RUNS = 20;
const LEAST_RUNS = 2;
/** … unless they take this many events: a large fleet that notices nothing is dear to play. */
const MAX_BAD_EVENTS = 200_000;

export function rehearse(question: RehearsalQuestion): Rehearsal {
  const input = modelOf(question);
  const good = simulate(input);
  const exposure = exposureOf(input, question.failureRate);
  const [rollout] = good.rollouts;
  const hold = rollout === undefined ? holdOf(good, question) : null;
  return {
    policy: rollout?.policy ?? null,
    from: question.now,
    to: good.endedAt,
    stoppedBy: good.stoppedBy,
    hold,
    agents: endsOf(good, question),
    lanes: (rollout?.lanes ?? []).map((lane) => ({
      ...lane,
      steps: lane.steps.map((step) => ({ ...step, detects: detectableRate(step.size) })),
    })),
    exposure: exposure.result,
    events: good.world.handled + exposure.events,
  };
}

/** Why the release itself does not go out: the product may be held for another one, too. */
function holdOf(
  { world, productHold }: Simulation,
  { version, platforms, product: { name } }: RehearsalQuestion,
): Rehearsal['hold'] {
  if (platforms.length === 0) {
    const sentence = `${version} has no files yet, and no agent runs ${name}, by whose platforms they could be guessed`;
    return { reason: 'not_available', sentence, until: null };
  }
  const snapshot = snapshotOf(world);
  const [product] = snapshot.products;
  const refused = product && considerReleases(snapshot, product, world.now).refused.get(version);
  if (refused !== undefined) return { reason: refused.reason, sentence: refused.sentence, until: refused.until };
  return productHold && { reason: productHold.reason, sentence: productHold.sentence, until: productHold.until };
}

function modelOf(question: RehearsalQuestion): ModelInput {
  const { product, release, version, platforms, floors, now, baselines } = question;
  const known = release ?? { id: 'unpublished', product: product.name, version, publishedAt: now };
  const target = modelRelease(known, product.scheme, platforms);
  const others = baselines.filter((one) => one.product === product.name && one.version !== version);
  const stubs = [...new Map(others.map((one) => [one.releaseId, one])).values()].map((one) => ({
    release: modelRelease(
      { id: one.releaseId, product: product.name, version: one.version, publishedAt: one.at },
      product.scheme,
      [],
    ),
    visibleAt: now,
  }));
  return {
    // Which release it is, the question says.
    product: { ...modelProduct(product), lag: 0 },
    regions: question.regions,
    calendars: question.calendars,
    freezes: question.freezes,
    limits: question.limits,
    brakes: question.brakes,
    vetoes: question.vetoes,
    baselines: others,
    releases: [...stubs, { release: target, visibleAt: now + question.availabilityDelayMs }],
    floors: floors.map((floor) =>
      modelRelease(
        floor,
        product.scheme,
        floor.artifacts.length === 0 ? platforms : floor.artifacts.map((one) => one.platform),
      ),
    ),
    fleet: withOffline(question.fleet, question.offline),
    passedOver: question.passedOver,
    startMs: now,
    endMs: now + question.horizonMs,
    seed: question.seed,
    failureRate: 0,
    approveAfterMs: question.approveAfterMs,
    pace: paceOf(product.policy, question),
    until: 'ended',
  };
}

/** The same with a release that fails on this share of the hosts, with other hosts and another order in every run. */
function exposureOf(input: ModelInput, failureRate: number): { result: Exposure; events: number } {
  const halts: { exposed: number; broken: number; afterMs: number }[] = [];
  const result: Exposure = {
    failureRate,
    runs: 0,
    halted: 0,
    held: 0,
    passed: 0,
    exposed: null,
    broken: null,
    haltedAfterMs: null,
  };
  let events = 0;
  while (result.runs < MAX_RUNS && (result.runs < LEAST_RUNS || events < MAX_BAD_EVENTS)) {
    result.runs += 1;
    const run = simulate({ ...input, failureRate, seed: input.seed + result.runs, until: 'halted' });
    events += run.world.handled;
    if (run.stoppedBy === 'halted') {
      result.halted += 1;
      const lanes = run.rollouts.flatMap((one) => one.lanes);
      const broken = lanes.flatMap((one) => one.steps).reduce((sum, step) => sum + step.bad, 0);
      const beganAt = Math.min(...lanes.flatMap((one) => one.steps.map((step) => step.openedAt)));
      halts.push({ exposed: run.exposed, broken, afterMs: run.endedAt - beganAt });
    } else if (run.stoppedBy === 'ended') result.passed += 1;
    else result.held += 1;
    // Without anybody to let go every run is the same.
    if (run.rollouts.length === 0) break;
  }
  if (halts.length > 0) {
    const exposed = halts.map((one) => one.exposed).sort((a, b) => a - b);
    result.exposed = {
      least: exposed[0] as number,
      median: exposed[Math.floor(exposed.length / 2)] as number,
      most: exposed.at(-1) as number,
    };
    result.broken = Math.max(...halts.map((one) => one.broken));
    result.haltedAfterMs = Math.max(...halts.map((one) => one.afterMs));
  }
  return { result, events };
}

function endsOf(
  { world }: Simulation,
  { version, platforms, fleet, product: { from } }: RehearsalQuestion,
): Rehearsal['agents'] {
  const { scheme } = world;
  const ends = { total: 0, updated: 0, failed: 0, away: 0, waiting: 0, untouched: 0 };
  ends.total = fleet.reduce((sum, group) => sum + group.agents, 0);
  for (const agent of [...world.regions.values()].flatMap(agentsOf)) {
    const { version: first, platform } = agent.group;
    const concerned =
      scheme.parse(first) !== undefined &&
      scheme.compare(first, version) < 0 &&
      platforms.includes(platform) &&
      (from === null || scheme.compare(first, from) >= 0);
    if (!concerned) continue;
    if (agent.version === version) ends.updated += 1;
    else if (!agent.present) ends.away += 1;
    else if (agent.spent.length > 0) ends.failed += 1;
    else ends.waiting += 1;
  }
  ends.untouched = ends.total - ends.updated - ends.failed - ends.away - ends.waiting;
  return ends;
}
