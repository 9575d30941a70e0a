// GET /api/v1/audit: who did what, newest first, with names in place of ids.
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { AuditReply, STORABLE } from '../protocol/operator.ts';
import { type AuditEntry, listAudit } from '../store/audit.ts';
import { subjectNames } from '../store/audit-names.ts';
import type { Db } from '../store/database.ts';
import type { App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';

const Query = Type.Object(
  {
    /** `true`: also what Tidegate and the agents did. */
    all: Type.Optional(Type.Enum(['true', 'false'])),
    by: Type.Optional(Type.String({ minLength: 1, maxLength: 128, pattern: STORABLE })),
    /** Those before this number: `next` of the reply before. */
    before: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,14}$' })),
    limit: Type.Optional(Type.String({ pattern: '^([1-9][0-9]?|[1-4][0-9]{2}|500)$' })),
  },
  { additionalProperties: false },
);
const DEFAULT_LIMIT = 50;
const AGENT = 'agent:';

export interface AuditRouteDeps {
  db: Db;
  /** Lets operators in, and nobody else. */
  onRequest(request: FastifyRequest): Promise<void>;
}

export function auditRoute(app: App, { db, onRequest }: AuditRouteDeps): void {
  app.get(
    '/api/v1/audit',
    { onRequest, schema: { querystring: Query, response: { 200: AuditReply, ...PROBLEMS } } },
    async ({ query }): Promise<AuditReply> => {
      const { all, by = null } = query;
      const limit = Number(query.limit ?? DEFAULT_LIMIT);
      const before = query.before === undefined ? null : Number(query.before);
      const rows = await listAudit(db, { limit: limit + 1, before, by, peopleOnly: all !== 'true' });
      const shown = rows.slice(0, limit);
      const names = await subjectNames(
        db,
        shown.flatMap(({ subject, actor }) =>
          actor.startsWith(AGENT) ? [subject, actor.slice(AGENT.length)] : [subject],
        ),
      );
      return {
        entries: shown.map((row) => viewOf(row, names)),
        next: rows.length > limit ? (shown.at(-1)?.seq ?? null) : null,
      };
    },
  );
}

function viewOf(
  { seq, at, actor, action, subject, data }: AuditEntry,
  names: ReadonlyMap<string, string>,
): AuditReply['entries'][number] {
  const agent = actor.startsWith(AGENT) ? names.get(actor.slice(AGENT.length)) : undefined;
  return {
    seq,
    at,
    actor: agent === undefined ? actor : `agent ${agent}`,
    action,
    subject,
    about: names.get(subject) ?? null,
    data,
  };
}
