// What the server knows of an agent, what an agent reports, and one attempt as a value.
import type { AttemptState } from './attempt.ts';

export interface InstalledProduct {
  product: string;
  version: string;
  /** SHA-256 of the artifact that it was installed from, lower-case hex. */
  digest: string;
}

export interface Agent {
  id: string;
  /** Small number that stands for the agent in session tokens, bitsets and the roster. */
  handle: number;
  name: string;
  region: string;
  /** `os-arch[-libc]`. */
  platform: string;
  labels: Record<string, string>;
  /** base64url of the raw Ed25519 key. */
  publicKey: string;
  enrolTokenId: string;
  enrolledAt: number;
  /** Sequence of the newest attempt; never decreases. */
  sequence: number;
  facts: Record<string, string> | null;
  health: 'ok' | 'unhealthy';
  healthReason: string | null;
  revision: number;
  products: InstalledProduct[];
}

export interface Attempt {
  id: string;
  agentId: string;
  rolloutId: string;
  laneId: string;
  step: number;
  /** Frozen into the step; a late joiner is not. */
  member: boolean;
  budgetEpoch: number;
  product: string;
  version: string;
  /** At a stop on the way to the release, and not at the release: its success is not the lane's. */
  hop?: true;
  platform: string;
  sha256: string;
  size: number;
  fromVersion: string;
  fromDigest: string;
  sequence: number;
  state: AttemptState;
  offeredAt: number;
  grantedAt: number | null;
  endedAt: number | null;
  /** Observed instant after which the attempt is overdue. */
  deadlineObserved: number;
  cause: string | null;
  detail: string | null;
  /** True when a late true report has replaced `lost`. */
  corrected: boolean;
}

/** A check-in as the engine sees it: parsed and authenticated. */
export interface AgentReport {
  handle: number;
  boot: string;
  platform: string;
  epoch: number;
  sequence: number;
  products: InstalledProduct[];
  health: 'ok' | 'unhealthy';
  healthReason: string | null;
  /** Null: not sent this time. */
  facts: Record<string, string> | null;
  attempts: ReportedAttempt[];
}

export interface ReportedAttempt {
  id: string;
  product: string;
  state: AttemptState;
  /** What it is an attempt at, and of which artifact; agents of before do not say. */
  version?: string;
  digest?: string;
  cause: string | null;
  detail: string | null;
}
