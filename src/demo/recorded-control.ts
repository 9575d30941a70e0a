// The recorded GitHub's own door, `POST /_control/…`: for the demo, which runs in another process. Loopback only.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../errors.ts';
import { type Fault, type FaultQueue, sendError } from './recorded-faults.ts';
import type {
  AssetChange,
  AssetOptions,
  RecordedRepositories,
  ReleaseChange,
  ReleaseOptions,
} from './recorded-repositories.ts';
import { loadReleaseHistories } from './release-histories.ts';

const MAX_BODY_BYTES = 16 * 1024 * 1024;

/** Bytes travel as base64; a path is read by the recorded GitHub itself. */
type WireAsset = Omit<AssetOptions, 'bytes'> & { base64?: string };

interface ControlBody {
  repository: string;
  tag: string;
  name: string;
  release: Omit<ReleaseOptions, 'assets'> & { assets?: WireAsset[] };
  change: ReleaseChange & Omit<AssetChange, 'bytes'> & { base64?: string };
  fault: Fault;
  directory: string;
}

/**
 * Routes, each with a JSON body and a JSON answer: `repositories` {repository} · `releases` {repository, release} ·
 * `releases/remove` {repository, tag} · `histories` {directory} · `releases/change` {repository, tag, change} ·
 * `assets/alter` {repository, tag, name, change} · `faults` {fault} · `faults/clear` {}.
 */
export async function handleControl(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  repositories: RecordedRepositories,
  faults: FaultQueue,
): Promise<void> {
  if (!isLoopback(request.socket.remoteAddress)) return void sendError(response, 403, 'Loopback only');
  // A web page can post other content types across origins without asking.
  const isJson = request.headers['content-type']?.startsWith('application/json') === true;
  if (request.method !== 'POST' || !isJson) return void sendError(response, 415, 'POST application/json');
  try {
    const body = JSON.parse((await readBody(request)).toString('utf8')) as ControlBody;
    const answer = (await act(path, body, repositories, faults)) ?? {};
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  } catch (error) {
    const status = error instanceof AppError ? error.status : 400;
    sendError(response, status, (error as Error).message);
  }
}

async function act(path: string, body: ControlBody, repositories: RecordedRepositories, faults: FaultQueue) {
  switch (path) {
    case 'repositories':
      return { id: repositories.create(body.repository).id };
    case 'releases': {
      const assets = (body.release.assets ?? []).map(withBytes);
      return { id: (await repositories.publish(body.repository, { ...body.release, assets })).id };
    }
    case 'histories':
      return { loaded: await loadReleaseHistories(repositories, body.directory) };
    case 'releases/remove':
      return repositories.removeRelease(body.repository, body.tag);
    case 'releases/change':
      return repositories.changeRelease(body.repository, body.tag, body.change);
    case 'assets/alter':
      return repositories.alterAsset(body.repository, body.tag, body.name, withBytes(body.change));
    case 'faults':
      return faults.add(body.fault);
    case 'faults/clear':
      return faults.clear();
    default:
      throw new AppError('not_found', `no control ${path}`);
  }
}

function withBytes<T extends { base64?: string }>(asset: T): Omit<T, 'base64'> & { bytes?: Uint8Array } {
  const { base64, ...rest } = asset;
  return base64 === undefined ? rest : { ...rest, bytes: Buffer.from(base64, 'base64') };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) throw new AppError('body_too_large', 'the body is too large');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(::1$|(::ffff:)?127\.)/.test(address);
}
