// What of an instruction the journal keeps: everything that carrying on after a crash needs. Plain values.
import type { Instruction, OutcomeCause, RunningProduct } from '../protocol/agent.ts';
import type { Trial, UndoCause } from './marker.ts';

export interface Order {
  attempt: string;
  epoch: number;
  sequence: number;
  product: string;
  version: string;
  platform: string;
  digest: string;
  /** Bytes of the artifact. */
  size: number;
  urls: string[];
  from: { version: string; digest: string };
  rollback: boolean;
  stageWithinMs: number;
  activateWithinMs: number;
  proveWithinMs: number;
  stableForMs: number;
}

export type OutcomeState = 'succeeded' | 'rolled_back' | 'failed' | 'inconclusive' | 'declined';

export interface Outcome {
  state: OutcomeState;
  cause?: OutcomeCause;
  detail?: string;
}

export function orderOf(instruction: Instruction): Order {
  const { attempt, epoch, sequence, product, version, artifact, expectFrom, rollback } = instruction;
  const { stageWithinMs, activateWithinMs, proveWithinMs, stableForMs } = instruction;
  return {
    attempt,
    epoch,
    sequence,
    product,
    version,
    platform: artifact.platform,
    digest: artifact.sha256,
    size: artifact.size,
    urls: artifact.urls,
    from: expectFrom,
    rollback,
    stageWithinMs,
    activateWithinMs,
    proveWithinMs,
    stableForMs,
  };
}

export function trialOf(order: Order): Trial {
  return {
    attempt: order.attempt,
    version: order.version,
    from: order.from.version,
    proveWithinMs: order.proveWithinMs,
    stableForMs: order.stableForMs,
  };
}

export function isTarget(order: Order, running: RunningProduct): boolean {
  return running.version === order.version && running.digest === order.digest;
}

/** How the trial of an attempt stands on disk, as far as it is this attempt's. */
export type TrialResult =
  | { kind: 'none' }
  | { kind: 'trial' }
  | { kind: 'proven' }
  | { kind: 'undone'; cause: UndoCause; detail: string | null };
