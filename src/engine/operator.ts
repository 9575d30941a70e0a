// What people do to the fleet: halt and brake, each one transaction with its audit row, acknowledged after the commit.

import { lastStep } from '../domain/apply.ts';
import type { Brake, Veto } from '../domain/directives.ts';
import { isTerminalLane, type Lane, moveLane } from '../domain/rollout.ts';
import { AppError } from '../errors.ts';
import { withdrawUngranted } from '../store/attempts.ts';
import { appendAudit } from '../store/audit.ts';
import { brakeObserved, deleteBrake, listBrakes, listVetoes, putBrake, putVeto } from '../store/controls.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import { listRollouts, loadLanes, loadRollout, saveLane, saveStep } from '../store/rollouts.ts';

export interface VerbDeps {
  database: Database;
  now: () => number;
  observedMs: () => number;
}

/** What a verb has committed, for memory to take over. */
export interface VerbEffects {
  /** False when it already was so. */
  changed: boolean;
  /** Lanes that moved, as they now are. */
  lanes: Lane[];
  /** Lanes whose offered and staged attempts were withdrawn. */
  withdrawnLanes: string[];
  vetoes: Veto[];
  brakes: Brake[];
}

export interface HaltOptions {
  /** Null: every lane of the rollout. */
  region: string | null;
  vetoRelease: boolean;
  actor: string;
  reason: string;
}

/** Unchanged when there was nothing left to halt. Throws `not_found`, `illegal_transition`. */
export async function haltRollout(deps: VerbDeps, rolloutId: string, options: HaltOptions): Promise<VerbEffects> {
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
    const halted: Lane[] = [];
    for (const lane of running) halted.push(await haltLane(tx, lane, options, deps.now()));
    const vetoed = options.vetoRelease && (await veto(tx, rollout, options, deps.now()));
    return await effectsOf(tx, running.length > 0 || vetoed, halted, halted);
  });
}

async function haltLane(tx: Tx, lane: Lane, { actor, reason }: HaltOptions, now: number): Promise<Lane> {
  const steps = lane.steps.map((step) => ({ ...step, counters: { ...step.counters, pending: 0 } }));
  const halted = moveLane({ ...lane, steps }, { name: 'halted', since: now, by: actor, reason, step: lastStep(lane) });
  if (!(await saveLane(tx, halted, lane.revision)))
    throw new AppError('conflict', `the lane in ${lane.region} has moved meanwhile`);
  await withdrawUngranted(tx, lane.id, now);
  for (const step of steps) await saveStep(tx, lane.id, step);
  await appendAudit(tx, {
    at: now,
    actor,
    action: 'lane.halted',
    subject: lane.id,
    data: { region: lane.region, reason },
  });
  return halted;
}

async function effectsOf(tx: Tx, changed: boolean, lanes: Lane[], withdrawn: Lane[]): Promise<VerbEffects> {
  const withdrawnLanes = withdrawn.map((lane) => lane.id);
  return { changed, lanes, withdrawnLanes, vetoes: await listVetoes(tx), brakes: await listBrakes(tx) };
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

/** Unchanged when it already was so. */
export async function setBrake(deps: VerbDeps, { scope, on, actor, reason }: BrakeOptions): Promise<VerbEffects> {
  return await transaction(deps.database, async (tx) => {
    const now = deps.now();
    const since = await brakeObserved(tx, scope);
    const changed = on
      ? await putBrake(tx, { scope, actor, reason, at: now }, deps.observedMs())
      : await deleteBrake(tx, scope);
    if (!changed) return await effectsOf(tx, false, [], []);
    const resumed = on || since === undefined ? [] : await resumeSoaks(tx, scope, since, deps.observedMs());
    await appendAudit(tx, { at: now, actor, action: on ? 'brake.on' : 'brake.off', subject: scope, data: { reason } });
    return await effectsOf(tx, true, resumed, []);
  });
}

/**
 * A brake stops the soak: the braked time is taken out of it. While another brake still covers the lane, only what lies
 * before that one began: the rest is taken out when that one goes.
 */
async function resumeSoaks(tx: Tx, scope: string, since: number, observedMs: number): Promise<Lane[]> {
  const covers = (one: string, lane: Lane) =>
    one === 'fleet' || one === `product:${lane.product}` || one === `region:${lane.region}`;
  const others: { scope: string; since: number }[] = [];
  for (const brake of await listBrakes(tx)) {
    others.push({ scope: brake.scope, since: (await brakeObserved(tx, brake.scope)) ?? observedMs });
  }
  const resumed: Lane[] = [];
  const rollouts = await listRollouts(tx, { liveOnly: true });
  for (const lane of rollouts.flatMap((rollout) => rollout.lanes)) {
    if (lane.state.name !== 'soaking' || !covers(scope, lane)) continue;
    const until = Math.min(observedMs, ...others.filter((one) => covers(one.scope, lane)).map((one) => one.since));
    const braked = until - Math.max(since, lane.state.observedMs);
    if (braked <= 0) continue;
    const state = { ...lane.state, observedMs: lane.state.observedMs + braked };
    const moved = { ...lane, state, revision: lane.revision + 1 };
    if (!(await saveLane(tx, moved, lane.revision)))
      throw new AppError('conflict', `the lane in ${lane.region} has moved meanwhile`);
    resumed.push(moved);
  }
  return resumed;
}
