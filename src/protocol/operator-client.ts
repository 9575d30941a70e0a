// The typed client of the operators' routes: sends, bounds, checks what comes back, and turns failures into AppErrors.
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { AppError, ERROR_RULES, type ErrorCode } from '../errors.ts';
import {
  type FetchLike,
  readBounded,
  readProblem,
  readReply,
  serverUrl,
  strangeAnswer,
  unreachableError,
} from './agent-client.ts';
import {
  AgentsReply,
  AuditReply,
  AvailabilityReply,
  BrakeReply,
  type BrakeRequest,
  ClearReply,
  type ClearRequest,
  CreateEnrolTokenReply,
  type CreateEnrolTokenRequest,
  CreateOperatorTokenReply,
  type CreateOperatorTokenRequest,
  CreateRolloutReply,
  type CreateRolloutRequest,
  ExplainReply,
  ExplainRolloutReply,
  OperatorTokensReply,
  PinReply,
  type PinRequest,
  ProductHistoryReply,
  QuarantineReply,
  RegionsReply,
  RevokeOperatorTokenReply,
  type RevokeOperatorTokenRequest,
  RolloutsReply,
  RolloutView,
  StatusReply,
  TrustClockReply,
  type TrustClockRequest,
  UnenrolReply,
  type UnenrolRequest,
  VerbReply,
  type VerbRequest,
  VetoReply,
  type VetoRequest,
} from './operator.ts';
import { BacktestReply, type BacktestRequest, RehearsalReply, type RehearsalRequest } from './rehearsal.ts';

/** Replies beyond this many bytes are refused: 50 rollouts over hundreds of regions stay far below. */
const MAX_REPLY_BYTES = 33_554_432;
const DEFAULT_TIMEOUT_MS = 15_000;
/** The server gives up after a minute. */
const REHEARSAL_TIMEOUT_MS = 75_000;

export interface OperatorClientOptions {
  /** e.g. https://tidegate.example; a path in front of /api/v1 is kept. */
  baseUrl: string;
  token: string;
  fetch: FetchLike;
  /** For one request, milliseconds. Default 15 s. */
  timeoutMs?: number;
  /** Ends every request that goes on. */
  signal?: AbortSignal;
}

export interface ProductHistoryFilter {
  /** stable, all, or identifiers of prereleases joined by commas. */
  channel?: string;
  range?: string;
  /** e.g. 2025-08-05, UTC. */
  on?: string;
  /** 1 to 1000. */
  limit?: number;
}

/** Each call throws the AppError that the server's problem names, `unreachable`, `timeout` or `bad_request` (not our wire). */
export interface OperatorClient {
  status(): Promise<StatusReply>;
  /** Newest first, at most 200. */
  rollouts(filter?: { product?: string }): Promise<RolloutView[]>;
  rollout(id: string): Promise<RolloutView>;
  /** By hand: now, whatever the policy's schedule and minimum age say. Idempotent. */
  createRollout(request: CreateRolloutRequest): Promise<CreateRolloutReply>;
  /** Each lane with its gates; of one region, or all. */
  explainRollout(id: string, filter?: { region?: string }): Promise<ExplainRolloutReply>;
  /** Idempotent. A promotion names the step that the person saw. */
  verb(id: string, request: VerbRequest): Promise<VerbReply>;
  setBrake(request: BrakeRequest): Promise<BrakeReply>;
  /** Idempotent: of a release that has been rolled out or not. */
  setVeto(request: VetoRequest): Promise<VetoReply>;
  /** Who did what, newest first: people alone unless `all`. */
  audit(filter?: { all?: boolean; by?: string; before?: number; limit?: number }): Promise<AuditReply>;
  quarantine(filter?: { product?: string }): Promise<QuarantineReply>;
  /** By id, or by name when only one agent has it. Idempotent. */
  clearQuarantine(agent: string, request: ClearRequest): Promise<ClearReply>;
  /** By id, or by name when only one agent has it. Idempotent. */
  setPin(agent: string, request: PinRequest): Promise<PinReply>;
  /** Throws `not_found`, `conflict` where several agents have the name. */
  unenrol(agent: string, request: UnenrolRequest): Promise<UnenrolReply>;
  /** Idempotent. */
  trustClock(request: TrustClockRequest): Promise<TrustClockReply>;
  createEnrolToken(request: CreateEnrolTokenRequest): Promise<CreateEnrolTokenReply>;
  operatorTokens(): Promise<OperatorTokensReply>;
  /** By id, or by the name of one that counts. Idempotent. */
  revokeOperatorToken(token: string, request: RevokeOperatorTokenRequest): Promise<RevokeOperatorTokenReply>;
  /** For another person, by name. */
  createOperatorToken(request: CreateOperatorTokenRequest): Promise<CreateOperatorTokenReply>;
  /** One page, in the order of the ids. */
  agents(page?: {
    after?: string;
    limit?: number;
    region?: string;
    product?: string;
    /** With what they report of their hosts. */
    facts?: 'true';
  }): Promise<AgentsReply>;
  /** By id, or by name when only one agent has it. */
  explain(agent: string): Promise<ExplainReply>;
  /** Without a version: the newest of each product and those going out. */
  availability(filter?: { product?: string; version?: string }): Promise<AvailabilityReply>;
  regions(): Promise<RegionsReply>;
  /** Without a filter: in the product's own channel and range, until now, at most 100 rows. */
  productHistory(product: string, filter?: ProductHistoryFilter): Promise<ProductHistoryReply>;
  /** Played on a model: changes nothing. May take a minute. */
  rehearse(request: RehearsalRequest): Promise<RehearsalReply>;
  backtest(request: BacktestRequest): Promise<BacktestReply>;
}

export function createOperatorClient(options: OperatorClientOptions): OperatorClient {
  const get = <S extends TSchema>(path: string, reply: S) => send(options, 'GET', path, undefined, reply);
  const post = <S extends TSchema>(path: string, body: object, reply: S) => send(options, 'POST', path, body, reply);
  const patient = { timeoutMs: REHEARSAL_TIMEOUT_MS, ...options };
  return {
    status: () => get('/status', StatusReply),
    async rollouts(filter = {}) {
      const query = new URLSearchParams({ limit: '200', ...filter });
      return (await get(`/rollouts?${query}`, RolloutsReply)).rollouts;
    },
    rollout: (id) => get(`/rollouts/${encodeURIComponent(id)}`, RolloutView),
    createRollout: (request) => post('/rollouts', request, CreateRolloutReply),
    explainRollout: (id, filter = {}) =>
      get(`/rollouts/${encodeURIComponent(id)}/explain?${new URLSearchParams(filter)}`, ExplainRolloutReply),
    verb: (id, request) => post(`/rollouts/${encodeURIComponent(id)}/verbs`, request, VerbReply),
    setBrake: (request) => post('/brakes', request, BrakeReply),
    setVeto: (request) => post('/vetoes', request, VetoReply),
    audit(filter = {}) {
      const query = new URLSearchParams(
        Object.entries(filter).map(([name, value]): [string, string] => [name, `${value}`]),
      );
      return get(`/audit?${query}`, AuditReply);
    },
    quarantine: (filter = {}) => get(`/quarantine?${new URLSearchParams(filter)}`, QuarantineReply),
    clearQuarantine: (agent, request) =>
      post(`/agents/${encodeURIComponent(agent)}/quarantine/clear`, request, ClearReply),
    setPin: (agent, request) => post(`/agents/${encodeURIComponent(agent)}/pins`, request, PinReply),
    unenrol: (agent, request) => post(`/agents/${encodeURIComponent(agent)}/unenrol`, request, UnenrolReply),
    trustClock: (request) => post('/clock/trust', request, TrustClockReply),
    operatorTokens: () => get('/operator-tokens', OperatorTokensReply),
    revokeOperatorToken: (token, request) =>
      post(`/operator-tokens/${encodeURIComponent(token)}/revoke`, request, RevokeOperatorTokenReply),
    createOperatorToken: (request) => post('/operator-tokens', request, CreateOperatorTokenReply),
    createEnrolToken: (request) => post('/enrol-tokens', request, CreateEnrolTokenReply),
    agents({ limit = 100, ...filter } = {}) {
      return get(`/agents?${new URLSearchParams({ limit: String(limit), ...filter })}`, AgentsReply);
    },
    explain: (agent) => get(`/agents/${encodeURIComponent(agent)}/explain`, ExplainReply),
    availability: (filter = {}) => get(`/availability?${new URLSearchParams(filter)}`, AvailabilityReply),
    regions: () => get('/regions', RegionsReply),
    productHistory(product, { limit = 100, ...filter } = {}) {
      const query = new URLSearchParams({ limit: String(limit), ...filter });
      return get(`/products/${encodeURIComponent(product)}/history?${query}`, ProductHistoryReply);
    },
    rehearse: (request) => send(patient, 'POST', '/rehearsals', request, RehearsalReply),
    backtest: (request) => send(patient, 'POST', '/backtests', request, BacktestReply),
  };
}

async function send<S extends TSchema>(
  options: OperatorClientOptions,
  method: string,
  path: string,
  body: object | undefined,
  schema: S,
): Promise<Static<S>> {
  const url = serverUrl(options.baseUrl, `/api/v1${path}`);
  const { status, retryAfter, text } = await exchange(options, method, url, body);
  if (status < 200 || status > 299) throw problemError(status, retryAfter, text, url);
  const value = readReply(text, url);
  const check = Compile(schema);
  if (check.Check(value)) return value as Static<S>;
  const [first] = check.Errors(value);
  throw new AppError('bad_request', `the reply is not as expected: ${first?.instancePath} ${first?.message}`, {
    where: url,
    hint: 'Use the CLI of the same version as the server, and check that this is the address of a Tidegate.',
  });
}

interface Exchanged {
  status: number;
  retryAfter: string | null;
  text: string;
}

async function exchange(
  options: OperatorClientOptions,
  method: string,
  url: string,
  body: object | undefined,
): Promise<Exchanged> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
  const headers: Record<string, string> = { accept: 'application/json', authorization: `Bearer ${options.token}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  try {
    const init = { method, headers, signal };
    const reply = await options.fetch(url, body === undefined ? init : { ...init, body: JSON.stringify(body) });
    return {
      status: reply.status,
      retryAfter: reply.headers.get('retry-after'),
      text: await readBounded(reply, url, MAX_REPLY_BYTES),
    };
  } catch (error) {
    if (error instanceof AppError || options.signal?.aborted === true) throw error;
    if (timeout.aborted) {
      throw new AppError('timeout', 'the server did not answer in time', { where: url, cause: error });
    }
    throw unreachableError(error, url);
  }
}

function problemError(status: number, retryAfter: string | null, text: string, url: string): AppError {
  const retry = retryAfter !== null && /^\d{1,6}$/.test(retryAfter) ? { retryAfterMs: Number(retryAfter) * 1000 } : {};
  const said = readProblem(text);
  if (said !== undefined && Object.hasOwn(ERROR_RULES, said.code)) {
    const where = said.where === undefined ? url : `${url} ${said.where}`;
    return new AppError(said.code as ErrorCode, said.detail, { where, hint: said.hint, ...retry });
  }
  return strangeAnswer(status, url, retry);
}
