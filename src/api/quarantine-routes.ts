// Who is quarantined, and POST /api/v1/agents/:id/quarantine/clear: a person lets one agent try a release again.
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { AppError, assert } from '../errors.ts';
import { type AgentView, ClearReply, ClearRequest, QuarantineReply, STORABLE } from '../protocol/operator.ts';
import { agentNames } from '../store/agents.ts';
import { attemptsOfAgentsInRollouts } from '../store/attempts.ts';
import type { Db } from '../store/database.ts';
import { attemptsOf } from './check-verb.ts';
import type { App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import type { OperatorService } from './services.ts';

const Params = Type.Object(
  { id: Type.String({ minLength: 1, maxLength: 253, pattern: STORABLE }) },
  { additionalProperties: false },
);
const Query = Type.Object(
  { product: Type.Optional(Type.String({ minLength: 1, maxLength: 64, pattern: STORABLE })) },
  { additionalProperties: false },
);
const MOST = 500;

export interface QuarantineRouteDeps {
  db: Db;
  operator: OperatorService;
  products: readonly { name: string }[];
  /** Lets operators in, and nobody else. */
  onRequest(request: FastifyRequest): Promise<void>;
  /** By id or name. Throws `not_found`, `conflict`. */
  agentIdOf(text: string): Promise<string>;
  viewAgent(id: string): Promise<AgentView>;
}

export function quarantineRoutes(app: App, deps: QuarantineRouteDeps): void {
  const { operator, onRequest, agentIdOf, viewAgent } = deps;
  app.get(
    '/api/v1/quarantine',
    { onRequest, schema: { querystring: Query, response: { 200: QuarantineReply, ...PROBLEMS } } },
    async ({ query }) => await viewQuarantine(deps, query.product ?? null),
  );
  app.post(
    '/api/v1/agents/:id/quarantine/clear',
    { onRequest, schema: { params: Params, body: ClearRequest, response: { 200: ClearReply, ...PROBLEMS } } },
    async (request): Promise<ClearReply> => {
      assert(request.operator !== null, 'who clears a quarantine is known');
      const agentId = await agentIdOf(request.params.id);
      const done = await operator.clearQuarantine({
        ...request.body,
        ...attemptsOf(request),
        agentId,
        actor: request.operator.name,
      });
      const { version, changed, attempts } = done;
      return { agent: await viewAgent(agentId), product: request.body.product, version, changed, attempts };
    },
  );
}

async function viewQuarantine(
  { db, operator, products }: QuarantineRouteDeps,
  product: string | null,
): Promise<QuarantineReply> {
  if (product !== null && !products.some(({ name }) => name === product)) {
    throw new AppError('not_found', `the config has no product ${product}`, {
      where: 'querystring/product',
      hint: `There are: ${products.map(({ name }) => name).join(', ')}.`,
    });
  }
  const { quarantined, more } = operator.quarantined(product, MOST);
  const ids = [...new Set(quarantined.map((one) => one.agentId))];
  const agents = new Map((await agentNames(db, ids)).map((agent) => [agent.id, agent]));
  const tried = await attemptsOfAgentsInRollouts(db, ids, [...new Set(quarantined.map((one) => one.rolloutId))]);
  return {
    more,
    quarantined: quarantined.flatMap(({ agentId, product, version, rolloutId, attempts, limit }) => {
      const agent = agents.get(agentId);
      if (agent === undefined) return [];
      const last = tried
        .filter((one) => one.agentId === agentId && one.rolloutId === rolloutId && one.endedAt !== null)
        .toSorted((a, b) => b.sequence - a.sequence)[0];
      const { name, region } = agent;
      const { state, cause, detail, endedAt } = last ?? { state: '', cause: null, detail: null, endedAt: null };
      return [
        {
          ...{ agent: agentId, name, region, product, version, attempts, limit },
          last: last === undefined ? null : { state, cause, detail, endedAt },
        },
      ];
    }),
  };
}
