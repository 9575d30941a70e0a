// Creates operator tokens: one for each person, since approvals and the audit know people by the names of their tokens.
import { createHash, randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { v7 as uuidv7 } from 'uuid';
import { AppError, assert } from '../errors.ts';
import { CreateOperatorTokenReply, CreateOperatorTokenRequest } from '../protocol/operator.ts';
import { appendAudit } from '../store/audit.ts';
import { transaction } from '../store/database.ts';
import { insertOperatorToken, operatorNameTaken } from '../store/tokens.ts';
import type { ApiDeps, App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';

const DEFAULT_EXPIRY_MS = 90 * 86_400_000;

type Deps = Pick<ApiDeps, 'database' | 'clock'> & { onRequest(request: FastifyRequest): Promise<void> };

export function createOperatorTokenRoute(app: App, { database, clock, onRequest }: Deps): void {
  app.post(
    '/api/v1/operator-tokens',
    {
      onRequest,
      schema: { body: CreateOperatorTokenRequest, response: { 201: CreateOperatorTokenReply, ...PROBLEMS } },
    },
    async (request, reply) => {
      assert(request.operator !== null, 'a token is made by somebody');
      return reply.code(201).send(await create(request.body, request.operator.name, database, clock.now()));
    },
  );
}

/** Durable when it resolves; the secret is shown here and never again. Throws `conflict` for a name that has a token. */
async function create(
  { name, expiresInMs = DEFAULT_EXPIRY_MS }: CreateOperatorTokenRequest,
  actor: string,
  database: ApiDeps['database'],
  now: number,
): Promise<CreateOperatorTokenReply> {
  const [id, secret, expiresAt] = [uuidv7(), randomBytes(32).toString('base64url'), now + expiresInMs];
  const secretHash = createHash('sha256').update(secret).digest('hex');
  await transaction(database, async (tx) => {
    // Two people of one name would count as one, and the audit could not tell them apart.
    if (await operatorNameTaken(tx, name, now)) {
      const hint = 'Choose another name: every person has their own.';
      throw new AppError('conflict', `there is an operator token for ${name}`, { hint });
    }
    await insertOperatorToken(tx, { id, name, secretHash, createdAt: now, expiresAt, revokedAt: null });
    await appendAudit(tx, { at: now, actor, action: 'operator_token.created', subject: id, data: { name, expiresAt } });
  });
  return { token: `tgo1.${id}.${secret}`, id, name, expiresAt };
}
