// What a verb answers at 80 columns: nothing of a reason cut off, and what an ended region leaves behind.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { columns } from '../../src/cli/render.ts';
import { verbPage } from '../../src/cli/verb-page.ts';
import type { LaneView, RolloutView } from '../../src/protocol/operator.ts';

const STYLE = { width: 80 };

function rollout(overrides: Partial<LaneView>): RolloutView {
  const facts = { id: '019b', product: 'agentd', version: '1.1.0', state: 'active', policy: 'careful' };
  const lane: LaneView = {
    ...{ id: 'eu', region: 'eu', wave: 0, state: 'open', sentence: 'step 1 of 2 is open', since: 0, step: 0 },
    ...{ next: null, steps: [], attempts: {}, hold: null, holds: [], revision: 1 },
    ...overrides,
  };
  return { ...facts, createdAt: 0, endedAt: null, lanes: [lane] };
}

describe('verbPage', () => {
  it('wraps a long sentence in its own column', () => {
    const next = 'promoted by dana: step 2 of 2 opens as soon as nothing stands against it, which may be tomorrow';
    const reply = { rollout: rollout({ state: 'approval', next, revision: 2 }), changed: true };
    const lines = verbPage({ verb: 'approve', flags: {} }, rollout({}), reply, STYLE);
    assert.deepEqual(lines, [
      'agentd 1.1.0 is approved',
      '  eu  approval  promoted by dana: step 2 of 2 opens as soon as nothing stands',
      '                against it, which may be tomorrow',
    ]);
    assert(lines.every((line) => columns(line) <= 80));
  });

  it('says of a region that was skipped or cancelled how its hosts are brought back', () => {
    const sentence = 'skipped by dana: the site is being moved';
    const after = (attempts: Record<string, number>) => ({
      rollout: rollout({ state: 'cancelled', sentence, attempts, revision: 2 }),
      changed: true,
    });
    const said = { verb: 'skip-region', flags: { region: 'eu' } } as const;
    assert.deepEqual(verbPage(said, rollout({}), after({ succeeded: 2 }), STYLE), [
      'agentd 1.1.0 is skipped in eu',
      '  eu  cancelled  skipped by dana: the site is being moved',
      'hosts in eu that run 1.1.0 keep it; to bring them back: tidegate rollout',
      '  rollback agentd@1.1.0 --region eu --reason TEXT',
    ]);
    assert.equal(verbPage(said, rollout({}), after({ withdrawn: 2 }), STYLE).length, 2);
  });
});
