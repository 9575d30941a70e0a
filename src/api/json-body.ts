// Reads a JSON body once, strictly, and keeps its exact bytes: the instruction that answers a check-in names their hash.
import type { FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import { parseJson } from '../protocol/json.ts';
import type { App } from './deps.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The body's bytes as they came; null without a body. */
    rawBody: Buffer | null;
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Makes `application/json` the only body that is read. Errors: `bad_request`, `unsupported_media_type`. */
export function readJsonBodies(app: App): void {
  app.decorateRequest('rawBody', null);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (request.headers['content-encoding'] !== undefined) {
      throw new AppError('unsupported_media_type', 'an encoded body is not read', {
        where: 'content-encoding',
        hint: 'Send the JSON as it is, without content-encoding.',
      });
    }
    request.rawBody = body;
    return parseJson(decode(body));
  });
}

function decode(body: Buffer): string {
  try {
    return UTF8.decode(body);
  } catch (error) {
    throw new AppError('bad_request', 'the body is not UTF-8', { cause: error });
  }
}
