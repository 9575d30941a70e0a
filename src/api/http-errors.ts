// Every error reply of the API: one shape (RFC 9457), one text for refused credentials, nothing of the inside.
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, type ErrorCode } from '../errors.ts';
import { Problem } from '../protocol/agent.ts';
import { databaseAway, isConnectionLost } from '../store/postgres.ts';

export const PROBLEM_TYPE = 'application/problem+json';
const DEFAULT_RETRY_MS = 5000;

/** Response schemas of what any route may answer instead. */
export const PROBLEMS = { '4xx': Problem, '5xx': Problem };

// Whoever guesses learns nothing from the text; the log has the reason.
const PUBLIC_TEXT: Partial<Record<ErrorCode, string>> = {
  auth_invalid: 'the credentials are not valid',
  enrol_denied: 'the enrolment was refused',
};

/** Answers any error that a route, a hook or Fastify itself threw; logs what somebody must look at, once. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toAppError(error);
  logProblem(request.log, request.id, known);
  const retryAfter = retryAfterSeconds(known);
  if (retryAfter !== undefined) void reply.header('retry-after', String(retryAfter));
  if (known.status === 401) void reply.header('www-authenticate', 'Bearer');
  return reply.code(known.status).type(PROBLEM_TYPE).send(problemOf(known, request.id));
}

export function problemOf(error: AppError, requestId: string): Problem {
  const hidden = PUBLIC_TEXT[error.code];
  const detail = error.status === 500 ? 'the server failed; its log has the details' : (hidden ?? error.message);
  const problem: Problem = {
    type: `urn:tidegate:error:${error.code}`,
    title: error.code.replaceAll('_', ' '),
    status: error.status,
    code: error.code,
    detail,
    hint: error.hint,
    requestId,
  };
  if (error.where !== undefined && hidden === undefined && error.status !== 500) problem.where = error.where;
  return problem;
}

/** What Fastify and Ajv throw, in our codes; anything else is `internal`. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const thrown = (error ?? {}) as { code?: unknown; statusCode?: unknown; message?: unknown; validation?: unknown };
  if (Array.isArray(thrown.validation)) return fromValidation(error as ValidationFailure);
  const code = FASTIFY_CODES[String(thrown.code)];
  if (code !== undefined) return new AppError(code, String(thrown.message), { cause: error });
  const status = thrown.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new AppError('bad_request', String(thrown.message), { cause: error });
  }
  if (status === 503) return new AppError('overloaded', 'the server is shutting down', { cause: error });
  // A read; what writes says so itself, and whether it may have been written.
  if (isConnectionLost(error)) return databaseAway(error);
  return new AppError('internal', 'unexpected error', { cause: error });
}

const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_NOT_FOUND: 'not_found',
};

interface ValidationFailure {
  validation: { keyword: string; instancePath: string; message?: string; params: Record<string, unknown> }[];
  validationContext?: string;
}

function fromValidation(failure: ValidationFailure): AppError {
  const first = failure.validation[0];
  const context = failure.validationContext ?? 'body';
  if (first === undefined) return new AppError('bad_request', `the ${context} is not as the schema says`);
  const { pointer, says } = explain(first);
  const where = `${context}${pointer}`;
  return new AppError('bad_request', `${pointer === '' ? context : pointer} ${says}`, { where });
}

function explain(failure: ValidationFailure['validation'][number]): { pointer: string; says: string } {
  const { keyword, instancePath, params } = failure;
  if (keyword === 'additionalProperties') {
    return { pointer: child(instancePath, params['additionalProperty']), says: 'is not a field that is known here' };
  }
  if (keyword === 'required') return { pointer: child(instancePath, params['missingProperty']), says: 'is missing' };
  if (keyword === 'enum' && Array.isArray(params['allowedValues'])) {
    return { pointer: instancePath, says: `must be one of ${params['allowedValues'].join(', ')}` };
  }
  return { pointer: instancePath, says: failure.message ?? 'is not as the schema says' };
}

/** JSON pointer (RFC 6901) of a key in an object. */
function child(pointer: string, key: unknown): string {
  return `${pointer}/${String(key).slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function retryAfterSeconds(error: AppError): number | undefined {
  if (error.retryAfterMs === undefined && error.status !== 503) return undefined;
  return Math.max(1, Math.ceil((error.retryAfterMs ?? DEFAULT_RETRY_MS) / 1000));
}

function logProblem(log: FastifyBaseLogger, requestId: string, error: AppError): void {
  if (error.status === 500) {
    log.error({ requestId, code: error.code, err: error.cause ?? error }, 'request failed');
  } else if (PUBLIC_TEXT[error.code] !== undefined) {
    log.info({ requestId, code: error.code, reason: error.message }, 'credentials refused');
  }
}
