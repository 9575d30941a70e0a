// What people do to the fleet: the verbs on lanes, and brakes, each one transaction with its audit row, acknowledged after the commit.

import { createHash } from 'node:crypto';
import { approvalsOf } from '../domain/approval.ts';
import { isPromoted } from '../domain/approve.ts';
import type { Brake, Veto } from '../domain/directives.ts';
import { noLaneIn } from '../domain/named.ts';
import type { Presence } from '../domain/presence.ts';
import type { Release } from '../domain/release.ts';
import type { BrakeOptions, VerbOptions } from '../domain/requests.ts';
import { isLiveLane, isTerminalLane, type Lane, type LaneState, type Rollout, wordsOf } from '../domain/rollout.ts';
import { checkSeen } from '../domain/seen.ts';
import { applyVerb, effectOf, insteadOf, isLegal, isRetried, type LaneVerb, type VerbInput } from '../domain/verbs.ts';
import type { Silence } from '../domain/verdict.ts';
import { allSteps } from '../domain/way-back.ts';
import { AppError, assert } from '../errors.ts';
import { withdrawUngranted } from '../store/attempts.ts';
import { appendAudit } from '../store/audit.ts';
import {
  brakeObserved,
  deleteBrake,
  deleteVeto,
  listBrakes,
  listVetoes,
  putBrake,
  putVeto,
} from '../store/controls.ts';
import { type Database, type Tx, transaction } from '../store/database.ts';
import { forgetTallies } from '../store/metrics.ts';
import { releasesById } from '../store/releases.ts';
import { listBaselineLanes, listRollouts, loadLanes, loadRollout, saveLane, saveStep } from '../store/rollouts.ts';

export interface VerbDeps {
  database: Database;
  now: () => number;
  observedMs: () => number;
  /** What the roster knows of the members of a lane's step. */
  silence: (laneId: string, step: number) => Silence;
  presence: (laneId: string, step: number) => Presence | undefined;
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

/**
 * Unchanged when there was nothing left to do. A retry and an acceptance lift the automatic veto of the release. Throws `not_found`,
 * `illegal_transition`, `conflict`.
 */
export async function performVerb(deps: VerbDeps, rolloutId: string, options: VerbOptions): Promise<VerbEffects> {
  return await transaction(deps.database, async (tx) => {
    const rollout = await loadRollout(tx, rolloutId);
    if (rollout === undefined) throw new AppError('not_found', `no rollout ${rolloutId}`);
    const ids = await namedLanes(tx, rollout, options);
    const lanes = lanesOf(rollout, await loadLanes(tx, ids, { forUpdate: true }), options);
    const moved: Lane[] = [];
    const [release] = await releasesById(tx, [rollout.releaseId]);
    for (const lane of lanes) {
      const next = await moveByVerb(tx, deps, lane, { rollout, release }, options);
      if (next !== undefined) moved.push(next);
    }
    const vetoed = options.verb === 'halt' && options.vetoRelease && (await veto(tx, rollout, options, deps.now()));
    // The halt of a baseline lane has vetoed nothing.
    if (LIFTS_VETO.has(options.verb) && !options.baseline && moved.length > 0)
      await liftVeto(tx, rollout, options, deps.now());
    const withdrawn = moved.filter((lane) => lane.state.name === 'halted' || isTerminalLane(lane.state.name));
    return await effectsOf(tx, moved.length > 0 || vetoed, moved, withdrawn);
  });
}

/** Ids of the lanes that the verb is about, as far as it names them. */
async function namedLanes(tx: Tx, rollout: Rollout, { verb, region, baseline }: VerbOptions): Promise<string[]> {
  if (baseline && !BASELINE_VERBS.has(verb)) {
    throw new AppError('illegal_transition', `${verb} is not for baseline lanes`, {
      hint: `They can be: ${[...BASELINE_VERBS].map((one) => PAST[one]).join(', ')}.`,
    });
  }
  const lanes = baseline
    ? (await listBaselineLanes(tx)).filter((lane) => lane.rolloutId === rollout.id)
    : rollout.lanes;
  const named = lanes.filter((lane) => region === null || lane.region === region);
  if (named.length > 0) return named.map((lane) => lane.id);
  throw baseline
    ? new AppError('not_found', `${rollout.version} is not the baseline of ${region ?? 'any region'}`)
    : noLaneIn(rollout, region);
}

/** It is permanent and has no step to wait at: only its budget halts it, or a person. */
const BASELINE_VERBS = new Set<LaneVerb>(['halt', 'retry']);

const LIFTS_VETO = new Set<LaneVerb>(['retry', 'accept']);

/** On a whole rollout a verb is about the lanes for which it is legal; there must be one. */
function lanesOf(rollout: Rollout, lanes: Lane[], { verb, region, expectedStep, vetoRelease }: VerbOptions): Lane[] {
  if (region !== null) return lanes;
  const { policy } = rollout;
  const consents = verb === 'promote' || verb === 'approve';
  const isDone = (lane: Lane) =>
    (consents && isPromoted(lane, { expectedStep, policy })) || (verb === 'retry' && isRetried(lane, policy));
  const legal = lanes.filter((lane) => isLegal(verb, lane) || isDone(lane));
  if (legal.length > 0 || (verb === 'halt' && vetoRelease)) return legal;
  // The lane itself says why not.
  const near = lanes.find((lane) => effectOf(verb, lane.state.name) !== undefined);
  if (near !== undefined) return [near];
  const states = [...new Set(lanes.map((lane) => wordsOf(lane.state.name)))].join(', ');
  throw new AppError('illegal_transition', `${verb}: the lanes of the rollout of ${rollout.version} are ${states}`, {
    hint: insteadOf(verb, lanes),
  });
}

async function moveByVerb(
  tx: Tx,
  deps: VerbDeps,
  lane: Lane,
  { rollout, release }: { rollout: Rollout; release: Release | undefined },
  options: VerbOptions,
): Promise<Lane | undefined> {
  const { verb, actor, reason, expectedStep, expectedRevision = null, count = 0 } = options;
  const now = deps.now();
  const input: VerbInput = {
    ...{ actor, reason, now, observedMs: deps.observedMs(), expectedStep, expectedRevision, count, release },
    policy: rollout.policy,
    silence: (step) => deps.silence(lane.id, step),
    presence: (step) => deps.presence(lane.id, step),
  };
  const moved = applyVerb(lane, verb, input);
  if (moved === undefined) return undefined;
  if (verb === 'skip-region' && rollout.endedAt !== null)
    throw new AppError('illegal_transition', `skip-region: the rollout of ${rollout.version} has ended`, {
      hint: 'No wave waits behind the region any more.',
    });
  if (isLiveLane(moved.state.name) && !isLiveLane(lane.state.name)) await checkFree(tx, lane, verb);
  if (!(await saveLane(tx, moved, lane.revision)))
    throw new AppError('conflict', `the lane in ${lane.region} has moved meanwhile`);
  if (moved.state.name === 'halted' || isTerminalLane(moved.state.name)) await withdrawUngranted(tx, lane.id, now);
  for (const step of allSteps(moved)) await saveStep(tx, lane.id, step);
  // The soak begins again, and what a metric said before the acceptance is of another one.
  if (verb === 'accept' && moved.state.name === 'open') await forgetTallies(tx, lane.id, moved.state.step);
  const kind = lane.kind === 'baseline' ? { baseline: true } : {};
  const data = { region: lane.region, ...kind, reason, was: lane.state.name, ...particulars(moved, rollout, options) };
  await appendAudit(tx, { at: now, actor, action: `lane.${PAST[verb]}`, subject: lane.id, data });
  return moved;
}

/** What has halted gave its place away: another rollout may be under way there. Throws `conflict`. */
async function checkFree(tx: Tx, { id, kind, product, region }: Lane, verb: LaneVerb): Promise<void> {
  if (kind !== 'rollout') return;
  for (const { version, lanes } of await listRollouts(tx, { product, liveOnly: true })) {
    const other = lanes.find((one) => one.region === region && one.id !== id && isLiveLane(one.state.name));
    if (other === undefined) continue;
    const text = `${verb}: ${version} is ${wordsOf(other.state.name)} in ${region}, and one release goes out there at a time`;
    throw new AppError('conflict', text, {
      hint: `Wait until ${version} has ended there, or halt or cancel it first.`,
    });
  }
}

/** What the audit keeps besides: an approval's hash of what it is bound to, and how much was accepted. */
function particulars(lane: Lane, { policy }: Rollout, { verb, count, actor }: VerbOptions): Record<string, unknown> {
  if (verb === 'accept') return { count, allowance: lane.allowance };
  if (verb !== 'promote' && verb !== 'approve') return {};
  const approval = lane.approvals.find((one) => one.by === actor);
  assert(approval !== undefined, 'who approves has an approval');
  const { step, expiresAt, subject } = approval;
  const hash = createHash('sha256').update(subject).digest('hex');
  return { step, hash, expiresAt, standing: lane.approvals.length, needed: approvalsOf(policy).approvers };
}

const PAST: Record<LaneVerb, string> = {
  approve: 'approved',
  accept: 'accepted',
  'skip-region': 'skipped',
  promote: 'promoted',
  pause: 'paused',
  resume: 'resumed',
  halt: 'halted',
  retry: 'retried',
  cancel: 'cancelled',
  rollback: 'rolled back',
};

/** A person's veto stays: only a person lifts it. */
async function liftVeto(
  tx: Tx,
  { product, version }: Rollout,
  { actor, reason }: VerbOptions,
  now: number,
): Promise<void> {
  const standing = (await listVetoes(tx)).find((one) => one.product === product && one.version === version);
  if (standing === undefined) return;
  if (!standing.automatic) {
    throw new AppError('illegal_transition', `${version} is vetoed by ${standing.actor}: ${standing.reason}`, {
      hint: `A retry lifts the veto of an automatic halt, not that of a person: tidegate release unveto ${product}@${version}.`,
    });
  }
  await deleteVeto(tx, product, version);
  await appendAudit(tx, {
    at: now,
    actor,
    action: 'release.unvetoed',
    subject: `${product}@${version}`,
    data: { reason },
  });
}

async function effectsOf(tx: Tx, changed: boolean, lanes: Lane[], withdrawn: Lane[]): Promise<VerbEffects> {
  const withdrawnLanes = withdrawn.map((lane) => lane.id);
  return { changed, lanes, withdrawnLanes, vetoes: await listVetoes(tx), brakes: await listBrakes(tx) };
}

async function veto(
  tx: Tx,
  rollout: { product: string; version: string },
  { actor, reason }: VerbOptions,
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

/** Unchanged when it already was so. Throws `revision_mismatch`. */
export async function setBrake(deps: VerbDeps, options: BrakeOptions): Promise<VerbEffects> {
  const { scope, on, actor, reason, expectedAt } = options;
  return await transaction(deps.database, async (tx) => {
    const now = deps.now();
    const standing = (await listBrakes(tx)).find((brake) => brake.scope === scope);
    checkSeen(`the brake on ${scope}`, on, standing, expectedAt);
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

interface Soak {
  startObserved: number;
  /** Where a pause has stopped it. */
  endObserved: number;
  shortenedBy(ms: number): LaneState;
}

/** Of a lane that soaks, or was paused while it did; undefined for others. */
function soakOf({ state }: Lane): Soak | undefined {
  if (state.name === 'soaking') {
    const { observedMs: startObserved } = state;
    const shortenedBy = (ms: number) => ({ ...state, observedMs: startObserved + ms });
    return { startObserved, endObserved: Number.POSITIVE_INFINITY, shortenedBy };
  }
  if (state.name !== 'paused' || state.resume.name !== 'soaking') return undefined;
  const { resume, soakedMs } = state;
  const { observedMs: startObserved } = resume;
  return {
    startObserved,
    endObserved: startObserved + soakedMs,
    shortenedBy: (ms) => ({
      ...state,
      resume: { ...resume, observedMs: startObserved + ms },
      soakedMs: soakedMs - ms,
    }),
  };
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
    const soak = soakOf(lane);
    if (soak === undefined || !covers(scope, lane)) continue;
    const until = Math.min(
      observedMs,
      soak.endObserved,
      ...others.filter((one) => covers(one.scope, lane)).map((one) => one.since),
    );
    const braked = until - Math.max(since, soak.startObserved);
    if (braked <= 0) continue;
    const moved = { ...lane, state: soak.shortenedBy(braked), revision: lane.revision + 1 };
    if (!(await saveLane(tx, moved, lane.revision)))
      throw new AppError('conflict', `the lane in ${lane.region} has moved meanwhile`);
    resumed.push(moved);
  }
  return resumed;
}
