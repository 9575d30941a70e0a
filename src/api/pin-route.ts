// POST /api/v1/agents/:id/pins: a person leaves one agent alone at one product, or lets it go on.
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { assert } from '../errors.ts';
import { type AgentView, PinReply, PinRequest, STORABLE } from '../protocol/operator.ts';
import { setAtOf } from './check-verb.ts';
import type { App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import type { OperatorService } from './services.ts';
import { viewPin } from './views.ts';

const Params = Type.Object(
  { id: Type.String({ minLength: 1, maxLength: 253, pattern: STORABLE }) },
  { additionalProperties: false },
);

export interface PinRouteDeps {
  operator: OperatorService;
  /** Lets operators in, and nobody else. */
  onRequest(request: FastifyRequest): Promise<void>;
  /** By id or name. Throws `not_found`, `conflict`. */
  agentIdOf(text: string): Promise<string>;
  viewAgent(id: string): Promise<AgentView>;
}

export function pinRoute(app: App, { operator, onRequest, agentIdOf, viewAgent }: PinRouteDeps): void {
  app.post(
    '/api/v1/agents/:id/pins',
    { onRequest, schema: { params: Params, body: PinRequest, response: { 200: PinReply, ...PROBLEMS } } },
    async (request): Promise<PinReply> => {
      assert(request.operator !== null, 'who pins is known');
      const agentId = await agentIdOf(request.params.id);
      const { version = null, ...words } = request.body;
      const done = await operator.setPin({
        ...words,
        ...setAtOf(request),
        version,
        agentId,
        actor: request.operator.name,
      });
      const { changed, pin, lifted, hot } = done;
      const agent = await viewAgent(agentId);
      return {
        agent,
        changed,
        pin: pin === null ? null : viewPin(pin),
        lifted: lifted === null ? null : viewPin(lifted),
        hot,
      };
    },
  );
}
