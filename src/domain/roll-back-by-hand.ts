// What a person's rollback of a lane or a rollout comes to, or why it cannot be.
import { AppError } from '../errors.ts';
import { noLaneIn } from './named.ts';
import type { VerbOptions } from './requests.ts';
import { backTargetOf, newerIn, rollBackAction, runningIn } from './roll-back.ts';
import { type Lane, type Rollout, wordsOf } from './rollout.ts';
import type { Action, Snapshot } from './snapshot.ts';
import { checkRevision, checkStep, effectOf, insteadOf } from './verbs.ts';
import { hotIn } from './way-back.ts';

/**
 * What a person's rollback does. Of a whole rollout: every region that has begun goes back, also one that was cancelled
 * or skipped since and where agents run the release; those that wait, or where nobody took it and there is nothing to go
 * back to, are cancelled; where a newer release has gone beyond it, nothing is done. No actions: it was done before.
 * Throws `not_found`, `illegal_transition`, and `conflict` where there is nothing to go back to.
 */
export function rollBackByHand(snapshot: Snapshot, rollout: Rollout, options: VerbOptions): Action[] {
  const { region, actor, reason, expectedStep } = options;
  if (options.baseline) {
    throw new AppError('illegal_transition', 'rollback is not for baseline lanes', {
      hint: 'Roll the rollout back: the baseline goes back with it.',
    });
  }
  const named = rollout.lanes.filter((lane) => region === null || lane.region === region);
  if (named.length === 0) throw noLaneIn(rollout, region);
  const rollouts = snapshot.rollouts.filter((one) => one.product === rollout.product);
  const begun = named.filter((lane) => isBegun(snapshot, rollout, lane));
  if (begun.length === 0) throw illegal(rollout, named);
  for (const lane of begun) {
    checkRevision(lane, 'rollback', options.expectedRevision ?? null);
    checkStep(lane, expectedStep);
  }
  const todo = begun.filter((lane) => effectOf('rollback', lane.state.name) === 'does');
  const passed = todo.map((lane) => ({ lane, newer: newerIn(snapshot, rollouts, rollout, lane) }));
  const going = passed.flatMap(({ lane, newer }) => (newer === undefined ? [lane] : []));
  const [first] = passed;
  if (first?.newer !== undefined && going.length === 0) {
    throw new AppError('conflict', `${rollout.version} cannot be rolled back: ${first.newer}`, {
      hint: 'Roll that one back, or halt and cancel it first.',
    });
  }
  const by = { by: actor, reason, automatic: false };
  const cancelled = (lane: Lane): Action => ({
    kind: 'cancel_lane',
    laneId: lane.id,
    by: actor,
    reason: `rolled back: ${reason}`,
  });
  const targets = going.map((lane) => ({ lane, found: backTargetOf(snapshot, rollout, lane) }));
  const some = targets.some(({ found }) => 'to' in found);
  const back = targets.flatMap(({ lane, found }): Action[] => {
    if ('to' in found) return [rollBackAction(snapshot, rollout, lane, found.to, by)];
    // Nobody took it there: that must not keep the other regions from going back.
    if (region === null && some && !isTaken(snapshot, rollout, lane)) return mayCancel(lane) ? [cancelled(lane)] : [];
    throw new AppError('conflict', `${lane.region} has nothing to go back to: ${found.why}`, {
      hint: 'Publish a fix under a higher version; halt --release keeps this one from going further.',
    });
  });
  const waiting = region === null ? named.filter((lane) => lane.state.name === 'waiting') : [];
  return [...back, ...waiting.map(cancelled)];
}

/** What was cancelled or skipped goes back only where somebody runs the release, or is at it. */
function isBegun(snapshot: Snapshot, rollout: Rollout, lane: Lane): boolean {
  if (lane.state.name !== 'cancelled') return effectOf('rollback', lane.state.name) !== undefined;
  return isTaken(snapshot, rollout, lane);
}

function isTaken(snapshot: Snapshot, { product, version }: Rollout, lane: Lane): boolean {
  return hotIn(lane) > 0 || runningIn(snapshot, product, version, lane.region).length > 0;
}

function mayCancel({ state }: Lane): boolean {
  return effectOf('cancel', state.name) === 'does';
}

function illegal({ version }: Rollout, lanes: readonly Lane[]): AppError {
  const none = `, and no agent there runs ${version}`;
  const states = [
    ...new Set(
      lanes.map(({ region, state: { name } }) => `${region} is ${wordsOf(name)}${name === 'cancelled' ? none : ''}`),
    ),
  ].join(', ');
  return new AppError('illegal_transition', `rollback: ${states}`, {
    hint: lanes.every(({ state }) => state.name === 'cancelled')
      ? 'There is nothing to take back there.'
      : insteadOf('rollback', lanes),
  });
}
