// What a rehearsal writes down of each lane while the clock runs: its states, its steps, and what has held it for how long.
import type { HoldReason } from '../holds.ts';
import type { Lane, LaneStateName, Rollout } from '../rollout.ts';
import type { Hold } from '../snapshot.ts';

/** Instants in milliseconds since the epoch; `to` is null for what still goes on at the end. */
export interface Span {
  state: LaneStateName;
  step: number | null;
  from: number;
  to: number | null;
}

export interface HeldSpan {
  reason: HoldReason;
  sentence: string;
  /** `agents`: not the lane, but agents of it that lay ready and were not let go. */
  who: 'lane' | 'agents';
  from: number;
  to: number | null;
}

export interface StepRecord {
  step: number;
  openedAt: number;
  /** Enough members had succeeded. */
  doneAt: number | null;
  /** The lane left the step for the next one, or ended. */
  endedAt: number | null;
  size: number;
  /** Agents that were let go in it. */
  exposed: number;
  succeeded: number;
  bad: number;
}

export interface LaneRecord {
  laneId: string;
  version: string;
  region: string;
  wave: number;
  state: LaneStateName;
  spans: Span[];
  holds: HeldSpan[];
  steps: StepRecord[];
}

export interface RolloutRecord {
  id: string;
  version: string;
  policy: string;
  createdAt: number;
  endedAt: number | null;
  lanes: LaneRecord[];
}

/** More than this many of one lane are told as the last one going on: a window that opens for years is no news. */
const MAX_SPANS = 500;

export function recordOf({
  id,
  version,
  wave,
  region,
}: Pick<Lane, 'id' | 'wave' | 'region'> & { version: string }): LaneRecord {
  return { laneId: id, version, region, wave, state: 'waiting', spans: [], holds: [], steps: [] };
}

/** After every planning: what has changed since the last one. */
export function noteLane(record: LaneRecord, lane: Lane, now: number): void {
  record.state = lane.state.name;
  const step = 'step' in lane.state ? lane.state.step : null;
  const last = record.spans.at(-1);
  if (last?.state !== lane.state.name || last.step !== step) {
    if (last !== undefined) last.to = now;
    if (record.spans.length < MAX_SPANS) record.spans.push({ state: lane.state.name, step, from: now, to: null });
  }
  for (const { step: index, openedAt, size, done, counters } of lane.steps) {
    const known = record.steps.find((one) => one.step === index);
    const { succeeded, bad } = counters;
    if (known === undefined) {
      const before = record.steps.at(-1);
      if (before !== undefined) before.endedAt ??= now;
      record.steps.push({ step: index, openedAt, doneAt: null, endedAt: null, size, exposed: 0, succeeded, bad });
    } else {
      if (done) known.doneAt ??= now;
    }
  }
  noteCounts(record, lane);
  const ended = lane.state.name === 'completed' || lane.state.name === 'superseded' || lane.state.name === 'halted';
  const lastStep = record.steps.at(-1);
  if (ended && lastStep !== undefined) lastStep.endedAt ??= now;
}

/** What its steps came to: who was at it when a lane halted or ended comes in after the last look. */
export function noteCounts(record: LaneRecord, { steps }: Pick<Lane, 'steps'>): void {
  for (const known of record.steps) {
    const counters = steps.find(({ step }) => step === known.step)?.counters;
    known.succeeded = counters?.succeeded ?? known.succeeded;
    known.bad = counters?.bad ?? known.bad;
  }
}

/** `hold` undefined: nothing holds it now. */
export function noteHold(
  record: LaneRecord,
  who: HeldSpan['who'],
  hold: Pick<Hold, 'reason' | 'sentence'> | undefined,
  now: number,
): void {
  const open = record.holds.findLast((one) => one.who === who && one.to === null);
  if (open?.reason === hold?.reason) return;
  if (open !== undefined) {
    open.to = now;
    if (open.from === now) record.holds.splice(record.holds.indexOf(open), 1);
  }
  if (hold === undefined || record.holds.length >= MAX_SPANS) return;
  record.holds.push({ reason: hold.reason, sentence: hold.sentence, who, from: now, to: null });
}

export function noteRollout(rollout: Rollout, lanes: LaneRecord[]): RolloutRecord {
  const { id, version, policy, createdAt, endedAt } = rollout;
  return { id, version, policy: policy.name, createdAt, endedAt, lanes };
}
