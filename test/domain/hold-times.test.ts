// Since when and until when an agent is held: from whoever knows, and nothing where nobody does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Directive } from '../../src/domain/directives.ts';
import { type HoldContext, type HoldTimes, holdTimes } from '../../src/domain/hold-times.ts';
import type { HoldReason } from '../../src/domain/holds.ts';
import { opensAgainAt, regionStatus } from '../../src/domain/region-window.ts';

const NOW = Date.parse('2026-01-05T15:50Z');
const DIRECTIVE = {
  clock: { since: NOW - 7, until: NOW + 7, why: 'it went 1 h forward' },
  opensAgainAt: NOW + 9,
  occupied: { ceilings: [{ window: 'hour', max: 2, count: 2, leavesAt: NOW + 3 }] },
} as unknown as Directive;
const CONTEXT: HoldContext = {
  brake: { scope: 'fleet', actor: 'ana', reason: 'smoke', at: NOW - 1 },
  pin: { product: 'agentd', version: '1.0.0', actor: 'ana', reason: 'audit', at: NOW - 2 },
  lane: { reason: 'soaking', since: NOW - 3, until: NOW + 4 },
  hostSince: NOW - 5,
  spentAt: NOW - 6,
};
const lane = (reason: HoldReason): HoldContext => ({ ...CONTEXT, lane: { reason, since: NOW - 3, until: NOW + 4 } });

const TABLE: [HoldReason, HoldContext, Directive | undefined, HoldTimes][] = [
  ['braked', CONTEXT, DIRECTIVE, { since: NOW - 1, until: null }],
  ['pinned', CONTEXT, DIRECTIVE, { since: NOW - 2, until: null }],
  ['clock_suspect', CONTEXT, DIRECTIVE, { since: NOW - 7, until: NOW + 7 }],
  ['outside_window', CONTEXT, DIRECTIVE, { since: null, until: NOW + 9 }],
  ['frozen', lane('frozen'), DIRECTIVE, { since: NOW - 3, until: NOW + 9 }],
  ['ceiling', CONTEXT, DIRECTIVE, { since: null, until: NOW + 3 }],
  ['unhealthy', CONTEXT, DIRECTIVE, { since: NOW - 5, until: null }],
  ['requirement_unmet', { ...CONTEXT, hostSince: null }, DIRECTIVE, { since: null, until: null }],
  // Nobody knows how long it has run what it runs.
  ['unknown_build', CONTEXT, DIRECTIVE, { since: null, until: null }],
  ['quarantined', CONTEXT, DIRECTIVE, { since: NOW - 6, until: null }],
  ['not_in_step', CONTEXT, DIRECTIVE, { since: NOW - 3, until: NOW + 4 }],
  ['halted', lane('halted'), DIRECTIVE, { since: NOW - 3, until: NOW + 4 }],
  ['halted', CONTEXT, DIRECTIVE, { since: null, until: null }],
  ['not_assigned', { ...CONTEXT, lane: undefined }, undefined, { since: null, until: null }],
  ['outside_window', { ...CONTEXT, lane: undefined }, undefined, { since: null, until: null }],
];
for (const [reason, context, directive, expected] of TABLE) {
  test(`holdTimes(${reason}) while the lane holds as ${context.lane?.reason ?? 'nothing'}`, () => {
    assert.deepEqual(holdTimes(reason, directive, context, NOW), expected);
  });
}

test('opensAgainAt: the next window after the one that is open, which is not confused with that of now', () => {
  const windows = { allow: [{ days: ['mon', 'tue'] as const, from: 540, to: 960 }], deny: [] };
  const rules = {
    calendars: [{ region: 'eu', timeZone: 'UTC', windows: windows as never }],
    freezes: [{ from: '2026-01-06', to: '2026-01-06', reason: 'inventory', regions: null }],
  };
  const now = regionStatus(rules, 'eu', NOW);
  assert.deepEqual(now, { open: true, closesAt: Date.parse('2026-01-05T16:00Z') });
  assert.equal(opensAgainAt(rules, 'eu', now), Date.parse('2026-01-12T09:00Z'));
  assert.deepEqual(regionStatus(rules, 'eu', NOW), now);
  const closed = regionStatus(rules, 'eu', Date.parse('2026-01-05T16:00Z'));
  assert.equal(opensAgainAt(rules, 'eu', closed), Date.parse('2026-01-12T09:00Z'));
  assert.equal(opensAgainAt({ calendars: [], freezes: [] }, 'eu', { open: true, closesAt: null }), null);
});
