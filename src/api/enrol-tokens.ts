// Creates enrolment tokens: bound to a region, limited in uses and time, written together with their audit row.
import { createHash, randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { AppError } from '../errors.ts';
import { formatEnrolToken } from '../protocol/agent.ts';
import type { CreateEnrolTokenReply, CreateEnrolTokenRequest } from '../protocol/operator.ts';
import { appendAudit } from '../store/audit.ts';
import { type Database, transaction } from '../store/database.ts';
import { insertEnrolToken } from '../store/tokens.ts';

const DEFAULT_EXPIRY_MS = 86_400_000;

export interface EnrolTokenContext {
  database: Database;
  regions: readonly { name: string }[];
  /** Fingerprint of the director key, which the token carries. */
  keyId: string;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Durable when it resolves; the secret is shown here and never again. Throws `bad_request` for an unknown region. */
export async function createEnrolToken(
  request: CreateEnrolTokenRequest,
  actor: string,
  context: EnrolTokenContext,
): Promise<CreateEnrolTokenReply> {
  const { region, labels = {}, uses = 1, expiresInMs = DEFAULT_EXPIRY_MS } = request;
  const names = context.regions.map((one) => one.name);
  if (!names.includes(region)) {
    throw new AppError('bad_request', `the config has no region ${region}`, {
      where: 'body/region',
      hint: `There are: ${names.join(', ')}.`,
    });
  }
  const { now } = context;
  const [id, secret, expiresAt] = [uuidv7(), randomBytes(32).toString('base64url'), now + expiresInMs];
  const secretHash = createHash('sha256').update(secret).digest('hex');
  await transaction(context.database, async (tx) => {
    const record = { id, secretHash, region, labels, maxUses: uses, uses: 0 };
    await insertEnrolToken(tx, { ...record, createdBy: actor, createdAt: now, expiresAt });
    await appendAudit(tx, {
      at: now,
      actor,
      action: 'enrol_token.created',
      subject: id,
      data: { region, labels, uses, expiresAt },
    });
  });
  return { token: formatEnrolToken({ id, secret, fingerprint: context.keyId }), id, region, uses, expiresAt };
}
