// The wire of rehearsals and back-tests, under /api/v1. Times are milliseconds since the epoch, durations milliseconds, rates 0–1.
import { type Static, type TObject, type TProperties, type TSchema, Type } from 'typebox';

function Strict<T extends TProperties>(properties: T): TObject<T> {
  return Type.Object(properties, { additionalProperties: false });
}

function Nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

const Text = Type.String({ maxLength: 2000 });
const Integer = Type.Integer();
const Name = Type.String({ pattern: '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$' });
const Duration = Type.Integer({ minimum: 0, maximum: 31_536_000_000 });
const Share = Type.Number({ minimum: 0, maximum: 1 });

/** Agents that are alike. */
export const FleetGroup = Strict({
  region: Name,
  /** os-arch or os-arch-libc. */
  platform: Type.String({ pattern: '^[a-z0-9]+(-[a-z0-9_.]+){1,3}$', maxLength: 64 }),
  version: Type.String({ minLength: 1, maxLength: 128 }),
  labels: Type.Optional(
    Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_.-]{0,62}$' }), Type.String({ maxLength: 128 }), {
      additionalProperties: false,
      maxProperties: 32,
    }),
  ),
  /** Number of agents. */
  count: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
});
export type FleetGroup = Static<typeof FleetGroup>;

/** Both may say these; what is left out is as by default. */
const MODEL = {
  product: Name,
  /** After so long a person promotes what waits for that. Default 0; null: nobody ever does. */
  approveAfterMs: Type.Optional(Nullable(Duration)),
  /** From the publication to when every region has the release. Default 0. */
  availabilityDelayMs: Type.Optional(Duration),
  /** What an agent takes to download and verify. Default one minute. */
  stageMs: Type.Optional(Duration),
  /** What it takes from the grant to the proof. Default 15 s and the policy's stableFor. */
  activateMs: Type.Optional(Duration),
  /** Another seed, other ranks and other hosts that fail. Default 1. */
  seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 4_294_967_295 })),
};

export const RehearsalRequest = Strict({
  ...MODEL,
  /** As the product's scheme prints it, or the release's tag; it need not be published. */
  version: Type.String({ minLength: 1, maxLength: 128 }),
  /** Share of the hosts on which a bad release fails. Default 0.01. */
  failureRate: Type.Optional(Share),
  /** Share of the agents that are away. Default: who is away now, or nobody of a fleet that is given. */
  offline: Type.Optional(Share),
  /** Default 90 days. */
  horizonMs: Type.Optional(Duration),
  /** In place of the fleet as it is now; a million agents at most in all. */
  fleet: Type.Optional(Type.Array(FleetGroup, { minItems: 1, maxItems: 10_000 })),
});
export type RehearsalRequest = Static<typeof RehearsalRequest>;

export const BacktestRequest = Strict({
  ...MODEL,
  /** The first day, UTC, e.g. 2025-01-01. */
  since: Type.String({ pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' }),
  /** Default 20. */
  agentsPerRegion: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
});
export type BacktestRequest = Static<typeof BacktestRequest>;

const RehearsedStep = Strict({
  step: Integer,
  openedAt: Integer,
  /** Enough members had succeeded. */
  doneAt: Nullable(Integer),
  /** The lane left it for the next one, or ended; in between it soaked, and waited for a person or a window. */
  endedAt: Nullable(Integer),
  /** Members. */
  size: Integer,
  /** Agents that were let go in it. */
  exposed: Integer,
  succeeded: Integer,
  bad: Integer,
  /** The failure rate that so many clean agents rule out at 95 % confidence. */
  detects: Type.Number(),
});

export const RehearsedLane = Strict({
  region: Text,
  wave: Integer,
  /** At the end. */
  state: Text,
  /** The states one after another; `to` is null for the last. */
  spans: Type.Array(Strict({ state: Text, step: Nullable(Integer), from: Integer, to: Nullable(Integer) })),
  /** `who`: the lane, or agents of it that lay ready and were not let go. `to` is null for what still held at the end. */
  holds: Type.Array(Strict({ who: Text, reason: Text, sentence: Text, from: Integer, to: Nullable(Integer) })),
  steps: Type.Array(RehearsedStep),
});
export type RehearsedLane = Static<typeof RehearsedLane>;

/** `stoppedBy`: ended (all lanes), held (nothing goes on by itself), time (the horizon), work (more than 20,000,000 events). */
export const RehearsalReply = Strict({
  product: Text,
  version: Text,
  /** complete, pending and so on; null: not published. */
  release: Nullable(Text),
  /** Null: no rollout would begin; `hold` says why. */
  policy: Nullable(Text),
  from: Integer,
  to: Integer,
  stoppedBy: Text,
  hold: Nullable(Strict({ reason: Text, sentence: Text, until: Nullable(Integer) })),
  /** How they end: `total` is the sum of the others. */
  agents: Strict({
    total: Integer,
    updated: Integer,
    failed: Integer,
    away: Integer,
    /** Present and below the release, and not let go by the end. */
    waiting: Integer,
    /** Had it or something higher from the beginning, or are not in what it is for. */
    untouched: Integer,
  }),
  /** In the order of the waves. The run of a good release. */
  lanes: Type.Array(RehearsedLane),
  /** The runs of a bad release. */
  exposure: Strict({
    failureRate: Type.Number(),
    runs: Integer,
    /** A lane halted, no lane went on by itself, or everybody got it. */
    halted: Integer,
    held: Integer,
    passed: Integer,
    /** Agents that were let go when the first lane halted; null: none did. */
    exposed: Nullable(Strict({ least: Integer, median: Integer, most: Integer })),
    /** At most so many of them were broken. */
    broken: Nullable(Integer),
    haltedAfterMs: Nullable(Integer),
  }),
  /** Things that happened on the virtual clock, over all runs. */
  events: Integer,
  /** What was taken for granted, one sentence each. */
  assumptions: Type.Array(Text),
});
export type RehearsalReply = Static<typeof RehearsalReply>;

const Spread = { medianMs: Integer, maxMs: Integer };

export const BacktestReply = Strict({
  product: Text,
  from: Integer,
  to: Integer,
  stoppedBy: Text,
  /** What every agent ran at first; null: nothing was ever published that could go out. */
  first: Nullable(Text),
  /** Above it, published since, in the product's channel and range. */
  releases: Integer,
  regions: Type.Array(
    Strict({
      region: Text,
      /** Completed last. */
      version: Text,
      /** Since when a release above its own had been out, over the whole time, and at the end. */
      behind: Strict({ ...Spread, endMs: Integer }),
      /** From the publication to the completion there, of what completed. */
      lead: Nullable(Strict(Spread)),
      completed: Integer,
      /** Releases that it never completed, below what it ran at the end. */
      skipped: Integer,
    }),
  ),
  /** Oldest first. */
  rollouts: Type.Array(
    Strict({
      version: Text,
      policy: Text,
      publishedAt: Integer,
      createdAt: Integer,
      endedAt: Nullable(Integer),
      /** completed; superseded (in some region); starved (superseded everywhere before it began); halted; going. */
      outcome: Text,
      /** Number of regions by how it ended there. */
      regions: Strict({ completed: Integer, superseded: Integer, starved: Integer, going: Integer }),
      /** Time that its lanes waited for a person, added up. */
      approvalMs: Integer,
      /** Lanes that wait for a person at the end. */
      waitingForApproval: Integer,
    }),
  ),
  /** By the first two numbers of the version, in the order of their first release. */
  lines: Type.Array(
    Strict({
      line: Text,
      releases: Integer,
      rollouts: Integer,
      completed: Integer,
      superseded: Integer,
      starved: Integer,
      going: Integer,
    }),
  ),
  assumptions: Type.Array(Text),
});
export type BacktestReply = Static<typeof BacktestReply>;
