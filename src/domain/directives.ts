// What is asked of the agents of one product in one region, compiled from the rows of the moment: plain JSON.
import { type Availability, objectionToGrant } from './availability.ts';
import type { ClockDoubt } from './clock-doubt.ts';
import type { HoldReason } from './holds.ts';
import type { LeftOut } from './left-out.ts';
import type { Limits, Occupied } from './limits.ts';
import { availabilityAt } from './lookup.ts';
import { attemptBudgetMs, attemptMs, type Policy, type Unhealthy, unhealthyUnder } from './policy.ts';
import { quarantineLane } from './quarantine.ts';
import { hash32, isBefore, rank } from './rank.ts';
import { type Artifact, isUsable, type Release, troubleOf } from './release.ts';
import { type Requirement, requirementsFor } from './requirement.ts';
import { isLiveLane, type Lane, type Rollout, type Step, type StepCounters, wordsOf } from './rollout.ts';
import type { ProductRules, UnknownBuilds } from './snapshot.ts';
import { budgetOf, type Silence, verdict } from './verdict.ts';
import type { SchemeName } from './version/scheme.ts';
import { schemeOf } from './version/schemes.ts';
import { type Builds, floorsBelow, type Stop, type Way } from './way.ts';
import { backBudget, hotIn, wayBackOf } from './way-back.ts';
import type { WindowStatus } from './window.ts';

export interface OpenedStep {
  step: number;
  labels: Record<string, string> | null;
  threshold: number;
  thresholdId: string;
  size: number;
  budget: number;
  strict: boolean;
  counters: StepCounters;
}

export interface LaneDirective {
  laneId: string;
  rolloutId: string;
  version: string;
  /** Who runs a lower version is brought up to it. */
  raises: boolean;
  /** Higher versions whose agents are brought back to it. */
  takesBack: readonly string[];
  seed: number;
  budgetEpoch: number;
  /** Null: the lane gives nothing now, and `hold` says why. */
  hold: { reason: HoldReason; detail: string } | null;
  steps: OpenedStep[];
  artifacts: Artifact[];
  /** Platforms for which the release was not to be had in the region when somebody last knew. */
  absent: string[];
  /** Platforms of which nobody has known since the lane opened whether the release can be had. */
  unknown: string[];
  /** What the release requires of a host. */
  requirements: readonly Requirement[];
  /** The stops before the release, ascending. */
  floors: readonly FloorStop[];
  unhealthy: Unhealthy;
  maxHot: number;
  /** Agents that may download at a time; null: the lane itself sets no limit. */
  maxDownloading: number | null;
  attemptsPerAgent: number;
  /** Other lanes of the release that a person has retried, which forgives what was tried there before. */
  retried: readonly { laneId: string; budgetEpoch: number }[];
  stageWithinMs: number;
  activateWithinMs: number;
  proveWithinMs: number;
  stableForMs: number;
  /** What must be left of a window for a grant. */
  attemptMs: number;
  /** Observed time from the grant after which silence is `lost`. */
  attemptBudgetMs: number;
}

/** A stop with the platforms for which it is not to be had in the region, or nobody knows. */
export interface FloorStop extends Stop {
  absent: readonly string[];
  unknown: readonly string[];
}

/** A step that the agent was frozen into; at most one per lane. */
export interface Seat {
  laneId: string;
  step: number;
}

export interface Directive {
  product: string;
  region: string;
  scheme: SchemeName;
  /** A person's stop that covers this product and region. */
  brake: { scope: string; reason: string } | null;
  /** Null: the wall clock is sound. */
  clock: ClockDoubt | null;
  /** Artifact digests of the product's releases: anything else is an unknown build. */
  builds: Builds;
  /** The lowest version that agents are updated from; null: any. */
  from: string | null;
  unknownBuilds: UnknownBuilds;
  lane: LaneDirective | null;
  /** What newcomers and agents that return are brought to; null while the region has none. */
  baseline: LaneDirective | null;
  /** Not set where the product's releases go to the region. */
  leftOut?: LeftOut;
  /** Whether something may start in the region; `closesAt` and `opensAt` are instants, so it holds until one of them. */
  window: WindowStatus;
  /** When it opens again after it has closed; null where that is not known. */
  opensAgainAt: number | null;
  limits: Limits;
  /** Who holds slots of the limits now. */
  occupied: Occupied;
}

export interface Brake {
  /** `fleet`, `product:<name>` or `region:<name>`. */
  scope: string;
  actor: string;
  reason: string;
  at: number;
}

export interface Veto {
  product: string;
  version: string;
  /** Set by the halt of a lane, not by a person. */
  automatic: boolean;
  actor: string;
  reason: string;
  at: number;
}

/** A region's baseline lane with what belongs to it. */
export interface BaselineInput {
  lane: Lane;
  rollout: Rollout;
  release: Release;
  /** Agents that went bad within the policy's window. */
  recentBad: number;
  /** Versions that the region has taken back (`takenBack`). */
  takesBack?: readonly string[];
  /** The region has another baseline now: what is hot comes to its end, and nothing else begins. */
  outdated: boolean;
}

export interface DirectiveInput {
  product: string;
  region: string;
  rules: Pick<ProductRules, 'scheme' | 'from' | 'floors' | 'requirements' | 'unknownBuilds'>;
  /** The product's release of a version. */
  releaseOf: (version: string) => Release | undefined;
  /** The lane that the region's agents are to follow: the live one, else the newest halted or waiting one. */
  lane: Lane | null;
  rollout: Rollout | null;
  release: Release | null;
  /** What a lane that rolls back leads to; null for every other. */
  backTo?: Release | null;
  builds: Builds;
  brakes: readonly Brake[];
  clock: ClockDoubt | null;
  vetoes: readonly Veto[];
  silence: (laneId: string, step: number) => Silence;
  /** At least the rows of the releases in the region; others are not looked at. */
  availability: readonly Availability[];
  baseline: BaselineInput | null;
  window: WindowStatus;
  opensAgainAt?: number | null;
  limits: Limits;
  occupied: Occupied;
  /** The newer version for which the lane stops granting (`givesWayTo`). */
  givesWayTo?: string | undefined;
  /** What goes past the region (`leftOut`). */
  leftOut?: LeftOut | undefined;
}

export function compileDirective(input: DirectiveInput): Directive {
  const brake = brakeFor(input.brakes, input.product, input.region);
  const { lane, rollout, release } = input;
  return {
    product: input.product,
    region: input.region,
    scheme: input.rules.scheme,
    brake: brake === undefined ? null : { scope: brake.scope, reason: brake.reason },
    clock: input.clock,
    builds: input.builds,
    from: input.rules.from,
    unknownBuilds: input.rules.unknownBuilds,
    lane: lane === null || rollout === null || release === null ? null : compileGoing(input, lane, rollout, release),
    baseline: input.baseline === null ? null : compileBaseline(input, input.baseline),
    window: input.window,
    opensAgainAt: input.opensAgainAt ?? null,
    limits: input.limits,
    occupied: input.occupied,
    ...(input.leftOut === undefined ? {} : { leftOut: input.leftOut }),
  };
}

/** The way to the lane's release, for the agents that the directive is about. */
export function wayOf(directive: Directive, lane: LaneDirective): Way {
  const { scheme, builds, from, unknownBuilds } = directive;
  const { version, artifacts, requirements, unhealthy } = lane;
  const stops = [...lane.floors, { version, artifacts, requirements, trouble: null }];
  return { scheme, builds, from, unknownBuilds, unhealthy, stops };
}

function compileGoing(input: DirectiveInput, lane: Lane, rollout: Rollout, release: Release): LaneDirective {
  const way = wayBackOf(lane);
  return lane.state.name === 'rolling_back' && way !== undefined && input.backTo
    ? compileBack(input, lane, way, rollout, input.backTo)
    : compileLane(input, lane, rollout, release);
}

/** The way back in the shape of a lane forward: one loose step for everybody who runs the release, and a limit beside it. */
function compileBack(input: DirectiveInput, lane: Lane, way: Step, rollout: Rollout, to: Release): LaneDirective {
  const going = { ...lane, steps: [way], budgetEpoch: way.step };
  const compiled = compileLane(input, going, { ...rollout, version: to.version }, to);
  const veto = vetoFor(input.vetoes, input.product, to.version);
  const trouble = troubleOf(to);
  const hold = ((): LaneDirective['hold'] => {
    if (veto !== undefined) return { reason: 'vetoed', detail: veto.reason };
    return trouble === undefined ? null : { reason: 'not_available', detail: trouble };
  })();
  const budget = backBudget(way, rollout.policy);
  return {
    ...compiled,
    hold,
    raises: false,
    // Who is unwell may be so for the release that is taken back.
    unhealthy: 'update',
    takesBack: [rollout.version],
    // What went forward and is still at risk takes of the same limit.
    maxHot: Math.max(0, compiled.maxHot - hotIn({ steps: lane.steps, back: [] })),
    steps: compiled.steps.map((step) => ({ ...step, budget, strict: false })),
  };
}

const NOT_OPENED = 'the lane has not opened';

/**
 * The directive with the reason why its lane has not opened, for people. Agents are answered without: with it, whatever
 * moves elsewhere and changes the reason would wake all agents that wait.
 */
export function withLaneReason(directive: Directive, sentence: string | undefined): Directive {
  const { lane } = directive;
  if (sentence === undefined || lane?.hold?.detail !== NOT_OPENED) return directive;
  return { ...directive, lane: { ...lane, hold: { ...lane.hold, detail: `${NOT_OPENED}: ${sentence}` } } };
}

export function brakeFor(brakes: readonly Brake[], product: string, region: string): Brake | undefined {
  const scopes = ['fleet', `product:${product}`, `region:${region}`];
  return brakes.find((brake) => scopes.includes(brake.scope));
}

export function vetoFor(vetoes: readonly Veto[], product: string, version: string): Veto | undefined {
  return vetoes.find((veto) => veto.product === product && veto.version === version);
}

/** Of the product's releases: what runs with another digest is no build that was published. */
export function buildsOf(releases: readonly Release[], product: string): Builds {
  const builds: Record<string, string[]> = {};
  for (const release of releases) {
    if (release.product !== product) continue;
    for (const { sha256 } of release.artifacts) {
      const versions = (builds[sha256] ??= []);
      if (!versions.includes(release.version)) versions.push(release.version);
    }
  }
  return builds;
}

/** The first opened step that the agent is inside of; undefined: not in a step. */
export function stepOf(
  lane: Pick<LaneDirective, 'seed' | 'steps'>,
  agent: { id: string; hash?: number; labels: Record<string, string> },
): OpenedStep | undefined {
  const place = rank(agent.hash ?? hash32(agent.id), lane.seed);
  return lane.steps.find((step) =>
    step.labels === null
      ? !isBefore(step.threshold, step.thresholdId, place, agent.id)
      : carries(agent.labels, step.labels),
  );
}

/** The step that admits the agent: the one that it is a member of, else the first that it is inside of. */
export function admittingStep(
  lane: LaneDirective,
  agent: { id: string; hash?: number; labels: Record<string, string>; seats?: readonly Seat[] },
): OpenedStep | undefined {
  const seat = agent.seats?.find((one) => one.laneId === lane.laneId);
  // An agent that was away when an earlier step opened, and is a member of a later one, gives its evidence there.
  return (seat && lane.steps.find((step) => step.step === seat.step)) ?? stepOf(lane, agent);
}

export function carries(labels: Record<string, string>, wanted: Record<string, string>): boolean {
  // Asked for every agent at every check-in: without a list of pairs.
  for (const key in wanted) if (labels[key] !== wanted[key]) return false;
  return true;
}

function compileLane(input: DirectiveInput, lane: Lane, rollout: Rollout, release: Release): LaneDirective {
  const policy = rollout.policy;
  return {
    laneId: lane.id,
    rolloutId: rollout.id,
    version: rollout.version,
    raises: true,
    takesBack: [],
    seed: rollout.seed,
    budgetEpoch: lane.budgetEpoch,
    hold: laneHold(input, lane, policy, release),
    steps: lane.steps.map((step) => ({
      step: step.step,
      labels: policy.steps[step.step]?.labels ?? null,
      threshold: step.threshold,
      thresholdId: step.thresholdId,
      size: step.size,
      budget: budgetOf(step.size, policy, lane.allowance),
      strict: policy.steps[step.step]?.budget !== 'loose',
      counters: step.counters,
    })),
    artifacts: release.artifacts,
    absent: platformsHeld(input, lane, release, 'not_available'),
    unknown: platformsHeld(input, lane, release, 'availability_unknown'),
    requirements: requirementsFor(input.rules.requirements, input.rules.scheme, rollout.version),
    floors: floorsOn(input, lane, rollout.version),
    unhealthy: unhealthyUnder(policy),
    maxHot: policy.maxHot,
    maxDownloading: null,
    attemptsPerAgent: policy.attemptsPerAgent,
    retried: quarantineLane(rollout, lane).retried,
    stageWithinMs: policy.stageWithinMs,
    activateWithinMs: policy.activateWithinMs,
    proveWithinMs: policy.proveWithinMs,
    stableForMs: policy.stableForMs,
    attemptMs: attemptMs(policy),
    attemptBudgetMs: attemptBudgetMs(policy),
  };
}

export function downloadingIn({ steps }: Pick<LaneDirective, 'steps'>): number {
  return steps.reduce((sum, { counters }) => sum + counters.downloading, 0);
}

/** The same shape as a rollout's lane: one strict step for everybody, with the sliding budget of the baseline. */
function compileBaseline(input: DirectiveInput, baseline: BaselineInput): LaneDirective {
  const { lane, rollout, release, recentBad, outdated } = baseline;
  const { maxHot, badCount } = rollout.policy.baseline;
  const veto = vetoFor(input.vetoes, input.product, release.version);
  const trouble = troubleOf(release);
  const hold = ((): LaneDirective['hold'] => {
    if (lane.state.name === 'halted') return { reason: 'halted', detail: lane.state.reason };
    if (veto !== undefined) return { reason: 'vetoed', detail: veto.reason };
    if (trouble !== undefined) return { reason: 'not_available', detail: trouble };
    if (outdated) return { reason: 'not_in_step', detail: 'the baseline lane gives way to a new baseline' };
    return lane.state.name === 'open'
      ? null
      : { reason: 'not_in_step', detail: `the baseline lane is ${wordsOf(lane.state.name)}` };
  })();
  return {
    ...compileLane(input, lane, rollout, release),
    hold,
    maxHot,
    // A whole image of old agents must not download at once, only to wait for its turn to activate.
    maxDownloading: maxHot,
    takesBack: above(input.rules, rollout.version, baseline.takesBack ?? []),
    steps: lane.steps.map((step) => ({
      step: step.step,
      labels: null,
      threshold: step.threshold,
      thresholdId: step.thresholdId,
      size: step.size,
      budget: badCount,
      strict: true,
      counters: { ...step.counters, bad: recentBad },
    })),
  };
}

/** Of these versions those that are higher, up to a floor: what must not be jumped over is not jumped over downwards. */
function above(
  { scheme: name, floors }: DirectiveInput['rules'],
  version: string,
  others: readonly string[],
): string[] {
  const { parse, compare } = schemeOf(name);
  const isFree = (one: string) =>
    floors.every((floor) => compare(version, floor.version) >= 0 || compare(floor.version, one) > 0);
  return others.filter((one) => parse(one) !== undefined && compare(one, version) > 0 && isFree(one));
}

function laneHold(input: DirectiveInput, lane: Lane, policy: Policy, release: Release): LaneDirective['hold'] {
  const veto = vetoFor(input.vetoes, input.product, release.version);
  if (lane.state.name === 'halted') return { reason: 'halted', detail: lane.state.reason };
  if (veto !== undefined) return { reason: 'vetoed', detail: veto.reason };
  if (!isUsable(release)) return { reason: 'not_available', detail: release.why ?? release.state };
  if (lane.state.name === 'paused') return { reason: 'paused', detail: lane.state.reason };
  if (lane.state.name === 'waiting') return { reason: 'not_in_step', detail: NOT_OPENED };
  if (lane.state.name === 'completed' && !lane.state.evidence)
    return { reason: 'not_in_step', detail: 'nobody here could take it when its turn came, which comes again' };
  if (!isLiveLane(lane.state.name) || lane.state.name === 'rolling_back')
    return { reason: 'not_in_step', detail: `the lane is ${wordsOf(lane.state.name)}` };
  for (const step of lane.steps) {
    const found = verdict(step.size, step.counters, input.silence(lane.id, step.step), policy, lane.allowance);
    if (found.kind === 'halt')
      return { reason: 'halted', detail: `step ${step.step + 1} has spent its failure budget` };
  }
  if (input.givesWayTo !== undefined)
    return { reason: 'not_in_step', detail: `the lane gives way to ${input.givesWayTo}` };
  return null;
}

function floorsOn(input: DirectiveInput, lane: Lane, version: string): FloorStop[] {
  const vetoOf = (floor: string) => vetoFor(input.vetoes, input.product, floor);
  return floorsBelow(input.rules, version, input.releaseOf, vetoOf).map((stop) => ({
    ...stop,
    absent: platformsHeld(input, lane, stop, 'not_available'),
    unknown: platformsHeld(input, lane, stop, 'availability_unknown'),
  }));
}

function platformsHeld(
  { product, region, availability }: DirectiveInput,
  lane: Lane,
  { version, artifacts }: Pick<Stop, 'version' | 'artifacts'>,
  reason: ReturnType<typeof objectionToGrant>,
): string[] {
  const [first] = lane.steps;
  if (first === undefined) return [];
  return artifacts
    .map(({ platform }) => platform)
    .filter((platform) => {
      const row = availabilityAt(availability, { product, version, region, platform });
      return objectionToGrant(row, first.openedAt) === reason;
    });
}
