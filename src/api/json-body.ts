// Reads a JSON body once, strictly, and keeps its exact bytes: the instruction that answers a check-in names their hash.
import { isUtf8 } from 'node:buffer';
import type { FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import { parseJson } from '../protocol/json.ts';
import type { App } from './deps.ts';
import { createKnownBodies, type KnownBodies } from './known-bodies.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The body's bytes as they came; null without a body. */
    rawBody: Buffer | null;
  }
}

/** Makes `application/json` the only body that is read. Errors: `bad_request`, `unsupported_media_type`. */
export function readJsonBodies(app: App): void {
  const known = createKnownBodies();
  app.decorateRequest('rawBody', null);
  app.removeAllContentTypeParsers();
  // With a callback: a promise for each body costs as much as its authentication.
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request: FastifyRequest, body: Buffer, done) => {
    let value: unknown;
    try {
      value = read(request, body, known);
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, value);
  });
}

function read(request: FastifyRequest, body: Buffer, known: KnownBodies): unknown {
  if (request.headers['content-encoding'] !== undefined) {
    throw new AppError('unsupported_media_type', 'an encoded body is not read', {
      where: 'content-encoding',
      hint: 'Send the JSON as it is, without content-encoding.',
    });
  }
  request.rawBody = body;
  const before = known.recall(body);
  if (before !== undefined) return before;
  if (!isUtf8(body)) throw new AppError('bad_request', 'the body is not UTF-8');
  const value = parseJson(body.toString('utf8'));
  known.remember(body, value);
  return value;
}
