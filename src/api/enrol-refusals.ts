// Why an enrolment was refused, for the log and the audit; the host that asked is told no more than that it was.
import type { FastifyRequest } from 'fastify';
import type { EnrolInput } from '../domain/check-in.ts';
import { AppError } from '../errors.ts';
import { appendAudit } from '../store/audit.ts';
import { type Database, transaction } from '../store/database.ts';
import { findEnrolToken } from '../store/tokens.ts';

/** A host that is refused asks again and again, and anybody may ask: so many rows in so much time, no more. */
const MAX_ROWS = 60;
const WINDOW_MS = 3_600_000;

export interface EnrolRefusals {
  /** The same error with its reason, which `sendProblem` logs and does not send; audited once an hour for each token. */
  explain(error: unknown, input: EnrolInput, request: FastifyRequest): Promise<unknown>;
}

export function createEnrolRefusals(database: Database, clock: { now(): number }): EnrolRefusals {
  let audited = new Set<string>();
  let windowEndsAt = 0;

  function isDue(key: string): boolean {
    const now = clock.now();
    // Also when the clock was put back by more than a window.
    if (now >= windowEndsAt || windowEndsAt - now > WINDOW_MS) {
      audited = new Set();
      windowEndsAt = now + WINDOW_MS;
    }
    if (audited.has(key) || audited.size >= MAX_ROWS) return false;
    audited.add(key);
    return true;
  }

  return {
    async explain(error, input, request) {
      if (!(error instanceof AppError) || error.code !== 'enrol_denied') return error;
      const { tokenId, name, platform } = input;
      const reason = await reasonOf(database, input, clock.now());
      if (isDue(`${tokenId} ${reason}`)) {
        const data = { reason, name, platform, address: request.ip };
        const row = { at: clock.now(), actor: 'system', action: 'enrolment.refused', subject: tokenId, data };
        await transaction(database, (tx) => appendAudit(tx, row));
      }
      return new AppError('enrol_denied', `the enrolment token ${tokenId} is ${reason}`, { cause: error });
    },
  };
}

/** A wrong secret reads as unknown, as it does when the token is used. */
async function reasonOf(database: Database, input: EnrolInput, now: number): Promise<string> {
  const token = await findEnrolToken(database.db, input.tokenId);
  if (token === undefined || token.secretHash !== input.secretHash) return 'unknown';
  if (token.expiresAt <= now) return 'expired';
  return token.uses >= token.maxUses ? 'used up' : 'not valid';
}
