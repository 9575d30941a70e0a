// A GitHub of our own for the demo and the tests: a real HTTP server on loopback with the REST endpoints that the
// tracker uses, releases published by hand, and faults on demand. Nothing outlives the process.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { handleControl } from './recorded-control.ts';
import {
  answerWith,
  type Fault,
  FaultQueue,
  sendError,
  sendSpoilt,
  spoiltValue,
  type Target,
} from './recorded-faults.ts';
import {
  assetJson,
  contentOf,
  inListOrder,
  RecordedRepositories,
  type RecordedRepository,
  releaseJson,
  repositoryJson,
  trueSizeOf,
} from './recorded-repositories.ts';

export interface RecordedGitHubOptions {
  /** Default 0: any free port. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Without this token the API answers 401. */
  requireToken?: string;
  /** The token that may see drafts. */
  pushToken?: string;
  /** Milliseconds since the epoch; default the system clock. */
  now?: () => number;
}

export interface LoggedRequest {
  host: 'api' | 'storage';
  method: string;
  /** With the query. */
  path: string;
  /** 0 while unanswered, and where the connection was cut instead. */
  status: number;
  /** Whether an authorization header came along. */
  authorization: boolean;
  conditional: boolean;
  userAgent: string;
}

export interface RecordedGitHub {
  /** What the config's `github.api_url` is set to; no slash at the end. */
  url: string;
  storageUrl: string;
  repositories: RecordedRepositories;
  faults: FaultQueue;
  /** The newest 10,000 requests, without those to the control door. */
  log: LoggedRequest[];
  close(): Promise<void>;
}

const MAX_LOG = 10_000;

interface State {
  options: RecordedGitHubOptions;
  now: () => number;
  repositories: RecordedRepositories;
  faults: FaultQueue;
  log: LoggedRequest[];
  urls: { api: string; storage: string };
}

/** Listens on two ports: the API, and the storage host that asset downloads are redirected to. */
export async function startRecordedGitHub(options: RecordedGitHubOptions = {}): Promise<RecordedGitHub> {
  const now = options.now ?? Date.now;
  const host = options.host ?? '127.0.0.1';
  const repositories = new RecordedRepositories(now);
  const faults = new FaultQueue();
  const state: State = { options, now, repositories, faults, log: [], urls: { api: '', storage: '' } };
  const api = createServer((request, response) => settle(response, handleApi(state, request, response)));
  const storage = createServer((request, response) => settle(response, handleStorage(state, request, response)));
  state.urls.api = await listen(api, options.port ?? 0, host);
  state.urls.storage = await listen(storage, 0, host);
  return {
    url: state.urls.api,
    storageUrl: state.urls.storage,
    repositories,
    faults,
    log: state.log,
    async close() {
      await Promise.all([shut(api), shut(storage)]);
    },
  };
}

async function handleApi(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', state.urls.api);
  if (url.pathname.startsWith('/_control/')) {
    return handleControl(request, response, url.pathname.slice('/_control/'.length), state.repositories, state.faults);
  }
  record(state, 'api', request, response);
  setCommonHeaders(state, request, response);
  const route = parsePath(url.pathname);
  if (request.method !== 'GET' || route === undefined) return void sendError(response, 404, 'Not Found');
  const fault = state.faults.take(route.target);
  if (fault !== undefined && answerWith(fault, request, response, state.now())) return;
  if (fault?.kind === 'redirect') return redirect(response, otherRepository(state, fault.to, route.rest, url.search));
  const refusal = checkToken(state, request);
  if (refusal !== undefined) return void sendError(response, 401, refusal);
  const repository = route.id === null ? state.repositories.find(route.name) : state.repositories.findById(route.id);
  if (repository === undefined) return void sendError(response, 404, 'Not Found');
  switch (route.target) {
    case 'repository':
      return sendJson(request, response, repositoryJson(repository, state.urls.api), fault);
    case 'releases':
      return sendReleases(state, request, response, repository, url, fault);
    case 'asset':
      return sendAsset(state, request, response, repository, route.assetId ?? 0, fault);
    case 'storage':
      return void sendError(response, 404, 'Not Found');
  }
}

interface Route {
  target: Target;
  /** Either the id (as GitHub's own links have it) or the name is set. */
  id: number | null;
  name: string;
  /** What stands behind the repository in the path. */
  rest: string;
  assetId?: number;
}

function parsePath(pathname: string): Route | undefined {
  const match = /^\/(?:repos\/([^/]+\/[^/]+)|repositories\/(\d+))((?:\/.*)?)$/.exec(pathname);
  if (match === null) return undefined;
  const rest = match[3] ?? '';
  const base = { id: match[2] === undefined ? null : Number(match[2]), name: decodeURIComponent(match[1] ?? ''), rest };
  if (rest === '') return { ...base, target: 'repository' };
  if (rest === '/releases') return { ...base, target: 'releases' };
  const asset = /^\/releases\/assets\/(\d+)$/.exec(rest);
  return asset === null ? undefined : { ...base, target: 'asset', assetId: Number(asset[1]) };
}

async function sendReleases(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
  repository: RecordedRepository,
  url: URL,
  fault: Fault | undefined,
): Promise<void> {
  const perPage = Math.min(100, Math.max(1, Number(url.searchParams.get('per_page') ?? 30) || 30));
  const asked = Math.max(1, Number(url.searchParams.get('page') ?? 1) || 1);
  const maySeeDrafts = tokenOf(request) !== undefined && tokenOf(request) === state.options.pushToken;
  const visible = inListOrder(repository.releases.filter((release) => maySeeDrafts || !release.draft));
  const page = fault?.kind === 'endless' ? 1 : asked;
  const shown = visible.slice((page - 1) * perPage, page * perPage);
  const last = Math.max(1, Math.ceil(visible.length / perPage));
  const hasNext = fault?.kind === 'endless' || asked < last;
  // GitHub's own links name the repository by its id.
  const link = (number: number) =>
    `<${state.urls.api}/repositories/${repository.id}/releases?per_page=${perPage}&page=${number}>`;
  if (fault?.kind === 'foreign_next') response.setHeader('link', `<${fault.url}>; rel="next"`);
  else if (hasNext) response.setHeader('link', `${link(asked + 1)}; rel="next", ${link(last)}; rel="last"`);
  const json = shown.map((release) => releaseJson(release, repository, state.urls.api));
  await sendJson(request, response, json, fault);
}

async function sendAsset(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
  repository: RecordedRepository,
  assetId: number,
  fault: Fault | undefined,
): Promise<void> {
  const release = repository.releases.find((candidate) => candidate.assets.some((asset) => asset.id === assetId));
  const asset = release?.assets.find((candidate) => candidate.id === assetId);
  if (release === undefined || asset === undefined) return void sendError(response, 404, 'Not Found');
  if (request.headers.accept?.includes('application/octet-stream') === true) {
    return redirect(response, `${state.urls.storage}/assets/${assetId}`, 302);
  }
  await sendJson(request, response, assetJson(asset, release, repository, state.urls.api), fault);
}

async function handleStorage(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  record(state, 'storage', request, response);
  const fault = state.faults.take('storage');
  if (fault !== undefined && answerWith(fault, request, response, state.now())) return;
  // As object stores do: a signed address and an authorization header together are refused.
  if (request.headers.authorization !== undefined) return void sendError(response, 400, 'InvalidArgument');
  const asset = state.repositories.findAsset(Number(/^\/assets\/(\d+)$/.exec(request.url ?? '')?.[1] ?? 0));
  if (asset === undefined) return void sendError(response, 404, 'Not Found');
  response.setHeader('content-type', 'application/octet-stream');
  if (fault === undefined) {
    response.writeHead(200, { 'content-length': await trueSizeOf(asset) });
    return pipeline(contentOf(asset), response);
  }
  const chunks: Buffer[] = [];
  for await (const chunk of contentOf(asset)) chunks.push(chunk as Buffer);
  await sendSpoilt(response, 200, Buffer.concat(chunks), fault);
}

async function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  value: unknown,
  fault: Fault | undefined,
): Promise<void> {
  const body = Buffer.from(JSON.stringify(spoiltValue(value, fault)));
  // GitHub's tag covers what was accepted and by whom, too: another token gets another one.
  const seen = `${request.headers.accept ?? ''}\n${request.headers.authorization ?? ''}\n`;
  const etag = `W/"${createHash('sha256').update(seen).update(body).digest('hex')}"`;
  response.setHeader('etag', etag);
  if (fault === undefined && request.headers['if-none-match'] === etag) {
    response.writeHead(304);
    response.end();
    return;
  }
  response.setHeader('content-type', 'application/json; charset=utf-8');
  if (fault === undefined) {
    response.writeHead(200, { 'content-length': body.length });
    response.end(body);
    return;
  }
  await sendSpoilt(response, 200, body, fault);
}

function redirect(response: ServerResponse, location: string, status = 301): void {
  response.writeHead(status, { location, 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify({ message: 'Moved Permanently', url: location }));
}

function otherRepository(state: State, name: string, rest: string, search: string): string {
  return `${state.urls.api}/repositories/${state.repositories.get(name).id}${rest}${search}`;
}

/** Why the request is refused; undefined when it is not. */
function checkToken(state: State, request: IncomingMessage): string | undefined {
  const token = tokenOf(request);
  const { requireToken, pushToken } = state.options;
  if (token === undefined) return requireToken === undefined ? undefined : 'Requires authentication';
  return token === requireToken || token === pushToken ? undefined : 'Bad credentials';
}

function tokenOf(request: IncomingMessage): string | undefined {
  return /^(?:bearer|token) (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
}

function setCommonHeaders(state: State, request: IncomingMessage, response: ServerResponse): void {
  const limit = tokenOf(request) === undefined ? 60 : 5000;
  response.setHeader('x-ratelimit-limit', String(limit));
  response.setHeader('x-ratelimit-remaining', String(limit - 1));
  response.setHeader('x-ratelimit-used', '1');
  response.setHeader('x-ratelimit-resource', 'core');
  response.setHeader('x-ratelimit-reset', String(Math.ceil(state.now() / 1000) + 3600));
  response.setHeader('x-github-request-id', '0000:0000');
}

function record(state: State, host: LoggedRequest['host'], request: IncomingMessage, response: ServerResponse): void {
  const entry: LoggedRequest = {
    host,
    method: request.method ?? '',
    path: request.url ?? '',
    status: 0,
    authorization: request.headers.authorization !== undefined,
    conditional: request.headers['if-none-match'] !== undefined,
    userAgent: request.headers['user-agent'] ?? '',
  };
  if (state.log.length >= MAX_LOG) state.log.shift();
  state.log.push(entry);
  const writeHead = response.writeHead.bind(response);
  response.writeHead = ((status: number, headers?: Record<string, string>) => {
    entry.status = status;
    return writeHead(status, headers);
  }) as ServerResponse['writeHead'];
}

/** A client that goes away in the middle is no failure of ours. */
function settle(response: ServerResponse, work: Promise<void>): void {
  work.catch((error: unknown) => {
    if (response.headersSent) response.destroy();
    else sendError(response, 500, (error as Error).message);
  });
}

async function listen(server: Server, port: number, host: string): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

function shut(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
