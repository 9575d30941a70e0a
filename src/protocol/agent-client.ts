// The typed client of the agent's routes: sends, bounds, checks what comes back, and turns failures into AppErrors.
// It keeps no state and knows nothing of keys; who calls decides when to try again.
import { Compile } from 'typebox/compile';
import { AppError, ERROR_RULES, type ErrorCode } from '../errors.ts';
import {
  ChallengeReply,
  type ChallengeRequest,
  CheckInReply,
  type EnrolRequest,
  IdentityReply,
  Problem,
  type SessionRequest,
} from './agent.ts';
import { parseJson } from './json.ts';

/** Replies beyond this many bytes are refused unread. */
export const MAX_REPLY_BYTES = 131_072;
const DEFAULT_TIMEOUT_MS = 15_000;
/** The longest Retry-After that is believed. */
const MAX_RETRY_AFTER_MS = 86_400_000;

export interface FetchInit {
  method: string;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
}

export interface FetchReply {
  status: number;
  headers: { get(name: string): string | null };
  body: AsyncIterable<Uint8Array> | null;
}

/** What the client needs of `fetch`; the global one fits, and so does the agent's own with a private CA. */
export type FetchLike = (url: string, init: FetchInit) => Promise<FetchReply>;

export interface AgentClientOptions {
  /** e.g. https://tidegate.example; a path in front of /agent/v1 is kept. */
  baseUrl: string;
  fetch: FetchLike;
  /** For one request without its long poll, milliseconds. Default 15 s. */
  timeoutMs?: number;
}

export interface CheckInOptions {
  token: string;
  /** How long the server may keep the request open while there is nothing to do. */
  waitSeconds?: number;
  signal?: AbortSignal;
}

/** Each call throws the AppError that the server's problem names, `unreachable`, `timeout` or `bad_request` (not our wire). */
export interface AgentClient {
  enrol(request: EnrolRequest): Promise<IdentityReply>;
  challenge(request: ChallengeRequest): Promise<ChallengeReply>;
  session(request: SessionRequest): Promise<IdentityReply>;
  /** `body` is the exact text of a CheckInRequest: the instruction in the reply names its hash. */
  checkIn(body: string, options: CheckInOptions): Promise<CheckInReply>;
}

interface Validator<T> {
  Check(value: unknown): value is T;
  Errors(value: unknown): { instancePath: string; message: string }[];
}

const identityReply = Compile(IdentityReply) as Validator<IdentityReply>;
const challengeReply = Compile(ChallengeReply) as Validator<ChallengeReply>;
const checkInReply = Compile(CheckInReply) as Validator<CheckInReply>;
const problem = Compile(Problem) as Validator<Problem>;

interface Call<T> {
  path: string;
  body: string;
  reply: Validator<T>;
  token?: string;
  extraMs?: number;
  signal?: AbortSignal;
}

export function createAgentClient(options: AgentClientOptions): AgentClient {
  const post = <T>(call: Call<T>): Promise<T> => send(options, call);
  return {
    enrol: (request) => post({ path: 'enrol', body: JSON.stringify(request), reply: identityReply }),
    challenge: (request) => post({ path: 'challenge', body: JSON.stringify(request), reply: challengeReply }),
    session: (request) => post({ path: 'session', body: JSON.stringify(request), reply: identityReply }),
    checkIn(body, { token, waitSeconds = 0, signal }) {
      const path = waitSeconds > 0 ? `check-in?wait=${waitSeconds}` : 'check-in';
      const call: Call<CheckInReply> = { path, body, reply: checkInReply, token, extraMs: waitSeconds * 1000 };
      return post(signal === undefined ? call : { ...call, signal });
    },
  };
}

/** Joins a path of the server (with its leading slash) to the base URL. */
export function serverUrl(baseUrl: string, path: string): string {
  return `${baseUrl.replace(/\/+$/, '')}${path}`;
}

async function send<T>(options: AgentClientOptions, call: Call<T>): Promise<T> {
  const url = serverUrl(options.baseUrl, `/agent/v1/${call.path}`);
  const timeout = AbortSignal.timeout((options.timeoutMs ?? DEFAULT_TIMEOUT_MS) + (call.extraMs ?? 0));
  const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal]);
  const headers: Record<string, string> = { 'content-type': 'application/json', accept: 'application/json' };
  if (call.token !== undefined) headers['authorization'] = `Bearer ${call.token}`;
  let reply: FetchReply;
  let text: string;
  try {
    reply = await options.fetch(url, { method: 'POST', headers, body: call.body, signal });
    text = await readBounded(reply, url, MAX_REPLY_BYTES);
  } catch (error) {
    throw networkError(error, url, timeout);
  }
  if (reply.status < 200 || reply.status > 299) throw problemError(reply, text, url);
  const value = readReply(text, url);
  if (!call.reply.Check(value)) {
    const first = call.reply.Errors(value)[0];
    throw new AppError('bad_request', `the reply is not what the wire says: ${first?.instancePath} ${first?.message}`, {
      where: url,
      hint: STRANGE_HINT,
    });
  }
  return value;
}

/** The body as text; throws `bad_request` beyond `maxBytes`, and what the connection throws. */
export async function readBounded(reply: FetchReply, url: string, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of reply.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new AppError('bad_request', `the reply is larger than ${maxBytes} bytes`, { where: url });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Throws `bad_request` for what is not JSON. */
export function readReply(text: string, url: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    const what = 'the reply is not JSON, and this does not look like a Tidegate server';
    throw new AppError('bad_request', what, { where: url, cause: error, hint: STRANGE_HINT });
  }
}

function networkError(error: unknown, url: string, timeout: AbortSignal): Error {
  if (error instanceof AppError) return error;
  if (timeout.aborted)
    return new AppError('timeout', 'the server did not answer in time', { where: url, cause: error });
  return unreachableError(error, url);
}

const NO_TLS =
  /ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)|SSL routines.*(wrong version number|packet length)/s;
const MAX_REASON = 200;

/** `unreachable` with what the network said, in one line that people can read. */
export function unreachableError(error: unknown, url: string): AppError {
  const { message, cause } = error as Error;
  const { code = '', message: inner = '' } = (cause ?? error ?? {}) as { message?: string; code?: string };
  // OpenSSL's own words for it are a page of addresses and file names.
  const noTls = NO_TLS.test(`${code} ${inner}`);
  const why = noTls ? 'the server does not speak TLS there' : oneLine(inner || code || message);
  const hint = noTls ? { hint: 'Use the port that speaks TLS; http:// is allowed to this machine only.' } : {};
  return new AppError('unreachable', `the server cannot be reached: ${why}`, { where: url, cause: error, ...hint });
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ').slice(0, MAX_REASON);
}

/** For an answer without a problem of ours in it. 401, 403 and 429 may come from what stands in front of a Tidegate. */
export function strangeAnswer(status: number, url: string, extra: { retryAfterMs?: number }): AppError {
  const code = codeOfStatus(status);
  if (status >= 500 || ['auth_invalid', 'forbidden', 'overloaded'].includes(code)) {
    return new AppError(code, `the server answered ${status}`, { where: url, ...extra });
  }
  const what = `the server answered ${status}, and this does not look like a Tidegate server`;
  return new AppError(code, what, { where: url, hint: STRANGE_HINT, ...extra });
}

export const STRANGE_HINT = 'Check that this is the address of a Tidegate server.';

function problemError(reply: FetchReply, text: string, url: string): AppError {
  const retryAfterMs = readRetryAfter(reply.headers.get('retry-after'));
  const extra = retryAfterMs === undefined ? {} : { retryAfterMs };
  const said = readProblem(text);
  if (said !== undefined && Object.hasOwn(ERROR_RULES, said.code)) {
    return new AppError(said.code as ErrorCode, said.detail, { where: url, hint: said.hint, ...extra });
  }
  return strangeAnswer(reply.status, url, extra);
}

/** Undefined for a body that is no problem of ours. */
export function readProblem(text: string): Problem | undefined {
  try {
    const value = parseJson(text);
    return problem.Check(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 401) return 'auth_invalid';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not_found';
  if (status === 409) return 'conflict';
  if (status === 429 || status === 503) return 'overloaded';
  return status >= 500 ? 'unreachable' : 'bad_request';
}

/** Seconds or, as RFC 9110 also allows, a date, which is not used here: clocks of agents do not matter. */
function readRetryAfter(text: string | null): number | undefined {
  if (text === null || !/^\d{1,9}$/.test(text)) return undefined;
  return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
}
