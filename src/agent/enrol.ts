// Enrolment and sessions: what proves this host to the server and the server to this host.
import { randomBytes } from 'node:crypto';
import { Compile } from 'typebox/compile';
import { AppError } from '../errors.ts';
import { ENROL_PURPOSE, Identity, readEnrolToken, SESSION_PURPOSE } from '../protocol/agent.ts';
import type { AgentClient } from '../protocol/agent-client.ts';
import {
  type Envelope,
  exportSigningKey,
  fingerprint,
  generateSigningKey,
  IDENTITY_TYPE,
  importSigningKey,
  openEnvelope,
  readPublicKey,
  signBytes,
} from '../protocol/envelope.ts';
import { parseJson } from '../protocol/json.ts';
import type { AgentConfig } from './config.ts';
import { hasCounters, readCounters, writeCounters } from './counters.ts';
import { removeDurable } from './durable.ts';
import type { Host } from './host.ts';
import { type Enrolled, readIdentity, type StoredIdentity, writeIdentity } from './identity.ts';
import type { Paths } from './paths.ts';

const identitySchema = Compile(Identity);

/** 22 characters of base64url: 16 random bytes. */
export function newNonce(): string {
  return randomBytes(16).toString('base64url');
}

/**
 * Returns the identity of this host, enrolling it with the token of agent.json when that has not happened yet.
 * Throws `config_invalid` (no token), `trust_failure`, `state_damaged`, and what the client throws.
 */
export async function ensureEnrolled(
  paths: Paths,
  config: AgentConfig,
  client: AgentClient,
  host: Pick<Host, 'platform' | 'running'>,
): Promise<Enrolled> {
  const stored = readIdentity(paths) ?? createIdentity(paths);
  if (stored.enrolled !== null) return stored.enrolled;
  const tokenText = config.readEnrolToken();
  const token = readEnrolToken(tokenText ?? '');
  if (tokenText === undefined || token === undefined) {
    throw new AppError('config_invalid', 'this host is not enrolled, and agent.json has no enrolment token', {
      where: paths.config,
      hint: 'Create one with `tidegate enrol-token create` and put it into agent.json.',
    });
  }
  const key = importSigningKey(stored.privateKey);
  const nonce = newNonce();
  const reply = await client.enrol({
    token: tokenText,
    publicKey: key.publicKey,
    nonce,
    proof: signBytes(key, ENROL_PURPOSE, Buffer.from(`${nonce}.${tokenText}`)),
    name: config.name,
    platform: host.platform,
    products: host.running(),
  });
  const identity = openFirstIdentity(reply.envelope, token.fingerprint, nonce);
  const enrolled = enrolledOf(identity);
  startCounters(paths, identity.epoch);
  writeIdentity(paths, { ...stored, enrolled });
  return enrolled;
}

/** Opens a new session and stores what came with it, the director's next key above all. Throws `trust_failure` and the client's. */
export async function openSession(paths: Paths, client: AgentClient): Promise<Enrolled> {
  const stored = readIdentity(paths);
  if (stored === undefined || stored.enrolled === null) throw new AppError('auth_missing', 'this host is not enrolled');
  const { agent, region, directorKeys } = stored.enrolled;
  const key = importSigningKey(stored.privateKey);
  const { challenge } = await client.challenge({ agent });
  const nonce = newNonce();
  const proof = signBytes(key, SESSION_PURPOSE, Buffer.from(`${nonce}.${challenge}`));
  const reply = await client.session({ agent, challenge, nonce, proof });
  const identity = openIdentity(reply.envelope, [directorKeys.current, directorKeys.next], nonce);
  if (identity.agent !== agent || identity.region !== region) {
    throw new AppError('trust_failure', 'the session is for another agent or region than this host was enrolled for');
  }
  if (identity.epoch < readCounters(paths).epoch) {
    throw new AppError('trust_failure', 'the server speaks of an older epoch than this host has accepted');
  }
  const enrolled = enrolledOf(identity);
  writeIdentity(paths, { ...stored, enrolled });
  return enrolled;
}

/** What an earlier identity had accepted or begun is void: every instruction names the agent that it is for. */
function createIdentity(paths: Paths): StoredIdentity {
  for (const path of [paths.journal, paths.countersA, paths.countersB]) removeDurable(path);
  const created = { privateKey: exportSigningKey(generateSigningKey()), enrolled: null };
  writeIdentity(paths, created);
  return created;
}

/** The token names the key by fingerprint only, so the key itself comes from the message that it must have signed. */
function openFirstIdentity(envelope: Envelope, wanted: string, nonce: string): Identity {
  const claimed = parseIdentity(Buffer.from(envelope.payload, 'base64url').toString('utf8'));
  const { current, next } = claimed.directorKeys;
  const key = [current, next].find((candidate) => fingerprint(candidate) === wanted);
  if (key === undefined) {
    throw new AppError('trust_failure', 'the server does not have the key that the enrolment token names');
  }
  return openIdentity(envelope, [key], nonce);
}

function openIdentity(envelope: Envelope, trusted: readonly string[], nonce: string): Identity {
  const identity = parseIdentity(openEnvelope(envelope, IDENTITY_TYPE, trusted));
  if (identity.nonce !== nonce) throw new AppError('trust_failure', 'the reply answers another request');
  readPublicKey(identity.directorKeys.current);
  readPublicKey(identity.directorKeys.next);
  return identity;
}

function parseIdentity(text: string): Identity {
  const value = parseJson(text);
  if (!identitySchema.Check(value)) throw new AppError('trust_failure', 'the identity is not what the wire says');
  return value;
}

/** The same key enrolling again, after a crash between the two writes, keeps what is there. */
function startCounters(paths: Paths, epoch: number): void {
  const stored = hasCounters(paths) ? readCounters(paths) : { epoch, sequence: 0 };
  writeCounters(paths, { epoch: Math.max(epoch, stored.epoch), sequence: stored.sequence });
}

function enrolledOf(identity: Identity): Enrolled {
  return {
    agent: identity.agent,
    region: identity.region,
    directorKeys: identity.directorKeys,
    sessionToken: identity.session.token,
  };
}
