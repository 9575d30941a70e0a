// One look of the planner on the virtual clock: the same `plan` and `apply` as the engine's, until nothing moves.
import { assert } from '../../errors.ts';
import { applyActions } from '../apply.ts';
import { plan } from '../plan.ts';
import { regionSpan } from '../region-window.ts';
import { isUsable } from '../release.ts';
import { isLiveLane, isTerminalLane, type Lane, type Rollout } from '../rollout.ts';
import { nextRun } from '../schedule.ts';
import type { Action, Hold, Snapshot } from '../snapshot.ts';
import { undisplaced } from '../supersede.ts';
import { letGo, quench, withdrawAll } from './attempts.ts';
import { phaseOf } from './fleet.ts';
import { noteHold, noteLane, recordOf } from './record.ts';
import { availabilityOf, freezeIn, newId, type Place, snapshotOf, type World } from './world.ts';

/** As many as the engine takes: a pass that moved something is followed by another, which counts what is new. */
const MAX_PASSES = 20;

/** Plans until nothing moves, and says what holds the product and its lanes then. */
export function planNow(world: World): Hold[] {
  world.planDue = false;
  showReleases(world);
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    const snapshot = snapshotOf(world);
    const { actions, report } = plan(snapshot, world.now);
    if (actions.length === 0) {
      settle(world, snapshot, report);
      return report;
    }
    takeOver(world, snapshot, actions);
  }
  assert(false, 'planning settles');
}

function takeOver(world: World, before: Snapshot, actions: readonly Action[]): void {
  let snapshot = before;
  for (const action of actions) {
    const named = nameSuccessor(action, snapshot);
    const options = { now: world.now, newId: () => newId(world) };
    snapshot = frozen(world, applyActions(snapshot, [named], options), named);
    adopt(world, snapshot);
    afterwards(world, named);
  }
  world.base = { ...snapshot, rollouts: [], lanes: [], census: [] };
}

/** `plan` names what it has just asked for by placeholder, and a rollout that supersedes is the only one so named. */
function nameSuccessor(action: Action, { rollouts }: Snapshot): Action {
  if (action.kind !== 'supersede_lane' || !action.by.startsWith('new:')) return action;
  return { ...action, by: rollouts.at(-1)?.id ?? action.by };
}

/** The members of a step that opens, as they are before it does. */
function frozen(world: World, snapshot: Snapshot, action: Action): Snapshot {
  if (action.kind !== 'open_step') return snapshot;
  const place = placeOf(world, action.laneId);
  const { members, threshold, thresholdId } = freezeIn(world, place, action.step);
  for (const agent of members) {
    agent.seat = { laneId: action.laneId, step: action.step };
    const at = world.now + phaseOf(agent, world.input.pace.pollMs, world.input.seed);
    world.events.push(at, { kind: 'ask', place, agent });
  }
  const sized = (lane: Lane): Lane =>
    lane.id !== action.laneId
      ? lane
      : {
          ...lane,
          steps: lane.steps.map((one) =>
            one.step === action.step ? { ...one, size: members.length, threshold, thresholdId } : one,
          ),
        };
  return { ...snapshot, rollouts: snapshot.rollouts.map((one) => ({ ...one, lanes: one.lanes.map(sized) })) };
}

/** The model's lanes as the snapshot has them. */
function adopt(world: World, snapshot: Snapshot): void {
  world.rollouts = snapshot.rollouts;
  for (const rollout of snapshot.rollouts) {
    for (const lane of rollout.lanes) {
      const known = world.places.get(lane.id);
      if (known === undefined) world.places.set(lane.id, placeFor(world, rollout, lane));
      else if (known.lane !== lane) {
        known.lane = lane;
        known.directive = null;
      }
    }
  }
}

function placeFor(world: World, rollout: Rollout, lane: Lane): Place {
  const release = world.base.releases.find((one) => one.id === rollout.releaseId);
  const region = world.regions.get(lane.region);
  assert(region !== undefined, `${lane.region} is a region of the model`);
  return {
    lane,
    rollout,
    region,
    record: recordOf({ ...lane, version: rollout.version }),
    platforms: new Set(release?.artifacts.map(({ platform }) => platform)),
    ranked: null,
    previews: { key: '', rows: [] },
    directive: null,
    ready: new Map(),
    ungranted: new Set(),
    idle: [],
    idleSince: -1,
    thirsty: { agents: [], head: 0, held: null },
    verdicts: [],
  };
}

function afterwards(world: World, action: Action): void {
  switch (action.kind) {
    case 'await_approval': {
      const { approveAfterMs } = world.input;
      if (approveAfterMs === null) return;
      const place = placeOf(world, action.laneId);
      world.events.push(world.now + approveAfterMs, { kind: 'approve', place, step: action.step });
      return;
    }
    case 'complete_lane':
    case 'halt_lane':
    case 'supersede_lane': {
      const place = world.places.get(action.laneId);
      if (place !== undefined) withdrawAll(world, place);
    }
  }
}

function placeOf(world: World, laneId: string): Place {
  const place = world.places.get(laneId);
  assert(place !== undefined, `${laneId} is a lane of the model`);
  return place;
}

/** Nothing moves now: notes it, asks who waits again, and sees to it that planning looks again when something may change. */
function settle(world: World, snapshot: Snapshot, report: readonly Hold[]): void {
  world.undisplaced = undisplaced(snapshot, world.now);
  const holds = new Map(report.flatMap((hold) => ('laneId' in hold.subject ? [[hold.subject.laneId, hold]] : [])));
  for (const rollout of world.rollouts) {
    for (const { id } of rollout.lanes) {
      const place = placeOf(world, id);
      const { lane, record } = place;
      if (isTerminalLane(record.state)) continue;
      noteLane(record, lane, world.now);
      noteHold(record, 'lane', holds.get(id), world.now);
      // A window may have opened or closed.
      place.directive = null;
      if (place.ready.size > 0) letGo(world, place);
      else noteHold(record, 'agents', undefined, world.now);
      if (lane.state.name === 'open' || lane.state.name === 'waiting') lookAtEdge(world, lane.region);
      if (!isLiveLane(lane.state.name)) continue;
      // What was withdrawn elsewhere may have made room for downloads.
      quench(world, place);
      const idle = place.idle;
      place.idle = [];
      const isNews = lane.revision !== place.idleSince;
      if (isNews) for (const agent of idle) world.events.push(world.now, { kind: 'ask', place, agent });
      else place.idle = idle;
      place.idleSince = lane.revision;
    }
  }
  // A ceiling lets agents go one by one, which is no matter of planning.
  for (const { until, reason } of report) if (until !== null && reason !== 'ceiling') lookAt(world, until);
  for (const { schedule } of [world.input.product.policy, ...Object.values(world.input.product.policies)]) {
    const run = schedule === null ? null : nextRun(schedule, world.now);
    if (run !== null) lookAt(world, run);
  }
}

function lookAtEdge(world: World, region: string): void {
  const { status, untilMs } = regionSpan(world.base, region, world.now);
  const edge = status.open ? status.closesAt : status.opensAt;
  if (edge !== null) lookAt(world, edge);
  // Another reason may keep it closed until then.
  if (edge !== null) lookAt(world, untilMs);
}

export function lookAt(world: World, at: number): void {
  if (at <= world.now || world.looks.has(at)) return;
  world.looks.add(at);
  world.events.push(at, { kind: 'look' });
}

/** The releases that matter now: those that have appeared, unless all that went out of them is long over. */
function showReleases(world: World): void {
  const { input, base, now } = world;
  const visible = input.releases.filter((one) => one.visibleAt <= now).map(({ release }) => release);
  if (visible.length === world.shown) return;
  world.shown = visible.length;
  // While something else goes out, nothing is said of a release that is too young: so its time is looked up here.
  for (const { release } of input.releases) {
    for (const { minAgeMs } of [input.product.policy, ...Object.values(input.product.policies)]) {
      lookAt(world, release.publishedAt + minAgeMs);
    }
  }
  const usable = visible.filter(isUsable);
  const versions = [...usable, ...input.floors].map(({ version, artifacts }) => ({
    version,
    platforms: artifacts.map(({ platform }) => platform),
  }));
  world.base = { ...base, releases: visible, availability: availabilityOf(world, versions) };
}
