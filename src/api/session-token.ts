// Session tokens and session challenges: HMAC-SHA256 over what they say, so that checking one needs no database.
import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { AppError } from '../errors.ts';
import { openKnownTokens } from './known-tokens.ts';

export const SESSION_MS = 86_400_000;
export const CHALLENGE_MS = 60_000;
// Far above the sessions that a server opens per minute; a bound on memory, not a rate limit.
const MAX_USED_CHALLENGES = 200_000;

export interface SessionTokens {
  /** For the agent with this handle, valid 24 h. `now` in milliseconds since the epoch. */
  issue(handle: number, now: number): string;
  /** The handle. Throws `auth_invalid`, `auth_expired`. */
  verify(token: string, now: number): number;
}

const PREFIX = 'tgs1.';
const TOKEN = /^tgs1\.([0-9a-z]{1,11})\.([0-9a-z]{1,11})\.([A-Za-z0-9_-]{43})$/;

/**
 * `tgs1.<handle>.<expires at>.<mac>`, numbers in base 36. The epoch is part of what is signed: after a restore a handle
 * may have gone to another agent, and every session of before is void.
 */
export function createSessionTokens(secret: Buffer, epoch: () => number): SessionTokens {
  // Made once: from bytes Node makes one for every code, which takes four times as long as the code itself.
  const key = createSecretKey(secret);
  const known = openKnownTokens();
  let knownEpoch = epoch();
  function macOf(handle: string, expires: string): Buffer {
    return mac(key, `session-v1 ${epoch()} ${handle} ${expires}`);
  }
  /** The code is made only for a token that was not found right before: it is the dearest part of a check-in. */
  function isKnown(number: number, token: string): boolean {
    if (knownEpoch !== epoch()) known.clear();
    knownEpoch = epoch();
    return known.has(number, token);
  }
  function checkCode(token: string): void {
    const match = TOKEN.exec(token);
    if (match === null) throw new AppError('auth_invalid', 'not a session token');
    const [, handle = '', expires = '', code = ''] = match;
    if (!sameMac(macOf(handle, expires), code)) throw new AppError('auth_invalid', 'session token: the mac differs');
    known.remember(Number.parseInt(handle, 36), token);
  }
  return {
    issue(handle, now) {
      const [subject, expires] = [handle.toString(36), (now + SESSION_MS).toString(36)];
      return `tgs1.${subject}.${expires}.${macOf(subject, expires).toString('base64url')}`;
    },
    verify(token, now) {
      // Of what is no token these are any numbers: nothing is remembered for them.
      const second = token.indexOf('.', PREFIX.length);
      const handle = Number.parseInt(token.slice(PREFIX.length, second), 36);
      if (!isKnown(handle, token)) checkCode(token);
      const expires = Number.parseInt(token.slice(second + 1, token.indexOf('.', second + 1)), 36);
      if (now >= expires) throw new AppError('auth_expired', 'the session has expired');
      return handle;
    },
  };
}

export interface Challenges {
  /** For the agent with this id, valid 60 s. */
  issue(agent: string, now: number): string;
  /** Throws `auth_invalid`, `auth_expired`. */
  verify(challenge: string, agent: string, now: number): void;
  /** Remembers that it has served. Throws `auth_invalid` when it had, `overloaded` when too many did within a minute. */
  spend(challenge: string, now: number): void;
}

const CHALLENGE = /^tgc1\.([0-9a-z]{1,11})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/;

/**
 * `tgc1.<issued at>.<random>.<mac>`. Stateless until a right proof comes with it; then it is remembered for its minute,
 * so that who overhears a session request cannot have it answered again. `startedAt` voids those of before a restart.
 */
export function createChallenges(secret: Buffer, startedAt: number): Challenges {
  const key = createSecretKey(secret);
  const used = new Map<string, number>();
  function macOf(issuedAt: string, random: string, agent: string): Buffer {
    return mac(key, `challenge-v1 ${issuedAt} ${random} ${agent}`);
  }
  function forget(now: number): void {
    // In order of use, which is nearly the order of issue: what stays a little longer does no harm.
    for (const [challenge, usedAt] of used) {
      if (now - usedAt < CHALLENGE_MS) break;
      used.delete(challenge);
    }
  }
  return {
    issue(agent, now) {
      const [issuedAt, random] = [now.toString(36), randomBytes(16).toString('base64url')];
      return `tgc1.${issuedAt}.${random}.${macOf(issuedAt, random, agent).toString('base64url')}`;
    },
    verify(challenge, agent, now) {
      const match = CHALLENGE.exec(challenge);
      if (match === null) throw new AppError('auth_invalid', 'not a challenge');
      const [, issued = '', random = '', code = ''] = match;
      if (!sameMac(macOf(issued, random, agent), code))
        throw new AppError('auth_invalid', 'challenge: the mac differs');
      const issuedAt = Number.parseInt(issued, 36);
      const fresh = issuedAt >= startedAt && Math.abs(now - issuedAt) < CHALLENGE_MS;
      if (!fresh) {
        throw new AppError('auth_expired', 'the challenge has expired', { hint: 'Ask for a new challenge.' });
      }
    },
    spend(challenge, now) {
      forget(now);
      if (used.has(challenge)) throw new AppError('auth_invalid', 'the challenge was used before');
      if (used.size >= MAX_USED_CHALLENGES) throw new AppError('overloaded', 'too many sessions are being opened');
      used.set(challenge, now);
    },
  };
}

function mac(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Compares the texts: several of them decode to the same bytes. */
function sameMac(expected: Buffer, text: string): boolean {
  const wanted = Buffer.from(expected.toString('base64url'));
  const given = Buffer.from(text);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
