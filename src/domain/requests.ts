// What people ask for, as routes hand it to the engine: one set of words for both.
import type { LaneVerb } from './verbs.ts';

export interface VerbOptions {
  verb: LaneVerb;
  /** Null: every lane of the rollout for which the verb is legal. */
  region: string | null;
  /** The step that the person saw, from 0; null: whatever it is. */
  expectedStep: number | null;
  /** With `halt`: the release is vetoed everywhere as well. */
  vetoRelease: boolean;
  /** True: the baseline lanes that the rollout's release has, and not its own. */
  baseline?: boolean;
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
  actor: string;
  reason: string;
}
