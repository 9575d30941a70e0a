// Sends an artifact's bytes from the server's cache to an enrolled agent, so many at once and no more.
import { type FileHandle, open } from 'node:fs/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { AppError } from '../errors.ts';
import type { KnownAgent } from './agent-auth.ts';
import type { ApiLimits, App } from './deps.ts';
import { PROBLEMS } from './http-errors.ts';
import type { ArtifactService } from './services.ts';
import { createSlots } from './slots.ts';

// A reader slower than this has lost its attempt anyway.
const MAX_DOWNLOAD_MS = 3_600_000;
const RETRY_MS = 10_000;

const Params = Type.Object({ sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) }, { additionalProperties: false });

export interface ArtifactRouteDeps {
  artifacts: ArtifactService;
  limits: ApiLimits;
  authenticate(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void;
  agentOf(request: FastifyRequest): KnownAgent;
}

export function artifactRoute(app: App, deps: ArtifactRouteDeps): void {
  const slots = createSlots(deps.limits.downloads, deps.limits.downloadsPerAgent);
  app.get(
    '/agent/v1/artifacts/:sha256',
    { onRequest: deps.authenticate, schema: { params: Params, response: PROBLEMS } },
    async (request, reply) => {
      const free = slots.take(deps.agentOf(request).handle);
      if (free === undefined) {
        throw new AppError('overloaded', 'too many downloads at once', { retryAfterMs: RETRY_MS });
      }
      reply.raw.once('close', free);
      const { path, size } = await deps.artifacts.open(request.params.sha256);
      return send(reply, await openFile(path), size);
    },
  );
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new AppError('artifact_unavailable', 'the cached artifact cannot be read', {
      cause: error,
      retryAfterMs: RETRY_MS,
    });
  }
}

function send(reply: FastifyReply, file: FileHandle, size: number): FastifyReply {
  const stream = file.createReadStream({ start: 0, end: size - 1 });
  // Exactly `size` bytes: for a file that shrank the connection breaks, instead of leaving the agent waiting for the rest.
  stream.once('end', () => {
    if (stream.bytesRead !== size) reply.raw.destroy();
  });
  const deadline = setTimeout(() => stream.destroy(new Error('the download took too long')), MAX_DOWNLOAD_MS);
  deadline.unref();
  reply.raw.once('close', () => {
    clearTimeout(deadline);
    stream.destroy();
  });
  return reply.header('content-length', String(size)).type('application/octet-stream').send(stream);
}
