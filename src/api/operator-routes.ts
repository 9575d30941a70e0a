// The operators' routes under /api/v1: what CLI and dashboard read, and the verbs. Every write is audited with its actor.
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { AppError, assert } from '../errors.ts';
import {
  AgentsReply,
  type AgentView,
  AvailabilityReply,
  BrakeReply,
  BrakeRequest,
  CreateEnrolTokenReply,
  CreateEnrolTokenRequest,
  ExplainReply,
  HaltReply,
  HaltRequest,
  RegionsReply,
  RolloutsReply,
  RolloutView,
  STORABLE,
  StatusReply,
  VerbReply,
  VerbRequest,
} from '../protocol/operator.ts';
import { findAgent, listAgents } from '../store/agents.ts';
import { historyOfAgent } from '../store/attempts.ts';
import { agentIdsByName } from '../store/operator-views.ts';
import { listRollouts, loadRollout } from '../store/rollouts.ts';
import { findUnenrolled } from '../store/unenrolled-agents.ts';
import { auditRoute } from './audit-route.ts';
import { viewAvailability } from './availability-view.ts';
import { checkVerb, revisionOf, setAtOf } from './check-verb.ts';
import { clockRoute } from './clock-route.ts';
import type { ApiDeps, App } from './deps.ts';
import { createEnrolToken } from './enrol-tokens.ts';
import { PROBLEMS } from './http-errors.ts';
import { createOperatorAuth, type Operator } from './operator-auth.ts';
import { operatorTokenRoutes } from './operator-tokens.ts';
import { pinRoute } from './pin-route.ts';
import { productHistoryRoute } from './product-history.ts';
import { quarantineRoutes } from './quarantine-routes.ts';
import { viewRegions } from './regions-view.ts';
import { rehearsalRoutes } from './rehearsals.ts';
import { createRolloutRoute } from './rollout-create.ts';
import { explainRolloutRoute } from './rollout-explain.ts';
import { runningTroubles } from './running-troubles.ts';
import { viewBrakes, viewStatus } from './status-view.ts';
import { unenrolRoute } from './unenrol-route.ts';
import { vetoRoute } from './veto-route.ts';
import { viewAgents, viewHistory, viewRollouts } from './views.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the bearer token of every route under /api/v1. */
    operator: Operator | null;
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const DEFAULT_LIMIT = 100;
const HISTORY = 20;
// 1 … 200 as digits: query values are texts and are not converted.
const Limit = Type.String({ pattern: '^([1-9][0-9]?|1[0-9][0-9]|200)$' });
const Name = Type.String({ pattern: '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$' });
const Params = Type.Object(
  { id: Type.String({ minLength: 1, maxLength: 253, pattern: STORABLE }) },
  { additionalProperties: false },
);
const RolloutsQuery = Type.Object(
  {
    product: Type.Optional(Name),
    live: Type.Optional(Type.String({ pattern: '^(true|false)$' })),
    limit: Type.Optional(Limit),
  },
  { additionalProperties: false },
);
const AgentsQuery = Type.Object(
  {
    after: Type.Optional(Type.String({ pattern: UUID.source })),
    limit: Type.Optional(Limit),
    region: Type.Optional(Name),
    product: Type.Optional(Name),
    facts: Type.Optional(Type.String({ pattern: '^(true|false)$' })),
  },
  { additionalProperties: false },
);

const AvailabilityQuery = Type.Object(
  {
    product: Type.Optional(Name),
    version: Type.Optional(Type.String({ minLength: 1, maxLength: 128, pattern: STORABLE })),
  },
  { additionalProperties: false },
);

export function operatorRoutes(app: App, deps: ApiDeps): void {
  const { database, operator, config, clock, keys } = deps;
  const { db } = database;
  const auth = createOperatorAuth(database, clock);

  app.decorateRequest('operator', null);

  async function onRequest(request: FastifyRequest): Promise<void> {
    request.operator = await auth.authenticate(request);
  }

  async function viewOne(id: string): Promise<RolloutView> {
    const rollout = UUID.test(id) ? await loadRollout(db, id) : undefined;
    if (rollout === undefined) throw new AppError('not_found', `there is no rollout ${id}`, { hint: ROLLOUT_HINT });
    const [view] = await viewRollouts(db, operator, [rollout], clock.now());
    assert(view !== undefined, 'one rollout has one view');
    return view;
  }

  async function perform(name: string, request: VerbRequest, actor: string): Promise<VerbReply> {
    const { verb, reason, region, lane, expectedStep, expectedRevision, count, scope } = request;
    checkVerb(request);
    const { id } = await viewOne(name);
    const changed = await operator.verb(id, {
      verb,
      region: region ?? null,
      expectedStep: expectedStep ?? null,
      ...(expectedRevision === undefined ? {} : { expectedRevision }),
      ...(count === undefined ? {} : { count }),
      vetoRelease: scope === 'release',
      ...(lane === 'baseline' ? { baseline: true } : {}),
      actor,
      reason,
    });
    return { rollout: await viewOne(id), changed };
  }

  app.get('/api/v1/status', { onRequest, schema: { response: { 200: StatusReply, ...PROBLEMS } } }, async () =>
    viewStatus(db, operator, config.products, clock.now()),
  );

  app.get(
    '/api/v1/rollouts',
    { onRequest, schema: { querystring: RolloutsQuery, response: { 200: RolloutsReply, ...PROBLEMS } } },
    async ({ query }) => {
      const rollouts = await listRollouts(db, {
        ...(query.product === undefined ? {} : { product: query.product }),
        liveOnly: query.live === 'true',
        limit: Number(query.limit ?? DEFAULT_LIMIT),
      });
      return { rollouts: await viewRollouts(db, operator, rollouts, clock.now()) };
    },
  );

  app.get(
    '/api/v1/rollouts/:id',
    { onRequest, schema: { params: Params, response: { 200: RolloutView, ...PROBLEMS } } },
    async (request) => viewOne(request.params.id),
  );

  explainRolloutRoute(app, { operator, clock, onRequest, viewOne });

  operatorTokenRoutes(app, { database, clock, onRequest, forget: auth.forget });

  createRolloutRoute(app, { operator, onRequest, viewOne });

  rehearsalRoutes(app, { operator, onRequest });

  app.post(
    '/api/v1/rollouts/:id/halt',
    { onRequest, schema: { params: Params, body: HaltRequest, response: { 200: HaltReply, ...PROBLEMS } } },
    async (request) =>
      await perform(request.params.id, { ...request.body, verb: 'halt', ...revisionOf(request) }, actorOf(request)),
  );

  app.post(
    '/api/v1/rollouts/:id/verbs',
    { onRequest, schema: { params: Params, body: VerbRequest, response: { 200: VerbReply, ...PROBLEMS } } },
    async (request) => await perform(request.params.id, { ...request.body, ...revisionOf(request) }, actorOf(request)),
  );

  app.get(
    '/api/v1/brakes',
    { onRequest, schema: { response: { 200: Type.Pick(BrakeReply, ['brakes']), ...PROBLEMS } } },
    async () => ({ brakes: await viewBrakes(db) }),
  );

  app.post(
    '/api/v1/brakes',
    { onRequest, schema: { body: BrakeRequest, response: { 200: BrakeReply, ...PROBLEMS } } },
    async (request) => {
      const { scope, on } = request.body;
      if (on) checkScope(scope, config);
      const changed = await operator.setBrake({ ...request.body, ...setAtOf(request), actor: actorOf(request) });
      return { brakes: await viewBrakes(db), changed };
    },
  );

  vetoRoute(app, { db, operator, onRequest, viewOne });

  clockRoute(app, { operator, onRequest, now: () => clock.now() });

  app.post(
    '/api/v1/enrol-tokens',
    { onRequest, schema: { body: CreateEnrolTokenRequest, response: { 201: CreateEnrolTokenReply, ...PROBLEMS } } },
    async (request, reply) => {
      const context = { database, regions: config.regions, keyId: keys.current.keyId, now: clock.now() };
      return reply.code(201).send(await createEnrolToken(request.body, actorOf(request), context));
    },
  );

  app.get(
    '/api/v1/agents',
    { onRequest, schema: { querystring: AgentsQuery, response: { 200: AgentsReply, ...PROBLEMS } } },
    async ({ query }) => {
      const limit = Number(query.limit ?? DEFAULT_LIMIT);
      // One more than asked for tells whether there is a next page.
      const { after = null, limit: _, facts, ...filter } = query;
      const rows = await listAgents(db, { ...filter, after, limit: limit + 1 });
      const page = rows.slice(0, limit);
      const next = rows.length > limit ? (page.at(-1)?.id ?? null) : null;
      const agents = await viewAgents(db, operator, page);
      const told =
        facts === 'true' ? agents.map((one, index) => ({ ...one, facts: page[index]?.facts ?? null })) : agents;
      return { agents: told, next };
    },
  );

  app.get(
    '/api/v1/agents/:id/explain',
    { onRequest, schema: { params: Params, response: { 200: ExplainReply, ...PROBLEMS } } },
    async (request) => {
      const id = await agentIdOf(request.params.id);
      const agent = await viewAgent(id);
      const products = await operator.explain(id);
      return {
        agent,
        facts: (await findAgent(db, id))?.facts ?? null,
        troubles: await runningTroubles(db, agent),
        products,
        history: viewHistory(await historyOfAgent(db, id, HISTORY)),
      };
    },
  );

  app.get(
    '/api/v1/availability',
    { onRequest, schema: { querystring: AvailabilityQuery, response: { 200: AvailabilityReply, ...PROBLEMS } } },
    async ({ query }) =>
      await viewAvailability(db, { operator, config, now: clock.now(), askedAt: deps.askedAt }, query),
  );

  productHistoryRoute(app, deps, onRequest);

  app.get('/api/v1/regions', { onRequest, schema: { response: { 200: RegionsReply, ...PROBLEMS } } }, async () =>
    viewRegions(operator, config.regions, clock.now()),
  );

  auditRoute(app, { db, onRequest });

  quarantineRoutes(app, { db, operator, products: config.products, onRequest, agentIdOf, viewAgent });

  pinRoute(app, { operator, onRequest, agentIdOf, viewAgent });

  unenrolRoute(app, { db, operator, onRequest, agentIdOf });

  async function viewAgent(id: string): Promise<AgentView> {
    const found = await findAgent(db, id);
    const [agent] = found === undefined ? [] : await viewAgents(db, operator, [found]);
    if (agent !== undefined) return agent;
    const left = await findUnenrolled(db, id);
    if (left === undefined) throw new AppError('not_found', `there is no agent ${id}`, { hint: AGENT_HINT });
    const who = `${left.actor} has taken ${left.name} out of the fleet`;
    throw new AppError('unenrolled', `there is no agent ${id} any more: ${who} (${left.reason})`);
  }

  async function agentIdOf(text: string): Promise<string> {
    if (UUID.test(text)) return text;
    const [first, second] = await agentIdsByName(db, text, 2);
    if (first === undefined) {
      throw new AppError('not_found', `there is no agent with the id or name ${text}`, { hint: AGENT_HINT });
    }
    if (second === undefined) return first;
    throw new AppError('conflict', `several agents are named ${text}`, {
      hint: `Name one by its id, e.g. ${first} or ${second}.`,
    });
  }
}

const AGENT_HINT = 'See `tidegate agents`.';
const ROLLOUT_HINT = 'See `tidegate rollout list`.';

function actorOf(request: FastifyRequest): string {
  assert(request.operator !== null, 'a verb has an actor');
  return request.operator.name;
}

function checkScope(scope: string, config: ApiDeps['config']): void {
  if (scope === 'fleet') return;
  const [kind, name] = scope.split(':', 2);
  const known = (kind === 'product' ? config.products : config.regions).map((one) => one.name);
  if (known.some((one) => one === name)) return;
  throw new AppError('not_found', `the config has no ${kind} ${name}`, {
    where: 'body/scope',
    hint: `There are: ${known.join(', ')}.`,
  });
}
