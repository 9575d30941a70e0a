// What the server keeps in memory of the database to answer check-ins: rollouts going out, brakes, and the compiled directives.

import type { Attempt } from '../domain/agent.ts';
import type { Availability } from '../domain/availability.ts';
import { isUsedUp } from '../domain/ceilings.ts';
import { type Considered, considerReleases } from '../domain/choose.ts';
import type { BaselineInput, Brake, Directive, LaneDirective, OpenedStep, Seat, Veto } from '../domain/directives.ts';
import { buildsOf, compileDirective, downloadingIn } from '../domain/directives.ts';
import { instantOf } from '../domain/gate.ts';
import type { HoldReason } from '../domain/holds.ts';
import { idleLanes } from '../domain/idle-lane.ts';
import { silenceOf } from '../domain/lane-verdict.ts';
import { type LeftOut, leftOut } from '../domain/left-out.ts';
import { countOccupied, type Limits, NO_LIMITS, type Occupied } from '../domain/limits.ts';
import { laneCensusOf, type Place, releaseAt } from '../domain/lookup.ts';
import { type MirroredRegion, mirrorUrl } from '../domain/mirror.ts';
import { outdatedBaselines } from '../domain/plan-baseline.ts';
import type { Presence } from '../domain/presence.ts';
import { opensAgainAt, regionStatus } from '../domain/region-window.ts';
import type { Release } from '../domain/release.ts';
import { takenBack } from '../domain/roll-back.ts';
import { isLiveLane, isTerminalLane, type Lane, type Rollout } from '../domain/rollout.ts';
import type { Calendar, CensusRow, Hold, LaneCensus, ProductRules, Snapshot } from '../domain/snapshot.ts';
import { givesWayTo, undisplaced } from '../domain/supersede.ts';
import type { Silence } from '../domain/verdict.ts';
import { schemeOf } from '../domain/version/schemes.ts';
import type { Builds } from '../domain/way.ts';
import type { Freeze } from '../domain/window.ts';
import { type Bitset, hasBit, newBitset } from './bitset.ts';
import { type ClockWatch, SOUND_CLOCK } from './clock-watch.ts';
import { type GrantLog, NO_GRANTS } from './grant-log.ts';

export interface ProductHold {
  product: string;
  reason: HoldReason;
  sentence: string;
  since: number;
  until: number | null;
}

/**
 * Everybody of the pair, or of the lane's agents that have staged as many as there is room for, by step; of those that wait
 * to download as many as may; or one agent.
 */
export type Wake =
  | { handle: number }
  | { product: string; region: string }
  | { laneId: string; room: Room }
  | DownloadRoom;

/** How many agents may begin to download now: of the region, and of the fleet. */
export interface DownloadRoom {
  region: string;
  downloads: number;
  fleet: number;
}

export interface Room {
  /** Free slots of the lane. */
  lane: number;
  /** What the budget of each opened step lets start now. */
  steps: Map<number, number>;
}

/** What of the config is in force at once, whatever rollouts have stored. */
export interface Surroundings {
  calendars: readonly Calendar[];
  freezes: readonly Freeze[];
  limits: Limits;
  /** Mirrors by region, and how old their word may be. */
  mirrors: { regions: readonly MirroredRegion[]; maxAgeMs: number };
}

export interface DirectiveRows {
  brakes: readonly Brake[];
  vetoes: readonly Veto[];
  occupied: Occupied;
  /** Milliseconds since the epoch. */
  now: number;
  /** The baseline lane as the transaction has read it; undefined: as memory has it. */
  baseline?: Lane | null;
  recentBad?: Readonly<Record<string, number>>;
}

/** Nobody writes to the sets that memory gives out. */
const NOBODY = newBitset();
const NONE: ReadonlySet<number> = new Set();

export class Memory {
  readonly rules: readonly ProductRules[];
  readonly regions: readonly string[];
  private rollouts: readonly Rollout[] = [];
  private releases: readonly Release[] = [];
  private baselineLanes: readonly Lane[] = [];
  private baselineRollouts: readonly Rollout[] = [];
  private recentBad: Readonly<Record<string, number>> = {};
  private availability: readonly Availability[] = [];
  private brakes: readonly Brake[] = [];
  private vetoes: readonly Veto[] = [];
  private lanes: readonly LaneCensus[] = [];
  private rows: readonly CensusRow[] = [];
  private builds = new Map<string, Builds>();
  private heldProducts = new Map<string, ProductHold>();
  private considered = new Map<string, Considered>();
  /** Lanes that do not give way although a newer release is there. */
  private undisplaced: ReadonlySet<string> = new Set();
  /** Versions that regions have taken back, by `product region`. */
  private takenBack: ReadonlyMap<string, readonly string[]> = new Map();
  /** Lanes that nobody could take the release in, by `product region`: agents are told why. */
  private idle: ReadonlyMap<string, Place> = new Map();
  /** What goes past a region, by `product region`. */
  private leftOut: ReadonlyMap<string, LeftOut> = new Map();
  /** Baseline lanes that give way to another one. */
  private outdated: ReadonlySet<string> = new Set();
  /** By lane, then by step. */
  private readonly members = new Map<string, (Bitset | undefined)[]>();
  /** By lane, then by step: members that the roster takes for gone, and the books for updated. */
  private readonly proven = new Map<string, Map<number, ReadonlySet<number>>>();
  private directives = new Map<string, Map<string, Directive>>();
  /** The lane that each pair follows; as fresh as the directives. */
  private followed = new Map<string, Map<string, Lane | null>>();

  readonly surroundings: Surroundings;
  /** What was granted of late, for the ceilings. */
  readonly grants: GrantLog;
  readonly clock: ClockWatch;
  private occupied: Occupied = countOccupied([], NO_LIMITS);

  constructor(
    rules: readonly ProductRules[],
    regions: readonly string[],
    surroundings: Surroundings,
    { grants, clock }: { grants: GrantLog; clock: ClockWatch } = { grants: NO_GRANTS, clock: SOUND_CLOCK },
  ) {
    this.rules = rules;
    this.regions = regions;
    this.surroundings = surroundings;
    this.grants = grants;
    this.clock = clock;
  }

  /** Takes over what a planning pass has read and written. Returns the pairs whose directive changed. */
  setSnapshot(snapshot: Snapshot, report: readonly Hold[], now: number, occupied: Occupied): Wake[] {
    this.occupied = occupied;
    this.rollouts = snapshot.rollouts.filter((rollout) => rollout.endedAt === null);
    this.releases = snapshot.releases;
    this.baselineLanes = snapshot.baselineLanes.filter((lane) => !isTerminalLane(lane.state.name));
    this.baselineRollouts = snapshot.rollouts.filter((one) =>
      this.baselineLanes.some((lane) => lane.rolloutId === one.id),
    );
    this.recentBad = snapshot.recentBad;
    // Asked of the whole snapshot: memory forgets the ended rollouts that passed a region by.
    this.undisplaced = undisplaced(snapshot, now);
    this.outdated = outdatedBaselines(snapshot);
    this.takenBack = takenBack(snapshot);
    this.leftOut = new Map(
      this.rules.flatMap((rule) =>
        [...leftOut(snapshot, rule)].map(([region, found]) => [`${rule.name} ${region}`, found] as const),
      ),
    );
    this.idle = new Map(
      this.rules
        .flatMap((rule) => idleLanes(snapshot, rule))
        .map((place) => [`${place.lane.product} ${place.lane.region}`, place]),
    );
    // Few rows: those of the releases that go out or stand as a baseline.
    const given = new Set(
      [...this.rollouts, ...this.baselineRollouts, ...this.backTargets(), ...floorsOf(this.rules)].map(
        ({ product, version }) => `${product} ${version}`,
      ),
    );
    this.availability = snapshot.availability.filter((row) => given.has(`${row.product} ${row.version}`));
    this.brakes = snapshot.brakes;
    this.vetoes = snapshot.vetoes;
    this.lanes = snapshot.lanes;
    this.rows = snapshot.census;
    this.heldProducts = heldProducts(report, this.heldProducts, now);
    this.considered = new Map(this.rules.map((rule) => [rule.name, considerReleases(snapshot, rule, now)]));
    this.builds = new Map(this.rules.map((rule) => [rule.name, buildsOf(snapshot.releases, rule.name)]));
    this.forgetMembers();
    return this.recompile(now);
  }

  /** Takes over what a ledger's batch has committed. */
  setLanes(
    lanes: readonly Lane[],
    vetoes: readonly Veto[],
    brakes: readonly Brake[],
    now: number,
    occupied: Occupied,
    recentBad: Readonly<Record<string, number>> = {},
  ): Wake[] {
    this.occupied = occupied;
    const byId = new Map(lanes.map((lane) => [lane.id, lane]));
    this.rollouts = this.rollouts.map((rollout) =>
      rollout.lanes.some((lane) => byId.has(lane.id))
        ? { ...rollout, lanes: rollout.lanes.map((lane) => byId.get(lane.id) ?? lane) }
        : rollout,
    );
    this.baselineLanes = this.baselineLanes.map((lane) => byId.get(lane.id) ?? lane);
    this.recentBad = { ...this.recentBad, ...recentBad };
    this.vetoes = vetoes;
    this.brakes = brakes;
    return this.recompile(now);
  }

  directive(product: string, region: string): Directive | undefined {
    return this.directives.get(product)?.get(region);
  }

  /** The directive as it would be with these rows: what the ledger asks inside its transaction. */
  compile(product: string, region: string, lane: Lane | null, rows: DirectiveRows): Directive | undefined {
    const { brakes, vetoes, occupied, now } = rows;
    const baselineLane = rows.baseline === undefined ? this.baselineLaneFor(product, region) : rows.baseline;
    const rules = this.rules.find((one) => one.name === product);
    if (rules === undefined || !this.regions.includes(region)) return undefined;
    const idle = this.idle.get(`${product} ${region}`);
    if (idle !== undefined && lane?.id !== idle.lane.id && (lane === null || isTerminalLane(lane.state.name)))
      return this.compile(product, region, idle.lane, rows);
    const rollout = lane === null ? null : (this.going(lane) ?? null);
    const release = rollout === null ? null : (this.releases.find((one) => one.id === rollout.releaseId) ?? null);
    const candidates = { releases: this.releases, vetoes, rollouts: this.rollouts };
    const window = regionStatus(this.surroundings, region, now);
    return compileDirective({
      product,
      region,
      rules,
      releaseOf: (version) => releaseAt(this.releases, product, version),
      lane,
      rollout,
      release,
      backTo: this.backTo(lane),
      builds: this.builds.get(product) ?? {},
      brakes,
      clock: this.clock.look(),
      vetoes,
      silence: (laneId, step) => this.silence(laneId, step),
      availability: this.availability,
      baseline: this.baselineInput(baselineLane, rows.recentBad ?? this.recentBad),
      window,
      opensAgainAt: opensAgainAt(this.surroundings, region, window),
      limits: this.surroundings.limits,
      occupied,
      leftOut: this.leftOut.get(`${product} ${region}`),
      givesWayTo:
        lane === null || rollout === null || this.undisplaced.has(lane.id)
          ? undefined
          : givesWayTo(candidates, rollout, lane),
    });
  }

  private going({ id, rolloutId, product, region }: Lane): Rollout | undefined {
    const idle = this.idle.get(`${product} ${region}`);
    return idle?.lane.id === id ? idle.rollout : this.rollouts.find((one) => one.id === rolloutId);
  }

  /** As of the last census. */
  silence(laneId: string, step: number): Silence {
    return silenceOf(this.lanes, laneId, step);
  }

  /** As of the last census; undefined for a step that was not opened yet then. */
  presence(laneId: string, step: number): Presence | undefined {
    return laneCensusOf(this.lanes, laneId)?.steps.find((one) => one.step === step);
  }

  private backTo(lane: Lane | null): Release | null {
    if (lane?.state.name !== 'rolling_back') return null;
    const { releaseId } = lane.state.to;
    return this.releases.find((one) => one.id === releaseId) ?? null;
  }

  /** What lanes that roll back lead to. */
  private backTargets(): { product: string; version: string }[] {
    return this.rollouts.flatMap(({ product, lanes }) =>
      lanes.flatMap(({ state }) => (state.name === 'rolling_back' ? [{ product, version: state.to.version }] : [])),
    );
  }

  /** The highest release that may be let out, as of the last plan. */
  newest(product: string): string | null {
    return this.considered.get(product)?.choice.release?.version ?? null;
  }

  /** Why a release above that is not let out, and until when where that is known; null: nothing stands against it. */
  whyNot(product: string, version: string): string | null {
    const found = this.considered.get(product)?.refused.get(version);
    if (found === undefined) return null;
    return found.until === null ? found.sentence : `${found.sentence}; until ${instantOf(found.until)}`;
  }

  /** The lane that the region's agents follow: the live one, else the newest that has not ended. */
  laneFor(product: string, region: string): Lane | null {
    const known = this.followed.get(product)?.get(region);
    return known === undefined ? this.findLane(product, region) : known;
  }

  private findLane(product: string, region: string): Lane | null {
    const lanes = this.rollouts
      .filter((rollout) => rollout.product === product)
      .flatMap((rollout) => rollout.lanes.filter((lane) => lane.region === region));
    return lanes.find((lane) => isLiveLane(lane.state.name)) ?? lanes.at(-1) ?? null;
  }

  /** As of the last plan; undefined for one that is not known. */
  releaseOf(product: string, version: string): Release | undefined {
    return releaseAt(this.releases, product, version);
  }

  /** Versions whose availability matters: what goes out, is chosen, or stands as a baseline. */
  wanted(): { product: string; version: string }[] {
    const going = [...this.rollouts, ...this.baselineRollouts].map(({ product, version }) => ({ product, version }));
    const chosen = [...this.considered].flatMap(([product, { choice }]) =>
      choice.release === null ? [] : [{ product, version: choice.release.version }],
    );
    return [
      ...going,
      ...chosen,
      ...this.backTargets(),
      ...floorsOf(this.rules).filter((floor) => this.isNeeded(floor)),
    ];
  }

  /** Somebody runs a lower version: the way up may go over it. */
  private isNeeded({ product, version, scheme }: ReturnType<typeof floorsOf>[number]): boolean {
    return this.rows.some(
      (row) =>
        row.product === product &&
        schemeOf(scheme).parse(row.version) !== undefined &&
        schemeOf(scheme).compare(row.version, version) < 0,
    );
  }

  /** Where the attempt's file lies on its region's mirror; null without one. */
  mirrorUrlFor(attempt: Attempt, region: string): string | null {
    const mirrored = this.surroundings.mirrors.regions.find((one) => one.name === region);
    const release = this.releases.find((one) => one.product === attempt.product && one.version === attempt.version);
    const artifact = release?.artifacts.find((one) => one.sha256 === attempt.sha256);
    if (mirrored === undefined || release === undefined || artifact === undefined) return null;
    return mirrorUrl(mirrored, attempt.product, release, artifact);
  }

  baselineLaneFor(product: string, region: string): Lane | null {
    return this.baselineLanes.find((lane) => lane.product === product && lane.region === region) ?? null;
  }

  private baselineInput(lane: Lane | null, recentBad: Readonly<Record<string, number>>): BaselineInput | null {
    const rollout = lane === null ? undefined : this.rollout(lane.rolloutId);
    const release = rollout === undefined ? undefined : this.releases.find((one) => one.id === rollout.releaseId);
    if (lane === null || rollout === undefined || release === undefined) return null;
    const takesBack = this.takenBack.get(`${lane.product} ${lane.region}`) ?? [];
    const outdated = this.outdated.has(lane.id);
    return { lane, rollout, release, recentBad: recentBad[lane.id] ?? 0, takesBack, outdated };
  }

  rollout(id: string): Rollout | undefined {
    const isWanted = (rollout: Rollout) => rollout.id === id;
    return this.rollouts.find(isWanted) ?? this.baselineRollouts.find(isWanted);
  }

  /** What holds products that have nothing going out; since the pass that found it first. */
  productHolds(): ProductHold[] {
    return [...this.heldProducts.values()];
  }

  census(): readonly CensusRow[] {
    return this.rows;
  }

  hasLiveLane(): boolean {
    return this.rollouts.some((rollout) => rollout.lanes.some((lane) => isLiveLane(lane.state.name)));
  }

  membersOf(laneId: string, step: number): Bitset {
    return this.members.get(laneId)?.[step] ?? NOBODY;
  }

  hasMembers(laneId: string, step: number): boolean {
    return this.members.get(laneId)?.[step] !== undefined;
  }

  /** The steps that the agent was frozen into, in the lanes that its products follow. */
  seatsOf(handle: number, region: string, products: readonly { product: string }[]): Seat[] {
    const seats: Seat[] = [];
    for (const { product } of products) {
      const lane = this.laneFor(product, region);
      const step = lane?.steps.find((one) => hasBit(this.membersOf(lane.id, one.step), handle));
      if (lane !== null && step !== undefined) seats.push({ laneId: lane.id, step: step.step });
    }
    return seats;
  }

  setMembers(laneId: string, step: number, members: Bitset): void {
    const steps = this.members.get(laneId) ?? [];
    steps[step] = members;
    this.members.set(laneId, steps);
  }

  provenOf(laneId: string, step: number): ReadonlySet<number> {
    return this.proven.get(laneId)?.get(step) ?? NONE;
  }

  /** The books have been asked about those who seem to be gone: the census counts these as updated from then on. */
  setProven(laneId: string, step: number, handles: readonly number[]): void {
    const steps = this.proven.get(laneId) ?? new Map<number, ReadonlySet<number>>();
    this.proven.set(laneId, steps.set(step, new Set(handles)));
  }

  /** Of rollouts that have ended: a bitset for every step that there ever was would grow for ever. */
  private forgetMembers(): void {
    const going = new Set(this.rollouts.flatMap((rollout) => rollout.lanes.map((lane) => lane.id)));
    for (const laneId of this.members.keys()) if (!going.has(laneId)) this.members.delete(laneId);
    for (const laneId of this.proven.keys()) if (!going.has(laneId)) this.proven.delete(laneId);
  }

  private recompile(now: number): Wake[] {
    const before = this.directives;
    const rows = { brakes: this.brakes, vetoes: this.vetoes, occupied: this.occupied, now };
    this.directives = new Map();
    this.followed = new Map();
    const changed: Wake[] = [];
    for (const { name: product } of this.rules) {
      const [directives, followed] = [new Map<string, Directive>(), new Map<string, Lane | null>()];
      this.directives.set(product, directives);
      this.followed.set(product, followed);
      for (const region of this.regions) {
        const lane = this.findLane(product, region);
        followed.set(region, lane);
        const directive = this.compile(product, region, lane, rows);
        if (directive === undefined) continue;
        directives.set(region, directive);
        changed.push(...wakesFor(before.get(product)?.get(region), directive));
      }
    }
    return changed;
  }
}

function floorsOf(rules: readonly ProductRules[]) {
  return rules.flatMap(({ name, scheme, floors }) => floors.map(({ version }) => ({ product: name, version, scheme })));
}

function heldProducts(
  report: readonly Hold[],
  before: Map<string, ProductHold>,
  now: number,
): Map<string, ProductHold> {
  const held = new Map<string, ProductHold>();
  for (const { subject, reason, sentence, since: told, until } of report) {
    if (!('product' in subject)) continue;
    const known = before.get(subject.product);
    const since = told ?? (known?.reason === reason ? known.since : now);
    held.set(subject.product, { product: subject.product, reason, sentence, since, until });
  }
  return held;
}

/** Who has to ask again: everybody of the pair when the lane moved, only those who can start now when just counters did. */
function wakesFor(before: Directive | undefined, after: Directive): Wake[] {
  if (before === undefined || shape(before) !== shape(after)) return [{ product: after.product, region: after.region }];
  // A slot of the fleet or of a site that has become free may be for a lane whose own counters have not changed.
  const freed =
    after.occupied.fleet < before.occupied.fleet ||
    (before.occupied.ceilings.some(isUsedUp) && !after.occupied.ceilings.some(isUsedUp));
  const lanes = [
    [before.lane, after.lane],
    [before.baseline, after.baseline],
  ] as const;
  const thirsty = [...freedDownloads(before, after), ...freedNewcomers(before, after)];
  const staged = lanes.flatMap(([old, lane]) =>
    lane === null || (!freed && JSON.stringify(old) === JSON.stringify(lane))
      ? []
      : [{ laneId: lane.laneId, room: roomOf(lane) }],
  );
  return [...thirsty, ...staged];
}

/** Where some that downloaded have come to an end. */
function freedDownloads(before: Directive, { region, limits, occupied }: Directive): DownloadRoom[] {
  const [was, now] = [before.occupied.downloads, occupied.downloads];
  const [wasHere, here] = [was.byRegion[region] ?? 0, now.byRegion[region] ?? 0];
  if (now.fleet >= was.fleet && here >= wasHere) return [];
  const room = (max: number | null, used: number) => (max === null ? Number.POSITIVE_INFINITY : max - used);
  const fleet = room(limits.downloads.fleet, now.fleet);
  return [{ region, downloads: Math.min(fleet, room(limits.downloads.region, here)), fleet }];
}

/** The baseline lane bounds its own downloads. */
function freedNewcomers(before: Directive, { region, baseline }: Directive): DownloadRoom[] {
  if (baseline === null || baseline.maxDownloading === null || before.baseline === null) return [];
  const here = downloadingIn(baseline);
  if (here >= downloadingIn(before.baseline)) return [];
  return [{ region, downloads: baseline.maxDownloading - here, fleet: Number.POSITIVE_INFINITY }];
}

/** How many to wake; whether one of them is granted, `decide` says. */
function roomOf(lane: LaneDirective): Room {
  const hot = lane.steps.reduce((sum, step) => sum + step.counters.hot, 0);
  const left = (step: OpenedStep) => {
    const unspent = step.budget - step.counters.bad;
    if (unspent <= 0) return 0;
    return step.strict ? unspent - step.counters.hot : Number.POSITIVE_INFINITY;
  };
  return { lane: lane.maxHot - hot, steps: new Map(lane.steps.map((step) => [step.step, left(step)])) };
}

function shape(directive: Directive): string {
  const { lane } = directive;
  const baseline =
    directive.baseline === null
      ? null
      : [
          directive.baseline.laneId,
          directive.baseline.budgetEpoch,
          directive.baseline.takesBack,
          directive.baseline.hold,
          directive.baseline.absent,
          directive.baseline.unknown,
          directive.baseline.floors.map((floor) => [floor.absent, floor.unknown, floor.trouble]),
        ];
  if (lane === null) return JSON.stringify([directive.brake, directive.clock, directive.window, baseline]);
  return JSON.stringify([
    directive.brake,
    directive.clock,
    directive.window,
    baseline,
    lane.laneId,
    lane.budgetEpoch,
    lane.hold,
    lane.absent,
    lane.unknown,
    lane.floors.map((floor) => [floor.absent, floor.unknown, floor.trouble]),
    lane.steps.map((step) => [step.step, step.threshold, step.thresholdId]),
  ]);
}
