// A process that cannot journal how it was started: nothing else may be taken to be true of its product before that is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAttempts } from '../../src/agent/attempts.ts';
import { type Order, trialOf } from '../../src/agent/order.ts';
import { createSimHost, newDisk } from '../simulator/sim-host.ts';

const ORDER: Order = {
  attempt: 'a1',
  epoch: 1,
  sequence: 2,
  product: 'agentd',
  version: '1.1.0',
  platform: 'linux-x64',
  digest: 'new',
  size: 10,
  urls: [],
  from: { version: '1.0.0', digest: 'old' },
  rollback: false,
  stageWithinMs: 60_000,
  activateWithinMs: 60_000,
  proveWithinMs: 60_000,
  stableForMs: 5_000,
};

test('the version before does not prove the one that was undone when the disk was full at its start', async () => {
  let nowMs = 0;
  let isFull = true;
  const disk = newDisk(1, [{ product: 'agentd', version: '1.0.0', digest: 'old' }]);
  disk.journal = { agentd: { kind: 'proving', order: ORDER, sinceMs: 0, goodSinceMs: null, trouble: 'none' } };
  disk.marker = { kind: 'undone', cause: 'crash_loop', trial: trialOf(ORDER) };
  const host = createSimHost(disk, {
    platform: 'linux-x64',
    effect(name) {
      if (isFull && name === 'journal') throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' });
    },
    bring: () => Promise.resolve(undefined),
    selfTest: () => undefined,
    localFault: () => undefined,
    missing: () => undefined,
    facts: () => ({}),
    flipped: () => assert.fail('nothing is swapped'),
    confirmed: () => assert.fail('1.1.0 does not run'),
  });
  const attempts = createAttempts({ host, log: () => {}, nowMs: () => nowMs, onNews: () => {} });
  await attempts.start();
  assert.equal(attempts.states().get('agentd')?.kind, 'proving', 'as the journal has it');
  isFull = false;
  await attempts.dispatchAll({ kind: 'checkedIn', healthy: true, nowMs });
  nowMs = 10_000;
  await attempts.dispatchAll({ kind: 'checkedIn', healthy: true, nowMs });
  const state = attempts.states().get('agentd');
  assert(state?.kind === 'ended');
  assert.deepEqual(state.outcome, { state: 'rolled_back', cause: 'crash_loop' });
});
