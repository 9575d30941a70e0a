// The page of a rollout's gates in 80 columns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { laneExplainPage } from '../../src/cli/lane-explain-page.ts';
import { columns } from '../../src/cli/render.ts';

const NOW = Date.UTC(2026, 0, 5, 12);
const held = 'an earlier wave has not completed: eu-west-1 is soaking';

test('each lane: its sentence, its hold with since and until, and the gates in columns', () => {
  const lane = {
    id: 'lane',
    region: 'us-west-2',
    wave: 1,
    state: 'waiting',
    sentence: held,
    since: NOW - 60_000,
    step: null,
    next: null,
    steps: [],
    attempts: {},
    hold: { reason: 'previous_wave', sentence: held, since: NOW - 45_000, until: NOW + 5000 },
    holds: [],
  };
  const sentence = `${held}; passes when eu-west-1 has completed`;
  const gates = [
    { gate: 'veto', result: 'pass', sentence: '1.1.0 is not vetoed', until: null },
    { gate: 'wave', result: 'wait', sentence, until: null },
    { gate: 'availability', result: 'pass', sentence: 'it is there', until: NOW },
  ];
  const page = laneExplainPage(
    {
      now: NOW,
      rollout: '019b8d0d-1c00-7000-8000-0123456789ab',
      product: 'agentd',
      version: '1.1.0',
      state: 'active',
      policy: 'standard',
      lanes: [{ lane, sentence, gates }],
    },
    { width: 80, paint: (_, text) => text },
  );
  assert.deepEqual(page, [
    'agentd 1.1.0: active',
    '  019b8d0d-1c00-7000-8000-0123456789ab, policy standard',
    '',
    'us-west-2, wave 2: waiting since 2026-01-05 11:59:00Z',
    '  an earlier wave has not completed: eu-west-1 is soaking; passes when eu-west-1',
    '  has completed',
    '  held (an earlier wave) since 2026-01-05 11:59:15Z (45s), until 2026-01-05',
    '  12:00:05Z',
    '  pass  veto          1.1.0 is not vetoed',
    '  wait  wave          an earlier wave has not completed: eu-west-1 is soaking;',
    '                      passes when eu-west-1 has completed',
    '  pass  availability  it is there (until 2026-01-05 12:00:00Z)',
  ]);
  assert(page.every((line) => columns(line) <= 80));
});
