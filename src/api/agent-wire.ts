// Between the agent's wire and the domain: what came in as domain values, what goes out as signed messages.
import type { Agent, AgentReport, InstalledProduct } from '../domain/agent.ts';
import type { CheckInAnswer, CheckInResult } from '../domain/check-in.ts';
import { AppError, assert } from '../errors.ts';
import {
  type CheckInReply,
  type CheckInRequest,
  type Identity,
  type Instruction,
  REPORTED_STATES,
  type ReportedState,
  type RunningProduct,
} from '../protocol/agent.ts';
import { IDENTITY_TYPE, INSTRUCTION_TYPE, seal, sha256Hex } from '../protocol/envelope.ts';
import type { ServerKeys } from './keys.ts';
import { SESSION_MS } from './session-token.ts';

const MAX_SENTENCE = 500;
/** Nearly all sentences: nothing to replace, and short. */
const PLAIN = /^[\x20-\x7e]{0,500}$/;

/** Throws `bad_request` when a product stands twice in the products or in the attempts. */
export function reportOf(handle: number, body: CheckInRequest): AgentReport {
  return {
    handle,
    boot: body.boot,
    platform: body.platform,
    epoch: body.epoch,
    sequence: body.sequence,
    products: productsOf(body.products),
    health: body.health.status,
    healthReason: body.health.reason ?? null,
    facts: body.facts ?? null,
    attempts: refuseTwice(body.attempts, '/attempts').map((attempt) => ({
      id: attempt.id,
      product: attempt.product,
      state: attempt.state,
      ...(attempt.version === undefined ? {} : { version: attempt.version }),
      ...(attempt.digest === undefined ? {} : { digest: attempt.digest }),
      cause: attempt.cause ?? null,
      detail: attempt.detail ?? null,
    })),
  };
}

/** Throws `bad_request` when a product stands twice. */
export function productsOf(products: readonly RunningProduct[]): InstalledProduct[] {
  return refuseTwice(products, '/products').map(({ product, version, digest }) => ({ product, version, digest }));
}

export interface ReplyContext {
  keys: ServerKeys;
  agent: { id: string; region: string };
  epoch: number;
  /** The exact bytes of the request. */
  rawBody: Buffer;
}

export function checkInReply(result: CheckInResult, context: ReplyContext): CheckInReply {
  return {
    answer: answerOf(result.answer, context),
    acknowledged: result.acknowledged.map(({ id, state }) => ({ id, state: reportedState(state) })),
    nextInMs: Math.round(result.nextInMs),
    wantFacts: result.wantFacts,
  };
}

export interface IdentityContext {
  keys: ServerKeys;
  nonce: string;
  sessionToken: string;
  epoch: number;
  pollMs: number;
}

/** The signed envelope around who the agent is to this server. */
export function sealIdentity(agent: Pick<Agent, 'id' | 'region'>, context: IdentityContext) {
  const identity: Identity = {
    agent: agent.id,
    region: agent.region,
    nonce: context.nonce,
    session: { token: context.sessionToken, expiresInMs: SESSION_MS },
    directorKeys: { current: context.keys.current.publicKey, next: context.keys.next.publicKey },
    epoch: context.epoch,
    pollMs: context.pollMs,
  };
  return seal(context.keys.current, IDENTITY_TYPE, identity);
}

function answerOf(answer: CheckInAnswer, context: ReplyContext): CheckInReply['answer'] {
  if (answer.kind === 'none') return answer;
  if (answer.kind === 'hold') return { kind: 'hold', reason: answer.reason, sentence: oneLine(answer.sentence) };
  const instruction = instructionOf(answer, context);
  return { kind: 'instruction', envelope: seal(context.keys.current, INSTRUCTION_TYPE, instruction) };
}

/** What is signed; the simulator hands it over as it is. */
export function instructionOf(
  answer: Extract<CheckInAnswer, { kind: 'instruction' }>,
  context: Omit<ReplyContext, 'keys'>,
): Instruction {
  const { attempt } = answer;
  assert(attempt.agentId === context.agent.id, 'an instruction goes to the agent of its attempt');
  return {
    action: answer.action,
    agent: context.agent.id,
    region: context.agent.region,
    attempt: attempt.id,
    sequence: attempt.sequence,
    epoch: context.epoch,
    requestSha256: sha256Hex(context.rawBody),
    product: attempt.product,
    version: attempt.version,
    expectFrom: { version: attempt.fromVersion, digest: attempt.fromDigest },
    artifact: {
      platform: attempt.platform,
      sha256: attempt.sha256,
      size: attempt.size,
      // The region’s mirror first, the server where that fails.
      urls: [...(answer.mirrorUrl === null ? [] : [answer.mirrorUrl]), `/agent/v1/artifacts/${attempt.sha256}`],
    },
    rollback: answer.rollback,
    override: answer.override,
    stageWithinMs: answer.stageWithinMs,
    activateWithinMs: answer.activateWithinMs,
    proveWithinMs: answer.proveWithinMs,
    stableForMs: answer.stableForMs,
  };
}

function refuseTwice<T extends { product: string }>(items: readonly T[], pointer: string): readonly T[] {
  // Most agents run one product, and have one attempt at the most.
  if (items.length < 2) return items;
  const seen = new Set<string>();
  for (const [index, { product }] of items.entries()) {
    if (seen.has(product)) {
      const place = `${pointer}/${index}/product`;
      throw new AppError('bad_request', `${place} names ${product} a second time`, { where: `body${place}` });
    }
    seen.add(product);
  }
  return items;
}

function reportedState(state: string): ReportedState {
  const known = REPORTED_STATES.find((one) => one === state);
  assert(known !== undefined, `only what was reported can be acknowledged, not ${state}`);
  return known;
}

/** What the wire's schema lets pass: a person's reason may hold line breaks and be longer. */
function oneLine(sentence: string): string {
  if (PLAIN.test(sentence)) return sentence;
  const line = sentence.replace(/[\s\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ');
  return line.length <= MAX_SENTENCE ? line : `${line.slice(0, MAX_SENTENCE - 1).toWellFormed()}…`;
}
