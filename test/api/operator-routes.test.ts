// The operators' API on a real store: who may use it, what it refuses, and that every view fits its schema.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { v7 as uuidv7 } from 'uuid';
import { ensureOperatorToken } from '../../src/api/operator-auth.ts';
import { AppError, type ErrorCode } from '../../src/errors.ts';
import { type Problem, readEnrolToken } from '../../src/protocol/agent.ts';
import { sha256Hex } from '../../src/protocol/envelope.ts';
import {
  AgentsReply,
  BrakeReply,
  CreateEnrolTokenReply,
  ExplainReply,
  HaltReply,
  RolloutsReply,
  RolloutView,
  StatusReply,
} from '../../src/protocol/operator.ts';
import { listAudit } from '../../src/store/audit.ts';
import { deleteBrake, putBrake, putVeto } from '../../src/store/controls.ts';
import { transaction } from '../../src/store/database.ts';
import { listReleases, saveRelease, saveSource } from '../../src/store/releases.ts';
import { findEnrolToken, revokeOperatorToken } from '../../src/store/tokens.ts';
import { enrol } from './agent-client.ts';
import { type Harness, openHarness, T0 } from './harness.ts';
import { type Seeded, seed } from './seed.ts';

let harness: Harness;
let seeded: Seeded;

before(async () => {
  harness = await openHarness();
  seeded = await seed(harness);
});
after(() => harness[Symbol.asyncDispose]());
afterEach(() => {
  harness.clock.set(T0);
  harness.operator.calls.verb.length = 0;
  harness.operator.calls.setBrake.length = 0;
});

async function send(method: 'GET' | 'POST', path: string, body?: object, token: string | null = harness.operatorToken) {
  return await harness.app.inject({
    method,
    url: `/api/v1${path}`,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { payload: body }),
  });
}

async function view<S extends TSchema>(schema: S, method: 'GET' | 'POST', path: string, body?: object) {
  const response = await send(method, path, body);
  assert.ok(response.statusCode === 200 || response.statusCode === 201, response.body);
  const value = response.json();
  const check = Compile(schema);
  assert.ok(check.Check(value), JSON.stringify([...check.Errors(value)]));
  return value;
}

function code(response: { body: string }): string {
  return (JSON.parse(response.body) as Problem).code;
}

describe('operator token', () => {
  it('is asked for on every route', async () => {
    const routes = [
      ['GET', '/status'],
      ['GET', '/rollouts'],
      ['GET', `/rollouts/${uuidv7()}`],
      ['POST', `/rollouts/${uuidv7()}/halt`],
      ['POST', `/rollouts/${uuidv7()}/verbs`],
      ['GET', '/availability'],
      ['GET', '/regions'],
      ['GET', '/brakes'],
      ['POST', '/brakes'],
      ['POST', '/enrol-tokens'],
      ['GET', '/agents'],
      ['GET', '/agents/x/explain'],
    ] as const;
    for (const [method, path] of routes) {
      assert.equal(code(await send(method, path, method === 'POST' ? {} : undefined, null)), 'auth_missing', path);
    }
  });

  it('wrong, of another id, of an agent, revoked → auth_invalid', async () => {
    const [, id = '', secret = ''] = harness.operatorToken.split('.');
    const agent = await enrol(harness);
    const wrong = ['abc', `tgo1.${uuidv7()}.${secret}`, `tgo1.${id}.${'A'.repeat(43)}`, agent.token];
    for (const token of wrong)
      assert.equal(code(await send('GET', '/status', undefined, token)), 'auth_invalid', token);
  });

  it('is made when there is none, once, in a private file; a revoked one is refused after the cache’s time', async () => {
    const { database, dir } = harness;
    const file = join(dir, 'operator.token');
    assert.equal(await ensureOperatorToken(database, dir, T0), false);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const first = readFileSync(file, 'utf8').trim();
    assert.equal((await send('GET', '/brakes')).statusCode, 200);
    await transaction(database, (tx) => revokeOperatorToken(tx, first.split('.')[1] ?? '', T0));
    harness.clock.set(T0 + 30_000);
    assert.equal(code(await send('GET', '/brakes')), 'auth_invalid');
    assert.equal(await ensureOperatorToken(database, dir, T0), true);
    harness.operatorToken = readFileSync(file, 'utf8').trim();
    assert.notEqual(harness.operatorToken, first);
    assert.equal((await send('GET', '/brakes')).statusCode, 200);
  });

  it('killed between the commit and the rename, the next start finishes the draft', async () => {
    const file = join(harness.dir, 'operator.token');
    renameSync(file, `${file}.new`);
    assert.equal(await ensureOperatorToken(harness.database, harness.dir, T0), false);
    assert.equal(readFileSync(file, 'utf8').trim(), harness.operatorToken);
    assert.equal(existsSync(`${file}.new`), false);
  });

  it('a draft that was never stored is thrown away', async () => {
    const other = await openHarness();
    const draft = join(harness.dir, 'operator.token.new');
    renameSync(join(other.dir, 'operator.token'), draft);
    await ensureOperatorToken(harness.database, harness.dir, T0);
    assert.equal(existsSync(draft), false);
    rmSync(draft, { force: true });
    await other[Symbol.asyncDispose]();
  });
});

describe('views', () => {
  it('status names the releases above the newest with their reasons, and rejected tags, five of each', async () => {
    const other = await openHarness();
    try {
      await seed(other);
      const states = [
        ['1.4.1', 'announced', null, 'the release has no files yet'],
        ['1.4.2', 'pending', 'linux-x64: no asset has its name', 'linux-x64: no asset has its name'],
        ['1.4.3', 'complete', null, '1.4.3 is not what is wanted'],
        ['1.4.4', 'complete', null, 'vetoed: it crashes'],
        ['1.4.5', 'withdrawn', 'x'.repeat(600), `${'x'.repeat(497)}...`],
        ['1.4.6', 'refused', 'its version stands twice', 'its version stands twice'],
      ] as const;
      const rejectedTags = Array.from({ length: 7 }, (_, index) => ({ tag: `nightly-${index}`, why: 'no version' }));
      const [known] = await listReleases(other.database.db, 'collector');
      assert.ok(known);
      await transaction(other.database, async (tx) => {
        for (const [version, state, why] of states) {
          const id = uuidv7();
          await saveRelease(tx, {
            ...known,
            id,
            sourceId: id,
            tag: `v${version}`,
            version,
            sortKey: version,
            state,
            why,
          });
        }
        await putVeto(tx, {
          product: 'collector',
          version: '1.4.4',
          automatic: false,
          actor: 'anna',
          reason: 'it crashes',
          at: T0,
        });
        const times = { lastAttemptAt: T0, lastSuccessAt: T0, nextPollAt: null };
        const source = { product: 'collector', etag: null, failures: 0, errorCode: null, error: null, ...times };
        await saveSource(tx, { ...source, rejectedTags, rejectedCount: 107, notice: null });
      });
      const response = await other.app.inject({
        url: '/api/v1/status',
        headers: { authorization: `Bearer ${other.operatorToken}` },
      });
      const [product] = response.json<StatusReply>().products;
      const expected = states.map(([version, state, , why]) => ({ tag: `v${version}`, version, state, why }));
      assert.deepEqual(product?.pending, expected.toReversed().slice(0, 5));
      assert.deepEqual(product?.rejected, rejectedTags.slice(0, 5));
      assert.deepEqual([product?.rejectedTags, product?.releases], [107, 8]);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  it('status', async () => {
    harness.operator.running = [
      { product: 'collector', region: 'eu-central', version: '1.3.0', agents: 3, present: 2 },
    ];
    const status = await view(StatusReply, 'GET', '/status');
    assert.equal(status.now, T0);
    assert.deepEqual(status.agents, { enrolled: 3, present: 2, stale: 0 });
    const [product] = status.products;
    assert.equal(product?.newest, '1.4.0');
    assert.equal(product?.releases, 2);
    assert.deepEqual([product?.pending, product?.rejected, product?.rejectedTags], [[], [], 0]);
    assert.deepEqual(product?.source, {
      lastSuccessAt: null,
      nextPollAt: null,
      errorCode: null,
      error: null,
      hint: null,
      notice: null,
    });
    assert.deepEqual(product?.versions, [{ region: 'eu-central', version: '1.3.0', agents: 3, present: 2 }]);
    assert.deepEqual(
      status.rollouts.map((rollout) => rollout.version),
      ['1.4.0', '1.3.9'],
    );
  });

  it('rollouts/:id has every step of the policy, the hold and the time in it', async () => {
    const rollout = await view(RolloutView, 'GET', `/rollouts/${seeded.rollout.id}`);
    assert.equal(rollout.state, 'active');
    const [eu, us] = rollout.lanes;
    assert.equal(eu?.sentence, 'step 2 of 3 is open');
    assert.deepEqual(eu?.attempts, { rolled_back: 1, granted: 1, succeeded: 1 });
    assert.deepEqual(eu?.hold, {
      reason: 'at_limit',
      sentence: 'as many agents as allowed are being updated now: 2 of 2',
      since: T0 - 90_000,
      until: null,
    });
    assert.deepEqual(eu?.holds, [{ reason: 'at_limit', ms: 90_000 }]);
    assert.deepEqual(
      eu?.steps.map(({ state, size, succeeded, bad, hot, pending, budget }) => [
        state,
        size,
        succeeded,
        bad,
        hot,
        pending,
        budget,
      ]),
      [
        ['passed', 1, 1, 0, 0, 0, 1],
        ['open', 40, 12, 1, 2, 3, 1],
        ['waiting', 0, 0, 0, 0, 0, 0],
      ],
    );
    // 1 − 0.05^(1/40): forty clean agents rule out 7.2 %.
    assert.ok(Math.abs((eu?.steps[1]?.detects ?? 0) - 0.0722) < 0.0001);
    assert.equal(us?.sentence, 'waits for its turn');
  });

  it('a superseded lane names the newer rollout, a halted one who halted it and why', async () => {
    const rollout = await view(RolloutView, 'GET', `/rollouts/${seeded.older.id}`);
    assert.deepEqual(
      rollout.lanes.map((lane) => lane.sentence),
      ['superseded by collector@1.4.0', 'halted by system: too many failed'],
    );
    assert.equal(rollout.state, 'halted');
  });

  it('rollouts?product&limit', async () => {
    assert.equal((await view(RolloutsReply, 'GET', '/rollouts?product=collector')).rollouts.length, 2);
    assert.equal((await view(RolloutsReply, 'GET', '/rollouts?limit=1')).rollouts.length, 1);
    assert.equal((await view(RolloutsReply, 'GET', '/rollouts?product=other')).rollouts.length, 0);
  });

  it('agents, page by page', async () => {
    const ids: string[] = [];
    let after: string | null = null;
    for (let page = 0; page < 3; page += 1) {
      const query: string = after === null ? '?limit=2' : `?limit=2&after=${after}`;
      const reply: AgentsReply = await view(AgentsReply, 'GET', `/agents${query}`);
      ids.push(...reply.agents.map((agent) => agent.id));
      after = reply.next;
      if (after === null) break;
    }
    assert.deepEqual(ids, seeded.agents.map((agent) => agent.id).sort());
    assert.equal(after, null);
  });

  it('agents/:id/explain by id and by name', async () => {
    const [agent] = seeded.agents;
    harness.operator.explained = [
      {
        product: 'collector',
        answer: 'hold',
        sentence: 'the brake is on',
        hold: { since: T0 - 5_000, until: null },
        trace: [{ rule: 'brake', result: 'hold', sentence: 'a person has set the brake' }],
      },
    ];
    for (const name of [agent?.id, 'edge-01']) {
      const reply = await view(ExplainReply, 'GET', `/agents/${name}/explain`);
      assert.equal(reply.agent.id, agent?.id);
      assert.equal(reply.agent.lastSeenAt, T0 - 12_000);
      assert.deepEqual(reply.products, harness.operator.explained);
      assert.deepEqual(
        reply.history.map((attempt) => attempt.state),
        ['granted', 'rolled_back'],
      );
      assert.equal(reply.agent.attempts.length, 1);
    }
  });
});

describe('verbs', () => {
  it('halt: one lane or the release, with the token’s name as actor', async () => {
    const path = `/rollouts/${seeded.rollout.id}/halt`;
    const reply = await view(HaltReply, 'POST', path, { reason: 'it crashes' });
    assert.equal(reply.changed, true);
    assert.equal(reply.rollout.id, seeded.rollout.id);
    await view(HaltReply, 'POST', path, { reason: 'x', region: 'us-east', scope: 'release' });
    const { id } = seeded.rollout;
    assert.deepEqual(harness.operator.calls.verb, [
      {
        id,
        verb: 'halt',
        region: null,
        expectedStep: null,
        vetoRelease: false,
        actor: 'operator',
        reason: 'it crashes',
      },
      { id, verb: 'halt', region: 'us-east', expectedStep: null, vetoRelease: true, actor: 'operator', reason: 'x' },
    ]);
  });

  it('carries the engine’s refusal out', async () => {
    harness.operator.onVerb = async () => {
      throw new AppError('illegal_transition', 'the lane in eu-central cannot go from completed to halted');
    };
    const response = await send('POST', `/rollouts/${seeded.rollout.id}/halt`, { reason: 'x' });
    assert.equal(response.statusCode, 409);
    assert.equal(code(response), 'illegal_transition');
    harness.operator.onVerb = async () => true;
  });

  it('brakes', async () => {
    harness.operator.onBrake = async ({ scope, on, actor, reason }) =>
      await transaction(harness.database, (tx) =>
        on ? putBrake(tx, { scope, actor, reason, at: T0 }, 0) : deleteBrake(tx, scope),
      );
    const body = { scope: 'region:eu-central', on: true, reason: 'smoke' };
    const brake = { scope: 'region:eu-central', actor: 'operator', reason: 'smoke', at: T0 };
    assert.deepEqual(await view(BrakeReply, 'POST', '/brakes', body), { brakes: [brake], changed: true });
    assert.deepEqual(await view(BrakeReply, 'POST', '/brakes', body), { brakes: [brake], changed: false });
    assert.deepEqual((await send('GET', '/brakes')).json(), { brakes: [brake] });
    const off = await view(BrakeReply, 'POST', '/brakes', { ...body, on: false });
    assert.deepEqual(off, { brakes: [], changed: true });
  });

  it('enrol-tokens: stored as a hash with its audit row; the text carries the director’s fingerprint', async () => {
    const request = { region: 'us-east', labels: { ring: 'canary' }, uses: 5, expiresInMs: 3_600_000 };
    const reply = await view(CreateEnrolTokenReply, 'POST', '/enrol-tokens', request);
    const token = readEnrolToken(reply.token);
    assert.ok(token !== undefined);
    assert.equal(token.fingerprint, harness.keys.current.keyId);
    assert.equal(reply.expiresAt, T0 + 3_600_000);
    assert.deepEqual(await findEnrolToken(harness.database.db, token.id), {
      id: token.id,
      secretHash: sha256Hex(token.secret),
      region: 'us-east',
      labels: { ring: 'canary' },
      maxUses: 5,
      uses: 0,
      createdBy: 'operator',
      createdAt: T0,
      expiresAt: T0 + 3_600_000,
    });
    const [entry] = await listAudit(harness.database.db, { limit: 1 });
    assert.equal(entry?.action, 'enrol_token.created');
    assert.equal(entry?.subject, token.id);
    assert.equal(entry?.actor, 'operator');
    assert.doesNotMatch(JSON.stringify(entry), new RegExp(token.secret));
  });
});

describe('what is refused', () => {
  const rows: [
    title: string,
    method: 'GET' | 'POST',
    path: string,
    body: object | undefined,
    code: ErrorCode,
    hint?: RegExp,
  ][] = [
    ['rollout that is no id', 'GET', '/rollouts/hello', undefined, 'not_found', /rollout list/],
    ['unknown rollout', 'GET', `/rollouts/${uuidv7()}`, undefined, 'not_found'],
    ['halt of an unknown rollout', 'POST', `/rollouts/${uuidv7()}/halt`, { reason: 'x' }, 'not_found'],
    [
      'promote without its step',
      'POST',
      `/rollouts/${uuidv7()}/verbs`,
      { verb: 'promote', reason: 'x' },
      'bad_request',
    ],
    [
      'pause with a scope',
      'POST',
      `/rollouts/${uuidv7()}/verbs`,
      { verb: 'pause', reason: 'x', scope: 'release' },
      'bad_request',
    ],
    ['an unknown verb', 'POST', `/rollouts/${uuidv7()}/verbs`, { verb: 'stop', reason: 'x' }, 'bad_request'],
    [
      'a verb on an unknown rollout',
      'POST',
      `/rollouts/${uuidv7()}/verbs`,
      { verb: 'pause', reason: 'x' },
      'not_found',
    ],
    ['availability of an unknown product', 'GET', '/availability?product=nix', undefined, 'not_found'],
    ['availability of an unknown version', 'GET', '/availability?version=99.0.0', undefined, 'not_found'],
    ['halt without reason', 'POST', `/rollouts/${uuidv7()}/halt`, {}, 'bad_request'],
    ['halt with an empty reason', 'POST', `/rollouts/${uuidv7()}/halt`, { reason: '' }, 'bad_request'],
    ['halt with another scope', 'POST', `/rollouts/${uuidv7()}/halt`, { reason: 'x', scope: 'all' }, 'bad_request'],
    ['limit=0', 'GET', '/rollouts?limit=0', undefined, 'bad_request'],
    ['limit=1e9', 'GET', '/agents?limit=1e9', undefined, 'bad_request'],
    ['limit=201', 'GET', '/agents?limit=201', undefined, 'bad_request'],
    ['forged cursor', 'GET', '/agents?after=zz', undefined, 'bad_request'],
    ['unknown query field', 'GET', '/agents?x=1', undefined, 'bad_request'],
    ['unknown body field', 'POST', '/brakes', { scope: 'fleet', on: true, reason: 'x', y: 1 }, 'bad_request'],
    ['brake on a scope of another shape', 'POST', '/brakes', { scope: 'all', on: true, reason: 'x' }, 'bad_request'],
    [
      'brake on a product that is not there',
      'POST',
      '/brakes',
      { scope: 'product:colector', on: true, reason: 'x' },
      'not_found',
      /There are: collector\./,
    ],
    ['on as text', 'POST', '/brakes', { scope: 'fleet', on: 'true', reason: 'x' }, 'bad_request'],
    [
      'token for an unknown region',
      'POST',
      '/enrol-tokens',
      { region: 'eu-centrl' },
      'bad_request',
      /eu-central, us-east/,
    ],
    ['token with no use', 'POST', '/enrol-tokens', { region: 'eu-central', uses: 0 }, 'bad_request'],
    [
      'label key of another shape',
      'POST',
      '/enrol-tokens',
      { region: 'eu-central', labels: { 'A b': 'x' } },
      'bad_request',
    ],
    ['unknown agent', 'GET', `/agents/${uuidv7()}/explain`, undefined, 'not_found'],
    ['unknown name', 'GET', '/agents/nobody/explain', undefined, 'not_found'],
    ['name of two agents', 'GET', '/agents/edge-02/explain', undefined, 'conflict', /by its id/],
  ];
  for (const [title, method, path, body, expected, hint] of rows) {
    it(`${title} → ${expected}`, async () => {
      const response = await send(method, path, body);
      assert.equal(code(response), expected, response.body);
      assert.match(response.json<Problem>().hint, hint ?? /./);
      assert.deepEqual([harness.operator.calls.verb, harness.operator.calls.setBrake], [[], []]);
    });
  }
});
