// The wire between agent and server, version 1. Later versions must keep speaking this: add optional fields only,
// never change the meaning of one. Units: milliseconds, bytes; digests are SHA-256 in lower-case hex.
import { type Static, type TEnum, type TObject, type TProperties, Type } from 'typebox';
import { Envelope, PublicKeyText } from './envelope.ts';

function Strict<T extends TProperties>(properties: T): TObject<T> {
  return Type.Object(properties, { additionalProperties: false });
}

/** Room for one check-in with all facts; a larger body is refused before it is parsed. */
export const MAX_BODY_BYTES = 65_536;
/** The longest long poll, seconds. */
export const MAX_WAIT_SECONDS = 55;

const Id = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' });
const Name = Type.String({ pattern: '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$' });
const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' });
const VersionText = Type.String({ pattern: '^[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}$' });
const Platform = Type.String({ pattern: '^[a-z0-9]{1,16}-[a-z0-9_]{1,16}(-[a-z0-9]{1,16})?$' });
const Nonce = Type.String({ pattern: '^[A-Za-z0-9_-]{22}$' });
const Signature = Type.String({ pattern: '^[A-Za-z0-9_-]{86}$' });
/** One line for a person: printable, bounded. */
const Detail = Type.String({
  maxLength: 500,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*$',
});
const HostName = Type.String({ minLength: 1, maxLength: 253, pattern: '^[A-Za-z0-9._-]+$' });
const Milliseconds = Type.Integer({ minimum: 0, maximum: 315_360_000_000 });
const Counter = Type.Integer({ minimum: 0, maximum: 9_007_199_254_740_991 });

/** A product that runs on the host now. `digest` is that of the artifact that it was installed from. */
export const RunningProduct = Strict({ product: Name, version: VersionText, digest: Digest });
export type RunningProduct = Static<typeof RunningProduct>;

export const EnrolRequest = Strict({
  /** The enrolment token as the operator was given it. */
  token: Type.String({ minLength: 1, maxLength: 300 }),
  publicKey: PublicKeyText,
  nonce: Nonce,
  /** Signature with purpose `tidegate-enrol-v1` over `<nonce>.<token>`: proof that the private key is held. */
  proof: Signature,
  name: HostName,
  platform: Platform,
  products: Type.Array(RunningProduct, { maxItems: 32 }),
});
export type EnrolRequest = Static<typeof EnrolRequest>;

/** Reply of enrol and session: an envelope of type IDENTITY_TYPE around `Identity`. */
export const IdentityReply = Strict({ envelope: Envelope });
export type IdentityReply = Static<typeof IdentityReply>;

export const Identity = Strict({
  agent: Id,
  region: Name,
  /** Nonce of the request that this answers. */
  nonce: Nonce,
  session: Strict({ token: Type.String({ maxLength: 300 }), expiresInMs: Milliseconds }),
  directorKeys: Strict({ current: PublicKeyText, next: PublicKeyText }),
  /** Raised by a restore: instructions of an older epoch are void. */
  epoch: Counter,
  pollMs: Milliseconds,
});
export type Identity = Static<typeof Identity>;

export const ChallengeRequest = Strict({ agent: Id });
export type ChallengeRequest = Static<typeof ChallengeRequest>;
export const ChallengeReply = Strict({ challenge: Type.String({ minLength: 1, maxLength: 200 }) });
export type ChallengeReply = Static<typeof ChallengeReply>;

export const SessionRequest = Strict({
  agent: Id,
  challenge: Type.String({ minLength: 1, maxLength: 200 }),
  nonce: Nonce,
  /** Signature with purpose `tidegate-session-v1` over `<nonce>.<challenge>`. */
  proof: Signature,
});
export type SessionRequest = Static<typeof SessionRequest>;

/** What an agent may report of an attempt; the server alone says offered, granted, expired, withdrawn and lost. */
export const REPORTED_STATES = [
  'offered',
  'staged',
  'activating',
  'proving',
  'succeeded',
  'rolled_back',
  'failed',
  'inconclusive',
  'declined',
] as const;
export type ReportedState = (typeof REPORTED_STATES)[number];

/** Closed list of causes that come with an outcome other than success. */
export const OUTCOME_CAUSES = [
  'crash_loop',
  'exec_failed',
  'not_proven_in_time',
  'unhealthy',
  'network_down',
  'power_lost',
  'disk_full',
  'disk_failed',
  'download_failed',
  'digest_mismatch',
  'archive_rejected',
  'selftest_failed',
  'from_mismatch',
  'skip_listed',
  'host_policy',
  'unsupported',
  'interrupted',
  'downgrade',
] as const;
export type OutcomeCause = (typeof OUTCOME_CAUSES)[number];

function oneOf<T extends string>(values: readonly T[]): TEnum<T[]> {
  return Type.Enum([...values]) as TEnum<T[]>;
}

export const AttemptReport = Strict({
  id: Id,
  product: Name,
  state: oneOf(REPORTED_STATES),
  /** What it is an attempt at: a server that was restored from a backup may not know it. */
  version: Type.Optional(VersionText),
  digest: Type.Optional(Digest),
  cause: Type.Optional(oneOf(OUTCOME_CAUSES)),
  /** One line of the evidence, e.g. the last line that the crashed version printed. */
  detail: Type.Optional(Detail),
});
export type AttemptReport = Static<typeof AttemptReport>;

export const Health = Strict({ status: oneOf(['ok', 'unhealthy'] as const), reason: Type.Optional(Detail) });
export type Health = Static<typeof Health>;

export const CheckInRequest = Strict({
  nonce: Nonce,
  /** Random per start of the agent process: two live ones under one identity are a clone. */
  boot: Nonce,
  platform: Platform,
  /** Highest epoch and sequence that the agent has accepted. */
  epoch: Counter,
  sequence: Counter,
  products: Type.Array(RunningProduct, { maxItems: 32 }),
  health: Health,
  /** Host facts, sent at the first check-in of a boot and when they changed. */
  facts: Type.Optional(
    Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_.]{0,62}$' }), Type.String({ maxLength: 256 }), {
      additionalProperties: false,
      maxProperties: 64,
    }),
  ),
  /** The attempts that the journal holds, until their outcome is acknowledged. One per product. */
  attempts: Type.Array(AttemptReport, { maxItems: 32 }),
});
export type CheckInRequest = Static<typeof CheckInRequest>;

export const Acknowledgement = Strict({ id: Id, state: oneOf(REPORTED_STATES) });

/** The reply to a check-in. Ended attempts that it acknowledges need not be reported again. */
export const CheckInReply = Strict({
  answer: Type.Union([
    Strict({ kind: Type.Literal('none') }),
    Strict({ kind: Type.Literal('hold'), reason: Type.String({ maxLength: 64 }), sentence: Detail }),
    Strict({ kind: Type.Literal('instruction'), envelope: Envelope }),
  ]),
  acknowledged: Type.Array(Acknowledgement, { maxItems: 32 }),
  /** When to come back, jittered by the server. */
  nextInMs: Milliseconds,
  /** True when the server lacks the facts: send them next time. */
  wantFacts: Type.Boolean(),
});
export type CheckInReply = Static<typeof CheckInReply>;

/** The payload of an envelope of type INSTRUCTION_TYPE. */
export const Instruction = Strict({
  action: oneOf(['stage', 'activate', 'withdraw'] as const),
  agent: Id,
  region: Name,
  attempt: Id,
  /** Grows with every attempt of this agent; equal only for the same attempt and digest. */
  sequence: Counter,
  epoch: Counter,
  /** SHA-256 of the exact body of the check-in that this answers. */
  requestSha256: Digest,
  product: Name,
  version: VersionText,
  /** What must be running now. */
  expectFrom: Strict({ version: VersionText, digest: Digest }),
  artifact: Strict({
    platform: Platform,
    sha256: Digest,
    size: Type.Integer({ minimum: 1, maximum: 2_147_483_648 }),
    /** Where to try, in order; a path stands for this server. Hints only: the digest decides. */
    urls: Type.Array(Type.String({ maxLength: 2048 }), { minItems: 1, maxItems: 8 }),
  }),
  /** True only where the agent is taken back: a person has ordered it, or the policy of the rollout. */
  rollback: Type.Boolean(),
  /** True when a person ordered a retry: lifts the host's skip list for this digest. */
  override: Type.Boolean(),
  /** All counted by the agent's monotonic clock from receipt. */
  stageWithinMs: Milliseconds,
  activateWithinMs: Milliseconds,
  proveWithinMs: Milliseconds,
  /** The new version must run this long, checked in, before it counts as proven. */
  stableForMs: Milliseconds,
});
export type Instruction = Static<typeof Instruction>;

/** Body of every error reply (RFC 9457, application/problem+json). */
export const Problem = Strict({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.String(),
  where: Type.Optional(Type.String()),
  hint: Type.String(),
  requestId: Type.String(),
});
export type Problem = Static<typeof Problem>;

export const ENROL_PURPOSE = 'tidegate-enrol-v1';
export const SESSION_PURPOSE = 'tidegate-session-v1';

/** The enrolment token's text form: `tge1.<token id>.<secret>.<fingerprint of the director key>`. */
export interface EnrolToken {
  id: string;
  secret: string;
  fingerprint: string;
}

export function formatEnrolToken(token: EnrolToken): string {
  return `tge1.${token.id}.${token.secret}.${token.fingerprint}`;
}

/** Returns undefined for what is not an enrolment token. */
export function readEnrolToken(text: string): EnrolToken | undefined {
  const match = /^tge1\.([0-9a-f-]{36})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/.exec(text);
  if (match === null) return undefined;
  return { id: match[1] as string, secret: match[2] as string, fingerprint: match[3] as string };
}
