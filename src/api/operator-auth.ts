// Operators' bearer tokens: only hashes are stored; the first token is left in a file that only the owner may read.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyRequest } from 'fastify';
import { v7 as uuidv7 } from 'uuid';
import { AppError } from '../errors.ts';
import { appendAudit } from '../store/audit.ts';
import { type Database, transaction } from '../store/database.ts';
import { countOperatorTokens, findOperatorTokenByHash, insertOperatorToken } from '../store/tokens.ts';
import { bearerOf } from './agent-auth.ts';
import { createSecretFile } from './keys.ts';

/** For so long a token that was revoked at another server may still serve here. */
const CACHE_MS = 30_000;
const MAX_CACHED = 1000;
const TOKEN = /^tgo1\.([0-9a-f-]{36})\.([A-Za-z0-9_-]{43})$/;

export interface Operator {
  /** Id of the token. */
  id: string;
  /** What the audit calls them. */
  name: string;
}

export interface OperatorAuth {
  /** Looks a request's token up. Throws `auth_missing`, `auth_invalid`, `auth_expired`. */
  authenticate(request: FastifyRequest): Promise<Operator>;
  /** What is remembered of tokens is read again: one has been revoked. Other servers do so within half a minute. */
  forget(): void;
}

export function createOperatorAuth(database: Database, clock: { now(): number }): OperatorAuth {
  const cache = new Map<string, { operator: Operator; expiresAt: number | null; cachedAt: number }>();

  async function lookUp(id: string, hash: string, now: number) {
    const record = await findOperatorTokenByHash(database.db, hash);
    if (record === undefined || record.id !== id) throw new AppError('auth_invalid', 'no such operator token');
    if (record.revokedAt !== null) throw new AppError('auth_invalid', `operator token ${id} is revoked`);
    if (cache.size >= MAX_CACHED) cache.clear();
    const entry = { operator: { id, name: record.name }, expiresAt: record.expiresAt, cachedAt: now };
    cache.set(hash, entry);
    return entry;
  }

  async function authenticate(request: FastifyRequest): Promise<Operator> {
    const match = TOKEN.exec(bearerOf(request));
    if (match === null) throw new AppError('auth_invalid', 'not an operator token');
    const [, id = '', secret = ''] = match;
    const now = clock.now();
    const hash = hashOf(secret);
    const cached = cache.get(hash);
    const fresh = cached !== undefined && cached.operator.id === id && Math.abs(now - cached.cachedAt) < CACHE_MS;
    const entry = fresh ? cached : await lookUp(id, hash, now);
    if (entry.expiresAt !== null && now >= entry.expiresAt) {
      throw new AppError('auth_expired', 'the operator token has expired');
    }
    return entry.operator;
  }

  return { authenticate, forget: () => cache.clear() };
}

/**
 * When there is no operator token, makes the first and writes it to `<dataDir>/operator.token`, mode 0600. Returns
 * whether it did. `now` in milliseconds since the epoch.
 */
export async function ensureOperatorToken(database: Database, dataDir: string, now: number): Promise<boolean> {
  const file = join(dataDir, 'operator.token');
  const draft = `${file}.new`;
  await finishDraft(database, draft, file);
  if ((await countOperatorTokens(database.db)) > 0) return false;
  const [id, secret] = [uuidv7(), randomBytes(32).toString('base64url')];
  // On disk before it counts: killed in between, the next start finishes the draft, and nobody is locked out.
  createSecretFile(draft, `tgo1.${id}.${secret}\n`);
  const inserted = await transaction(database, async (tx) => {
    if ((await countOperatorTokens(tx)) > 0) return false;
    const record = { id, name: 'operator', secretHash: hashOf(secret), createdAt: now, expiresAt: null };
    await insertOperatorToken(tx, { ...record, revokedAt: null });
    await appendAudit(tx, {
      at: now,
      actor: 'system',
      action: 'operator_token.created',
      subject: id,
      data: { name: record.name },
    });
    return true;
  });
  if (inserted) renameSync(draft, file);
  else unlinkSync(draft);
  return inserted;
}

async function finishDraft(database: Database, draft: string, file: string): Promise<void> {
  if (!existsSync(draft)) return;
  const secret = TOKEN.exec(readFileSync(draft, 'utf8').trim())?.[2];
  const stored = secret === undefined ? undefined : await findOperatorTokenByHash(database.db, hashOf(secret));
  if (stored === undefined) unlinkSync(draft);
  else renameSync(draft, file);
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
