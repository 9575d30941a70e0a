// The real routes in front of the engine: check-ins through `inject`, with real sessions and real signatures.
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { buildApp } from '../../src/api/app.ts';
import type { SchemaCompilers } from '../../src/api/deps.ts';
import type { ServerKeys } from '../../src/api/keys.ts';
import { createSessionTokens } from '../../src/api/session-token.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { AppError } from '../../src/errors.ts';
import type { CheckInReply, Problem } from '../../src/protocol/agent.ts';
import { generateSigningKey, INSTRUCTION_TYPE, openEnvelope } from '../../src/protocol/envelope.ts';
import type { Database } from '../../src/store/database.ts';
import type { SeedPlan } from './seed-plan.ts';

/** The reply with its instruction opened, its signature found right. */
export type OpenedReply = Omit<CheckInReply, 'answer'> & {
  answer: { kind: 'none' } | { kind: 'hold'; reason: string } | { kind: 'instruction'; text: string };
};

export interface HttpDoor {
  checkIn(handle: number, body: string, waitMs: number): Promise<OpenedReply>;
  close(): Promise<void>;
}

let compilers: SchemaCompilers | undefined;

/** Each schema is compiled once in this process, not at every start of every server. */
function keepCompilers({ validatorCompiler: validate, serializerCompiler: serialize }: FastifyInstance): void {
  if (compilers !== undefined || validate === undefined || serialize === undefined) return;
  const serializers = new WeakMap<object, ReturnType<typeof serialize>>();
  compilers = {
    // It knows the schemas that it has compiled.
    validator: validate,
    serializer(route) {
      const known = serializers.get(route.schema) ?? serialize(route);
      serializers.set(route.schema, known);
      return known;
    },
  };
}

export function newServerKeys(): ServerKeys {
  return { current: generateSigningKey(), next: generateSigningKey(), sessionSecret: randomBytes(32) };
}

export async function openHttpDoor(
  engine: Engine,
  database: Database,
  plan: SeedPlan,
  { keys, clock }: { keys: ServerKeys; clock: { now(): number } },
): Promise<HttpDoor> {
  const tokens = createSessionTokens(keys.sessionSecret, () => engine.agents.epoch());
  const trusted = [keys.current.publicKey, keys.next.publicKey];
  const app = await buildApp({
    database,
    agents: engine.agents,
    operator: engine.operator,
    artifacts: { open: () => Promise.reject(new Error('nothing is downloaded here')) },
    keys,
    config: {
      server: { host: '127.0.0.1', port: 0, tls: null, dataDir: '/nowhere', behindProxy: false },
      agents: { pollMs: plan.pollMs, maxWaitMs: 25_000 },
      availability: { everyMs: 60_000, timeoutMs: 5_000, maxAgeMs: 600_000, perHost: 2, total: 8 },
      regions: plan.settings.calendars.map(({ region, timeZone, windows }) => ({
        name: region,
        timeZone,
        mirror: null,
        windows,
      })),
      products: [],
    },
    clock,
    logger: pino({ level: 'silent' }),
    ...(compilers === undefined ? {} : { compilers }),
  });
  keepCompilers(app);
  return {
    async checkIn(handle, body, waitMs) {
      const response = await app.inject({
        method: 'POST',
        url: `/agent/v1/check-in?wait=${Math.round(waitMs / 1000)}`,
        headers: {
          authorization: `Bearer ${tokens.issue(handle, clock.now())}`,
          'content-type': 'application/json',
        },
        payload: body,
      });
      if (response.statusCode !== 200) {
        const problem = response.json() as Problem;
        throw new AppError(problem.code as AppError['code'], problem.detail);
      }
      const reply = response.json() as CheckInReply;
      if (reply.answer.kind !== 'instruction') return reply as OpenedReply;
      const text = openEnvelope(reply.answer.envelope, INSTRUCTION_TYPE, trusted);
      return { ...reply, answer: { kind: 'instruction', text } };
    },
    close: async () => {
      await app.close();
    },
  };
}
