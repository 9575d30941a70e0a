// Who did what and when, as a chain: each row's hash covers the row before it, so a changed or missing row shows.
import { createHash } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import { insertRows } from './batch.ts';
import { getMeta, setMeta } from './meta.ts';
import { isPostgres, prepared } from './prepared.ts';
import type { DB, Db, Tx } from './schema.ts';

export interface AuditEvent {
  at: number;
  /** `system`, or the name of an operator's token. */
  actor: string;
  action: string;
  /** What it was done to, e.g. a rollout's id. */
  subject: string;
  /** Plain JSON. */
  data: unknown;
}

export interface AuditEntry extends AuditEvent {
  seq: number;
  hash: string;
}

interface Head {
  seq: number;
  hash: string;
}

const FIRST_PREVIOUS = '0'.repeat(64);
const HEAD_KEY = 'audit_head';
const PAGE = 1000;
const COLUMNS = {
  seq: 'bigint',
  at: 'bigint',
  actor: 'text',
  action: 'text',
  subject: 'text',
  data: 'text',
  prev_hash: 'text',
  hash: 'text',
} as const;

/** Appends to the chain, in the transaction of what it records. */
export async function appendAudit(tx: Tx, event: AuditEvent): Promise<void> {
  await appendAudits(tx, [event]);
}

/** Appends in order; the head is read and written once. */
export async function appendAudits(tx: Tx, events: readonly AuditEvent[]): Promise<void> {
  if (events.length === 0) return;
  let head = await lockHead(tx);
  const rows: Selectable<DB['audit']>[] = [];
  for (const event of events) {
    const row = {
      seq: head.seq + 1,
      at: event.at,
      actor: event.actor,
      action: event.action,
      subject: event.subject,
      data: JSON.stringify(event.data ?? null),
      prev_hash: head.hash,
    };
    head = { seq: row.seq, hash: hashOf(row) };
    rows.push({ ...row, hash: head.hash });
  }
  await insertRows(tx, 'audit', COLUMNS, rows);
  await setMeta(tx, HEAD_KEY, JSON.stringify(head));
}

/** Walks the whole chain. `seq` is the first row that is changed, missing or does not follow from the one before. */
export async function verifyAudit(db: Db | Tx): Promise<{ ok: true; count: number } | { ok: false; seq: number }> {
  // Read first: rows that are appended during the walk lie beyond it, rows up to it must be there.
  const head = readHead(await getMeta(db, HEAD_KEY));
  let last: Head = { seq: 0, hash: FIRST_PREVIOUS };
  for (let more = true; more; ) {
    const rows = await db
      .selectFrom('audit')
      .selectAll()
      .where('seq', '>', last.seq)
      .orderBy('seq')
      .limit(PAGE)
      .execute();
    for (const row of rows) {
      const seq = last.seq + 1;
      if (row.seq !== seq || row.prev_hash !== last.hash || row.hash !== hashOf(row)) return { ok: false, seq };
      if (seq === head.seq && row.hash !== head.hash) return { ok: false, seq };
      last = { seq, hash: row.hash };
    }
    more = rows.length === PAGE;
  }
  return last.seq < head.seq ? { ok: false, seq: last.seq + 1 } : { ok: true, count: last.seq };
}

export interface AuditFilter {
  limit: number;
  /** Those before this number; null: from the end. */
  before?: number | null;
  /** The actor; null: whoever. */
  by?: string | null;
  /** Not what Tidegate itself and the agents did. */
  peopleOnly?: boolean;
}

/** As the index has it, word for word, so that it is used. */
const BY_PEOPLE = sql<boolean>`actor <> 'tidegate' and actor <> 'system' and substr(actor, 1, 6) <> 'agent:'`;

/** Newest first. */
export async function listAudit(db: Db | Tx, filter: AuditFilter): Promise<AuditEntry[]> {
  const { limit, before = null, by = null, peopleOnly = false } = filter;
  const rows = await db
    .selectFrom('audit')
    .selectAll()
    .$if(peopleOnly, (query) => query.where(BY_PEOPLE))
    .$if(by !== null, (query) => query.where('actor', '=', by))
    .$if(before !== null, (query) => query.where('seq', '<', before))
    .orderBy('seq', 'desc')
    .limit(limit)
    .execute();
  return rows.map(({ prev_hash: _, ...row }) => ({ ...row, data: JSON.parse(row.data) }));
}

/**
 * The end of the chain. On PostgreSQL appenders queue for the table, as a second try of `transaction` does before all
 * else (the other order would be a deadlock). One that has waited has an old snapshot: the lock of the row then fails as
 * a serialization failure and the transaction runs again, instead of appending to the same row as its rival.
 */
async function lockHead(tx: Tx): Promise<Head> {
  if (isPostgres(tx)) await sql`lock table audit in share row exclusive mode`.execute(tx);
  return readHead((await HEAD(tx)).rows[0]?.value);
}

const HEAD = prepared((db) =>
  db
    .selectFrom('meta')
    .select('value')
    .where('key', '=', HEAD_KEY)
    .$if(isPostgres(db), (query) => query.forUpdate())
    .compile(),
);

function readHead(value: string | undefined): Head {
  if (value === undefined) throw new Error('the head of the audit chain is missing');
  return JSON.parse(value) as Head;
}

function hashOf(row: Omit<Selectable<DB['audit']>, 'hash'>): string {
  // A list, not an object: the order of its parts is part of the format.
  const text = JSON.stringify([row.prev_hash, row.seq, row.at, row.actor, row.action, row.subject, row.data]);
  return createHash('sha256').update(text).digest('hex');
}
