// Runs a model on a virtual clock from event to event: nothing ticks, and the same input gives the same run.
import { unreachable } from '../../errors.ts';
import { approvalsOf } from '../approval.ts';
import { releaseOf } from '../lookup.ts';
import type { Hold } from '../snapshot.ts';
import { applyVerb } from '../verbs.ts';
import { NO_SILENCE } from '../verdict.ts';
import { ask, ended, freed, staged } from './attempts.ts';
import { MAX_EVENTS, type ModelInput } from './model.ts';
import { lookAt, planNow } from './planning.ts';
import { noteCounts, noteRollout, type RolloutRecord } from './record.ts';
import { createWorld, type ModelEvent, observedAt, type World } from './world.ts';

/** Why the clock stopped: all rollouts ended, a lane halted, nothing is left that could happen, or no time or work is left. */
export type StoppedBy = 'ended' | 'halted' | 'held' | 'time' | 'work';

export interface Simulation {
  world: World;
  rollouts: RolloutRecord[];
  /** Of the product, when nothing goes out; from the last look. */
  productHold: Hold | null;
  stoppedBy: StoppedBy;
  /** Milliseconds since the epoch. */
  endedAt: number;
  /** Agents that were let go. */
  exposed: number;
}

/** `onLook` is called after every look of the planner. */
export function simulate(input: ModelInput, onLook: (world: World) => void = () => {}): Simulation {
  const world = createWorld(input);
  for (const { visibleAt } of input.releases) lookAt(world, visibleAt);
  let report: Hold[] = [];
  let stoppedBy: StoppedBy | undefined;
  while (stoppedBy === undefined) {
    if (world.planDue) {
      report = planNow(world);
      onLook(world);
    }
    stoppedBy = isOver(world) ?? advance(world);
  }
  // A run that ends early has shown all of its time.
  if (stoppedBy === 'time') world.now = input.endMs;
  for (const { record, lane } of world.places.values()) noteCounts(record, lane);
  return {
    world,
    rollouts: world.rollouts.map((rollout) =>
      noteRollout(
        rollout,
        rollout.lanes.flatMap(({ id }) => world.places.get(id)?.record ?? []),
      ),
    ),
    productHold: report.find((hold) => 'product' in hold.subject) ?? null,
    stoppedBy,
    endedAt: world.now,
    exposed: world.granted,
  };
}

function isOver({ input, rollouts, places, handled }: World): StoppedBy | undefined {
  if (handled > MAX_EVENTS) return 'work';
  if (input.until === 'end') return undefined;
  if (rollouts.length > 0 && rollouts.every((one) => one.endedAt !== null)) return 'ended';
  if (input.until !== 'halted') return undefined;
  return [...places.values()].some(({ lane }) => lane.state.name === 'halted') ? 'halted' : undefined;
}

/** Everything that happens at the next instant at which something does. */
function advance(world: World): StoppedBy | undefined {
  const { events, input } = world;
  const at = events.next();
  if (at === undefined) return input.until === 'end' ? 'time' : 'held';
  if (at > input.endMs) return 'time';
  world.now = at;
  // A halt comes before what else happens at its instant.
  while (events.next() === at && !world.planDue) {
    world.handled += 1;
    handle(world, events.pop() as ModelEvent);
  }
  return undefined;
}

function handle(world: World, event: ModelEvent): void {
  switch (event.kind) {
    case 'ask':
      ask(world, event.place, event.agent);
      break;
    case 'staged':
      staged(world, event.place, event.agent, event.attemptId);
      break;
    case 'ended':
      ended(world, event.place, event.agent);
      break;
    case 'approve':
      approve(world, event);
      break;
    case 'freed':
      freed(world);
      break;
    case 'look':
      world.looks.delete(world.now);
      world.planDue = true;
      break;
    default:
      unreachable(event);
  }
}

function approve(world: World, { place, step }: Extract<ModelEvent, { kind: 'approve' }>): void {
  const { state } = place.lane;
  if (state.name !== 'approval' || state.step !== step) return;
  const { policy, releaseId } = place.rollout;
  const input = {
    reason: 'rehearsed',
    now: world.now,
    observedMs: observedAt(world),
    expectedStep: step,
    expectedRevision: null,
    count: 0,
    policy,
    release: releaseOf(world.base.releases, releaseId),
    silence: () => NO_SILENCE,
    presence: () => undefined,
  };
  // As many as the policy wants, all in the same moment.
  for (let person = 1; person <= approvalsOf(policy).approvers; person += 1) {
    place.lane = applyVerb(place.lane, 'promote', { ...input, actor: `person ${person}` }) ?? place.lane;
  }
  place.directive = null;
  world.planDue = true;
}
