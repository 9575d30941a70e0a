// A small real server for the agent's tests: speaks the wire with real signatures over a real socket, offers one attempt
// at a time, and remembers what it was told. It decides as little as possible.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Compile } from 'typebox/compile';
import {
  type AttemptReport,
  type CheckInReply,
  CheckInRequest,
  ENROL_PURPOSE,
  EnrolRequest,
  formatEnrolToken,
  type Identity,
  type Instruction,
  SESSION_PURPOSE,
  SessionRequest,
} from '../../src/protocol/agent.ts';
import {
  type Envelope,
  fingerprint,
  generateSigningKey,
  IDENTITY_TYPE,
  INSTRUCTION_TYPE,
  seal,
  sha256Hex,
  verifyBytes,
} from '../../src/protocol/envelope.ts';
import { parseJson } from '../../src/protocol/json.ts';

const checkInSchema = Compile(CheckInRequest);
const enrolSchema = Compile(EnrolRequest);
const sessionSchema = Compile(SessionRequest);
const ENDED = ['succeeded', 'rolled_back', 'failed', 'inconclusive', 'declined'];

export interface Offer {
  version: string;
  sha256: string;
  size: number;
  /** Served under its digest; undefined: nothing is. */
  file?: string;
  urls?: string[];
  platform?: string;
  product?: string;
  rollback?: boolean;
  override?: boolean;
  stageWithinMs?: number;
  proveWithinMs?: number;
  stableForMs?: number;
}

export interface Director {
  url: string;
  token: string;
  /** Bodies of all check-ins, oldest first. */
  checkIns: CheckInRequest[];
  /** How many requests were answered as `fail` says. */
  refused(): number;
  /** How many sessions were ever given. */
  sessions(): number;
  /** First report of each ended attempt, in the order in which they came. */
  outcomes: AttemptReport[];
  /** Reports of an ended attempt that contradicts the first one. */
  contradictions: AttemptReport[];
  /** Offers a new attempt; returns its id. `expectFrom` is what the agent reports. */
  offer(offer: Offer): string;
  withdraw(): void;
  /** Changes each instruction before it is signed. */
  alter(change: ((instruction: Instruction) => object) | undefined): void;
  /** Changes each envelope after it was signed. */
  tamper(change: ((envelope: Envelope) => Envelope) | undefined): void;
  /** Answers every check-in with this status; 0: drops the connection; undefined: as usual. */
  fail(status: number | undefined, headers?: Record<string, string>): void;
  /** Whether staged agents are granted. */
  mayActivate(may: boolean): void;
  voidSessions(): void;
  /** A new current key is the one that was next. */
  rotateKeys(): void;
  setEpoch(epoch: number): void;
  /** Resolves as soon as the check holds; rejects after `ms`. Looked at after every request. */
  until(what: string, check: () => boolean, ms?: number): Promise<void>;
  close(): Promise<void>;
}

interface Held {
  offer: Offer;
  attempt: string;
  sequence: number;
  state: 'open' | 'withdrawn' | 'ended';
}

export async function startDirector(): Promise<Director> {
  let keys = { current: generateSigningKey(), next: generateSigningKey() };
  const secret = { id: randomUUID(), secret: randomBytes(32).toString('base64url') };
  const token = formatEnrolToken({ ...secret, fingerprint: keys.current.keyId });
  const agent = { id: randomUUID(), publicKey: '', region: 'r1' };
  const files = new Map<string, string>();
  const sessions = new Set<string>();
  const watchers = new Set<() => void>();
  const waiting = new Set<() => void>();
  const checkIns: CheckInRequest[] = [];
  const outcomes: AttemptReport[] = [];
  const contradictions: AttemptReport[] = [];
  let held: Held | undefined;
  let sequence = 0;
  let epoch = 1;
  let mayActivate = true;
  let refused = 0;
  let given = 0;
  let failure: { status: number; headers: Record<string, string> } | undefined;
  let alter: ((instruction: Instruction) => object) | undefined;
  let tamper: ((envelope: Envelope) => Envelope) | undefined;

  const server = createServer((request, response) => {
    route(request, response)
      .catch((error: Error) => problem(response, 400, 'bad_request', error.message))
      .finally(() => {
        for (const look of watchers) look();
      });
  });

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://director');
    const body = await readBody(request);
    if (url.pathname.startsWith('/agent/v1/artifacts/')) return sendArtifact(request, response, url.pathname.slice(20));
    if (failure !== undefined) refused += 1;
    if (failure?.status === 0) return void request.socket.destroy();
    if (failure !== undefined) return problem(response, failure.status, 'overloaded', 'not now', failure.headers);
    if (url.pathname === '/agent/v1/enrol') return enrol(response, body);
    if (url.pathname === '/agent/v1/challenge') return json(response, { challenge: randomUUID() });
    if (url.pathname === '/agent/v1/session') return session(response, body);
    if (url.pathname !== '/agent/v1/check-in') return problem(response, 404, 'not_found', url.pathname);
    if (!hasSession(request)) return problem(response, 401, 'auth_expired', 'no session');
    await checkIn(response, body, Number(url.searchParams.get('wait') ?? 0));
  }

  function enrol(response: ServerResponse, body: string) {
    const request = parseJson(body);
    if (!enrolSchema.Check(request)) throw new Error(JSON.stringify(enrolSchema.Errors(request)[0]));
    const bytes = Buffer.from(`${request.nonce}.${token}`);
    if (request.token !== token || !verifyBytes(request.publicKey, ENROL_PURPOSE, bytes, request.proof)) {
      return problem(response, 403, 'enrol_denied', 'the token or the proof is wrong');
    }
    if (agent.publicKey !== '' && agent.publicKey !== request.publicKey) {
      return problem(response, 403, 'enrol_denied', 'the token is used up');
    }
    agent.publicKey = request.publicKey;
    json(response, { envelope: identity(request.nonce) });
  }

  function session(response: ServerResponse, body: string) {
    const request = parseJson(body);
    if (!sessionSchema.Check(request)) throw new Error('session');
    const bytes = Buffer.from(`${request.nonce}.${request.challenge}`);
    if (!verifyBytes(agent.publicKey, SESSION_PURPOSE, bytes, request.proof)) {
      return problem(response, 401, 'auth_invalid', 'wrong proof');
    }
    json(response, { envelope: identity(request.nonce) });
  }

  function identity(nonce: string): Envelope {
    const fresh = randomUUID();
    sessions.add(fresh);
    given += 1;
    const value: Identity = {
      agent: agent.id,
      region: agent.region,
      nonce,
      session: { token: fresh, expiresInMs: 86_400_000 },
      directorKeys: { current: keys.current.publicKey, next: keys.next.publicKey },
      epoch,
      pollMs: 200,
    };
    return seal(keys.current, IDENTITY_TYPE, value);
  }

  function hasSession(request: IncomingMessage): boolean {
    return sessions.has((request.headers.authorization ?? '').replace('Bearer ', ''));
  }

  async function checkIn(response: ServerResponse, body: string, waitSeconds: number): Promise<void> {
    const request = parseJson(body);
    if (!checkInSchema.Check(request)) throw new Error(JSON.stringify(checkInSchema.Errors(request)[0]));
    checkIns.push(request);
    const acknowledged = request.attempts.filter(({ state }) => ENDED.includes(state)).map(book);
    for (const look of watchers) look();
    let answer = answerFor(request, body);
    if (answer.kind === 'none' && waitSeconds > 0 && acknowledged.length === 0) {
      await news(waitSeconds * 1000, response);
      answer = answerFor(request, body);
    }
    const reply: CheckInReply = { answer, acknowledged, nextInMs: 200, wantFacts: false };
    json(response, reply);
  }

  function book(report: AttemptReport): { id: string; state: AttemptReport['state'] } {
    const first = outcomes.find(({ id }) => id === report.id);
    if (first === undefined) outcomes.push(report);
    else if (first.state !== report.state || first.cause !== report.cause) contradictions.push(report);
    if (held?.attempt === report.id) held.state = 'ended';
    return { id: report.id, state: report.state };
  }

  function answerFor(request: CheckInRequest, body: string): CheckInReply['answer'] {
    if (held === undefined || held.state === 'ended') return { kind: 'none' };
    const report = request.attempts.find(({ id }) => id === held?.attempt);
    const isStaged = report?.state === 'staged';
    if (held.state === 'withdrawn')
      return report === undefined ? { kind: 'none' } : instruct('withdraw', held, request, body);
    if (report === undefined) return instruct('stage', held, request, body);
    return isStaged && mayActivate ? instruct('activate', held, request, body) : { kind: 'none' };
  }

  function instruct(
    action: Instruction['action'],
    { offer, attempt, sequence: number }: Held,
    request: CheckInRequest,
    body: string,
  ): CheckInReply['answer'] {
    const running = request.products[0] ?? { product: '', version: '0', digest: '0'.repeat(64) };
    const instruction: Instruction = {
      action,
      agent: agent.id,
      region: agent.region,
      attempt,
      sequence: number,
      epoch,
      requestSha256: sha256Hex(body),
      product: offer.product ?? running.product,
      version: offer.version,
      expectFrom: { version: running.version, digest: running.digest },
      artifact: {
        platform: offer.platform ?? request.platform,
        sha256: offer.sha256,
        size: offer.size,
        urls: offer.urls ?? [`/agent/v1/artifacts/${offer.sha256}`],
      },
      rollback: offer.rollback ?? false,
      override: offer.override ?? false,
      stageWithinMs: offer.stageWithinMs ?? 60_000,
      activateWithinMs: 60_000,
      proveWithinMs: offer.proveWithinMs ?? 20_000,
      stableForMs: offer.stableForMs ?? 300,
    };
    const envelope = seal(keys.current, INSTRUCTION_TYPE, alter?.(instruction) ?? instruction);
    return { kind: 'instruction', envelope: tamper?.(envelope) ?? envelope };
  }

  function sendArtifact(request: IncomingMessage, response: ServerResponse, digest: string) {
    const file = files.get(digest);
    if (!hasSession(request)) return problem(response, 401, 'auth_expired', 'no session');
    if (file === undefined) return problem(response, 404, 'not_found', digest);
    response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(readFileSync(file));
  }

  function news(ms: number, response: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        waiting.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      response.once('close', finish);
      waiting.add(finish);
    });
  }

  function wakeAll(): void {
    for (const finish of [...waiting]) finish();
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    token,
    checkIns,
    refused: () => refused,
    sessions: () => given,
    outcomes,
    contradictions,
    offer(offer) {
      sequence += 1;
      held = { offer, attempt: randomUUID(), sequence, state: 'open' };
      if (offer.file !== undefined) files.set(offer.sha256, offer.file);
      wakeAll();
      return held.attempt;
    },
    withdraw() {
      if (held !== undefined) held.state = 'withdrawn';
      wakeAll();
    },
    alter(change) {
      alter = change;
    },
    tamper(change) {
      tamper = change;
    },
    fail(status, headers = {}) {
      failure = status === undefined ? undefined : { status, headers };
      if (status === 0) server.closeAllConnections();
      wakeAll();
    },
    mayActivate(may) {
      mayActivate = may;
      wakeAll();
    },
    voidSessions() {
      sessions.clear();
      wakeAll();
    },
    rotateKeys() {
      keys = { current: keys.next, next: generateSigningKey() };
      assertDifferent(keys.current.publicKey, keys.next.publicKey);
    },
    setEpoch(value) {
      epoch = value;
    },
    async until(what, check, ms = 20_000) {
      if (check()) return;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => {
          watchers.delete(look);
          reject(new Error(`not within ${ms} ms: ${what}; last: ${JSON.stringify(checkIns.at(-1))}`));
        }, ms);
        const look = (): void => {
          if (!check()) return;
          clearTimeout(timer);
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
      });
    },
    async close() {
      wakeAll();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function assertDifferent(a: string, b: string): void {
  if (fingerprint(a) === fingerprint(b)) throw new Error('assertion failed: two keys are one');
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function problem(
  response: ServerResponse,
  status: number,
  code: string,
  detail: string,
  headers: Record<string, string> = {},
): void {
  const body = { type: 'about:blank', title: code, status, code, detail, hint: 'none', requestId: '1' };
  response.writeHead(status, { 'content-type': 'application/problem+json', ...headers }).end(JSON.stringify(body));
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
