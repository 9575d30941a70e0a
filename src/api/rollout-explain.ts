// GET /api/v1/rollouts/:id/explain: every lane of a rollout with its gates, in the order of the waves.
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { LaneExplanation } from '../domain/explain-lane.ts';
import { noLaneIn } from '../domain/named.ts';
import { ExplainRolloutReply, type RolloutView, STORABLE } from '../protocol/operator.ts';
import type { ApiDeps, App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import type { OperatorService } from './services.ts';

const Params = Type.Object(
  { id: Type.String({ minLength: 1, maxLength: 253, pattern: STORABLE }) },
  { additionalProperties: false },
);
const Query = Type.Object(
  { region: Type.Optional(Type.String({ pattern: '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$' })) },
  { additionalProperties: false },
);

export interface ExplainRouteDeps extends Pick<ApiDeps, 'operator' | 'clock'> {
  /** Lets operators in, and nobody else. */
  onRequest(request: FastifyRequest): Promise<void>;
  /** Throws `not_found`. */
  viewOne(id: string): Promise<RolloutView>;
}

export function explainRolloutRoute(app: App, { operator, clock, onRequest, viewOne }: ExplainRouteDeps): void {
  app.get(
    '/api/v1/rollouts/:id/explain',
    { onRequest, schema: { params: Params, querystring: Query, response: { 200: ExplainRolloutReply, ...PROBLEMS } } },
    async ({ params, query }) => await explain(await viewOne(params.id), query.region, operator, clock.now()),
  );
}

async function explain(
  { id, product, version, state, policy, lanes }: RolloutView,
  region: string | undefined,
  operator: OperatorService,
  now: number,
): Promise<ExplainRolloutReply> {
  const wanted = lanes.filter((lane) => region === undefined || lane.region === region);
  if (wanted.length === 0) throw noLaneIn({ version, lanes }, region ?? null);
  const explained = await operator.explainLanes(id);
  const inOrder = wanted.toSorted((a, b) => a.wave - b.wave);
  return {
    now,
    rollout: id,
    product,
    version,
    state,
    policy,
    lanes: inOrder.map((lane) => ({ lane, ...viewExplained(explained.get(lane.id)) })),
  };
}

function viewExplained(found: LaneExplanation | undefined) {
  const { sentence = '', gates = [] } = found ?? {};
  return { sentence, gates: gates.map(({ gate, result, sentence, until }) => ({ gate, result, sentence, until })) };
}
