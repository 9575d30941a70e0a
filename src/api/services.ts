// What the routes need from the engine, passed in by the composition root; the engine implements it, tests use the real one.
import type { Agent, AgentReport } from '../domain/agent.ts';
import type { Ceiling } from '../domain/ceilings.ts';
import type { CheckInResult, EnrolInput } from '../domain/check-in.ts';
import type { ClockDoubt } from '../domain/clock-doubt.ts';
import type { TraceLine } from '../domain/decide.ts';
import type { Veto } from '../domain/directives.ts';
import type { LaneExplanation } from '../domain/explain-lane.ts';
import type { HoldTimes } from '../domain/hold-times.ts';
import type { HoldReason } from '../domain/holds.ts';
import type { Pin } from '../domain/pin.ts';
import type { Backtest } from '../domain/rehearse/backtest.ts';
import type { Rehearsal } from '../domain/rehearse/rehearse.ts';
import type { Release } from '../domain/release.ts';
import type {
  BacktestOptions,
  BrakeOptions,
  ClearOptions,
  CreateRolloutOptions,
  PinOptions,
  RehearseOptions,
  TrustOptions,
  UnenrolOptions,
  VerbOptions,
  VetoOptions,
} from '../domain/requests.ts';
import type { Lane, Rollout } from '../domain/rollout.ts';
import type { Unenrolment } from '../domain/unenrolment.ts';
import type { WindowStatus } from '../domain/window.ts';

export interface AgentService {
  /**
   * Durable when it resolves. The same key enrolling again with the same token gets the same agent without another use.
   * Throws `enrol_denied`, `conflict`, `overloaded`.
   */
  enrol(input: EnrolInput): Promise<Agent>;
  /** From the database, which alone has the keys; undefined when it never was enrolled. */
  findAgent(
    id: string,
  ): Promise<{ handle: number; region: string; publicKey: string; unenrolled: boolean } | undefined>;
  /** From memory; undefined when it never was enrolled. Throws `unenrolled`. */
  agentOf(handle: number): { id: string; region: string } | undefined;
  /**
   * Answers one check-in; what it says is committed. Waits up to `waitMs` while there is nothing to do, less when the
   * signal aborts. Throws `foreign_attempt`, `unknown_version`, `illegal_transition`, `overloaded`.
   */
  checkIn(report: AgentReport, waitMs: number, signal: AbortSignal): Promise<CheckInResult>;
  /** From memory, for one that does not wait; undefined when it has news: then ask `checkIn`. Throws `unknown_version`. */
  answerAtOnce(report: AgentReport): CheckInResult | undefined;
  /** Raised by a restore. */
  epoch(): number;
}

export interface ExplainedProduct {
  product: string;
  answer: 'none' | 'hold' | 'stage' | 'activate' | 'withdraw';
  sentence: string;
  /** Set where it is held. */
  hold: HoldTimes | null;
  trace: TraceLine[];
}

/** An agent that has used up its attempts at a release, `limit` of them. */
export interface Quarantined {
  product: string;
  version: string;
  rolloutId: string;
  attempts: number;
  limit: number;
}

export interface PassedOver {
  /** `away`: silent, and brought to it when they return. */
  reason: HoldReason | 'away';
  agents: number;
  /** Of most of them; null: the reason says it all. */
  detail: string | null;
}

export interface RegionNow {
  name: string;
  enrolled: number;
  present: number;
  window: WindowStatus;
  lanes: { lane: Lane; version: string; steps: number }[];
}

export interface Rehearsed {
  version: string;
  /** How the release stands; null: not published. */
  release: Release['state'] | null;
  rehearsal: Rehearsal;
  /** What was taken for granted, one sentence each. */
  assumptions: string[];
}

export interface Backtested {
  backtest: Backtest;
  assumptions: string[];
}

/** The engine's side of the operator API: verbs, and what only memory knows. */
export interface OperatorService {
  /** Idempotent: false when nothing was left to do. Throws `not_found`, `illegal_transition`, `conflict`. */
  verb(rolloutId: string, options: VerbOptions): Promise<boolean>;
  /** Now, whatever schedule and minimum age say. Unchanged when the release has a rollout. Throws `not_found`, `conflict`. */
  createRollout(options: CreateRolloutOptions): Promise<{ id: string; changed: boolean }>;
  /** Idempotent: false when it already was so. */
  setBrake(options: BrakeOptions): Promise<boolean>;
  /**
   * A release is let out nowhere, or may be again. Idempotent; `veto` stands now, `lifted` stood before. Throws `not_found`.
   */
  setVeto(options: VetoOptions): Promise<{ version: string; changed: boolean; veto: Veto | null; lifted: Veto | null }>;
  /**
   * One agent is left alone at one product, or goes on. Idempotent; `pin` stands now, `lifted` stood before; `hot` was granted
   * before and runs to its end. Throws `not_found`, `conflict`.
   */
  setPin(options: PinOptions): Promise<{
    changed: boolean;
    pin: Pin | null;
    lifted: Pin | null;
    hot: { version: string; state: string } | null;
  }>;
  /**
   * One agent is in the fleet no more. Idempotent: who did it first stays; `hot` was granted before and ends as lost.
   * Throws `not_found`.
   */
  unenrol(options: UnenrolOptions): Promise<{
    changed: boolean;
    unenrolment: Unenrolment;
    hot: { product: string; version: string; state: string } | null;
  }>;
  /** What a person, its own failures, or a build that no release has, keep the agent from; by handle. */
  restraintsOf(handle: number): {
    pins: readonly Pin[];
    quarantined: readonly Quarantined[];
    unknownBuilds: readonly { product: string; version: string; digest: string }[];
  };
  /** At most `limit`, in the order of the handles. */
  quarantined(
    product: string | null,
    limit: number,
  ): { quarantined: readonly (Quarantined & { agentId: string })[]; more: boolean };
  /** One agent may try a release again. Idempotent; `attempts` are forgiven. Throws `not_found`. */
  clearQuarantine(options: ClearOptions): Promise<{ version: string; changed: boolean; attempts: number }>;
  /** A person believes the clock. Idempotent: false when nobody doubted it. */
  trustClock(options: TrustOptions): Promise<boolean>;
  /** Null: the server's clock is sound. */
  clockDoubt(): ClockDoubt | null;
  /** Those that the config sets, with what is used of them. */
  ceilings(): Ceiling[];
  /**
   * Plays a release on a model of the fleet; changes nothing. Throws `not_found`, `unknown_version`, `bad_request`,
   * `overloaded`, `timeout`.
   */
  rehearse(options: RehearseOptions): Promise<Rehearsed>;
  /** Plays the product's history under its policy; changes nothing. Throws as `rehearse`. */
  backtest(options: BacktestOptions): Promise<Backtested>;
  /** Agents that have checked in within the stale time, by handle. */
  isPresent(handle: number): boolean;
  /** Milliseconds since the epoch; null when not seen since the server knows it. */
  lastSeenAt(handle: number): number | null;
  /** `stale`: have not reported since the database was restored. */
  counts(): { enrolled: number; present: number; stale: number };
  /** Agents of regions that the config does not name, most first. */
  unnamedRegions(): { region: string; agents: number }[];
  /** Agents that the release of a lane is not brought to for reasons of their own, by lane id; the most first. */
  passedOver(rollouts: readonly Rollout[]): Promise<Map<string, PassedOver[]>>;
  /** Every region of the config, with its agents, whether its window is open, and its live lane by product. */
  regions(): RegionNow[];
  /** Agents by product, region and version. */
  versions(): { product: string; region: string; version: string; agents: number; present: number }[];
  /** What holds each product that has no rollout going on; from the last plan. */
  productHolds(): { product: string; reason: HoldReason; sentence: string; since: number; until: number | null }[];
  /** The highest release that may be let out, by product; from the last plan. */
  newest(product: string): string | null;
  /** Why a higher release is not let out, as of the last plan; null where nobody knows. */
  whyNot(product: string, version: string): string | null;
  /** What the agent would be answered now, with the trace of rules. Throws `not_found`. */
  explain(agentId: string): Promise<ExplainedProduct[]>;
  /** By lane id: all gates as they stand now. Throws `not_found`. */
  explainLanes(rolloutId: string): Promise<Map<string, LaneExplanation>>;
}

/** Bytes by digest, from the server's cache. */
export interface ArtifactService {
  /** Path of the verified file and its size in bytes. Throws `not_found` for a digest of no release, `artifact_unavailable`. */
  open(sha256: string): Promise<{ path: string; size: number }>;
}
