// What people do to the fleet: halt and brake, each one transaction with its audit row, acknowledged after the commit.

import { lastStep } from '../domain/apply.ts';
import { isTerminalLane, type Lane, moveLane } from '../domain/rollout.ts';
import { AppError } from '../errors.ts';
import { withdrawUngranted } from '../store/attempts.ts';
import { appendAudit } from '../store/audit.ts';
import { brakeObserved, deleteBrake, listBrakes, putBrake, putVeto } from '../store/controls.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import { listRollouts, loadLanes, loadRollout, saveLane, saveStep } from '../store/rollouts.ts';

export interface VerbDeps {
  database: Database;
  now: () => number;
  observedMs: () => number;
}

export interface HaltOptions {
  /** Null: every lane of the rollout. */
  region: string | null;
  vetoRelease: boolean;
  actor: string;
  reason: string;
}

/** False when there was nothing left to halt. Throws `not_found`, `illegal_transition`. */
export async function haltRollout(deps: VerbDeps, rolloutId: string, options: HaltOptions): Promise<boolean> {
  return await transaction(deps.database, async (tx) => {
    const rollout = await loadRollout(tx, rolloutId);
    if (rollout === undefined) throw new AppError('not_found', `no rollout ${rolloutId}`);
    const named = rollout.lanes.filter((lane) => options.region === null || lane.region === options.region);
    if (named.length === 0)
      throw new AppError('not_found', `the rollout of ${rollout.version} has no lane in ${options.region}`);
    const lanes = await loadLanes(
      tx,
      named.map((lane) => lane.id),
      { forUpdate: true },
    );
    const running = lanes.filter((lane) => lane.state.name !== 'halted' && !isTerminalLane(lane.state.name));
    if (running.length === 0 && lanes.every((lane) => isTerminalLane(lane.state.name)) && !options.vetoRelease) {
      throw new AppError(
        'illegal_transition',
        `the rollout of ${rollout.version} has ended there: nothing can be halted`,
      );
    }
    for (const lane of running) await haltLane(tx, lane, options, deps.now());
    const vetoed = options.vetoRelease && (await veto(tx, rollout, options, deps.now()));
    return running.length > 0 || vetoed;
  });
}

async function haltLane(tx: Tx, lane: Lane, { actor, reason }: HaltOptions, now: number): Promise<void> {
  const halted = moveLane(lane, { name: 'halted', since: now, by: actor, reason, step: lastStep(lane) });
  if (!(await saveLane(tx, halted, lane.revision)))
    throw new AppError('conflict', `the lane in ${lane.region} has moved meanwhile`);
  await withdrawUngranted(tx, lane.id, now);
  for (const step of lane.steps) await saveStep(tx, lane.id, { ...step, counters: { ...step.counters, pending: 0 } });
  await appendAudit(tx, {
    at: now,
    actor,
    action: 'lane.halted',
    subject: lane.id,
    data: { region: lane.region, reason },
  });
}

async function veto(
  tx: Tx,
  rollout: { product: string; version: string },
  { actor, reason }: HaltOptions,
  now: number,
): Promise<boolean> {
  const { product, version } = rollout;
  const isNew = await putVeto(tx, { product, version, automatic: false, actor, reason, at: now });
  if (isNew)
    await appendAudit(tx, {
      at: now,
      actor,
      action: 'release.vetoed',
      subject: `${product}@${version}`,
      data: { reason },
    });
  return isNew;
}

export interface BrakeOptions {
  /** `fleet`, `product:<name>` or `region:<name>`. */
  scope: string;
  on: boolean;
  actor: string;
  reason: string;
}

/** False when it already was so. */
export async function setBrake(deps: VerbDeps, { scope, on, actor, reason }: BrakeOptions): Promise<boolean> {
  return await transaction(deps.database, async (tx) => {
    const now = deps.now();
    const since = await brakeObserved(tx, scope);
    const changed = on
      ? await putBrake(tx, { scope, actor, reason, at: now }, deps.observedMs())
      : await deleteBrake(tx, scope);
    if (!changed) return false;
    if (!on && since !== undefined) await resumeSoaks(tx, scope, since, deps.observedMs());
    await appendAudit(tx, { at: now, actor, action: on ? 'brake.on' : 'brake.off', subject: scope, data: { reason } });
    return true;
  });
}

/** A brake stops the soak: the braked time is taken out of it, unless another brake still covers the lane. */
async function resumeSoaks(tx: Tx, scope: string, since: number, observedMs: number): Promise<void> {
  const brakes = await listBrakes(tx);
  const covers = (one: string, lane: Lane) =>
    one === 'fleet' || one === `product:${lane.product}` || one === `region:${lane.region}`;
  const rollouts = await listRollouts(tx, { liveOnly: true });
  for (const lane of rollouts.flatMap((rollout) => rollout.lanes)) {
    if (lane.state.name !== 'soaking' || !covers(scope, lane)) continue;
    if (brakes.some((brake) => covers(brake.scope, lane))) continue;
    const braked = observedMs - Math.max(since, lane.state.observedMs);
    const state = { ...lane.state, observedMs: lane.state.observedMs + Math.max(0, braked) };
    await saveLane(tx, { ...lane, state, revision: lane.revision + 1 }, lane.revision);
  }
}
