// The operator API's wire: what CLI and dashboard read and send, under /api/v1. Times are milliseconds since the epoch.
import { type Static, type TObject, type TProperties, type TSchema, Type } from 'typebox';

function Strict<T extends TProperties>(properties: T): TObject<T> {
  return Type.Object(properties, { additionalProperties: false });
}

function Nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

const Text = Type.String({ maxLength: 2000 });
const Integer = Type.Integer();
/** PostgreSQL stores every character but this one. */
export const STORABLE = '^[^\\u0000]*$';
const Reason = Type.String({ minLength: 1, maxLength: 500, pattern: STORABLE });
const Name = Type.String({ pattern: '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$' });

/** Why something does not go on. */
export const HoldView = Strict({ reason: Text, sentence: Text, since: Integer, until: Nullable(Integer) });
export type HoldView = Static<typeof HoldView>;

export const StepView = Strict({
  step: Integer,
  state: Type.String(),
  size: Integer,
  succeeded: Integer,
  bad: Integer,
  hot: Integer,
  pending: Integer,
  /** Bad outcomes that halt the lane. */
  budget: Integer,
  /** The failure rate that so many clean agents detect at 95 % confidence, fraction 0–1. */
  detects: Type.Number(),
});
export type StepView = Static<typeof StepView>;

export const LaneView = Strict({
  id: Text,
  region: Text,
  wave: Integer,
  state: Text,
  /** One sentence: what the state is about, e.g. why it halted. */
  sentence: Text,
  since: Integer,
  step: Nullable(Integer),
  /**
   * What a soaking lane, or one that waits for approval, needs to go on; of an open one, who has approved its step ahead;
   * null in every other state.
   */
  next: Nullable(Text),
  steps: Type.Array(StepView),
  /** Number of attempts forward by state. */
  attempts: Type.Record(Type.String(), Integer),
  /** Of a lane that was rolled back: `agents` ran the release when the newest way back began; `to` is null once it was halted. */
  back: Type.Optional(
    Strict({ to: Nullable(Text), agents: Integer, succeeded: Integer, bad: Integer, hot: Integer, pending: Integer }),
  ),
  /**
   * Agents below the release that are not brought to it for reasons of their own, the most first: of a lane that goes out
   * now, and of one whose release is the region's baseline. `reason`: that of a hold, or `away`.
   */
  passedOver: Type.Optional(Type.Array(Strict({ reason: Text, sentence: Text, agents: Integer }))),
  /** The present hold, if any. */
  hold: Nullable(HoldView),
  /** Time spent in each hold so far. */
  holds: Type.Array(Strict({ reason: Text, ms: Integer })),
  /** Rises with whatever moves the lane; a verb may name the one that the person saw. */
  revision: Type.Optional(Integer),
  /** Of the step that is open, where people must promote it. */
  approval: Type.Optional(
    Nullable(
      Strict({
        step: Integer,
        /** Different people who must. */
        needed: Integer,
        given: Type.Array(Strict({ by: Text, at: Integer, expiresAt: Integer })),
        /** Those that count no more. */
        lapsed: Type.Array(Strict({ by: Text, why: Text })),
      }),
    ),
  ),
});
export type LaneView = Static<typeof LaneView>;

export const RolloutView = Strict({
  id: Text,
  product: Text,
  version: Text,
  state: Text,
  policy: Text,
  createdAt: Integer,
  endedAt: Nullable(Integer),
  lanes: Type.Array(LaneView),
  /** What stands against its release by a person's word, or an automatic halt's. */
  veto: Type.Optional(Nullable(Strict({ automatic: Type.Boolean(), actor: Text, reason: Text, at: Integer }))),
  /** Where newcomers are brought to this release, and whether they are: open or halted. */
  baselines: Type.Optional(
    Type.Array(Strict({ region: Text, state: Text, sentence: Text, since: Integer, hold: Nullable(HoldView) })),
  ),
});
export type RolloutView = Static<typeof RolloutView>;

/** How the last poll of GitHub went. */
const SourceView = Strict({
  lastSuccessAt: Nullable(Integer),
  nextPollAt: Nullable(Integer),
  errorCode: Nullable(Text),
  error: Nullable(Text),
  /** How to mend the error. */
  hint: Type.Optional(Nullable(Text)),
  /** Why the last listing does not count as the whole list; what is not among it stays as it is. */
  notice: Type.Optional(Nullable(Text)),
});

const RefusedView = Strict({ version: Text, tags: Type.Array(Text) });

export const ProductView = Strict({
  name: Text,
  repository: Text,
  /** Highest release that may be let out. */
  newest: Nullable(Text),
  /** Highest that nothing has been said against in the product's channel and range, complete or not. */
  highest: Type.Optional(Nullable(Text)),
  releases: Integer,
  /** Number of tags that are no version of the product. */
  rejectedTags: Integer,
  /** Releases above `newest`, highest first, at most 5, each with why it is not the one to let out. */
  pending: Type.Array(Strict({ tag: Text, version: Text, state: Text, why: Text })),
  /** At most 5 of the rejected tags, each with why. */
  rejected: Type.Array(Strict({ tag: Text, why: Text })),
  /** At most 100 versions that stand under two tags, highest first: none of them goes out. */
  refused: Type.Optional(Type.Array(RefusedView)),
  source: SourceView,
  /** Agents by version. */
  versions: Type.Array(Strict({ region: Text, version: Text, agents: Integer, present: Integer })),
  /** What newcomers of a region are brought to, and whether they are (open or halted); regions without one are left out. */
  baselines: Type.Optional(Type.Array(Strict({ region: Text, version: Text, state: Text }))),
  /** What holds the product itself (nothing to let out, vetoed, …). */
  hold: Nullable(HoldView),
});
export type ProductView = Static<typeof ProductView>;

/** `channel`: stable, all, or identifiers of prereleases joined by commas, beside the stable ones. */
export const ProductHistoryReply = Strict({
  now: Integer,
  product: Text,
  repository: Text,
  scheme: Text,
  /** How tags are read. */
  tags: Type.Array(Text),
  channel: Text,
  range: Nullable(Text),
  /** The last day, UTC, e.g. 2025-08-05; null: until now. */
  on: Nullable(Text),
  /** What the range picks on that day: withdrawn, altered, refused and vetoed ones left out, complete or not. */
  highest: Nullable(Text),
  /** Releases that are known in all, and of those in question. */
  releases: Integer,
  matching: Integer,
  /** Highest version first, at most `limit`. */
  rows: Type.Array(
    Strict({
      tag: Text,
      version: Text,
      publishedAt: Integer,
      prerelease: Type.Boolean(),
      state: Text,
      why: Nullable(Text),
      /** The next lower version of the channel, and the kind of jump from there; null for the lowest. */
      from: Nullable(Text),
      jump: Nullable(Text),
    }),
  ),
  /** Number of tags that are no version of the product. */
  rejectedTags: Integer,
  /** At most 100 of them, each with why. */
  rejected: Type.Array(Strict({ tag: Text, why: Text })),
  /** At most 100 versions that stand under two tags, highest first, whatever was asked for. */
  refused: Type.Optional(Type.Array(RefusedView)),
  source: Type.Optional(SourceView),
  /** Names of the channel that was asked for and that no prerelease has, with those that there are; null: none. */
  unknownNames: Type.Optional(Nullable(Strict({ names: Type.Array(Text), known: Type.Array(Text) }))),
});
export type ProductHistoryReply = Static<typeof ProductHistoryReply>;

export const BrakeView = Strict({ scope: Text, actor: Text, reason: Text, at: Integer });
export type BrakeView = Static<typeof BrakeView>;

export const StatusReply = Strict({
  now: Integer,
  /** `stale`: have not reported since the database was restored. */
  agents: Strict({ enrolled: Integer, present: Integer, stale: Type.Optional(Integer) }),
  /** Agents of regions that the config does not name, which are never updated; left out where there are none. */
  unnamedRegions: Type.Optional(Type.Array(Strict({ region: Text, agents: Integer }))),
  brakes: Type.Array(BrakeView),
  /** Why the server's clock is not believed: nothing opens and nothing is granted. Null: it is sound. */
  clock: Type.Optional(Nullable(Strict({ since: Integer, why: Text, until: Integer }))),
  /** Hard ceilings of the config; `leavesAt`: when the oldest of those counted is not counted any more. */
  ceilings: Type.Optional(
    Type.Array(Strict({ window: Text, max: Integer, count: Integer, leavesAt: Nullable(Integer) })),
  ),
  products: Type.Array(ProductView),
  /** Newest first, at most 50. */
  rollouts: Type.Array(RolloutView),
});
export type StatusReply = Static<typeof StatusReply>;

export const RolloutsReply = Strict({ rollouts: Type.Array(RolloutView) });
export type RolloutsReply = Static<typeof RolloutsReply>;

/** A person's word that the agent is left alone at the product; `version`: what it ran then. */
export const PinView = Strict({ product: Text, version: Text, actor: Text, reason: Text, at: Integer });
export type PinView = Static<typeof PinView>;

export const AgentView = Strict({
  id: Text,
  name: Text,
  region: Text,
  platform: Text,
  products: Type.Array(Strict({ product: Text, version: Text, digest: Text })),
  health: Strict({ status: Text, reason: Nullable(Text) }),
  enrolledAt: Integer,
  lastSeenAt: Nullable(Integer),
  attempts: Type.Array(Strict({ id: Text, product: Text, version: Text, state: Text })),
  labels: Type.Optional(Type.Record(Type.String(), Text)),
  /** What it reports of its host, where it was asked for; null: nothing yet. */
  facts: Type.Optional(Nullable(Type.Record(Type.String(), Text))),
  pins: Type.Optional(Type.Array(PinView)),
  /** Releases at which it has used up its attempts, `limit` of them. */
  quarantined: Type.Optional(Type.Array(Strict({ product: Text, version: Text, attempts: Integer, limit: Integer }))),
  /** Builds that no release has, for which the agent is held. */
  unknownBuilds: Type.Optional(Type.Array(Strict({ product: Text, version: Text, digest: Text }))),
});
export type AgentView = Static<typeof AgentView>;

/** A page of agents ordered by id; `next` is the cursor of the following page. */
export const AgentsReply = Strict({ agents: Type.Array(AgentView), next: Nullable(Text) });
export type AgentsReply = Static<typeof AgentsReply>;

export const ExplainReply = Strict({
  agent: AgentView,
  /** What the agent reports of its host; null: nothing yet. */
  facts: Type.Optional(Nullable(Type.Record(Type.String(), Text))),
  /** What stands against the versions that it runs: vetoed, withdrawn, cancelled or halted here; a sentence each. */
  troubles: Type.Optional(Type.Array(Text)),
  products: Type.Array(
    Strict({
      product: Text,
      /** What the agent would be answered now: none, hold, stage, activate or withdraw. */
      answer: Text,
      sentence: Text,
      /** Since when it is held, and until when at the most; null each where nobody knows. */
      hold: Type.Optional(Nullable(Strict({ since: Nullable(Integer), until: Nullable(Integer) }))),
      trace: Type.Array(Strict({ rule: Text, result: Text, sentence: Text })),
    }),
  ),
  /** Newest first, at most 20. */
  history: Type.Array(
    Strict({
      id: Text,
      product: Text,
      version: Text,
      state: Text,
      offeredAt: Integer,
      endedAt: Nullable(Integer),
      cause: Nullable(Text),
      detail: Nullable(Text),
    }),
  ),
});
export type ExplainReply = Static<typeof ExplainReply>;

export const HaltRequest = Strict({
  reason: Reason,
  /** One lane; without it all lanes of the rollout. */
  region: Type.Optional(Name),
  /** The step that the person saw, from 0; left out: it stops whatever is there. */
  expectedStep: Type.Optional(Type.Integer({ minimum: 0, maximum: 999 })),
  /** The revision of the region's lane that the person saw; the same as an If-Match header. */
  expectedRevision: Type.Optional(Type.Integer({ minimum: 0 })),
  /** `release` also vetoes the release everywhere. Default `lane`. */
  scope: Type.Optional(Type.Enum(['lane', 'release'])),
});
export type HaltRequest = Static<typeof HaltRequest>;
export const HaltReply = Strict({ rollout: RolloutView, changed: Type.Boolean() });
export type HaltReply = Static<typeof HaltReply>;

export const VERBS = [
  'approve',
  'promote',
  'accept',
  'skip-region',
  'pause',
  'resume',
  'halt',
  'retry',
  'cancel',
  'rollback',
] as const;
export type Verb = (typeof VERBS)[number];
export const VerbRequest = Strict({
  verb: Type.Enum([...VERBS]),
  reason: Reason,
  /** One lane; without it every lane of the rollout for which the verb is legal. */
  region: Type.Optional(Name),
  /** `baseline`: the baseline lane of the region, which can be halted and retried. Default `rollout`. */
  lane: Type.Optional(Type.Enum(['rollout', 'baseline'])),
  /** The step that the person saw, from 0; `approve` and `promote` must name it. */
  expectedStep: Type.Optional(Type.Integer({ minimum: 0, maximum: 999 })),
  /** The revision of the region's lane that the person saw, which `accept` must name; the same as an If-Match header. */
  expectedRevision: Type.Optional(Type.Integer({ minimum: 0 })),
  /** With `accept`: how many outcomes. */
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  /** With `halt`: `release` also vetoes the release everywhere. Default `lane`. */
  scope: Type.Optional(Type.Enum(['lane', 'release'])),
});
export type VerbRequest = Static<typeof VerbRequest>;
export const VerbReply = HaltReply;
export type VerbReply = Static<typeof VerbReply>;

export const CreateRolloutRequest = Strict({
  product: Name,
  version: Type.String({ minLength: 1, maxLength: 128, pattern: STORABLE }),
  reason: Reason,
});
export type CreateRolloutRequest = Static<typeof CreateRolloutRequest>;
/** `changed`: false when there was a rollout of this release already. */
export const CreateRolloutReply = HaltReply;
export type CreateRolloutReply = Static<typeof CreateRolloutReply>;

/** One gate of a lane: what must be true for it to open, to go on, or to end. */
export const GateView = Strict({
  gate: Text,
  /** pass, wait or fail. */
  result: Text,
  sentence: Text,
  until: Nullable(Integer),
});
export type GateView = Static<typeof GateView>;

export const ExplainRolloutReply = Strict({
  now: Integer,
  rollout: Text,
  product: Text,
  version: Text,
  state: Text,
  policy: Text,
  /** In the order of the waves. */
  lanes: Type.Array(
    Strict({
      lane: LaneView,
      /** What happens to the lane now, or why nothing does, in one sentence. */
      sentence: Text,
      /** In the order in which they are asked; those behind the first that does not pass are asked as well where they can be. */
      gates: Type.Array(GateView),
    }),
  ),
});
export type ExplainRolloutReply = Static<typeof ExplainRolloutReply>;

export const AvailabilityView = Strict({
  product: Text,
  version: Text,
  region: Text,
  platform: Text,
  /** available, absent or unknown. */
  status: Text,
  /** What the probe saw. */
  why: Text,
  since: Integer,
  /** When the answer was written down: one that stays the same is written again seldom. */
  checkedAt: Integer,
  /** When the mirror was asked last, or GitHub; null: not since the server has started. */
  askedAt: Type.Optional(Nullable(Integer)),
});
export type AvailabilityView = Static<typeof AvailabilityView>;
/** Ordered by product, version, region and platform, at most 10,000; `more`: there are others. */
export const AvailabilityReply = Strict({
  now: Integer,
  availability: Type.Array(AvailabilityView),
  more: Type.Boolean(),
});
export type AvailabilityReply = Static<typeof AvailabilityReply>;

export const RegionView = Strict({
  name: Text,
  timeZone: Text,
  mirror: Type.Boolean(),
  agents: Strict({ enrolled: Integer, present: Integer }),
  window: Strict({
    open: Type.Boolean(),
    /** Why it is closed: outside_window or frozen. */
    reason: Nullable(Text),
    detail: Nullable(Text),
    /** When it closes or opens; null: not within the next 400 days. */
    changesAt: Nullable(Integer),
  }),
  /** The lane that is going on, by product; products without one are left out. */
  lanes: Type.Array(
    Strict({
      product: Text,
      version: Text,
      rollout: Text,
      wave: Integer,
      state: Text,
      step: Nullable(Integer),
      steps: Integer,
    }),
  ),
});
export type RegionView = Static<typeof RegionView>;
export const RegionsReply = Strict({ now: Integer, regions: Type.Array(RegionView) });
export type RegionsReply = Static<typeof RegionsReply>;

/** When the one was set that the person saw; the same as an If-Match header. Left out: whatever stands. */
const SetAt = Type.Optional(Type.Integer({ minimum: 0 }));

export const VetoView = Strict({ automatic: Type.Boolean(), actor: Text, reason: Text, at: Integer });
export type VetoView = Static<typeof VetoView>;
export const VetoRequest = Strict({
  product: Name,
  /** A version, or the release's tag. */
  version: Type.String({ minLength: 1, maxLength: 128, pattern: STORABLE }),
  on: Type.Boolean(),
  expectedAt: SetAt,
  reason: Reason,
});
export type VetoRequest = Static<typeof VetoRequest>;
export const VetoReply = Strict({
  product: Text,
  version: Text,
  changed: Type.Boolean(),
  /** The veto that stands now. */
  veto: Nullable(VetoView),
  /** The one that stood before, and is lifted or replaced. */
  lifted: Nullable(VetoView),
  /** Null when the release has none. */
  rollout: Nullable(RolloutView),
});
export type VetoReply = Static<typeof VetoReply>;

export const PinRequest = Strict({
  product: Name,
  on: Type.Boolean(),
  /** What the person saw the agent run: else the pin is refused. */
  version: Type.Optional(Type.String({ minLength: 1, maxLength: 128, pattern: STORABLE })),
  expectedAt: SetAt,
  reason: Reason,
});
export type PinRequest = Static<typeof PinRequest>;
export const PinReply = Strict({
  agent: AgentView,
  changed: Type.Boolean(),
  /** The pin that stands now. */
  pin: Nullable(PinView),
  /** The one that stood before, and is lifted. */
  lifted: Nullable(PinView),
  /** An attempt that was granted before: it runs to its end. */
  hot: Nullable(Strict({ version: Text, state: Text })),
});
export type PinReply = Static<typeof PinReply>;

export const UnenrolRequest = Strict({ reason: Reason });
export type UnenrolRequest = Static<typeof UnenrolRequest>;
/** `actor`, `reason`, `at`: of whoever did it first. */
export const UnenrolReply = Strict({
  agent: Text,
  name: Text,
  region: Text,
  changed: Type.Boolean(),
  actor: Text,
  reason: Text,
  at: Integer,
  /** An attempt that was granted before: it is booked as lost once its deadline has passed. */
  hot: Nullable(Strict({ product: Text, version: Text, state: Text })),
});
export type UnenrolReply = Static<typeof UnenrolReply>;

/** In the order in which the agents were enrolled, at most 500; `last`: how the newest attempt at the release ended. */
/** Newest first; `about`: what people call the subject. `next`: `before` of the next page, null: there is none. */
export const AuditReply = Strict({
  entries: Type.Array(
    Strict({
      seq: Integer,
      at: Integer,
      actor: Text,
      action: Text,
      subject: Text,
      about: Nullable(Text),
      data: Type.Unknown(),
    }),
  ),
  next: Nullable(Integer),
});
export type AuditReply = Static<typeof AuditReply>;

export const QuarantineReply = Strict({
  quarantined: Type.Array(
    Strict({
      agent: Text,
      name: Text,
      region: Text,
      product: Text,
      version: Text,
      attempts: Integer,
      limit: Integer,
      last: Nullable(
        Strict({ state: Text, cause: Nullable(Text), detail: Nullable(Text), endedAt: Nullable(Integer) }),
      ),
    }),
  ),
  more: Type.Boolean(),
});
export type QuarantineReply = Static<typeof QuarantineReply>;
export const ClearRequest = Strict({
  product: Name,
  /** A version, or the release's tag. */
  version: Type.String({ minLength: 1, maxLength: 128, pattern: STORABLE }),
  /** As many as the person saw; the same as an If-Match header. Left out: however many they are. */
  expectedAttempts: Type.Optional(Type.Integer({ minimum: 1 })),
  reason: Reason,
});
export type ClearRequest = Static<typeof ClearRequest>;
/** `attempts`: how many are forgiven. */
export const ClearReply = Strict({
  agent: AgentView,
  product: Text,
  version: Text,
  changed: Type.Boolean(),
  attempts: Integer,
});
export type ClearReply = Static<typeof ClearReply>;

export const TrustClockRequest = Strict({ reason: Reason });
export type TrustClockRequest = Static<typeof TrustClockRequest>;
/** `now`: what the clock says. */
export const TrustClockReply = Strict({ now: Integer, changed: Type.Boolean() });
export type TrustClockReply = Static<typeof TrustClockReply>;

/** scope: `fleet`, `product:<name>` or `region:<name>`. */
export const BrakeScope = Type.String({ pattern: '^(fleet|(product|region):[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?)$' });
export const BrakeRequest = Strict({ scope: BrakeScope, on: Type.Boolean(), expectedAt: SetAt, reason: Reason });
export type BrakeRequest = Static<typeof BrakeRequest>;
export const BrakeReply = Strict({ brakes: Type.Array(BrakeView), changed: Type.Boolean() });
export type BrakeReply = Static<typeof BrakeReply>;

export const CreateOperatorTokenRequest = Strict({
  /** Who it is for; approvals and audit know them by it. */
  name: Name,
  /** Default 90 days. */
  expiresInMs: Type.Optional(Type.Integer({ minimum: 60_000, maximum: 31_536_000_000 })),
});
export type CreateOperatorTokenRequest = Static<typeof CreateOperatorTokenRequest>;
export const CreateOperatorTokenReply = Strict({ token: Text, id: Text, name: Text, expiresAt: Integer });
export type CreateOperatorTokenReply = Static<typeof CreateOperatorTokenReply>;

/** Newest first, at most 500. */
export const OperatorTokensReply = Strict({
  tokens: Type.Array(
    Strict({
      id: Text,
      name: Text,
      createdAt: Integer,
      expiresAt: Nullable(Integer),
      revokedAt: Nullable(Integer),
    }),
  ),
});
export type OperatorTokensReply = Static<typeof OperatorTokensReply>;
export const RevokeOperatorTokenRequest = Strict({ reason: Reason });
export type RevokeOperatorTokenRequest = Static<typeof RevokeOperatorTokenRequest>;
export const RevokeOperatorTokenReply = Strict({ id: Text, name: Text, changed: Type.Boolean() });
export type RevokeOperatorTokenReply = Static<typeof RevokeOperatorTokenReply>;

export const CreateEnrolTokenRequest = Strict({
  region: Name,
  labels: Type.Optional(
    Type.Record(
      Type.String({ pattern: '^[a-z][a-z0-9_.-]{0,62}$' }),
      Type.String({ maxLength: 128, pattern: STORABLE }),
      {
        additionalProperties: false,
        maxProperties: 32,
      },
    ),
  ),
  uses: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  expiresInMs: Type.Optional(Type.Integer({ minimum: 60_000, maximum: 31_536_000_000 })),
});
export type CreateEnrolTokenRequest = Static<typeof CreateEnrolTokenRequest>;
export const CreateEnrolTokenReply = Strict({ token: Text, id: Text, region: Text, uses: Integer, expiresAt: Integer });
export type CreateEnrolTokenReply = Static<typeof CreateEnrolTokenReply>;
