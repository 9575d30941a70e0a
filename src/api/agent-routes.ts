// The agent's routes under /agent/v1. A check-in touches memory alone here; what it says is the engine's.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { AppError, assert } from '../errors.ts';
import {
  ChallengeReply,
  ChallengeRequest,
  CheckInReply,
  CheckInRequest,
  EnrolRequest,
  IdentityReply,
  SessionRequest,
} from '../protocol/agent.ts';
import { authenticateAgent, checkEnrolment, checkSessionProof, type KnownAgent } from './agent-auth.ts';
import { checkInReply, productsOf, reportOf, sealIdentity } from './agent-wire.ts';
import { artifactRoute } from './artifact-route.ts';
import type { ApiDeps, ApiLimits, App } from './deps.ts';
import { createEnrolRefusals } from './enrol-refusals.ts';
import { PROBLEMS } from './http-errors.ts';
import { createChallenges, createSessionTokens } from './session-token.ts';
import { createSlots } from './slots.ts';
import type { Waits } from './waits.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the session token of the routes that ask for one. */
    agent: KnownAgent | null;
  }
}

// 0 … MAX_WAIT_SECONDS as digits: query values are texts and are not converted.
const WaitQuery = Type.Object(
  { wait: Type.Optional(Type.String({ pattern: '^([0-9]|[1-4][0-9]|5[0-5])$' })) },
  { additionalProperties: false },
);

const NEVER = new AbortController().signal;

export function agentRoutes(app: App, deps: ApiDeps, limits: ApiLimits, waits: Waits): void {
  const { agents, keys, clock, config } = deps;
  const tokens = createSessionTokens(keys.sessionSecret, () => agents.epoch());
  const challenges = createChallenges(keys.sessionSecret, clock.now());
  const waiting = createSlots(limits.waiting);
  const refusals = createEnrolRefusals(deps.database, clock);

  app.decorateRequest('agent', null);

  function authenticate(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
    try {
      request.agent = authenticateAgent(request, tokens, agents, clock.now());
    } catch (error) {
      done(error as Error);
      return;
    }
    done();
  }

  function identityOf(agent: KnownAgent, nonce: string) {
    const sessionToken = tokens.issue(agent.handle, clock.now());
    const envelope = sealIdentity(agent, {
      keys,
      nonce,
      sessionToken,
      epoch: agents.epoch(),
      pollMs: config.agents.pollMs,
    });
    return { envelope };
  }

  app.post(
    '/agent/v1/enrol',
    { schema: { body: EnrolRequest, response: { 201: IdentityReply, ...PROBLEMS } } },
    async (request, reply) => {
      const { body } = request;
      const { tokenId, secretHash } = checkEnrolment(body, keys);
      const products = productsOf(body.products);
      const { publicKey, name, platform } = body;
      const input = { tokenId, secretHash, publicKey, name, platform, products };
      const agent = await agents.enrol(input).catch(async (error: unknown) => {
        throw await refusals.explain(error, input, request);
      });
      return reply.code(201).send(identityOf(agent, body.nonce));
    },
  );

  app.post(
    '/agent/v1/challenge',
    { schema: { body: ChallengeRequest, response: { 200: ChallengeReply, ...PROBLEMS } } },
    async (request) => ({ challenge: challenges.issue(request.body.agent, clock.now()) }),
  );

  app.post(
    '/agent/v1/session',
    { schema: { body: SessionRequest, response: { 200: IdentityReply, ...PROBLEMS } } },
    async (request) => {
      const { body } = request;
      challenges.verify(body.challenge, body.agent, clock.now());
      const agent = await checkSessionProof(body, agents, keys);
      challenges.spend(body.challenge, clock.now());
      return identityOf(agent, body.nonce);
    },
  );

  app.post(
    '/agent/v1/check-in',
    {
      onRequest: authenticate,
      schema: { body: CheckInRequest, querystring: WaitQuery, response: { 200: CheckInReply, ...PROBLEMS } },
    },
    (request, reply) => {
      const agent = agentOf(request);
      const { rawBody } = request;
      assert(rawBody !== null, 'a check-in has a body');
      const context = { keys, agent, epoch: agents.epoch(), rawBody };
      const report = reportOf(agent.handle, request.body);
      const waitMs = Math.min(Number(request.query.wait ?? '0') * 1000, config.agents.maxWaitMs);
      const place = waitMs > 0 ? waiting.take() : undefined;
      if (place === undefined) {
        const result = agents.answerAtOnce(report);
        if (result !== undefined) {
          void reply.send(checkInReply(result, context));
          return undefined;
        }
      } else onClose(reply, place);
      // What would end the wait is made for those that do wait.
      const signal = place === undefined ? NEVER : waits.signalFor(reply);
      return agents
        .checkIn(report, place === undefined ? 0 : waitMs, signal)
        .then((result) => checkInReply(result, context));
    },
  );

  artifactRoute(app, { artifacts: deps.artifacts, limits, authenticate, agentOf });
}

function agentOf(request: FastifyRequest): KnownAgent {
  if (request.agent === null) throw new AppError('auth_missing', 'the request carries no bearer token');
  return request.agent;
}

function onClose(reply: FastifyReply, free: () => void): void {
  reply.raw.once('close', free);
}
