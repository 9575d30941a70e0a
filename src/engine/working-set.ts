// The rows that one ledger batch has read, changed one item at a time in memory and written once at the end.
import type { Agent, Attempt } from '../domain/agent.ts';
import { lastStep } from '../domain/apply.ts';
import { isHot, isLive, weigh } from '../domain/attempt.ts';
import { type Ceiling, withGrant } from '../domain/ceilings.ts';
import { counted, retally } from '../domain/counters.ts';
import type { Brake, Veto } from '../domain/directives.ts';
import { haltReason, isAgainstRelease } from '../domain/lane-verdict.ts';
import { countOccupied, isOccupying, type Limits, type Occupied, type Place } from '../domain/limits.ts';
import type { Pin } from '../domain/pin.ts';
import { baselineHaltReason } from '../domain/plan-baseline.ts';
import { type Clearance, type Spent, sumSpent } from '../domain/quarantine.ts';
import { isLiveLane, type Lane, moveLane, type Rollout } from '../domain/rollout.ts';
import { NO_SILENCE, verdict } from '../domain/verdict.ts';
import { backHaltReason, goesBack, mapSteps } from '../domain/way-back.ts';
import { assert } from '../errors.ts';

export interface AuditEntry {
  at: number;
  actor: string;
  action: string;
  subject: string;
  data: Record<string, unknown>;
}

export interface Loaded {
  agents: readonly Agent[];
  /** Every attempt of these agents in the rollouts of these lanes, their live ones, and those that were reported. */
  attempts: readonly Attempt[];
  lanes: readonly Lane[];
  brakes: readonly Brake[];
  vetoes: readonly Veto[];
  /** Of the agents that have any. */
  pins: ReadonlyMap<string, readonly Pin[]>;
  clearances: ReadonlyMap<string, readonly Clearance[]>;
  /** Agents with a hot attempt, over all products and lanes. */
  hot: readonly (Place & { agentId: string })[];
  /** Agents that download. */
  downloading: readonly { agentId: string; region: string }[];
  ceilings: readonly Ceiling[];
  /** Agents that went bad in the baseline lanes within their window. */
  recentBad: ReadonlyMap<string, Set<string>>;
  rolloutOf: (lane: Lane) => Rollout | undefined;
  /** Those of the agents that have not reported since the database was restored. */
  stale: readonly string[];
}

export class WorkingSet {
  readonly agents = new Map<number, Agent>();
  readonly attempts = new Map<string, Attempt>();
  readonly lanes = new Map<string, Lane>();
  readonly brakes: readonly Brake[];
  vetoes: readonly Veto[];
  readonly changedAgents = new Set<number>();
  readonly newAttempts = new Set<string>();
  readonly changedAttempts = new Set<string>();
  /** Lanes whose state or counters changed. */
  readonly changedLanes = new Set<string>();
  /** Lanes that halted here: what was offered or staged in them is withdrawn by the same transaction. */
  readonly halted = new Set<string>();
  readonly newVetoes: Veto[] = [];
  readonly audit: AuditEntry[] = [];
  readonly stale: Set<string>;
  /** Agents that were stale, and have reported. */
  readonly heard: string[] = [];
  /** Who holds a slot of the limits, by agent. */
  private readonly hot: Map<string, Place>;
  /** Who downloads, by agent. */
  private readonly downloading: Map<string, { region: string }>;
  private ceilings: readonly Ceiling[];
  /** Grants of this batch. */
  granted = 0;
  /** Region and labels of an agent never change here. */
  private readonly places = new Map<string, Place>();
  private readonly recentBad: ReadonlyMap<string, Set<string>>;
  private readonly byAgent = new Map<string, Set<string>>();
  private readonly pins: ReadonlyMap<string, readonly Pin[]>;
  private readonly clearances: ReadonlyMap<string, readonly Clearance[]>;
  private readonly rolloutOf: (lane: Lane) => Rollout | undefined;

  constructor(loaded: Loaded) {
    for (const agent of loaded.agents) {
      this.agents.set(agent.handle, agent);
      this.places.set(agent.id, agent);
    }
    for (const attempt of loaded.attempts) this.index(attempt);
    for (const lane of loaded.lanes) this.lanes.set(lane.id, lane);
    this.brakes = loaded.brakes;
    this.vetoes = loaded.vetoes;
    this.pins = loaded.pins;
    this.clearances = loaded.clearances;
    this.rolloutOf = loaded.rolloutOf;
    this.hot = new Map(loaded.hot.map((one) => [one.agentId, one]));
    this.downloading = new Map(loaded.downloading.map((one) => [one.agentId, one]));
    this.ceilings = loaded.ceilings;
    this.recentBad = loaded.recentBad;
    this.stale = new Set(loaded.stale);
  }

  attemptsOf(agentId: string): Attempt[] {
    return [...(this.byAgent.get(agentId) ?? [])].map((id) => this.attempts.get(id) as Attempt);
  }

  liveOf(agentId: string): Attempt[] {
    return this.attemptsOf(agentId).filter((attempt) => isLive(attempt.state));
  }

  /** Ends without a success, by lane, step and budget epoch. */
  spentOf(agentId: string): Spent[] {
    return sumSpent(this.attemptsOf(agentId), this.clearances.get(agentId));
  }

  pinsOf(agentId: string): readonly Pin[] {
    return this.pins.get(agentId) ?? [];
  }

  /** The agent has reported since the restore. */
  hear(agentId: string): void {
    if (this.stale.delete(agentId)) this.heard.push(agentId);
  }

  putAgent(agent: Agent): void {
    this.agents.set(agent.handle, agent);
    this.changedAgents.add(agent.handle);
  }

  /** Books an attempt in its new state (or a new one), its step's counters with it, and the halt that may follow. */
  putAttempt(attempt: Attempt, now: number): void {
    const lane = this.lanes.get(attempt.laneId);
    const before = this.stepAttempts(attempt, lane);
    if (attempt.state === 'granted' && this.attempts.get(attempt.id)?.state === 'staged') this.countGrant(now);
    if (!this.attempts.has(attempt.id)) this.newAttempts.add(attempt.id);
    else this.changedAttempts.add(attempt.id);
    this.index(attempt);
    this.occupy(attempt.agentId);
    if (lane === undefined) return;
    const rollout = this.rolloutOf(lane);
    assert(rollout !== undefined, `the rollout of lane ${lane.id} has been read`);
    const next = mapSteps(lane, (step) =>
      step.step === attempt.step
        ? {
            ...step,
            counters: retally(step.counters, before, this.stepAttempts(attempt, lane), rollout.policy.attemptsPerAgent),
          }
        : step,
    );
    this.lanes.set(lane.id, next);
    this.changedLanes.add(lane.id);
    if (lane.kind === 'baseline') this.haltBaselineIfSpent(lane.id, attempt, rollout, now);
    else this.haltIfSpent(lane.id, rollout, now);
  }

  /** As this transaction has read and changed it: two grants of one batch see each other. */
  occupied(limits: Limits): Occupied {
    const { ceilings } = this;
    return countOccupied([...this.hot.values()], limits, { downloading: [...this.downloading.values()], ceilings });
  }

  private occupy(agentId: string): void {
    const place = this.places.get(agentId);
    const attempts = this.attemptsOf(agentId);
    if (!isOccupying(attempts)) this.hot.delete(agentId);
    else if (place !== undefined) this.hot.set(agentId, place);
    if (!attempts.some((one) => one.state === 'offered')) this.downloading.delete(agentId);
    else if (place !== undefined) this.downloading.set(agentId, place);
  }

  private countGrant(now: number): void {
    this.granted += 1;
    this.ceilings = withGrant(this.ceilings, now);
  }

  /** By baseline lane: agents that went bad within its window. */
  recentBadCounts(): Record<string, number> {
    return Object.fromEntries([...this.recentBad].map(([laneId, agents]) => [laneId, agents.size]));
  }

  private haltBaselineIfSpent(laneId: string, attempt: Attempt, rollout: Rollout, now: number): void {
    const bad = this.recentBad.get(laneId);
    const lane = this.lanes.get(laneId) as Lane;
    if (weigh(attempt) !== 'bad' || bad === undefined) return;
    bad.add(attempt.agentId);
    const { badCount } = rollout.policy.baseline;
    if (lane.state.name !== 'open' || bad.size < badCount) return;
    this.halt(lane, baselineHaltReason(bad.size, badCount), now);
  }

  private haltIfSpent(laneId: string, rollout: Rollout, now: number): void {
    const lane = this.lanes.get(laneId) as Lane;
    if (!isLiveLane(lane.state.name)) return;
    // What went bad forward is why it goes back.
    if (lane.state.name === 'rolling_back') {
      const spent = backHaltReason(lane, rollout.policy);
      if (spent !== undefined) this.halt(lane, spent, now);
      return;
    }
    for (const step of lane.steps) {
      const found = verdict(step.size, step.counters, NO_SILENCE, rollout.policy, lane.allowance);
      if (found.kind !== 'halt') continue;
      const reason = haltReason(step, found.budget);
      this.halt(lane, reason, now);
      if (isAgainstRelease(step, found.budget)) this.veto(rollout, reason, now);
      return;
    }
  }

  /** With the withdrawal of what was offered or staged in it. */
  private halt(lane: Lane, reason: string, now: number): void {
    const state = { name: 'halted', since: now, by: 'tidegate', reason, step: lastStep(lane) } as const;
    this.lanes.set(lane.id, moveLane(lane, state));
    this.halted.add(lane.id);
    const data = { region: lane.region, reason };
    this.audit.push({ at: now, actor: 'tidegate', action: 'lane.halted', subject: lane.id, data });
    this.withdrawLoaded(lane.id, now);
  }

  /** Automatic, unless one stands. */
  veto({ product, version }: Pick<Rollout, 'product' | 'version'>, reason: string, now: number): void {
    if (this.vetoes.some((veto) => veto.product === product && veto.version === version)) return;
    const veto = { product, version, automatic: true, actor: 'tidegate', reason, at: now };
    this.vetoes = [...this.vetoes, veto];
    this.newVetoes.push(veto);
    this.audit.push({
      at: now,
      actor: 'tidegate',
      action: 'release.vetoed',
      subject: `${product}@${version}`,
      data: { reason },
    });
  }

  private withdrawLoaded(laneId: string, now: number): void {
    for (const attempt of [...this.attempts.values()]) {
      if (attempt.laneId !== laneId || (attempt.state !== 'offered' && attempt.state !== 'staged')) continue;
      this.putAttempt({ ...attempt, state: 'withdrawn', endedAt: now }, now);
    }
  }

  private index(attempt: Attempt): void {
    const others = this.liveOf(attempt.agentId).filter((one) => one.id !== attempt.id);
    if (isLive(attempt.state)) {
      assert(
        !others.some((one) => one.product === attempt.product),
        `one live attempt per agent and product (${attempt.agentId})`,
      );
      assert(
        !isHot(attempt.state) || !others.some((one) => isHot(one.state)),
        `one hot attempt per agent (${attempt.agentId})`,
      );
    }
    this.attempts.set(attempt.id, attempt);
    const ids = this.byAgent.get(attempt.agentId) ?? new Set();
    ids.add(attempt.id);
    this.byAgent.set(attempt.agentId, ids);
  }

  /** Of the lane's present budget epoch: a loss from before a retry that is corrected to a success counts in it. */
  private stepAttempts(like: Attempt, lane: Lane | undefined): Attempt[] {
    const inStep = this.attemptsOf(like.agentId).filter((one) => one.laneId === like.laneId && one.step === like.step);
    return counted(inStep, lane === undefined || goesBack(like) ? like.budgetEpoch : lane.budgetEpoch);
  }
}
