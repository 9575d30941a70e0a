// Sample values for the tables of the agent's pure tests.
import type { State } from '../../src/agent/machine.ts';
import type { Order } from '../../src/agent/order.ts';

export const ORDER: Order = {
  attempt: '00000000-0000-4000-8000-000000000001',
  epoch: 1,
  sequence: 7,
  product: 'demo-agent',
  version: '1.1.0',
  platform: 'linux-x64',
  digest: 'b'.repeat(64),
  size: 1000,
  urls: ['/agent/v1/artifacts/b'],
  from: { version: '1.0.0', digest: 'a'.repeat(64) },
  rollback: false,
  stageWithinMs: 10_000,
  activateWithinMs: 1000,
  proveWithinMs: 5000,
  stableForMs: 1000,
};

export const OTHER: Order = { ...ORDER, attempt: '00000000-0000-4000-8000-000000000002', sequence: 8 };

export const OLD = { product: 'demo-agent', ...ORDER.from };
export const NEW = { product: 'demo-agent', version: ORDER.version, digest: ORDER.digest };

export const STATES: Record<State['kind'], State> = {
  idle: { kind: 'idle' },
  staging: { kind: 'staging', order: ORDER, sinceMs: 0 },
  staged: { kind: 'staged', order: ORDER },
  activating: { kind: 'activating', order: ORDER, sinceMs: 0 },
  proving: { kind: 'proving', order: ORDER, sinceMs: 0, goodSinceMs: null, trouble: 'none' },
  judging: { kind: 'judging', order: ORDER, detail: 'Error: no' },
  ended: { kind: 'ended', order: ORDER, outcome: { state: 'succeeded' } },
};
