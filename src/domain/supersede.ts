// Whether a lane gives way to a newer rollout of its product, and what it does until it can.
import { isOutOfReach } from './back-gates.ts';
import { type Veto, vetoFor } from './directives.ts';
import { hold } from './gate.ts';
import { verdictOf } from './lane-verdict.ts';
import { laneCensusOf, lanesThere, type Place, releaseOf, rolloutsOf } from './lookup.ts';
import { nextStep } from './opening-gates.ts';
import { type LaneInput, type LaneStep, planLane } from './plan-lane.ts';
import { type Release, troubleOf } from './release.ts';
import { isLiveLane, isTerminalLane, type Lane, type LaneStateName, passesWave, type Rollout } from './rollout.ts';
import type { Snapshot } from './snapshot.ts';
import { NO_SILENCE, verdict } from './verdict.ts';
import { hotIn } from './way-back.ts';

/** What a successor is looked for in; a snapshot is one. */
export interface Candidates {
  releases: readonly Release[];
  vetoes: readonly Veto[];
  /** Oldest first. */
  rollouts: readonly Rollout[];
}

/**
 * The newest rollout of the product created after this one (it was the choice then) whose release may still go out in the
 * region: one that may not, or that has ended there without completing, takes nobody's place.
 */
export function successorOf(candidates: Candidates, rollout: Rollout, region: string): Rollout | undefined {
  const rollouts = rolloutsOf(candidates.rollouts, rollout.product);
  const place = rollouts.findIndex((one) => one.id === rollout.id);
  return rollouts.findLast((one, index) => index > place && !isBarred(candidates, one) && !isOverIn(one, region));
}

const OVER: ReadonlySet<LaneStateName> = new Set(['cancelled', 'superseded', 'rolled_back']);

/** Cancelled by a person, say: it goes to nobody there, so there is nothing to give way to. */
function isOverIn({ lanes }: Rollout, region: string): boolean {
  const there = lanes.find((lane) => lane.region === region);
  if (there !== undefined) return OVER.has(there.state.name);
  return lanes.length > 0 && lanes.every(({ state }) => OVER.has(state.name));
}

/** Live lanes that go first although their policy says `replace`: they go on granting. By id. */
export function undisplaced(snapshot: Snapshot, now: number): Set<string> {
  const replaceable = snapshot.rollouts.filter((one) => one.endedAt === null && one.policy.supersede === 'replace');
  return new Set(
    replaceable.flatMap((rollout) => {
      const rollouts = snapshot.rollouts.filter((one) => one.product === rollout.product);
      const first = rollout.lanes.filter((lane) => goesFirst({ snapshot, rollouts, rollout, lane, now }) !== undefined);
      return first.map((lane) => lane.id);
    }),
  );
}

/**
 * The newer version for which a live lane stops granting; undefined where the lane goes on. Of a lane that goes first
 * it must not be asked.
 */
export function givesWayTo(candidates: Candidates, rollout: Rollout, lane: Lane): string | undefined {
  if (rollout.policy.supersede !== 'replace' || !isLiveLane(lane.state.name)) return undefined;
  return lane.state.name === 'rolling_back' ? undefined : successorOf(candidates, rollout, lane.region)?.version;
}

/** A region that newer releases have passed by too often, for whose sake a lane goes first. */
export interface Owed {
  region: string;
  /** Rollouts in a row that were superseded there before they began, or replaced before they had ended. */
  skips: number;
}

/**
 * Why a lane is not superseded and newer ones wait behind it: its region, or one of a later wave for which it has to
 * complete, has been passed by `maxSkips` times. Never for a lane that cannot go on.
 */
export function goesFirst(input: LaneInput): Owed | undefined {
  const { rollout, lane } = input;
  if (!isOnItsWay(lane)) return undefined;
  const places = rollout.lanes.filter((one) => one.id === lane.id || one.wave > lane.wave);
  for (const place of places) {
    const skips = skipsIn({ ...input, lane: place });
    if (skips < rollout.policy.maxSkips || !isOnItsWay(place)) continue;
    const at = { ...input, lane: place };
    if (!isStuck(at) && !isBehindStuck(at)) return { region: place.region, skips };
  }
  return undefined;
}

/**
 * Older rollouts that could not end in the region for the sake of newer ones, since one last completed there; none while
 * it is the turn of one of them.
 */
function skipsIn(input: LaneInput): number {
  const { snapshot, rollouts, rollout, lane } = input;
  const { older, skipped, replaced, waiting } = passedBy(rollouts, lane);
  // Most regions are far from it: what the older ones wait for is asked only where it matters.
  if (skipped + replaced.length + waiting.length < rollout.policy.maxSkips) return 0;
  const hasTurn = older.some((one) => isLiveLane(one.lane.state.name)) || waiting.some((one) => isFirst(input, one));
  // What may go out no more had to end there, whatever came after it.
  const hindered = replaced.filter((one) => !isBarred(snapshot, one.rollout));
  return hasTurn ? 0 : skipped + hindered.length + waiting.length;
}

/** What older rollouts have in the lane's region. */
interface Passed {
  older: readonly Place[];
  /** Superseded before they began, since one last completed there. A lane without steps never began. */
  skipped: number;
  /** Superseded in the middle since then, with nothing against them: so many hosts there have had none of them. */
  replaced: readonly Place[];
  waiting: readonly Place[];
}

const passedIn = new WeakMap<readonly Rollout[], Map<string, Passed>>();

/** Every lane of an earlier wave asks it, so it is counted once for each list of rollouts, which is never changed. */
function passedBy(rollouts: readonly Rollout[], lane: Lane): Passed {
  const known = passedIn.get(rollouts) ?? new Map<string, Passed>();
  passedIn.set(rollouts, known);
  const found = known.get(lane.id) ?? countPassed(rollouts, lane);
  known.set(lane.id, found);
  return found;
}

function countPassed(rollouts: readonly Rollout[], lane: Lane): Passed {
  const all = lanesThere(rollouts, lane.region);
  const end = all.findIndex((one) => one.rollout.id === lane.rolloutId);
  const older = all.slice(0, end);
  const completedAt = Math.max(
    ...older.map((one) => (one.lane.state.name === 'completed' ? one.lane.state.since : Number.NEGATIVE_INFINITY)),
  );
  const superseded = older.filter(({ lane: { state } }) => state.name === 'superseded' && state.since > completedAt);
  const begun = superseded.filter((one) => one.lane.steps.length > 0);
  return {
    older,
    skipped: superseded.length - begun.length,
    replaced: begun.filter(isReplaced),
    waiting: older.filter((one) => one.lane.state.name === 'waiting'),
  };
}

/** In no other mode a lane that can go on is superseded once it has begun. */
function isReplaced({ rollout, lane }: Place): boolean {
  if (rollout.policy.supersede !== 'replace') return false;
  return lane.steps.every((step) => {
    const { kind } = verdict(step.size, step.counters, NO_SILENCE, rollout.policy, lane.allowance);
    return kind !== 'halt' && (step.done || kind !== 'hold');
  });
}

function isFirst(input: LaneInput, older: Place): boolean {
  return older.rollout.policy.supersede === 'finish' || goesFirst({ ...input, ...older }) !== undefined;
}

/** Waiting for its turn, or having it. */
function isOnItsWay({ state }: Lane): boolean {
  return state.name === 'waiting' || (isLiveLane(state.name) && state.name !== 'rolling_back');
}

/** Undefined where the lane goes on by itself. */
export function planSupersede(input: LaneInput): LaneStep | undefined {
  const { snapshot, rollout, lane } = input;
  const state = lane.state.name;
  if (state === 'rolling_back' && !isBackStuck(input)) return undefined;
  const newer = successorOf(snapshot, rollout, lane.region);
  if (newer === undefined || goesFirst(input) !== undefined) return undefined;
  const replaced = givesWayTo(snapshot, rollout, lane) !== undefined;
  const unstarted = state === 'waiting' && (rollout.policy.supersede !== 'finish' || isBehindStuck(input));
  if (!replaced && !unstarted && !isStuck(input)) return undefined;
  const hot = hotIn(lane);
  if (hot === 0) return { action: { kind: 'supersede_lane', laneId: lane.id, by: newer.id } };
  // Nothing more is granted; what is hot ends by itself, and no step opens meanwhile. A pause says more.
  if (!replaced || state === 'paused') return undefined;
  return hold('older_lane', `this one; ${newer.version} takes its place when what is at risk here has ended (${hot})`);
}

/** In a later wave than a lane that cannot go on, or that ended without completing: its own wave never comes. */
function isBehindStuck(input: LaneInput): boolean {
  return input.rollout.lanes.some((lane) => {
    const ended = isTerminalLane(lane.state.name) && !passesWave(lane);
    return lane.wave < input.lane.wave && (ended || isStuck({ ...input, lane }));
  });
}

/**
 * Whoever is left to be taken back cannot have what they go back to. As long as anybody else can, they go first: a fix
 * finds the region as far back as it comes.
 */
function isBackStuck(input: LaneInput): boolean {
  const platforms = laneCensusOf(input.snapshot.lanes, input.lane.id)?.back?.platforms ?? [];
  return platforms.length > 0 && platforms.every((platform) => isOutOfReach(input, platform));
}

/** Halted, holding for want of evidence or of anybody to give it, by a metric that does not mend itself, or with a release that may not go out any more. */
function isStuck(input: LaneInput): boolean {
  const { snapshot, rollout, lane } = input;
  if (lane.state.name === 'halted' || isBarred(snapshot, rollout)) return true;
  // Whoever comes back has the newer release to wait for.
  if (lane.state.name === 'waiting') return nextStep(input).kind === 'empty';
  if (lane.state.name === 'open')
    return lane.steps.some((step) => !step.done && verdictOf(input, step).kind === 'hold');
  return lane.state.name === 'soaking' && holdsForGood(input);
}

function holdsForGood(input: LaneInput): boolean {
  const step = planLane(input);
  return 'hold' in step && (step.hold?.reason === 'silent' || step.hold?.reason === 'metric_failing');
}

function isBarred({ releases, vetoes }: Pick<Candidates, 'releases' | 'vetoes'>, rollout: Rollout): boolean {
  if (troubleOf(releaseOf(releases, rollout.releaseId)) !== undefined) return true;
  return vetoFor(vetoes, rollout.product, rollout.version) !== undefined;
}
