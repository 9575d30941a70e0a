// Who an agent is: the proof that it holds its key, and the session token of every later request.
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import {
  ENROL_PURPOSE,
  type EnrolRequest,
  readEnrolToken,
  SESSION_PURPOSE,
  type SessionRequest,
} from '../protocol/agent.ts';
import { readPublicKey, verifyBytes } from '../protocol/envelope.ts';
import type { ServerKeys } from './keys.ts';
import type { AgentService } from './services.ts';
import type { SessionTokens } from './session-token.ts';

const BEARER = /^Bearer [\x21-\x7e]{1,300}$/i;

/** The text after `Bearer `. Throws `auth_missing`. */
export function bearerOf(request: FastifyRequest): string {
  const header = request.headers.authorization ?? '';
  if (!BEARER.test(header)) throw new AppError('auth_missing', 'the request carries no bearer token');
  return header.slice('Bearer '.length);
}

export interface KnownAgent {
  handle: number;
  id: string;
  region: string;
}

/** From memory alone. Throws `auth_missing`, `auth_invalid`, `auth_expired`, `unenrolled`. */
export function authenticateAgent(
  request: FastifyRequest,
  tokens: SessionTokens,
  agents: AgentService,
  now: number,
): KnownAgent {
  const handle = tokens.verify(bearerOf(request), now);
  const agent = agents.agentOf(handle);
  if (agent === undefined) throw new AppError('auth_invalid', `no agent has handle ${handle}`);
  return { handle, id: agent.id, region: agent.region };
}

/**
 * The id of the enrolment token and the hash of its secret, once the proof has been checked. Throws `bad_request` for a
 * key that proves nothing, `auth_invalid` for a wrong proof, `enrol_denied` for what is not a token of this server.
 */
export function checkEnrolment(body: EnrolRequest, keys: ServerKeys): { tokenId: string; secretHash: string } {
  checkPublicKey(body.publicKey);
  const signed = Buffer.from(`${body.nonce}.${body.token}`);
  if (!verifyBytes(body.publicKey, ENROL_PURPOSE, signed, body.proof)) {
    throw new AppError('auth_invalid', 'the proof of the key does not fit', {
      hint: 'Sign <nonce>.<token> with the private key of publicKey.',
    });
  }
  const token = readEnrolToken(body.token);
  if (token === undefined) throw new AppError('enrol_denied', 'not an enrolment token');
  if (token.fingerprint !== keys.current.keyId) {
    throw new AppError('enrol_denied', 'the enrolment token names the key of another server');
  }
  return { tokenId: token.id, secretHash: createHash('sha256').update(token.secret).digest('hex') };
}

/**
 * Throws `auth_invalid` when the agent is not enrolled or the proof is not by its key: from outside the same; `unenrolled`
 * for the right key of one that a person has taken out of the fleet.
 */
export async function checkSessionProof(
  body: SessionRequest,
  agents: AgentService,
  keys: ServerKeys,
): Promise<KnownAgent> {
  const agent = await agents.findAgent(body.agent);
  // Verified against some key in any case, so that the time does not tell who is enrolled.
  const publicKey = agent?.publicKey ?? keys.next.publicKey;
  const signed = Buffer.from(`${body.nonce}.${body.challenge}`);
  const fits = verifyBytes(publicKey, SESSION_PURPOSE, signed, body.proof);
  if (agent === undefined) throw new AppError('auth_invalid', `agent ${body.agent} is not enrolled`);
  if (!fits) throw new AppError('auth_invalid', `the proof does not fit the key of agent ${body.agent}`);
  // Said only to who holds the key.
  if (agent.unenrolled) throw new AppError('unenrolled', 'this agent was taken out of the fleet');
  return { handle: agent.handle, id: body.agent, region: agent.region };
}

function checkPublicKey(publicKey: string): void {
  try {
    readPublicKey(publicKey);
  } catch (error) {
    throw new AppError('bad_request', `/publicKey: ${(error as Error).message}`, {
      cause: error,
      where: 'body/publicKey',
      hint: 'Send a freshly made Ed25519 public key.',
    });
  }
}
