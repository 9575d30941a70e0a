// What is true in one simulated world, and what all of its parts share; only the promises may look at all of it.
import type { Marks } from './marks.ts';
import type { Random } from './random.ts';
import type { SeedPlan } from './seed-plan.ts';
import type { Trace } from './trace.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface World {
  readonly seed: number;
  readonly plan: SeedPlan;
  readonly random: Random;
  readonly time: VirtualTime;
  readonly trace: Trace;
  readonly marks: Marks;
  readonly truth: Truth;
  /** UUIDs that the seed decides. */
  newId(): string;
  /** One line of the trace. */
  say(text: string): void;
  /** A promise is broken: the run ends after this event. */
  broken(promise: string, sentence: string): void;
}

/** How a release really is. */
export type Quality =
  | 'good'
  | 'crashes'
  | 'crashes_on_some'
  | 'crashes_in_one_region'
  | 'crashes_late'
  | 'cannot_reach_server'
  | 'unhealthy'
  | 'download_fails'
  | 'selftest_fails';

export interface TrueRelease {
  product: string;
  version: string;
  quality: Quality;
  /** The region of `crashes_in_one_region`. */
  region: string;
  /** Digest by platform. */
  digests: Map<string, string>;
  gone: boolean;
}

export interface TrueStatus {
  /** Milliseconds since the world began. */
  at: number;
  status: 'available' | 'absent' | 'unknown';
}

export interface Truth {
  /** By `product@version`. */
  releases: Map<string, TrueRelease>;
  /** By `product version region platform`. */
  availability: Map<string, TrueStatus[]>;
  /** Attempts whose agent has truly run the new version and found it good. */
  proven: Set<string>;
  /** Attempts that truly were undone on their host. */
  undone: Set<string>;
  /** Agents whose word is worth nothing: they lied, or somebody has cloned them. By id. */
  dishonest: Set<string>;
  /** Attempt ids that were handed out, with their digest. */
  instructed: Map<string, string>;
  /** Outcomes that an agent was told are recorded. */
  acknowledged: Map<string, string>;
  /** Time in which the server was up and could look, at most: each stop counts for a minute. */
  observableMs: number;
  /** Of that, when the server has started last. */
  upSinceMs: number;
  /** By agent's id: observable time at which it was last heard; −Infinity where it was not well, or not honest. */
  heard: Map<string, number>;
  /** By agent's id and product: the version in the message that came last. */
  says: Map<string, string>;
  /** True from when the faults end. */
  calm: boolean;
  /** True once the good release of the end is published. */
  fixed: boolean;
  messages: number;
  /** The next agent that swaps goes dark for so long in the middle of it; 0: none does. */
  darkForMs: number;
  /** Until then no offer of the last product comes through. */
  loseOffersUntil: number;
  /** When the server came up last, milliseconds since the world began. */
  startedAt: number;
  /** How often the server has come up. */
  starts: number;
  /** When the server's clock was last put by more than a minute, milliseconds since the world began. */
  clockSteppedAt: number;
  /** How often the database was taken back to a backup. */
  restores: number;
  /** When it last was, milliseconds since the world began. */
  restoredAt: number;
  /** Agents whose report has come to the server since the last of these, by id. */
  reportedSince: Set<string>;
  /** Agents that somebody wants out of the fleet, whether or not the server has heard of it. By id. */
  toUnenrol: Set<string>;
  /** Outcomes that honest agents were told since then are recorded, by attempt. */
  toldSince: Map<string, string>;
}

export function newTruth(): Truth {
  return {
    releases: new Map(),
    availability: new Map(),
    proven: new Set(),
    undone: new Set(),
    dishonest: new Set(),
    instructed: new Map(),
    acknowledged: new Map(),
    observableMs: 0,
    upSinceMs: 0,
    heard: new Map(),
    says: new Map(),
    calm: false,
    fixed: false,
    messages: 0,
    darkForMs: 0,
    loseOffersUntil: 0,
    startedAt: 0,
    starts: 0,
    clockSteppedAt: Number.NEGATIVE_INFINITY,
    restores: 0,
    restoredAt: Number.POSITIVE_INFINITY,
    reportedSince: new Set(),
    toUnenrol: new Set(),
    toldSince: new Map(),
  };
}

export function releaseKey(product: string, version: string): string {
  return `${product}@${version}`;
}

export function placeKey(product: string, version: string, region: string, platform: string): string {
  return `${product} ${version} ${region} ${platform}`;
}
