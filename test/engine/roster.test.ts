// The roster over years: what agents report of themselves is kept once and no longer than somebody reports it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finish } from '../../src/engine/pieces.ts';
import { Roster } from '../../src/engine/roster.ts';
import { testAgent } from '../support/fixtures.ts';

test('ever new health reasons, platforms and products of one agent do not pile up', () => {
  const roster = new Roster();
  roster.put(testAgent(1), 0);
  for (let round = 0; round < 70_000; round += 1) {
    const products = [{ product: 'agentd', version: `1.0.${round}`, digest: 'b'.repeat(64) }];
    const health = { health: 'unhealthy', healthReason: `the disk has ${round} bytes left` } as const;
    roster.put(testAgent(2, { ...health, products, platform: `p${round % 1000}-x64` }), 0);
  }
  assert.equal(roster.distinctValues, 8);
  assert.equal(roster.entry(1)?.platform, 'linux-x64');
  assert.deepEqual(
    [roster.entry(2)?.platform, roster.entry(2)?.products[0]?.version, roster.entry(2)?.healthReason],
    ['p999-x64', '1.0.69999', 'the disk has 69999 bytes left'],
  );
});

test('a value that was forgotten and comes back is found, and a count sees each agent once', () => {
  const roster = new Roster();
  const other = [{ product: 'agentd', version: '2.0.0', digest: 'c'.repeat(64) }];
  roster.put(testAgent(1), 0);
  roster.put(testAgent(1, { products: other, region: 'us-east-1' }), 0);
  roster.put(testAgent(2, { products: other }), 0);
  roster.put(testAgent(1), 0);
  const seen: string[] = [];
  for (const region of ['eu-west-1', 'us-east-1', 'nowhere'])
    finish(roster.visit('agentd', region, (handle, version) => void seen.push(`${region} ${handle} ${version}`)));
  assert.deepEqual(seen, ['eu-west-1 1 1.0.0', 'eu-west-1 2 2.0.0']);
});

test('a last-seen time is owed to the database once in five minutes, and every one of them at the end', () => {
  const roster = new Roster();
  const start = Date.UTC(2026, 0, 1);
  for (const handle of [1, 2]) {
    roster.put(testAgent(handle), 0);
    roster.seen(handle, start, 0);
  }
  const owed = () => roster.takeUnflushed(10).map(({ handle, seenAt }) => [handle, seenAt - start]);
  assert.deepEqual(owed(), [
    [1, 0],
    [2, 0],
  ]);
  roster.seen(1, start + 60_000, 60_000);
  assert.deepEqual(owed(), []);
  assert.equal(roster.lastSeenAt(1), start + 60_000, 'memory knows better');
  roster.seen(1, start + 300_000, 300_000);
  assert.deepEqual(owed(), [[1, 300_000]]);
  roster.seen(2, start + 60_000, 300_000);
  roster.oweAll();
  assert.deepEqual(owed(), [[2, 60_000]]);
  roster.seen(2, start - 86_400_000, 300_000);
  const lost = roster.takeUnflushed(10);
  assert.deepEqual(lost, [{ handle: 2, seenAt: start - 86_400_000 }], 'the clock was set back');
  roster.putBackUnflushed(lost);
  assert.deepEqual(roster.takeUnflushed(10), lost, 'it could not be written');
});
