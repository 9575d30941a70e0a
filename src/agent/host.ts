// What the agent's machine needs of the host it lives on. Two implementations: POSIX (posix-host.ts) and the simulator's.
import type { OutcomeCause, RunningProduct } from '../protocol/agent.ts';
import type { Counters } from './counters.ts';
import type { Journal } from './journal.ts';
import type { UndoCause } from './marker.ts';
import type { Order, Outcome, TrialResult } from './order.ts';

/** Why something on the host did not work, as it is reported. An expected outcome, hence a value. */
export interface Fault {
  cause: OutcomeCause;
  /** One printable line of at most 500 characters. */
  detail: string;
}

export interface KnownGood {
  version: string;
  digest: string;
}

/** What is written is durable when a call returns. Every call may be repeated after a crash. */
export interface Host {
  readonly platform: string;
  /** What runs now, by its seal. */
  running(): RunningProduct[];
  facts(): Record<string, string>;
  /** The local checks: undefined when the host can do what an update needs, else one sentence. */
  localFault(): string | undefined;
  /**
   * A prerequisite of the host's owner that is missing, as one sentence. It makes the agent report itself unhealthy, and
   * says nothing about the version that runs.
   */
  missing(): string | undefined;

  loadJournal(): Journal;
  saveJournal(journal: Journal): void;
  /** Throws `state_damaged`. */
  loadCounters(): Counters;
  saveCounters(counters: Counters): void;
  /** Digests that were rolled back here. */
  skipped(product: string): string[];
  knownGood(product: string): KnownGood[];
  /** How the launcher and the marker say that the trial of this attempt stands. */
  trialResult(attempt: string): TrialResult;

  /** True when exactly this version lies sealed and sound on the disk already. */
  hasSealed(order: Order): boolean;
  /** Brings the bytes, by size and digest. Faults are mapped; throws only when the signal aborts. */
  download(order: Order, signal: AbortSignal): Promise<Fault | undefined>;
  unpack(order: Order): Promise<Fault | undefined>;
  selfTest(order: Order): Promise<Fault | undefined>;
  seal(order: Order): Fault | undefined;
  /** Removes what was staged for the order and is not in use. */
  discard(order: Order): void;

  /** Hashes the sealed version again, makes the way back and writes the trial marker. */
  prepare(order: Order): Fault | undefined;
  unprepare(order: Order): void;
  /** Points `current` at the new version: from here on the next start runs it. */
  flip(order: Order): Fault | undefined;
  /** The commit point of success. */
  confirm(order: Order): void;
  /** Asks the launcher to go back. */
  undo(order: Order, cause: UndoCause): void;
  /** Brings lists and links in line with the outcome and removes what neither they nor `keep` (versions) name. */
  settle(order: Order, outcome: Outcome, keep: readonly string[]): void;
}
