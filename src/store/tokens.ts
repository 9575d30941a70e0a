// Enrolment tokens, whose uses are counted, and operators' tokens. Only hashes of the secrets are kept.
import { type Selectable, sql } from 'kysely';
import type { DB, Db, Tx } from './schema.ts';

export interface EnrolTokenRecord {
  id: string;
  /** SHA-256 of the secret, lower-case hex. */
  secretHash: string;
  region: string;
  labels: Record<string, string>;
  maxUses: number;
  uses: number;
  createdBy: string;
  createdAt: number;
  expiresAt: number;
}

export type EnrolTokenUse =
  | { ok: true; token: EnrolTokenRecord }
  | { ok: false; reason: 'unknown' | 'expired' | 'used_up' };

export interface OperatorTokenRecord {
  id: string;
  name: string;
  /** SHA-256 of the secret, lower-case hex. */
  secretHash: string;
  createdAt: number;
  /** Null: never. */
  expiresAt: number | null;
  revokedAt: number | null;
}

export async function insertEnrolToken(tx: Tx, token: EnrolTokenRecord): Promise<void> {
  await tx
    .insertInto('enrol_tokens')
    .values({
      id: token.id,
      secret_hash: token.secretHash,
      region: token.region,
      labels: JSON.stringify(token.labels),
      max_uses: token.maxUses,
      uses: token.uses,
      created_by: token.createdBy,
      created_at: token.createdAt,
      expires_at: token.expiresAt,
    })
    .execute();
}

export async function findEnrolToken(db: Db | Tx, id: string): Promise<EnrolTokenRecord | undefined> {
  const row = await db.selectFrom('enrol_tokens').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? undefined : toEnrolToken(row);
}

/** Takes one use, or says why not; a wrong secret reads as unknown. Never more uses than the token has. */
export async function useEnrolToken(tx: Tx, id: string, secretHash: string, now: number): Promise<EnrolTokenUse> {
  // One conditional update: a count that was read before could be old by the time it is written.
  const used = await tx
    .updateTable('enrol_tokens')
    .set({ uses: sql<number>`uses + 1` })
    .where('id', '=', id)
    .where('secret_hash', '=', secretHash)
    .where('expires_at', '>', now)
    .whereRef('uses', '<', 'max_uses')
    .executeTakeFirst();
  const token = await findEnrolToken(tx, id);
  if (token === undefined || token.secretHash !== secretHash) return { ok: false, reason: 'unknown' };
  if (used.numUpdatedRows === 1n) return { ok: true, token };
  return { ok: false, reason: token.expiresAt <= now ? 'expired' : 'used_up' };
}

export async function insertOperatorToken(tx: Tx, token: OperatorTokenRecord): Promise<void> {
  await tx
    .insertInto('operator_tokens')
    .values({
      id: token.id,
      name: token.name,
      secret_hash: token.secretHash,
      created_at: token.createdAt,
      expires_at: token.expiresAt,
      revoked_at: token.revokedAt,
    })
    .execute();
}

/** Also returns expired and revoked ones: the caller says which it was. */
export async function findOperatorTokenByHash(
  db: Db | Tx,
  secretHash: string,
): Promise<OperatorTokenRecord | undefined> {
  const row = await db
    .selectFrom('operator_tokens')
    .selectAll()
    .where('secret_hash', '=', secretHash)
    .executeTakeFirst();
  return row === undefined ? undefined : toOperatorToken(row);
}

export type OperatorTokenHead = Omit<OperatorTokenRecord, 'secretHash'>;

/** Those that are neither revoked nor past their time: at most one a name. `now` in milliseconds since the epoch. */
export async function countingOperatorTokens(db: Db | Tx, now: number): Promise<OperatorTokenHead[]> {
  return await heads(db)
    .where('revoked_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
    .execute();
}

/** By id, or the newest of that name; whether or not it counts. */
export async function operatorTokenNamed(db: Db | Tx, text: string): Promise<OperatorTokenHead | undefined> {
  const named = heads(db).where((where) => where.or([where('id', '=', text), where('name', '=', text)]));
  return (await named.limit(1).execute())[0];
}

/** Without secrets, newest first. */
function heads(db: Db | Tx) {
  return db
    .selectFrom('operator_tokens')
    .select(['id', 'name', 'created_at as createdAt', 'expires_at as expiresAt', 'revoked_at as revokedAt'])
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc');
}

/** False when there is no such token or it was revoked before. */
export async function revokeOperatorToken(tx: Tx, id: string, at: number): Promise<boolean> {
  const revoked = await tx
    .updateTable('operator_tokens')
    .set({ revoked_at: at })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  return revoked.numUpdatedRows === 1n;
}

/** Newest first, at most `limit`. */
export async function listOperatorTokens(db: Db | Tx, limit: number): Promise<OperatorTokenHead[]> {
  return await heads(db).limit(limit).execute();
}

/** Those that are not revoked. */
export async function countOperatorTokens(db: Db | Tx): Promise<number> {
  const { count } = await db
    .selectFrom('operator_tokens')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('revoked_at', 'is', null)
    .executeTakeFirstOrThrow();
  return count;
}

function toEnrolToken(row: Selectable<DB['enrol_tokens']>): EnrolTokenRecord {
  return {
    id: row.id,
    secretHash: row.secret_hash,
    region: row.region,
    labels: JSON.parse(row.labels),
    maxUses: row.max_uses,
    uses: row.uses,
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}

function toOperatorToken(row: Selectable<DB['operator_tokens']>): OperatorTokenRecord {
  return {
    id: row.id,
    name: row.name,
    secretHash: row.secret_hash,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  };
}
