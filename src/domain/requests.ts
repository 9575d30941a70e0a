// What people ask for, as routes hand it to the engine: one set of words for both.
import type { FleetGroup } from './rehearse/model.ts';
import type { LaneVerb } from './verbs.ts';

export interface VerbOptions {
  verb: LaneVerb;
  /** Null: every lane of the rollout for which the verb is legal. */
  region: string | null;
  /** The step that the person saw, from 0; null: whatever it is. */
  expectedStep: number | null;
  /** The revision of the lane that the person saw; of one region. Default: whatever it is. */
  expectedRevision?: number;
  /** With `accept`: how many outcomes. */
  count?: number;
  /** With `halt`: the release is vetoed everywhere as well. */
  vetoRelease: boolean;
  /** True: the baseline lanes that the rollout's release has, and not its own. */
  baseline?: boolean;
  actor: string;
  reason: string;
}

/** A person's veto of a release everywhere, or the end of any veto. */
export interface VetoOptions {
  product: string;
  /** As the product's scheme prints it, or the release's tag. */
  version: string;
  on: boolean;
  /** When the veto was set that the person saw; left out: whatever it is. */
  expectedAt?: number;
  actor: string;
  reason: string;
}

/** A person lets one agent try a release again at which it has used up its attempts. */
export interface ClearOptions {
  agentId: string;
  product: string;
  /** As the product's scheme prints it, or the release's tag. */
  version: string;
  /** As many as the person saw; left out: however many they are. */
  expectedAttempts?: number;
  actor: string;
  reason: string;
}

/** A person leaves one agent alone at one product, or lets it go on. */
export interface PinOptions {
  agentId: string;
  product: string;
  on: boolean;
  /** What the person saw the agent run; null: whatever it runs. */
  version: string | null;
  /** When the pin was set that the person saw; left out: whatever it is. */
  expectedAt?: number;
  actor: string;
  reason: string;
}

/** A person takes one agent out of the fleet. */
export interface UnenrolOptions {
  agentId: string;
  actor: string;
  reason: string;
}

export interface CreateRolloutOptions {
  product: string;
  /** As the product's scheme prints it, or the release's tag. */
  version: string;
  actor: string;
  reason: string;
}

/** A person has looked at the server's clock and believes it. */
export interface TrustOptions {
  actor: string;
  reason: string;
}

export interface BrakeOptions {
  /** `fleet`, `product:<name>` or `region:<name>`. */
  scope: string;
  on: boolean;
  /** When the brake was set that the person saw; left out: whatever it is. */
  expectedAt?: number;
  actor: string;
  reason: string;
}

/** What a person says of a rehearsal or a back-test; what is left out is as by default. Times in milliseconds. */
export interface ModelOptions {
  product: string;
  /** Null: nobody ever approves. */
  approveAfterMs?: number | null;
  availabilityDelayMs?: number;
  stageMs?: number;
  activateMs?: number;
  seed?: number;
}

export interface RehearseOptions extends ModelOptions {
  /** As the product's scheme prints it, or the release's tag; it need not be published. */
  version: string;
  /** Share of the agents on which a bad release fails, 0–1. */
  failureRate?: number;
  /** Share of the agents that are away, 0–1; left out: as it is now. */
  offline?: number;
  horizonMs?: number;
  /** In place of the fleet as it is now. */
  fleet?: Omit<FleetGroup, 'present'>[];
}

export interface BacktestOptions extends ModelOptions {
  /** Milliseconds since the epoch. */
  since: number;
  agentsPerRegion?: number;
}
