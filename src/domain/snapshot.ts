// Everything that `plan` may look at, and the actions that it may ask for: plain JSON, never a list of agents.
import type { Availability } from './availability.ts';
import type { Ceiling } from './ceilings.ts';
import type { ClockDoubt } from './clock-doubt.ts';
import type { Brake, Veto } from './directives.ts';
import type { HoldReason } from './holds.ts';
import type { MetricTally } from './metric.ts';
import type { Policy } from './policy.ts';
import type { Release } from './release.ts';
import type { Requirement } from './requirement.ts';
import type { BackTo, Lane, Rollout } from './rollout.ts';
import type { Jump, SchemeName } from './version/scheme.ts';
import type { Freeze, WindowRules } from './window.ts';

/** A product as the config has it. */
export interface ProductRules {
  name: string;
  scheme: SchemeName;
  /** Range of the scheme; null: every version. */
  accept: string | null;
  /** Which prereleases may go out: none, all, or those of these identifiers (`rc`, `beta`; isInChannel). */
  prereleases: boolean | readonly string[];
  /** How many newer releases must be there before one is let out. */
  lag: number;
  /** The lowest version that agents are updated from; null: any. */
  from: string | null;
  /** Versions that must not be jumped over, ascending. */
  floors: readonly Floor[];
  /** What hosts must have. */
  requirements: readonly Requirement[];
  /** Agents that run a build that no release has. */
  unknownBuilds: UnknownBuilds;
  /** The most cautious one: for a jump that has none of its own, and while no region has a baseline. */
  policy: Policy;
  /** The kind of jump picks the policy. */
  policies: Partial<Record<PolicyJump, Policy>>;
}

export interface Floor {
  version: string;
  /** Why, in the owner's words. */
  reason: string;
}

export type UnknownBuilds = 'hold' | 'update';

export type PolicyJump = Extract<Jump, 'patch' | 'minor' | 'major' | 'prerelease'>;

/** When something may start in a region. */
export interface Calendar {
  region: string;
  /** IANA zone. */
  timeZone: string;
  windows: WindowRules;
}

/** When a product's schedules were looked at last, milliseconds since the epoch. */
export interface Consideration {
  product: string;
  at: number;
  /** Those that it had then (`scheduleKey`); not set where that is not known. */
  schedules?: readonly string[];
}

/** The release that a region has completed: what newcomers are brought to. */
export interface Baseline {
  product: string;
  region: string;
  version: string;
  releaseId: string;
  at: number;
}

/** Agents that run a product in a region, by version and platform. */
export interface CensusRow {
  product: string;
  region: string;
  version: string;
  platform: string;
  agents: number;
  /** Seen within the stale time. */
  present: number;
}

/** What the roster knows about one lane that has not ended. */
export interface LaneCensus {
  laneId: string;
  /** Agents that run a lower version and whose platform the release has. */
  eligible: number;
  /** Of these who is there, but is held as unhealthy; not set where nobody is. */
  unwell?: number;
  /** Agents that run the product in the region. */
  agents: number;
  /** Platforms of the eligible agents. */
  platforms: string[];
  /** The floors that some of the eligible agents must stop at, ascending, with the platforms of those. */
  floors: { version: string; platforms: string[] }[];
  /** Floors that have no release, with the agents that could be updated but for that; not set where there are none. */
  missingFloors?: { version: string; agents: number }[];
  /** What opening each step that is not open yet would freeze now. */
  previews: {
    step: number /** Present: would be members. */;
    members: number /** Present or not. */;
    eligible: number;
    /** Carry the step's labels and cannot be brought to the release, for reasons of their own; not set where nobody does. */
    held?: number;
  }[];
  /** The opened steps. */
  steps: {
    step: number;
    gone: number;
    ineligible: number;
    /** Present agents by rank beyond the step that could take the seats of the gone. */
    replaceable: number;
    /** Members that run the release, and how many of them are present. */
    updated: number;
    updatedPresent: number;
    /** Others of those that run the release: not silent, but not heard either since this server started. */
    unheard: number;
  }[];
  /** Agents that run the release which the lane takes back; only while it does. */
  back?: BackCensus;
}

export interface BackCensus {
  /** Present, and can be taken back. */
  left: number;
  /** Present, and cannot: declined or used up their attempts, run an unknown build, or have no file for their platform. */
  out: number;
  /** Silent for the stale time. */
  gone: number;
  /** Platforms of those that are left. */
  platforms: string[];
}

/** A live attempt whose observed deadline has passed. */
export interface OverdueAttempt {
  id: string;
  laneId: string;
  hot: boolean;
  deadlineObserved: number;
  /** Offered to a host that is there: it had its time, and has not staged it. */
  timedOut?: true;
}

export interface Snapshot {
  /** Observed time: grows only while the server is up and its clock is sound. */
  observedMs: number;
  products: ProductRules[];
  /** In the order of the config. */
  regions: string[];
  calendars: readonly Calendar[];
  freezes: readonly Freeze[];
  /** Null: the wall clock is sound. */
  clock: ClockDoubt | null;
  /** Those that the config sets, with what is used of them. */
  ceilings: Ceiling[];
  considered: Consideration[];
  releases: Release[];
  availability: Availability[];
  vetoes: Veto[];
  brakes: Brake[];
  /** Oldest first. */
  rollouts: Rollout[];
  /** Those that have not ended. */
  baselineLanes: Lane[];
  /** Agents that went bad in a baseline lane within its policy's window, by lane. */
  recentBad: Record<string, number>;
  baselines: Baseline[];
  census: CensusRow[];
  lanes: LaneCensus[];
  overdue: OverdueAttempt[];
  /** Of lanes that are live. */
  metrics: MetricTally[];
  /**
   * What the agents ran that took the release, by lane, the most frequent first: of lanes that may be rolled back now.
   */
  cameFrom?: Record<string, readonly string[]>;
}

export type Action =
  | {
      kind: 'create_rollout';
      product: string;
      releaseId: string;
      version: string;
      policy: Policy;
      lanes: { region: string; wave: number }[];
    }
  /** The schedule has been looked at: what was due is taken, however many runs it were. */
  | { kind: 'consider_schedule'; product: string }
  | { kind: 'open_baseline'; product: string; region: string; rolloutId: string }
  | { kind: 'open_step'; laneId: string; step: number }
  /** The next by rank take the seats of members that are gone. */
  | { kind: 'replace_members'; laneId: string; step: number; count: number }
  | { kind: 'start_soak'; laneId: string; step: number }
  /** `doubt`: a metric has raised one, which nobody who approved the step before has seen. */
  | { kind: 'await_approval'; laneId: string; step: number; doubt?: true }
  | {
      kind: 'complete_lane';
      laneId: string;
      evidence: boolean /** Whether the region's baseline becomes this release. */;
      baseline: boolean;
    }
  /** `withdrawn`: the release is, and nothing else is wrong. */
  | { kind: 'halt_lane'; laneId: string; reason: string; veto: boolean; withdrawn?: true }
  /** A withdrawn release is back as it was. */
  | { kind: 'lift_halt'; laneId: string }
  /** It had completed because nobody could take the release, and now somebody can. */
  | { kind: 'reopen_lane'; laneId: string }
  | { kind: 'supersede_lane'; laneId: string; by: string }
  | { kind: 'cancel_lane'; laneId: string; by: string; reason: string }
  /** `agents`: how many run the release. `automatic`: the policy asked for it, no person. The release is vetoed. */
  | { kind: 'roll_back'; laneId: string; to: BackTo; agents: number; by: string; reason: string; automatic: boolean }
  | { kind: 'finish_rollback'; laneId: string }
  | { kind: 'end_rollout'; rolloutId: string }
  /** `timedOut`: the host was there, so that it counts as one of its attempts. */
  | { kind: 'end_attempt'; attemptId: string; laneId: string; state: 'lost' | 'expired'; timedOut?: true };

/** Why a lane, or a product without anything going out, does not go on. */
export interface Hold {
  subject: { laneId: string } | { product: string };
  reason: HoldReason;
  sentence: string;
  /** Where the rows tell it, milliseconds since the epoch; else since it was found first. */
  since?: number;
  until: number | null;
}

export interface Plan {
  actions: Action[];
  report: Hold[];
}
