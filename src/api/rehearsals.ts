// POST /api/v1/rehearsals and /api/v1/backtests: questions that change nothing; what they ask for does not fit in a URL.
import type { FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import { BacktestReply, BacktestRequest, RehearsalReply, RehearsalRequest } from '../protocol/rehearsal.ts';
import type { App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import type { OperatorService } from './services.ts';

/** Ten thousand groups of agents with their labels. */
const MAX_FLEET_BYTES = 4_194_304;

export interface RehearsalDeps {
  operator: Pick<OperatorService, 'rehearse' | 'backtest'>;
  /** Lets operators in, and nobody else. */
  onRequest(request: FastifyRequest): Promise<void>;
}

export function rehearsalRoutes(app: App, { operator, onRequest }: RehearsalDeps): void {
  app.post(
    '/api/v1/rehearsals',
    {
      onRequest,
      bodyLimit: MAX_FLEET_BYTES,
      schema: { body: RehearsalRequest, response: { 200: RehearsalReply, ...PROBLEMS } },
    },
    async ({ body }): Promise<RehearsalReply> => {
      const { fleet, ...options } = body;
      const { version, release, rehearsal, assumptions } = await operator.rehearse({
        ...options,
        ...(fleet === undefined ? {} : { fleet: fleet.map(readGroup) }),
      });
      const lanes = rehearsal.lanes.map(({ laneId: _, version: __, ...lane }) => lane);
      return { product: body.product, version, release, ...rehearsal, lanes, assumptions };
    },
  );

  app.post(
    '/api/v1/backtests',
    { onRequest, schema: { body: BacktestRequest, response: { 200: BacktestReply, ...PROBLEMS } } },
    async ({ body }): Promise<BacktestReply> => {
      const since = readDay(body.since);
      const { backtest, assumptions } = await operator.backtest({ ...body, since });
      return { product: body.product, ...backtest, assumptions };
    },
  );
}

function readGroup({ count, labels = {}, ...same }: NonNullable<RehearsalRequest['fleet']>[number]) {
  return { ...same, labels, agents: count };
}

function readDay(text: string): number {
  const at = Date.parse(`${text}T00:00:00Z`);
  if (!Number.isNaN(at) && new Date(at).toISOString().startsWith(text)) return at;
  throw new AppError('bad_request', `there is no day ${text}`, {
    where: 'body/since',
    hint: 'Write a day as 2025-08-05.',
  });
}
