// The agent's wire: every wrong request gets its code and hint and never reaches the engine; right ones are mapped exactly.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Compile } from 'typebox/compile';
import { v7 as uuidv7 } from 'uuid';
import type { Attempt } from '../../src/domain/agent.ts';
import { AppError, ERROR_RULES, type ErrorCode } from '../../src/errors.ts';
import { CheckInReply, Identity, Instruction, Problem } from '../../src/protocol/agent.ts';
import { generateSigningKey, INSTRUCTION_TYPE, openEnvelope, sha256Hex } from '../../src/protocol/envelope.ts';
import {
  checkInRequest,
  type EnrolledAgent,
  enrol,
  enrolRequest,
  enrolToken,
  nonce,
  openIdentity,
  sessionRequest,
} from './agent-client.ts';
import { type Harness, openHarness, T0 } from './harness.ts';

const problem = Compile(Problem);
const checkInReply = Compile(CheckInReply);
let harness: Harness;
let agent: EnrolledAgent;

before(async () => {
  harness = await openHarness();
  agent = await enrol(harness);
});
after(() => harness[Symbol.asyncDispose]());
afterEach(() => {
  harness.clock.set(T0);
  harness.engine.calls.checkIn.length = 0;
  harness.engine.calls.enrol.length = 0;
});

interface Sent {
  url?: string;
  token?: string | null;
  type?: string;
  headers?: Record<string, string>;
  body: string | object;
}

async function checkIn({ url = '/agent/v1/check-in', token = agent.token, type, headers, body }: Sent) {
  return await harness.app.inject({
    method: 'POST',
    url,
    headers: {
      'content-type': type ?? 'application/json',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

function assertProblem(response: Awaited<ReturnType<typeof checkIn>>, code: ErrorCode, where?: string): Problem {
  assert.match(String(response.headers['content-type']), /^application\/problem\+json(;|$)/);
  const body = response.json<Problem>();
  assert.ok(problem.Check(body), response.body);
  assert.equal(body.code, code, response.body);
  assert.equal(body.status, response.statusCode);
  assert.equal(response.statusCode, ERROR_RULES[code].status);
  assert.ok(body.hint.length > 0);
  assert.match(body.requestId, /^[0-9a-f-]{36}-[0-9a-z]+$/);
  if (where !== undefined) assert.equal(body.where, where);
  return body;
}

function raw(text: string): string {
  // A right body with one piece of text replaced: what JSON.stringify cannot say.
  const body = JSON.stringify(checkInRequest());
  return text.replace('REST', body.slice(1, -1));
}

describe('a wrong check-in never reaches the engine', () => {
  const deep = `${'['.repeat(40)}${']'.repeat(40)}`;
  const rows: [title: string, sent: () => Sent, code: ErrorCode, where?: string][] = [
    ['no token', () => ({ token: null, body: checkInRequest() }), 'auth_missing'],
    ['token of another shape', () => ({ token: 'abc', body: checkInRequest() }), 'auth_invalid'],
    ['another handle in the token', () => ({ token: forged(agent.token), body: checkInRequest() }), 'auth_invalid'],
    ['wrong body and no token: the token is asked for first', () => ({ token: null, body: '{' }), 'auth_missing'],
    ['text/plain', () => ({ type: 'text/plain', body: checkInRequest() }), 'unsupported_media_type'],
    ['form', () => ({ type: 'application/x-www-form-urlencoded', body: 'a=b' }), 'unsupported_media_type'],
    [
      'gzip',
      () => ({ headers: { 'content-encoding': 'gzip' }, body: checkInRequest() }),
      'unsupported_media_type',
      'content-encoding',
    ],
    ['body too large', () => ({ body: JSON.stringify({ pad: 'x'.repeat(65_536) }) }), 'body_too_large'],
    ['not JSON', () => ({ body: '{"nonce":' }), 'bad_request'],
    ['empty', () => ({ body: '' }), 'bad_request'],
    ['array', () => ({ body: '[]' }), 'bad_request', 'body'],
    ['duplicate key', () => ({ body: raw('{"nonce":"AAAAAAAAAAAAAAAAAAAAAA",REST}') }), 'bad_request'],
    [
      'duplicate key in disguise',
      () => ({ body: raw('{"\\u006eonce":"AAAAAAAAAAAAAAAAAAAAAA",REST}') }),
      'bad_request',
    ],
    ['nested too deep', () => ({ body: raw(`{"x":${deep},REST}`) }), 'bad_request'],
    ['__proto__', () => ({ body: raw('{"__proto__":{},REST}') }), 'bad_request', 'body/__proto__'],
    ['unknown field', () => ({ body: { ...checkInRequest(), surplus: 1 } }), 'bad_request', 'body/surplus'],
    ['missing field', () => ({ body: without('boot') }), 'bad_request', 'body/boot'],
    ['number as text', () => ({ body: { ...checkInRequest(), sequence: '0' } }), 'bad_request', 'body/sequence'],
    ['fraction', () => ({ body: { ...checkInRequest(), sequence: 0.5 } }), 'bad_request', 'body/sequence'],
    ['beyond 2^53', () => ({ body: { ...checkInRequest(), sequence: 2 ** 53 } }), 'bad_request', 'body/sequence'],
    [
      'upper-case digest',
      () => ({ body: running({ digest: 'A'.repeat(64) }) }),
      'bad_request',
      'body/products/0/digest',
    ],
    [
      'version of 300',
      () => ({ body: running({ version: '1'.repeat(300) }) }),
      'bad_request',
      'body/products/0/version',
    ],
    ['emoji version', () => ({ body: running({ version: '1.0.0😀' }) }), 'bad_request', 'body/products/0/version'],
    [
      'control character in the reason',
      () => ({ body: checkInRequest({ health: { status: 'unhealthy', reason: 'a\u001b[2Jb' } }) }),
      'bad_request',
      'body/health/reason',
    ],
    [
      'unknown state',
      () => ({
        body: checkInRequest({ attempts: [{ id: uuidv7(), product: 'collector', state: 'granted' as 'staged' }] }),
      }),
      'bad_request',
      'body/attempts/0/state',
    ],
    [
      'product twice',
      () => ({ body: { ...checkInRequest(), products: [product(), product()] } }),
      'bad_request',
      'body/products/1/product',
    ],
    [
      'two attempts of one product',
      () => ({ body: checkInRequest({ attempts: [attemptReport(), attemptReport()] }) }),
      'bad_request',
      'body/attempts/1/product',
    ],
    ['33 products', () => ({ body: { ...checkInRequest(), products: many(33) } }), 'bad_request', 'body/products'],
    [
      'wait=56',
      () => ({ url: '/agent/v1/check-in?wait=56', body: checkInRequest() }),
      'bad_request',
      'querystring/wait',
    ],
    [
      'wait=1.5',
      () => ({ url: '/agent/v1/check-in?wait=1.5', body: checkInRequest() }),
      'bad_request',
      'querystring/wait',
    ],
    [
      'wait=-1',
      () => ({ url: '/agent/v1/check-in?wait=-1', body: checkInRequest() }),
      'bad_request',
      'querystring/wait',
    ],
    ['wait= ', () => ({ url: '/agent/v1/check-in?wait=', body: checkInRequest() }), 'bad_request', 'querystring/wait'],
    ['wait twice', () => ({ url: '/agent/v1/check-in?wait=1&wait=2', body: checkInRequest() }), 'bad_request'],
    [
      'unknown query',
      () => ({ url: '/agent/v1/check-in?x=1', body: checkInRequest() }),
      'bad_request',
      'querystring/x',
    ],
  ];
  for (const [title, sent, code, where] of rows) {
    it(`${title} → ${code}`, async () => {
      assertProblem(await checkIn(sent()), code, where);
      assert.equal(harness.engine.calls.checkIn.length, 0);
    });
  }

  it('invalid UTF-8 → bad_request', async () => {
    const response = await harness.app.inject({
      method: 'POST',
      url: '/agent/v1/check-in',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${agent.token}` },
      payload: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    });
    assert.match(assertProblem(response, 'bad_request').detail, /UTF-8/);
  });

  it('an expired session → auth_expired, with what to do', async () => {
    harness.clock.set(T0 + 86_400_000);
    const found = assertProblem(await checkIn({ body: checkInRequest() }), 'auth_expired');
    assert.match(found.hint, /session/);
    harness.clock.set(T0 + 86_399_999);
    assert.equal((await checkIn({ body: checkInRequest() })).statusCode, 200);
  });

  it('a session of before a restore → auth_invalid', async () => {
    harness.engine.epochNow = 2;
    assertProblem(await checkIn({ body: checkInRequest() }), 'auth_invalid');
    harness.engine.epochNow = 1;
  });

  it('an agent that is not enrolled any more → auth_invalid with the same text as a forged token', async () => {
    const other = await enrol(harness);
    const handle = [...harness.engine.byHandle.values()].find((one) => one.id === other.identity.agent)?.handle ?? 0;
    harness.engine.byHandle.delete(handle);
    const gone = assertProblem(await checkIn({ token: other.token, body: checkInRequest() }), 'auth_invalid');
    const forgery = assertProblem(
      await checkIn({ token: forged(agent.token), body: checkInRequest() }),
      'auth_invalid',
    );
    assert.equal(gone.detail, forgery.detail);
    assert.equal(gone.where, undefined);
  });
});

describe('a right check-in', () => {
  it('is handed over as the domain has it', async () => {
    const attempt = {
      id: uuidv7(),
      product: 'collector',
      state: 'failed',
      cause: 'disk_full',
      detail: 'no space',
    } as const;
    const body = checkInRequest({ facts: { kernel: '6.1' }, attempts: [attempt], health: { status: 'unhealthy' } });
    const response = await checkIn({ body });
    assert.equal(response.statusCode, 200);
    assert.ok(checkInReply.Check(response.json()));
    const [call] = harness.engine.calls.checkIn;
    assert.deepEqual(call?.report, {
      handle: 1,
      boot: body.boot,
      platform: 'linux-x64',
      epoch: 1,
      sequence: 0,
      products: body.products,
      health: 'unhealthy',
      healthReason: null,
      facts: { kernel: '6.1' },
      attempts: [attempt],
    });
    assert.equal(call?.waitMs, 0);
  });

  it('waits as long as it asks, at most as long as the config says', async () => {
    for (const [wait, waitMs] of [
      ['0', 0],
      ['7', 7000],
      ['55', 20_000],
    ] as const) {
      await checkIn({ url: `/agent/v1/check-in?wait=${wait}`, body: checkInRequest() });
      assert.equal(harness.engine.calls.checkIn.at(-1)?.waitMs, waitMs);
    }
  });

  it('is answered by an instruction that names the hash of its exact bytes', async () => {
    const attempt = someAttempt(agent.identity.agent);
    const limits = { stageWithinMs: 1000, activateWithinMs: 2000, proveWithinMs: 3000, stableForMs: 4000 };
    harness.engine.respond = async () => ({
      answer: {
        kind: 'instruction',
        action: 'stage',
        attempt,
        mirrorUrl: null,
        override: false,
        rollback: false,
        ...limits,
      },
      acknowledged: [{ id: attempt.id, state: 'staged' }],
      nextInMs: 12_345.6,
      wantFacts: true,
    });
    // White space is part of the bytes.
    const body = `  ${JSON.stringify(checkInRequest(), null, 3)}\n`;
    const reply = (await checkIn({ body })).json<CheckInReply>();
    assert.ok(checkInReply.Check(reply), JSON.stringify([...checkInReply.Errors(reply)]));
    assert.equal(reply.nextInMs, 12_346);
    assert.deepEqual(reply.acknowledged, [{ id: attempt.id, state: 'staged' }]);
    assert.ok(reply.answer.kind === 'instruction');
    const text = openEnvelope(reply.answer.envelope, INSTRUCTION_TYPE, [agent.identity.directorKeys.current]);
    const instruction = JSON.parse(text) as Instruction;
    assert.ok(Compile(Instruction).Check(instruction), text);
    assert.deepEqual(instruction, {
      action: 'stage',
      agent: agent.identity.agent,
      region: 'eu-central',
      attempt: attempt.id,
      sequence: 7,
      epoch: 1,
      requestSha256: sha256Hex(body),
      product: 'collector',
      version: '1.4.0',
      expectFrom: { version: '1.3.0', digest: 'a'.repeat(64) },
      artifact: {
        platform: 'linux-x64',
        sha256: 'b'.repeat(64),
        size: 1000,
        urls: [`/agent/v1/artifacts/${'b'.repeat(64)}`],
      },
      rollback: false,
      override: false,
      ...limits,
    });
  });

  it('gets a hold that its schema accepts, whatever a person wrote as the reason', async () => {
    const sentence = `a person has set the brake: line one\nline two \u001b[2J ${'x'.repeat(600)}`;
    harness.engine.respond = async () => ({
      answer: { kind: 'hold', reason: 'braked', sentence },
      acknowledged: [],
      nextInMs: 1000,
      wantFacts: false,
    });
    const reply = (await checkIn({ body: checkInRequest() })).json<CheckInReply>();
    assert.ok(checkInReply.Check(reply), JSON.stringify(reply));
    assert.ok(reply.answer.kind === 'hold');
    assert.match(reply.answer.sentence, /^a person has set the brake: line one line two \[2J x+…$/);
  });

  it('carries the engine’s errors out with their code, and the time to come back', async () => {
    harness.engine.respond = async () => {
      throw new AppError('overloaded', 'the queue is full', { retryAfterMs: 2100 });
    };
    const response = await checkIn({ body: checkInRequest() });
    assertProblem(response, 'overloaded');
    assert.equal(response.headers['retry-after'], '3');
    harness.engine.respond = async () => {
      throw new AppError('unknown_version', 'collector 1.2: not a semver version');
    };
    assertProblem(await checkIn({ body: checkInRequest() }), 'unknown_version');
  });

  it('tells nothing of a bug, and logs it once with the request’s id', async () => {
    harness.engine.respond = async () => {
      throw new TypeError('secret path /var/lib/x');
    };
    const found = assertProblem(await checkIn({ body: checkInRequest() }), 'internal');
    assert.doesNotMatch(JSON.stringify(found), /secret|TypeError/);
    const logged = harness.log.filter((line) => line['requestId'] === found.requestId);
    assert.equal(logged.length, 1);
    assert.match(JSON.stringify(logged[0]), /secret path/);
  });
});

describe('enrolment', () => {
  async function post(body: object) {
    return await harness.app.inject({ method: 'POST', url: '/agent/v1/enrol', payload: body });
  }

  it('answers a signed identity; the secret goes on only as its hash', async () => {
    const key = generateSigningKey();
    const token = enrolToken(harness);
    const body = enrolRequest(key, token);
    const response = await post(body);
    assert.equal(response.statusCode, 201);
    const identity = openIdentity(harness, response.json());
    assert.ok(Compile(Identity).Check(identity));
    assert.equal(identity.nonce, body.nonce);
    assert.equal(identity.pollMs, 30_000);
    assert.equal(identity.directorKeys.next, harness.keys.next.publicKey);
    const [, id, secret] = token.split('.');
    assert.deepEqual(harness.engine.calls.enrol, [
      {
        tokenId: id,
        secretHash: sha256Hex(secret as string),
        publicKey: key.publicKey,
        name: 'host-1',
        platform: 'linux-x64',
        products: body.products,
      },
    ]);
  });

  const key = generateSigningKey();
  const rows: [title: string, body: () => object, code: ErrorCode, where?: string][] = [
    [
      'a proof by another key',
      () => ({ ...enrolRequest(generateSigningKey(), enrolToken(harness)), publicKey: key.publicKey }),
      'auth_invalid',
    ],
    ['a proof over another nonce', () => enrolRequest(key, enrolToken(harness), { nonce: nonce() }), 'auth_invalid'],
    ['not a token', () => enrolRequest(key, 'hello'), 'enrol_denied'],
    [
      'a token of another server',
      () => enrolRequest(key, enrolToken(harness).replace(/\.[^.]*$/, `.${'A'.repeat(43)}`)),
      'enrol_denied',
    ],
    [
      'a key of small order',
      () => enrolRequest(key, enrolToken(harness), { publicKey: Buffer.alloc(32).toString('base64url') }),
      'bad_request',
      'body/publicKey',
    ],
    [
      'a key that is not canonical base64',
      () => enrolRequest(key, enrolToken(harness), { publicKey: `${'A'.repeat(42)}B` }),
      'bad_request',
      'body/publicKey',
    ],
    [
      'a short key',
      () => enrolRequest(key, enrolToken(harness), { publicKey: 'AAAA' }),
      'bad_request',
      'body/publicKey',
    ],
    [
      'a name with a line break',
      () => enrolRequest(key, enrolToken(harness), { name: 'a\nb' }),
      'bad_request',
      'body/name',
    ],
    [
      'a product twice',
      () => enrolRequest(key, enrolToken(harness), { products: [product(), product()] }),
      'bad_request',
      'body/products/1/product',
    ],
  ];
  for (const [title, body, code, where] of rows) {
    it(`${title} → ${code}`, async () => {
      assertProblem(await post(body()), code, where);
      assert.equal(harness.engine.calls.enrol.length, 0);
    });
  }

  it('says the same for every refused token; the log has the reason', async () => {
    const usedUp = assertProblem(
      await post(enrolRequest(key, enrolToken(harness, '00000000-0000-7000-8000-000000000000'))),
      'enrol_denied',
    );
    const unknown = assertProblem(await post(enrolRequest(key, 'hello')), 'enrol_denied');
    assert.equal(usedUp.detail, unknown.detail);
    assert.match(usedUp.hint, /tidegate enrol-token create/);
    const logged = harness.log.find((line) => line['requestId'] === usedUp.requestId);
    assert.equal(logged?.['reason'], 'the enrolment token 00000000-0000-7000-8000-000000000000 is unknown');
  });
});

describe('session', () => {
  async function challengeFor(id: string): Promise<string> {
    const response = await harness.app.inject({ method: 'POST', url: '/agent/v1/challenge', payload: { agent: id } });
    assert.equal(response.statusCode, 200);
    return response.json<{ challenge: string }>().challenge;
  }
  async function post(body: object) {
    return await harness.app.inject({ method: 'POST', url: '/agent/v1/session', payload: body });
  }

  it('gives a new token for a signed challenge, once', async () => {
    const challenge = await challengeFor(agent.identity.agent);
    const body = sessionRequest(agent, challenge);
    const response = await post(body);
    assert.equal(response.headers['cache-control'], 'no-store');
    const identity = openIdentity(harness, response.json());
    assert.equal(identity.nonce, body.nonce);
    const used = await checkIn({ token: identity.session.token, body: checkInRequest() });
    assert.notEqual(used.statusCode, 401);
    assertProblem(await post(body), 'auth_invalid');
    assertProblem(await post(sessionRequest(agent, challenge)), 'auth_invalid');
  });

  it('an old challenge → auth_expired', async () => {
    const challenge = await challengeFor(agent.identity.agent);
    harness.clock.set(T0 + 60_000);
    assertProblem(await post(sessionRequest(agent, challenge)), 'auth_expired');
  });

  it('a challenge of before the start → auth_expired', async () => {
    harness.clock.set(T0 - 1);
    const challenge = await challengeFor(agent.identity.agent);
    assertProblem(await post(sessionRequest(agent, challenge)), 'auth_expired');
  });

  it('the challenge of another agent, another key, an unknown agent → auth_invalid, all the same text', async () => {
    const stranger = uuidv7();
    const bodies = [
      sessionRequest(agent, await challengeFor(stranger)),
      sessionRequest(agent, await challengeFor(agent.identity.agent), generateSigningKey()),
      { ...sessionRequest(agent, await challengeFor(stranger)), agent: stranger },
      sessionRequest(agent, 'tgc1.hello'),
    ];
    const details = [];
    for (const body of bodies) details.push(assertProblem(await post(body), 'auth_invalid').detail);
    assert.equal(new Set(details).size, 1);
  });
});

describe('the rest', () => {
  it('GET /healthz', async () => {
    const response = await harness.app.inject({ url: '/healthz' });
    assert.deepEqual(response.json(), { ok: true });
    assert.equal(response.headers['cache-control'], 'no-store');
    assert.equal(response.headers['x-content-type-options'], 'nosniff');
  });

  it('unknown routes and methods → not_found in the same shape', async () => {
    assertProblem(await harness.app.inject({ url: '/nothing' }), 'not_found');
    assertProblem(await harness.app.inject({ method: 'DELETE', url: '/agent/v1/check-in' }), 'not_found');
    assertProblem(await harness.app.inject({ url: '/agent/v1/%c0' }), 'bad_request');
  });
});

function forged(token: string): string {
  const [, , expires, mac] = token.split('.');
  return `tgs1.zz.${expires}.${mac}`;
}

function product() {
  return { product: 'collector', version: '1.3.0', digest: 'a'.repeat(64) };
}

function running(fields: object): object {
  return { ...checkInRequest(), products: [{ ...product(), ...fields }] };
}

function many(count: number) {
  return Array.from({ length: count }, (_, index) => ({ ...product(), product: `p${index}` }));
}

function attemptReport() {
  return { id: uuidv7(), product: 'collector', state: 'staged' } as const;
}

function without(field: string): object {
  return Object.fromEntries(Object.entries(checkInRequest()).filter(([key]) => key !== field));
}

function someAttempt(agentId: string): Attempt {
  return {
    id: uuidv7(),
    agentId,
    rolloutId: uuidv7(),
    laneId: uuidv7(),
    step: 0,
    member: true,
    budgetEpoch: 0,
    product: 'collector',
    version: '1.4.0',
    platform: 'linux-x64',
    sha256: 'b'.repeat(64),
    size: 1000,
    fromVersion: '1.3.0',
    fromDigest: 'a'.repeat(64),
    sequence: 7,
    state: 'offered',
    offeredAt: T0,
    grantedAt: null,
    endedAt: null,
    deadlineObserved: 0,
    cause: null,
    detail: null,
    corrected: false,
  };
}
