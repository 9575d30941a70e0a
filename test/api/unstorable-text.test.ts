// A NUL, which PostgreSQL stores in no text, is refused at the door of the operator API on both databases.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { v7 as uuidv7 } from 'uuid';
import { openHarness } from './harness.ts';

const NUL = 'by\u0000hand';
const REQUESTS: [method: 'GET' | 'POST', url: string, body?: Record<string, unknown>][] = [
  ['POST', '/api/v1/brakes', { scope: 'fleet', on: true, reason: NUL }],
  ['POST', '/api/v1/vetoes', { product: 'agentd', version: NUL, on: true, reason: 'x' }],
  ['POST', '/api/v1/vetoes', { product: 'agentd', version: '1.0.0', on: true, reason: NUL }],
  ['POST', '/api/v1/enrol-tokens', { region: 'eu-west-1', labels: { ring: NUL } }],
  ['POST', '/api/v1/agents/a%00b/pins', { product: 'agentd', on: true, reason: 'x' }],
  ['GET', '/api/v1/agents/a%00b/explain'],
  ['GET', '/api/v1/availability?version=1%00'],
  ['GET', '/api/v1/products/a%00b/history'],
];

describe('refused', async () => {
  const harness = await openHarness();
  after(() => harness[Symbol.asyncDispose]());
  const headers = { authorization: `Bearer ${harness.operatorToken}`, 'idempotency-key': uuidv7() };
  for (const [method, url, payload] of REQUESTS) {
    it(`${method} ${url} ${JSON.stringify(payload ?? null)}`, async () => {
      const reply = await harness.app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) });
      assert.equal(reply.statusCode, 400, reply.body);
      assert.equal(reply.json().code, 'bad_request');
    });
  }
});
