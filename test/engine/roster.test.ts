// The roster over years: what agents report of themselves is kept once and no longer than somebody reports it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Agent } from '../../src/domain/agent.ts';
import { Roster } from '../../src/engine/roster.ts';

function agent(handle: number, overrides: Partial<Agent> = {}): Agent {
  return {
    id: `00000000-0000-7000-8000-${String(handle).padStart(12, '0')}`,
    handle,
    name: `host-${handle}`,
    region: 'eu-west-1',
    platform: 'linux-x64',
    labels: {},
    publicKey: `key-${handle}`,
    enrolTokenId: 'token',
    enrolledAt: 0,
    sequence: 0,
    facts: null,
    health: 'ok',
    healthReason: null,
    revision: 0,
    products: [{ product: 'agentd', version: '1.0.0', digest: 'a'.repeat(64) }],
    ...overrides,
  };
}

test('ever new health reasons, platforms and products of one agent do not pile up', () => {
  const roster = new Roster();
  roster.put(agent(1), 0);
  for (let round = 0; round < 70_000; round += 1) {
    const products = [{ product: 'agentd', version: `1.0.${round}`, digest: 'b'.repeat(64) }];
    const health = { health: 'unhealthy', healthReason: `the disk has ${round} bytes left` } as const;
    roster.put(agent(2, { ...health, products, platform: `p${round % 1000}-x64` }), 0);
  }
  assert.equal(roster.distinctValues, 6);
  assert.equal(roster.entry(1)?.platform, 'linux-x64');
  assert.deepEqual(
    [roster.entry(2)?.platform, roster.entry(2)?.products[0]?.version, roster.entry(2)?.healthReason],
    ['p999-x64', '1.0.69999', 'the disk has 69999 bytes left'],
  );
});

test('a value that was forgotten and comes back is found, and a count sees each agent once', () => {
  const roster = new Roster();
  const other = [{ product: 'agentd', version: '2.0.0', digest: 'c'.repeat(64) }];
  roster.put(agent(1), 0);
  roster.put(agent(1, { products: other, region: 'us-east-1' }), 0);
  roster.put(agent(2, { products: other }), 0);
  roster.put(agent(1), 0);
  const seen: string[] = [];
  for (const region of ['eu-west-1', 'us-east-1', 'nowhere'])
    roster.visit('agentd', region, (handle, version) => void seen.push(`${region} ${handle} ${version}`));
  assert.deepEqual(seen, ['eu-west-1 1 1.0.0', 'eu-west-1 2 2.0.0']);
});
