// POST /api/v1/rollouts: a person begins a rollout now; the engine says what stands against it.
import type { FastifyRequest } from 'fastify';
import { assert } from '../errors.ts';
import { CreateRolloutReply, CreateRolloutRequest, type RolloutView } from '../protocol/operator.ts';
import type { App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import type { OperatorService } from './services.ts';

export interface CreateRouteDeps {
  operator: OperatorService;
  /** Lets operators in, and nobody else. */
  onRequest(request: FastifyRequest): Promise<void>;
  /** Throws `not_found`. */
  viewOne(id: string): Promise<RolloutView>;
}

export function createRolloutRoute(app: App, { operator, onRequest, viewOne }: CreateRouteDeps): void {
  app.post(
    '/api/v1/rollouts',
    { onRequest, schema: { body: CreateRolloutRequest, response: { 200: CreateRolloutReply, ...PROBLEMS } } },
    async (request): Promise<CreateRolloutReply> => {
      assert(request.operator !== null, 'who creates a rollout is known');
      const { id, changed } = await operator.createRollout({ ...request.body, actor: request.operator.name });
      return { rollout: await viewOne(id), changed };
    },
  );
}
