// Everything that `plan` may look at, and the actions that it may ask for: plain JSON, never a list of agents.
import type { Availability } from './availability.ts';
import type { Brake, Veto } from './directives.ts';
import type { HoldReason } from './holds.ts';
import type { Policy } from './policy.ts';
import type { Release } from './release.ts';
import type { Rollout } from './rollout.ts';
import type { SchemeName } from './version/scheme.ts';

/** A product as the config has it. */
export interface ProductRules {
  name: string;
  scheme: SchemeName;
  /** Range of the scheme; null: every version. */
  accept: string | null;
  prereleases: boolean;
  policy: Policy;
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
  /** Agents that run the product in the region. */
  agents: number;
  /** Platforms of the eligible agents. */
  platforms: string[];
  /** What opening each step that is not open yet would freeze now. */
  previews: {
    step: number /** Present: would be members. */;
    members: number /** Present or not. */;
    eligible: number;
  }[];
  /** The opened steps. */
  steps: {
    step: number;
    gone: number;
    ineligible: number;
    replaceable: boolean;
    /** Members that run the release, and how many of them are present. */
    updated: number;
    updatedPresent: number;
  }[];
}

/** A live attempt whose observed deadline has passed. */
export interface OverdueAttempt {
  id: string;
  laneId: string;
  hot: boolean;
  deadlineObserved: number;
}

export interface Snapshot {
  /** Observed time: grows only while the server is up and its clock is sound. */
  observedMs: number;
  products: ProductRules[];
  /** In the order of the config. */
  regions: string[];
  releases: Release[];
  availability: Availability[];
  vetoes: Veto[];
  brakes: Brake[];
  /** Oldest first. */
  rollouts: Rollout[];
  baselines: Baseline[];
  census: CensusRow[];
  lanes: LaneCensus[];
  overdue: OverdueAttempt[];
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
  | { kind: 'open_step'; laneId: string; step: number }
  | { kind: 'start_soak'; laneId: string; step: number }
  | { kind: 'await_approval'; laneId: string; step: number }
  | {
      kind: 'complete_lane';
      laneId: string;
      evidence: boolean /** Whether the region's baseline becomes this release. */;
      baseline: boolean;
    }
  | { kind: 'halt_lane'; laneId: string; reason: string; veto: boolean }
  | { kind: 'supersede_lane'; laneId: string; by: string }
  | { kind: 'end_rollout'; rolloutId: string }
  | { kind: 'end_attempt'; attemptId: string; laneId: string; state: 'lost' | 'expired' };

/** Why a lane, or a product without anything going out, does not go on. */
export interface Hold {
  subject: { laneId: string } | { product: string };
  reason: HoldReason;
  sentence: string;
  until: number | null;
}

export interface Plan {
  actions: Action[];
  report: Hold[];
}
