// POST /api/v1/vetoes: a person vetoes one release everywhere, or lifts any veto of it.
import type { FastifyRequest } from 'fastify';
import type { Veto } from '../domain/directives.ts';
import { assert } from '../errors.ts';
import { type RolloutView, VetoReply, VetoRequest, type VetoView } from '../protocol/operator.ts';
import type { Db } from '../store/database.ts';
import { rolloutIdOf } from '../store/rollouts.ts';
import { setAtOf } from './check-verb.ts';
import type { App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import type { OperatorService } from './services.ts';

export interface VetoRouteDeps {
  db: Db;
  operator: OperatorService;
  /** Lets operators in, and nobody else. */
  onRequest(request: FastifyRequest): Promise<void>;
  /** Throws `not_found`. */
  viewOne(id: string): Promise<RolloutView>;
}

export function vetoRoute(app: App, { db, operator, onRequest, viewOne }: VetoRouteDeps): void {
  app.post(
    '/api/v1/vetoes',
    { onRequest, schema: { body: VetoRequest, response: { 200: VetoReply, ...PROBLEMS } } },
    async (request): Promise<VetoReply> => {
      assert(request.operator !== null, 'who vetoes is known');
      const { product } = request.body;
      const done = await operator.setVeto({ ...request.body, ...setAtOf(request), actor: request.operator.name });
      const { version, changed, veto, lifted } = done;
      const id = await rolloutIdOf(db, product, version);
      const rollout = id === undefined ? null : await viewOne(id);
      return { product, version, changed, veto: view(veto), lifted: view(lifted), rollout };
    },
  );
}

function view(veto: Veto | null): VetoView | null {
  if (veto === null) return null;
  const { automatic, actor, reason, at } = veto;
  return { automatic, actor, reason, at };
}
