// What the API is built from; the composition root passes it in. And the type of the app that the route files share.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifySchema,
  FastifySchemaCompiler,
  FastifySerializerCompiler,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Database } from '../store/database.ts';
import type { ServerKeys } from './keys.ts';
import type { AgentService, ArtifactService, OperatorService } from './services.ts';

export interface AskedPlace {
  product: string;
  version: string;
  region: string;
  platform: string;
}

export interface ApiDeps {
  database: Database;
  agents: AgentService;
  operator: OperatorService;
  artifacts: ArtifactService;
  keys: ServerKeys;
  /** When the place's mirror was asked last, milliseconds since the epoch; null: it was not, or there is none. */
  askedAt?: (place: AskedPlace) => number | null;
  config: Pick<Config, 'regions' | 'products' | 'agents' | 'server' | 'availability'>;
  /** Milliseconds since the epoch. */
  clock: { now(): number };
  logger: Logger;
  /** Overrides of single bounds; see DEFAULT_LIMITS. */
  limits?: Partial<ApiLimits>;
  /** Those of an earlier app of this process. To compile all schemas takes longer than a thousand check-ins. */
  compilers?: SchemaCompilers;
}

export interface SchemaCompilers {
  validator: FastifySchemaCompiler<FastifySchema>;
  serializer: FastifySerializerCompiler<FastifySchema>;
}

export interface ApiLimits {
  /** Requests being answered at once; one more is answered 503. */
  inFlight: number;
  /** Check-ins that wait for something to do; one more is answered at once. */
  waiting: number;
  /** Downloads at once, over all agents; one more is answered 503. */
  downloads: number;
  /** Downloads at once of one agent. */
  downloadsPerAgent: number;
}

export const DEFAULT_LIMITS: ApiLimits = { inFlight: 20_000, waiting: 15_000, downloads: 64, downloadsPerAgent: 2 };

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
