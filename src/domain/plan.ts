// plan(snapshot, now): moves rollouts and lanes, and says for everything that does not move why not (DESIGN §2, §4).
import { assert } from '../errors.ts';
import { allTerminal, applyActions } from './apply.ts';
import { chooseRelease } from './choose.ts';
import { planLane } from './plan-lane.ts';
import { isLiveLane, isTerminalLane, type Lane, type Rollout } from './rollout.ts';
import type { Action, Hold, Plan, ProductRules, Snapshot } from './snapshot.ts';

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
    });
  }
  for (const product of snapshot.products) planProduct(snapshot, product, now, actions, report);
  return { actions, report };
}

function planProduct(snapshot: Snapshot, product: ProductRules, now: number, actions: Action[], report: Hold[]): void {
  const rollouts = snapshot.rollouts.filter((rollout) => rollout.product === product.name);
  const creation = planCreation(snapshot, product, rollouts, now);
  if ('action' in creation) {
    actions.push(creation.action);
    return;
  }
  const before = actions.length;
  for (const rollout of rollouts) {
    if (rollout.endedAt !== null) continue;
    if (allTerminal(rollout)) {
      actions.push({ kind: 'end_rollout', rolloutId: rollout.id });
      continue;
    }
    for (const lane of rollout.lanes) {
      if (isTerminalLane(lane.state.name)) continue;
      const step =
        planSupersede(snapshot, rollouts, rollout, lane) ?? planLane({ snapshot, rollouts, rollout, lane, now });
      if ('action' in step) actions.push(step.action);
      else if (step.hold !== null) report.push({ subject: { laneId: lane.id }, ...step.hold });
    }
  }
  if (actions.length === before && creation.hold !== null && !hasWork(rollouts)) report.push(creation.hold);
}

function planCreation(
  snapshot: Snapshot,
  product: ProductRules,
  rollouts: Rollout[],
  now: number,
): { action: Action } | { hold: Hold | null } {
  const choice = chooseRelease(snapshot, product, now);
  if (choice.release === null) {
    return {
      hold: {
        subject: { product: product.name },
        reason: choice.reason,
        sentence: choice.sentence,
        until: choice.until,
      },
    };
  }
  const { version, id } = choice.release;
  if (rollouts.some((rollout) => rollout.version === version)) return { hold: null };
  const lanes = product.policy.waves.flatMap((regions, wave) => regions.map((region) => ({ region, wave })));
  return {
    action: { kind: 'create_rollout', product: product.name, releaseId: id, version, policy: product.policy, lanes },
  };
}

/** Whether the lane gives way to a newer rollout of the product (created later, so chosen later). */
function planSupersede(
  snapshot: Snapshot,
  rollouts: Rollout[],
  rollout: Rollout,
  lane: Lane,
): { action: Action } | undefined {
  const newer = rollouts.at(-1);
  if (newer === undefined || newer.id === rollout.id) return undefined;
  const by = { action: { kind: 'supersede_lane', laneId: lane.id, by: newer.id } as const };
  const hot = lane.steps.some((step) => step.counters.hot > 0);
  if (hot) return undefined;
  if (isStuck(snapshot, rollout, lane)) return by;
  const mode = rollout.policy.supersede;
  const behindStuck = rollout.lanes.some(
    (one) => one.wave <= lane.wave && one.id !== lane.id && isStuck(snapshot, rollout, one),
  );
  if (lane.state.name === 'waiting' && (mode !== 'finish' || behindStuck)) return by;
  if (isLiveLane(lane.state.name) && mode === 'replace') return by;
  return undefined;
}

/** Halted, or going out a release that may not go out any more. */
function isStuck(snapshot: Snapshot, rollout: Rollout, lane: Lane): boolean {
  if (lane.state.name === 'halted') return true;
  const release = snapshot.releases.find((one) => one.id === rollout.releaseId);
  if (release?.state === 'withdrawn' || release?.state === 'altered') return true;
  return snapshot.vetoes.some((veto) => veto.product === rollout.product && veto.version === rollout.version);
}

function hasWork(rollouts: Rollout[]): boolean {
  return rollouts.some((rollout) => rollout.endedAt === null);
}
