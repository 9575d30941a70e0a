// What goes between the routes and the engine at enrolment and check-in: values of the domain, not of the wire.
import type { Attempt, InstalledProduct } from './agent.ts';
import type { HoldReason } from './holds.ts';

export interface EnrolInput {
  tokenId: string;
  /** SHA-256 of the token's secret, lower-case hex. */
  secretHash: string;
  publicKey: string;
  name: string;
  platform: string;
  products: InstalledProduct[];
}

export type CheckInAnswer =
  | { kind: 'none' }
  | { kind: 'hold'; reason: HoldReason; sentence: string }
  | {
      kind: 'instruction';
      action: 'stage' | 'activate' | 'withdraw';
      attempt: Attempt;
      /** Where the region’s mirror has the bytes; null: the server alone. */
      mirrorUrl: string | null;
      override: boolean;
      rollback: boolean;
      stageWithinMs: number;
      activateWithinMs: number;
      proveWithinMs: number;
      stableForMs: number;
    };

export interface CheckInResult {
  answer: CheckInAnswer;
  acknowledged: { id: string; state: string }[];
  nextInMs: number;
  wantFacts: boolean;
}
