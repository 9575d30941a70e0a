// A lane's gates state by state, and that the plan's hold is the first of them that does not pass.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainLane } from '../../src/domain/explain-lane.ts';
import { gatesOf } from '../../src/domain/gates.ts';
import { planLane } from '../../src/domain/plan-lane.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import fc from '../support/fast-check.ts';
import { START, stepPolicy } from '../support/fixtures.ts';
import { going, NOW, open, RELEASE, seen, soaking, waiting } from '../support/plans.ts';
import { anySnapshot, availabilityOf, brakeOf, laneIn, stateNamed, vetoOf } from '../support/snapshots.ts';

function inputOf(snapshot: Snapshot, region: string) {
  const { rollouts } = snapshot;
  const rollout = rollouts[0] as Snapshot['rollouts'][number];
  const lane = rollout.lanes.find((one) => one.region === region) as (typeof rollout.lanes)[number];
  return { snapshot, rollouts, rollout, lane, now: NOW };
}

const results = (snapshot: Snapshot, region = 'eu') =>
  explainLane(inputOf(snapshot, region)).gates.map(({ gate, result }) => `${result} ${gate}`);

const OPENING = ['veto', 'older_lane', 'wave', 'release', 'agents', 'availability', 'brake', 'step', 'window'];
const opening = (not: Record<string, string> = {}) => OPENING.map((gate) => `${not[gate] ?? 'pass'} ${gate}`);
const OPEN = [
  'seats',
  'budget',
  'silence',
  'inconclusive',
  'within_reach',
  'brake',
  'window',
  'availability',
  'members',
];
const opened = (not: Record<string, string> = {}) =>
  OPEN.map((gate) => `${not[gate] ?? (gate === 'members' ? 'wait' : 'pass')} ${gate}`);
const after = (name: 'step' | 'none') => (name === 'none' ? ['pass step'] : ['pass step', 'pass window']);
const vetoed = { vetoes: [vetoOf('1.1.0')], brakes: [brakeOf('fleet')] };
const status = (name: 'absent' | 'unknown', since = START) => ({
  availability: [{ ...availabilityOf(RELEASE, 'eu', name), since }],
});
const manual = { steps: [stepPolicy({ percent: 50, soakMs: 60_000, manual: true }), stepPolicy()] };

const table: [title: string, got: () => string[], expected: string[]][] = [
  ['waiting: nothing stands in the way', () => results(going({ lanes: [waiting('eu')] })), opening()],
  [
    'waiting: those behind the first are asked too',
    () => results(going({ lanes: [waiting('eu')], snapshot: vetoed })),
    opening({ veto: 'fail', brake: 'wait' }),
  ],
  ['waiting for a wave', () => results(going({ lanes: [open(), waiting('us', 1)] }), 'us'), opening({ wave: 'wait' })],
  [
    'waiting for a wave that never comes',
    () => results(going({ lanes: [laneIn('eu', stateNamed('cancelled')), waiting('us', 1)] }), 'us'),
    opening({ wave: 'fail' }),
  ],
  [
    'waiting: absent',
    () => results(going({ lanes: [waiting('eu')], snapshot: status('absent') })),
    opening({ availability: 'wait' }),
  ],
  ['open: members to come', () => results(going({ lanes: [open({ succeeded: 1 })] })), opened()],
  [
    'open: a spent budget comes before all, and is an alarm',
    () => results(going({ lanes: [open({ bad: 1, badMembers: 1 })] })),
    ['fail alarm', ...opened({ budget: 'fail' })],
  ],
  [
    'open: inconclusive and braked',
    () => results(going({ lanes: [open({ inconclusive: 2 })], snapshot: { brakes: [brakeOf('fleet')] } })),
    opened({ inconclusive: 'wait', brake: 'wait' }),
  ],
  [
    'open: nobody left who could succeed',
    () => results(going({ lanes: [open({ exhausted: 3 })] })),
    opened({ within_reach: 'fail' }),
  ],
  [
    'open: absent',
    () => results(going({ lanes: [open()], snapshot: status('absent') })),
    opened({ availability: 'wait' }),
  ],
  [
    'open: unknown since it opened goes on',
    () => results(going({ lanes: [open()], snapshot: status('unknown', START + 1) })),
    opened(),
  ],
  [
    'open: unknown already when it opened',
    () => results(going({ lanes: [open()], snapshot: status('unknown') })),
    opened({ availability: 'wait' }),
  ],
  [
    'open and done: what stops grants is not asked',
    () => results(going({ lanes: [open({ succeeded: 3 })], snapshot: { brakes: [brakeOf('fleet')] } })),
    ['pass seats', 'pass budget', 'pass silence', 'pass inconclusive', 'pass members'],
  ],
  [
    'soaking, then a person',
    () => results(going({ lanes: [soaking(1000)], policy: manual, census: { eu: seen(3, 3) } })),
    ['pass brake', 'wait soak', 'pass present', 'wait approval', ...after('step')],
  ],
  [
    'soaking: too few are present',
    () => results(going({ lanes: [soaking(61_000)], policy: manual, census: { eu: seen(3, 2) } })),
    ['pass brake', 'pass soak', 'wait present', 'wait approval', ...after('step')],
  ],
  [
    'approval',
    () => results(going({ lanes: [soaking(0, 'approval')] })),
    ['wait approval', 'pass brake', ...after('none')],
  ],
  ...(['paused', 'halted', 'completed', 'superseded', 'cancelled', 'rolled_back'] as const).map(
    (name): [string, () => string[], string[]] => [
      name,
      () => results(going({ lanes: [laneIn('eu', stateNamed(name))] })),
      [`${name === 'completed' ? 'pass' : name === 'paused' ? 'wait' : 'fail'} ${name}`],
    ],
  ),
];
for (const [title, got, expected] of table) test(title, () => assert.deepEqual(got(), expected));

const sentences: [title: string, snapshot: Snapshot, region: string, gate: string, sentence: string][] = [
  [
    'available since',
    going({ lanes: [waiting('eu')] }),
    'eu',
    'availability',
    `eu has 1.1.0 for linux-x64 since ${new Date(START).toISOString().slice(0, 19).replace('T', ' ')}Z`,
  ],
  [
    'halted, and vetoed by a person',
    going({
      lanes: [laneIn('eu', stateNamed('halted'))],
      snapshot: { vetoes: [vetoOf('1.1.0', { actor: 'ana' })] },
    }),
    'eu',
    'halted',
    'the rollout is halted in this region: because; goes on when the veto of ana is lifted and a person retries it; a newer release takes this one’s place',
  ],
  [
    'a wave says what it waits for',
    going({ lanes: [open(), waiting('us', 1)] }),
    'us',
    'wave',
    'an earlier wave has not completed: eu is open; passes when eu has completed',
  ],
  [
    'unknown never reads as absent',
    going({ lanes: [waiting('eu')], snapshot: { availability: [] } }),
    'eu',
    'availability',
    'nobody knows whether the release can be had in this region: the probe fails: linux-x64: not probed yet; passes when a probe finds it there',
  ],
  [
    'members',
    going({ lanes: [open({ succeeded: 1, hot: 1, hotMembers: 1 })] }),
    'eu',
    'members',
    '1 of 3 members of step 1 succeeded so far, 1 agent at it now; passes at 3 with nobody at it',
  ],
  [
    'halted by what went bad',
    going({ lanes: [laneIn('eu', stateNamed('halted'), { steps: open({ bad: 1, badMembers: 1 }).steps })] }),
    'eu',
    'halted',
    'the rollout is halted in this region: because; goes on when a person retries it, or accepts what went bad; a newer release takes this one’s place',
  ],
  [
    'halted although nothing went bad',
    going({ lanes: [laneIn('eu', stateNamed('halted'), { steps: open({}).steps })] }),
    'eu',
    'halted',
    'the rollout is halted in this region: because; goes on when a person retries it; a newer release takes this one’s place',
  ],
];
for (const [title, snapshot, region, gate, sentence] of sentences) {
  test(`${title}: ${gate}`, () => {
    const found = explainLane(inputOf(snapshot, region)).gates.find((one) => one.gate === gate);
    assert.equal(found?.sentence, sentence);
  });
}

test('the plan’s hold is the first gate that does not pass, and nothing waits before an action', () => {
  fc.assert(
    fc.property(anySnapshot(), (snapshot) => {
      for (const rollout of snapshot.rollouts) {
        const rollouts = snapshot.rollouts.filter((one) => one.product === rollout.product);
        for (const lane of rollout.lanes) {
          const input = { snapshot, rollouts, rollout, lane, now: NOW };
          const step = planLane(input);
          const gates = gatesOf(input).map((ask) => ask());
          const first = gates.find((gate) => gate.result !== 'pass');
          if ('action' in step) {
            const acting = gates.findIndex((gate) => gate.step !== null);
            assert.deepEqual(gates[acting]?.step, step);
            assert(gates.slice(0, acting).every((gate) => gate.result === 'pass'));
          } else if (step.hold === null) {
            assert.equal(first?.reason ?? null, null);
          } else {
            assert.deepEqual([first?.reason, first?.until], [step.hold.reason, step.hold.until]);
            assert(first?.sentence.startsWith(`${step.hold.sentence}; `), first?.sentence);
          }
        }
      }
    }),
    { numRuns: 200 },
  );
});
