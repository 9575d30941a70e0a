// Builds the HTTP server: bounds, strict parsing, one shape of error, and the routes. It does not listen.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from 'fastify';
import { Type } from 'typebox';
import { AppError } from '../errors.ts';
import { MAX_BODY_BYTES, MAX_WAIT_SECONDS } from '../protocol/agent.ts';
import { agentRoutes } from './agent-routes.ts';
import { type ApiDeps, type ApiLimits, type App, DEFAULT_LIMITS } from './deps.ts';
import { PROBLEM_TYPE, PROBLEMS, problemOf, sendProblem } from './http-errors.ts';
import { readJsonBodies } from './json-body.ts';
import { operatorRoutes } from './operator-routes.ts';
import { createWaits } from './waits.ts';

const REQUEST_TIMEOUT_MS = 15_000;
const HEADERS_TIMEOUT_MS = 10_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 8192;
const MAX_KEEP_ALIVE_MS = 900_000;
const MAX_REQUESTS_PER_SOCKET = 100_000;
const RETRY_MS = 2000;
const ANSWER_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/** Ready to listen or inject. Closing it ends long polls at once. Throws `config_invalid` for unreadable TLS files. */
export async function buildApp(deps: ApiDeps): Promise<FastifyInstance> {
  const limits: ApiLimits = { ...DEFAULT_LIMITS, ...deps.limits };
  const app = Fastify(optionsOf(deps)) as unknown as App;
  const waits = createWaits();
  if (deps.compilers !== undefined) {
    app.setValidatorCompiler(deps.compilers.validator);
    app.setSerializerCompiler(deps.compilers.serializer);
  }

  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      new AppError('not_found', `there is no ${request.method} ${request.url.slice(0, 200)}`),
      request,
      reply,
    ),
  );
  readJsonBodies(app);
  const open = admitRequests(app, limits.inFlight);
  app.addHook('preClose', async () => {
    // A connection kept alive would keep the server from closing. To requests that still come Fastify says it itself.
    for (const reply of open) if (!reply.headersSent) reply.setHeader('connection', 'close');
    waits.end();
  });

  app.get('/healthz', { schema: { response: { 200: Type.Object({ ok: Type.Boolean() }), ...PROBLEMS } } }, async () => {
    const lost = deps.database.fence?.lost() ?? null;
    if (lost !== null) throw lost;
    return { ok: true };
  });
  agentRoutes(app, deps, limits, waits);
  operatorRoutes(app, deps);

  await app.ready();
  return app as unknown as FastifyInstance;
}

function optionsOf({ config, logger }: ApiDeps): FastifyServerOptions {
  const tls = config.server.tls === null ? {} : { https: { ...readTls(config.server.tls), ...nodeOptions() } };
  const plain = config.server.tls === null ? { http: nodeOptions() } : {};
  // Longer than the interval between two check-ins, so that an agent finds its connection still open.
  const keepAliveTimeout = Math.min(MAX_KEEP_ALIVE_MS, Math.ceil(config.agents.pollMs * 1.5) + 10_000);
  return {
    ...tls,
    ...plain,
    // With a logger of its own Fastify listens to the end of every answer, to log it, even where that is switched off.
    logger: false,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // Silence on a connection while a request is being answered; longer than the longest poll.
    connectionTimeout: (MAX_WAIT_SECONDS + 20) * 1000,
    keepAliveTimeout,
    maxRequestsPerSocket: MAX_REQUESTS_PER_SOCKET,
    exposeHeadRoutes: false,
    requestIdHeader: false,
    genReqId: numbered(randomUUID()),
    // What is logged of a request names its id itself; a logger for each would cost as much as its authentication.
    childLoggerFactory: () => logger,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false } },
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
    clientErrorHandler: answerBrokenRequest,
  } as FastifyServerOptions;
}

/** `<the process>-<number>`: to make a random name for each would cost more than to look the agent up. */
function numbered(processId: string): () => string {
  let requests = 0;
  return () => `${processId}-${((requests += 1)).toString(36)}`;
}

function nodeOptions() {
  return {
    headersTimeout: HEADERS_TIMEOUT_MS,
    connectionsCheckingInterval: 5000,
    maxHeaderSize: MAX_HEADER_BYTES,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  };
}

function readTls(tls: { certFile: string; keyFile: string }): { cert: Buffer; key: Buffer } {
  return { cert: readTlsFile('certFile', tls.certFile), key: readTlsFile('keyFile', tls.keyFile) };
}

function readTlsFile(field: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new AppError('config_invalid', `server.tls.${field} cannot be read: ${(error as Error).message}`, {
      cause: error,
      where: file,
    });
  }
}

/**
 * Bounds how many are answered at once, and says of what people get how it may be kept. Returns those that are being
 * answered. One hook, with a callback, and one listener for all: each costs.
 */
function admitRequests(app: App, limit: number): ReadonlySet<ServerResponse> {
  const open = new Set<ServerResponse>();
  function leave(this: ServerResponse): void {
    open.delete(this);
  }
  app.addHook('onRequest', (request, reply, done) => {
    if (!isCheckIn(request.raw)) void reply.headers(ANSWER_HEADERS);
    if (open.size >= limit) {
      done(new AppError('overloaded', 'too many requests at once', { retryAfterMs: RETRY_MS }));
      return;
    }
    open.add(reply.raw);
    // It comes once for every answer, so `once` would only add to it.
    reply.raw.on('close', leave);
    done();
  });
  return open;
}

/**
 * What answers a POST is kept by no cache unless it asks for that (RFC 9111 §3), and an agent is no browser that guesses
 * types: here the headers say nothing, and they cost at every check-in.
 */
function isCheckIn({ method, url }: IncomingMessage): boolean {
  return method === 'POST' && url?.startsWith('/agent/v1/check-in') === true;
}

/** What is not HTTP, or came too slowly: Node has no request for it, so the answer is written by hand. */
function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return;
  const tooSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const problem = problemOf(
    new AppError('bad_request', tooSlow ? 'the request came too slowly' : 'this is not HTTP as RFC 9112 has it'),
    randomUUID(),
  );
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: ${PROBLEM_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  );
}
