// plan(snapshot, now): moves rollouts and lanes, and says for everything that does not move why not (DESIGN §2, §4).
import { assert } from '../errors.ts';
import { allTerminal, applyActions } from './apply.ts';
import { considerReleases, creationOf, type Refusal } from './choose.ts';
import { doubtHold, planDoubted } from './clock-doubt.ts';
import { planReopening } from './idle-lane.ts';
import { leftOutHold } from './left-out.ts';
import { rolloutsOf } from './lookup.ts';
import { planBaselines } from './plan-baseline.ts';
import { planAlarm, planLane } from './plan-lane.ts';
import type { Release } from './release.ts';
import { planRollBack } from './roll-back.ts';
import { isTerminalLane, type Rollout } from './rollout.ts';
import { isMissed, schedulesOf } from './schedule.ts';
import type { Action, Consideration, Hold, Plan, ProductRules, Snapshot } from './snapshot.ts';
import { planSupersede } from './supersede.ts';
import { schemeOf } from './version/schemes.ts';

// A rule may make room for another (a completed lane opens the next wave), so the rules run until nothing moves.
// Every action ends or advances something that cannot go back, so this many rounds mean a bug.
const MAX_ROUNDS = 1000;

/** `now` in milliseconds since the epoch. Same input, same output; planning what was applied again gives no actions. */
export function plan(snapshot: Snapshot, now: number): Plan {
  const actions: Action[] = [];
  let current = snapshot;
  let made = 0;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const { actions: next, report } = planOnce(current, now);
    if (next.length === 0) return { actions, report };
    actions.push(...next);
    current = applyActions(current, next, { now, newId: () => `new:${(made += 1)}` });
  }
  assert(false, 'the plan settles');
}

/** One round: at most one action per lane, all of them legal together. */
function planOnce(snapshot: Snapshot, now: number): Plan {
  const actions: Action[] = [];
  const report: Hold[] = [];
  for (const attempt of snapshot.overdue) {
    actions.push({
      kind: 'end_attempt',
      attemptId: attempt.id,
      laneId: attempt.laneId,
      state: attempt.hot ? 'lost' : 'expired',
      ...(attempt.timedOut && !attempt.hot ? { timedOut: true } : {}),
    });
  }
  for (const product of snapshot.products) planProduct(snapshot, product, now, actions, report);
  return { actions, report };
}

function planProduct(snapshot: Snapshot, product: ProductRules, now: number, actions: Action[], report: Hold[]): void {
  const rollouts = rolloutsOf(snapshot.rollouts, product.name);
  const doubted = snapshot.clock !== null;
  const creation = planCreation(snapshot, product, rollouts, now);
  if ('action' in creation) {
    actions.push(creation.action);
    return;
  }
  const passed = doubted ? undefined : planSchedule(snapshot, product, now);
  if (passed !== undefined) actions.push(passed);
  const before = actions.length;
  const reopened = planReopening(snapshot, product, now);
  actions.push(...reopened);
  // Whatever waits for the wave of such a lane waits again: the next round sees it.
  if (reopened.length > 0) return;
  planBaselines(snapshot, product, actions, report);
  for (const rollout of rollouts) {
    if (rollout.endedAt !== null) continue;
    if (allTerminal(rollout)) {
      actions.push({ kind: 'end_rollout', rolloutId: rollout.id });
      continue;
    }
    for (const lane of rollout.lanes) {
      if (isTerminalLane(lane.state.name)) continue;
      const input = { snapshot, rollouts, rollout, lane, now };
      const step = doubted
        ? planDoubted(input)
        : (planAlarm(input) ?? planRollBack(input) ?? planSupersede(input) ?? planLane(input));
      if ('action' in step) actions.push(step.action);
      else if (step.hold !== null) report.push({ subject: { laneId: lane.id }, ...step.hold });
    }
  }
  if (actions.length > before) return;
  // What waits to follow is said beside what goes out meanwhile: nobody would know of it otherwise.
  const { waiting } = creation;
  const idle = hasWork(rollouts) ? undefined : (creation.hold ?? waiting ?? leftOutHold(snapshot, product));
  const hold = idle ?? waiting;
  if (hold !== undefined) report.push(hold);
}

function planCreation(
  snapshot: Snapshot,
  product: ProductRules,
  rollouts: readonly Rollout[],
  now: number,
): { action: Action } | { hold: Hold | null; waiting?: Hold } {
  if (snapshot.clock !== null) return { hold: { subject: { product: product.name }, ...doubtHold(snapshot.clock) } };
  const { choice, waiting } = considerReleases(snapshot, product, now);
  const beside = waiting === undefined ? {} : { waiting: holdOf(product, waiting) };
  if (choice.release === null) return { hold: holdOf(product, choice), ...beside };
  const { version } = choice.release;
  if (rollouts.some((rollout) => rollout.version === version)) return { hold: null, ...beside };
  if (isPassedOver(product, choice.release, rollouts)) return { hold: null, ...beside };
  return { action: creationOf(snapshot, product, choice.release) };
}

function holdOf({ name }: ProductRules, { reason, sentence, since, until }: Refusal): Hold {
  return { subject: { product: name }, reason, sentence, ...(since === null ? {} : { since }), until };
}

/**
 * A higher one was the choice although this one had been published, and has not ended: when that halts, what came before
 * it is no fix. A rollout of it would take the halted one's place, and nobody could retry it or roll it back any more.
 */
function isPassedOver(
  { scheme: name }: ProductRules,
  { version, publishedAt }: Release,
  rollouts: readonly Rollout[],
): boolean {
  const scheme = schemeOf(name);
  return rollouts.some(
    (one) =>
      one.endedAt === null &&
      publishedAt <= one.createdAt &&
      scheme.parse(one.version) !== undefined &&
      scheme.compare(one.version, version) > 0,
  );
}

/**
 * A run that found nothing to let out is over: what is published after it waits for the next one. Seen for the first
 * time, a schedule begins now: runs before that were never missed.
 */
function planSchedule(snapshot: Snapshot, product: ProductRules, now: number): Action | undefined {
  const schedules = [product.policy, ...Object.values(product.policies)].flatMap(({ schedule }) => schedule ?? []);
  const considered = snapshot.considered.find((one) => one.product === product.name);
  if (considered === undefined && schedules.length === 0) return undefined;
  const isKnown = considered !== undefined && !isEdited(product, considered);
  if (isKnown && !schedules.some((schedule) => isMissed(schedule, considered, now))) return undefined;
  return { kind: 'consider_schedule', product: product.name };
}

/** Also where the product has no schedule any more: one that comes back later begins then. */
function isEdited(product: ProductRules, { schedules }: Consideration): boolean {
  return schedules !== undefined && schedules.join('\n') !== schedulesOf(product).join('\n');
}

function hasWork(rollouts: readonly Rollout[]): boolean {
  return rollouts.some((rollout) => rollout.endedAt === null);
}
