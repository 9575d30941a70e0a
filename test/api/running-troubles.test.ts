// What explain says of a version that an agent runs and that something stands against.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { troublesOf } from '../../src/api/running-troubles.ts';
import type { LaneState } from '../../src/domain/rollout.ts';

const RUNS = { product: 'agentd', version: '1.1.0' };
const VETO = { ...RUNS, actor: 'dana', reason: 'it burns', automatic: false, at: 1 };

function lane(state: LaneState) {
  return { region: 'eu', state };
}

describe('troublesOf', () => {
  const by = { since: 1, by: 'dana', reason: 'not here' };
  const back = 'to bring hosts back: tidegate rollout rollback agentd@1.1.0 --region eu';
  const rows: [title: string, standing: Partial<Parameters<typeof troublesOf>[1]>, expected: string[]][] = [
    ['nothing', { release: { state: 'complete', why: null }, lane: lane({ ...by, name: 'paused' } as LaneState) }, []],
    ['no release', {}, []],
    ['vetoed', { veto: VETO }, ['it runs agentd 1.1.0, which is vetoed by dana: it burns']],
    [
      'vetoed by a halt',
      { veto: { ...VETO, automatic: true } },
      ['it runs agentd 1.1.0, which is vetoed by an automatic halt: it burns'],
    ],
    [
      'vetoed where it has completed',
      { veto: VETO, lane: lane({ name: 'completed', since: 1, evidence: true }) },
      [`it runs agentd 1.1.0, which is vetoed by dana: it burns; ${back}`],
    ],
    [
      'withdrawn',
      { release: { state: 'withdrawn', why: 'GitHub does not list it any more' } },
      ['it runs agentd 1.1.0, whose release is withdrawn: GitHub does not list it any more'],
    ],
    [
      'cancelled',
      { lane: lane({ ...by, name: 'cancelled' }) },
      [`it runs agentd 1.1.0, whose rollout dana cancelled here: not here; ${back}`],
    ],
    [
      'skipped',
      { lane: lane({ ...by, name: 'cancelled', skipped: true }) },
      [`it runs agentd 1.1.0, whose rollout dana skipped here: not here; ${back}`],
    ],
    [
      'halted',
      { lane: lane({ ...by, name: 'halted', step: 0 }) },
      [`it runs agentd 1.1.0, whose rollout is halted here: not here; ${back}`],
    ],
  ];
  for (const [title, standing, expected] of rows) {
    it(title, () => {
      const none = { release: undefined, veto: undefined, lane: undefined };
      assert.deepEqual(troublesOf(RUNS, { ...none, ...standing }), expected);
    });
  }
});
