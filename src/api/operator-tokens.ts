// Makes, lists and revokes operator tokens: one for each person, since approvals and the audit know people by the names of their tokens.
import { createHash, randomBytes } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { v7 as uuidv7 } from 'uuid';
import { AppError, assert } from '../errors.ts';
import {
  CreateOperatorTokenReply,
  CreateOperatorTokenRequest,
  OperatorTokensReply,
  RevokeOperatorTokenReply,
  RevokeOperatorTokenRequest,
  STORABLE,
} from '../protocol/operator.ts';
import { appendAudit } from '../store/audit.ts';
import { transaction } from '../store/database.ts';
import {
  countingOperatorTokens,
  insertOperatorToken,
  listOperatorTokens,
  operatorTokenNamed,
  revokeOperatorToken,
} from '../store/tokens.ts';
import type { ApiDeps, App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';

const DEFAULT_EXPIRY_MS = 90 * 86_400_000;

const MOST = 500;
const Params = Type.Object(
  { id: Type.String({ minLength: 1, maxLength: 128, pattern: STORABLE }) },
  { additionalProperties: false },
);

interface Deps extends Pick<ApiDeps, 'database' | 'clock'> {
  onRequest(request: FastifyRequest): Promise<void>;
  /** What is remembered of tokens counts no more. */
  forget(): void;
}

export function operatorTokenRoutes(app: App, { database, clock, onRequest, forget }: Deps): void {
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
  app.get(
    '/api/v1/operator-tokens',
    { onRequest, schema: { response: { 200: OperatorTokensReply, ...PROBLEMS } } },
    async (): Promise<OperatorTokensReply> => ({ tokens: await listOperatorTokens(database.db, MOST) }),
  );
  app.post(
    '/api/v1/operator-tokens/:id/revoke',
    {
      onRequest,
      schema: {
        params: Params,
        body: RevokeOperatorTokenRequest,
        response: { 200: RevokeOperatorTokenReply, ...PROBLEMS },
      },
    },
    async (request) => {
      assert(request.operator !== null, 'a token is revoked by somebody');
      const { name: actor } = request.operator;
      const done = await revoke(request.params.id, { actor, ...request.body, now: clock.now() }, database);
      forget();
      return done;
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
    if ((await countingOperatorTokens(tx, now)).some((one) => one.name === name)) {
      const hint = 'Choose another name: every person has their own.';
      throw new AppError('conflict', `there is an operator token for ${name}`, { hint });
    }
    await insertOperatorToken(tx, { id, name, secretHash, createdAt: now, expiresAt, revokedAt: null });
    await appendAudit(tx, { at: now, actor, action: 'operator_token.created', subject: id, data: { name, expiresAt } });
  });
  return { token: `tgo1.${id}.${secret}`, id, name, expiresAt };
}

/** Throws `not_found`, and `conflict` for the last one: nobody could make another. */
async function revoke(
  text: string,
  { actor, reason, now }: { actor: string; reason: string; now: number },
  database: ApiDeps['database'],
): Promise<RevokeOperatorTokenReply> {
  return await transaction(database, async (tx) => {
    const counting = await countingOperatorTokens(tx, now);
    // A name is used again once its token counts no more: then it is the one that counts, or the newest, that is meant.
    const found = counting.find((one) => one.id === text || one.name === text) ?? (await operatorTokenNamed(tx, text));
    if (found === undefined) {
      const hint = `There are: ${counting.map(({ name }) => name).join(', ')}.`;
      throw new AppError('not_found', `there is no operator token ${text}`, { hint });
    }
    const { id, name } = found;
    if (counting.length === 1 && counting[0]?.id === id) {
      const hint = 'Make another with `tidegate operator-token create`, and revoke this one with that.';
      throw new AppError('conflict', `the token of ${name} is the last one that counts`, { hint });
    }
    const changed = await revokeOperatorToken(tx, id, now);
    if (changed) {
      const data = { name, reason };
      await appendAudit(tx, { at: now, actor, action: 'operator_token.revoked', subject: id, data });
    }
    return { id, name, changed };
  });
}
