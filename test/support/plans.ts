// Rollouts of one release as snapshots, and a plan in short words: what the tests of plan say and expect.
import { plan } from '../../src/domain/plan.ts';
import type { Policy } from '../../src/domain/policy.ts';
import type { Lane } from '../../src/domain/rollout.ts';
import type { Action, LaneCensus, Snapshot } from '../../src/domain/snapshot.ts';
import { START, testPolicy, testRelease } from './fixtures.ts';
import { censusOf, counts, laneIn, OBSERVED, openedStep, rolloutOf, snapshotOf, stateNamed } from './snapshots.ts';

export const NOW = START + 60_000;
export const RELEASE = testRelease('1.1.0');

/** `open eu 0`, `hold us previous_wave`, …: actions in order, then holds. */
export function shown(snapshot: Snapshot): string[] {
  const { actions, report } = plan(snapshot, NOW);
  const place = (id: string) => id.split('/').at(-1) as string;
  const name = (action: Action): string => {
    switch (action.kind) {
      case 'create_rollout':
        return `create ${action.version}`;
      case 'open_baseline':
        return `baseline ${action.region}`;
      case 'consider_schedule':
        return `consider ${action.product}`;
      case 'replace_members':
        return `replace ${place(action.laneId)} ${action.step} ${action.count}`;
      case 'open_step':
        return `open ${place(action.laneId)} ${action.step}`;
      case 'start_soak':
        return `soak ${place(action.laneId)} ${action.step}`;
      case 'await_approval':
        return `ask ${place(action.laneId)} ${action.step}`;
      case 'complete_lane': {
        const evidence = action.evidence ? 'evidence' : 'nothing_to_do';
        return `complete ${place(action.laneId)} ${evidence}${action.baseline ? ' baseline' : ''}`;
      }
      case 'halt_lane':
        return `halt ${place(action.laneId)}${action.veto ? ' veto' : ''}`;
      case 'reopen_lane':
        return `reopen ${place(action.laneId)}`;
      case 'lift_halt':
        return `lift ${place(action.laneId)}`;
      case 'supersede_lane':
        return `supersede ${action.laneId} by ${action.by}`;
      case 'cancel_lane':
        return `cancel ${place(action.laneId)}`;
      case 'roll_back':
        return `roll back ${place(action.laneId)} to ${action.to.version}`;
      case 'finish_rollback':
        return `rolled back ${place(action.laneId)}`;
      case 'end_rollout':
        return 'end';
      case 'end_attempt':
        return `${action.state} ${action.attemptId}`;
    }
  };
  const holds = report.map(({ subject, reason }) =>
    'product' in subject ? `hold ${subject.product} ${reason}` : `hold ${place(subject.laneId)} ${reason}`,
  );
  return [...actions.map(name), ...holds];
}

export interface Going {
  lanes: Lane[];
  policy?: Partial<Policy>;
  census?: Record<string, Partial<LaneCensus>>;
  snapshot?: Partial<Snapshot>;
}

/** One rollout of 1.1.0 with these lanes. */
export function going({ lanes, policy = {}, census = {}, snapshot = {} }: Going): Snapshot {
  const rollout = rolloutOf('1.1.0', lanes, { policy: testPolicy(policy) });
  return snapshotOf({
    releases: [RELEASE],
    rollouts: [rollout],
    lanes: rollout.lanes.map((lane) => censusOf(rollout, lane, census[lane.region])),
    ...snapshot,
  });
}

export const waiting = (region: string, wave = 0) => laneIn(region, stateNamed('waiting'), { wave });
export const open = (counters = {}, overrides = {}) =>
  laneIn('eu', stateNamed('open'), { steps: [openedStep({ counters: counts(counters), ...overrides })] });
export const soaking = (soakedMs: number, name: 'soaking' | 'approval' | 'paused' = 'soaking') => {
  const observedMs = OBSERVED - soakedMs;
  const state = name === 'soaking' ? { ...stateNamed('soaking'), observedMs } : stateNamed(name);
  return laneIn('eu', state as Lane['state'], {
    steps: [openedStep({ done: true, counters: counts({ succeeded: 3 }) })],
  });
};
export const seen = (updated: number, updatedPresent: number, rest: Partial<LaneCensus> = {}) => ({
  steps: [{ step: 0, gone: 0, ineligible: 0, replaceable: 0, updated, updatedPresent, unheard: 0 }],
  ...rest,
});
