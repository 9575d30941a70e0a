// POST /api/v1/clock/trust: a person has looked at the server's clock and believes it.
import type { FastifyRequest } from 'fastify';
import { assert } from '../errors.ts';
import { TrustClockReply, TrustClockRequest } from '../protocol/operator.ts';
import type { App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import type { OperatorService } from './services.ts';

export interface ClockRouteDeps {
  operator: OperatorService;
  /** Lets operators in, and nobody else. */
  onRequest(request: FastifyRequest): Promise<void>;
  now(): number;
}

export function clockRoute(app: App, { operator, onRequest, now }: ClockRouteDeps): void {
  app.post(
    '/api/v1/clock/trust',
    { onRequest, schema: { body: TrustClockRequest, response: { 200: TrustClockReply, ...PROBLEMS } } },
    async (request) => {
      assert(request.operator !== null, 'who trusts the clock is known');
      const changed = await operator.trustClock({ reason: request.body.reason, actor: request.operator.name });
      return { now: now(), changed };
    },
  );
}
