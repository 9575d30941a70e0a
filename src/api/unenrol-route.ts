// POST /api/v1/agents/:id/unenrol: a person takes one agent out of the fleet.
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { AppError, assert } from '../errors.ts';
import { STORABLE, UnenrolReply, UnenrolRequest } from '../protocol/operator.ts';
import type { Db } from '../store/database.ts';
import { unenrolledIdByName } from '../store/unenrolled-agents.ts';
import type { App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import type { OperatorService } from './services.ts';

const Params = Type.Object(
  { id: Type.String({ minLength: 1, maxLength: 253, pattern: STORABLE }) },
  { additionalProperties: false },
);

export interface UnenrolRouteDeps {
  db: Db;
  operator: OperatorService;
  /** Lets operators in, and nobody else. */
  onRequest(request: FastifyRequest): Promise<void>;
  /** By id or name, of those that are enrolled. Throws `not_found`, `conflict`. */
  agentIdOf(text: string): Promise<string>;
}

export function unenrolRoute(app: App, { db, operator, onRequest, agentIdOf }: UnenrolRouteDeps): void {
  app.post(
    '/api/v1/agents/:id/unenrol',
    { onRequest, schema: { params: Params, body: UnenrolRequest, response: { 200: UnenrolReply, ...PROBLEMS } } },
    async (request): Promise<UnenrolReply> => {
      assert(request.operator !== null, 'who unenrols is known');
      const agentId = await idOf(request.params.id);
      const done = await operator.unenrol({ ...request.body, agentId, actor: request.operator.name });
      const { id: agent, name, region, actor, reason, at } = done.unenrolment;
      return { agent, name, region, changed: done.changed, actor, reason, at, hot: done.hot };
    },
  );

  /** Asked again by name, it is the one that was taken out last. */
  async function idOf(text: string): Promise<string> {
    try {
      return await agentIdOf(text);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
      const id = await unenrolledIdByName(db, text);
      if (id === undefined) throw error;
      return id;
    }
  }
}
