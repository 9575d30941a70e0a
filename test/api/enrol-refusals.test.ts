// Why an enrolment was refused: the host is not told, the log is, and the audit once for many tries.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Problem } from '../../src/protocol/agent.ts';
import { readEnrolToken } from '../../src/protocol/agent.ts';
import { generateSigningKey, sha256Hex } from '../../src/protocol/envelope.ts';
import { listAudit } from '../../src/store/audit.ts';
import { transaction } from '../../src/store/database.ts';
import { insertEnrolToken } from '../../src/store/tokens.ts';
import { enrolRequest, enrolToken } from './agent-client.ts';
import { type Harness, openHarness, T0 } from './harness.ts';

describe('a refused enrolment', () => {
  let harness: Harness;
  const key = generateSigningKey();
  before(async () => {
    harness = await openHarness();
  });
  after(() => harness[Symbol.asyncDispose]());

  async function post(token: string): Promise<Problem> {
    const payload = enrolRequest(key, token);
    const response = await harness.app.inject({ method: 'POST', url: '/agent/v1/enrol', payload });
    assert.equal(response.statusCode, 403, response.body);
    return response.json<Problem>();
  }

  async function insert(id: string, token: string, uses: number, expiresAt: number): Promise<void> {
    const secretHash = sha256Hex(readEnrolToken(token)?.secret ?? '');
    const record = { id, secretHash, region: 'eu-central', labels: {}, maxUses: 1, uses };
    await transaction(harness.database, (tx) =>
      insertEnrolToken(tx, { ...record, createdBy: 'operator', createdAt: T0 - 1, expiresAt }),
    );
  }

  async function audited(id: string) {
    const rows = await listAudit(harness.database.db, { limit: 200 });
    return rows.filter((row) => row.subject === id).map(({ action, actor, data }) => ({ action, actor, data }));
  }

  // The harness's engine refuses every token whose id begins with eight zeros.
  const rows: [reason: string, id: string, kept: { uses: number; expiresAt: number } | null][] = [
    ['used up', '00000000-0000-7000-8000-000000000001', { uses: 1, expiresAt: T0 + 1 }],
    ['expired', '00000000-0000-7000-8000-000000000002', { uses: 0, expiresAt: T0 }],
    ['unknown', '00000000-0000-7000-8000-000000000003', null],
  ];
  for (const [reason, id, kept] of rows) {
    it(`for a token that is ${reason}`, async () => {
      const token = enrolToken(harness, id);
      if (kept !== null) await insert(id, token, kept.uses, kept.expiresAt);
      const problem = await post(token);
      await post(token);
      assert.equal(problem.detail, 'the enrolment was refused');
      assert.doesNotMatch(JSON.stringify(problem), new RegExp(`${id}|${reason}`));
      const logged = harness.log.find((line) => line['requestId'] === problem.requestId);
      assert.equal(logged?.['reason'], `the enrolment token ${id} is ${reason}`);
      const data = { reason, name: 'host-1', platform: 'linux-x64', address: '127.0.0.1' };
      assert.deepEqual(await audited(id), [{ action: 'enrolment.refused', actor: 'system', data }]);
    });
  }

  it('for a token with another secret reads as unknown', async () => {
    const id = '00000000-0000-7000-8000-000000000004';
    await insert(id, enrolToken(harness, id), 0, T0 + 1);
    const { requestId } = await post(enrolToken(harness, id));
    const logged = harness.log.find((line) => line['requestId'] === requestId);
    assert.equal(logged?.['reason'], `the enrolment token ${id} is unknown`);
  });

  it('is audited at most sixty times an hour, whoever asks', async () => {
    const tokens = Array.from({ length: 70 }, (_, index) =>
      enrolToken(harness, `00000000-0000-7000-8000-${String(100 + index).padStart(12, '0')}`),
    );
    for (const token of tokens) await post(token);
    const refusals = async () =>
      (await listAudit(harness.database.db, { limit: 500 })).filter((row) => row.action === 'enrolment.refused').length;
    assert.equal(await refusals(), 60);
    harness.clock.set(T0 + 3_600_000);
    await post(tokens[69] as string);
    assert.equal(await refusals(), 61);
  });
});
