// What a clock that has jumped holds back: nothing opens, nothing is begun, while a halt still halts.
import { type HoldReason, sentenceOf } from './holds.ts';
import { type LaneInput, type LaneStep, planAlarm, planLane } from './plan-lane.ts';
import type { Lane } from './rollout.ts';

/** The wall clock is not believed: whether a window is open, or an hour over, nobody knows. */
export interface ClockDoubt {
  /** As the clock itself says, milliseconds since the epoch. */
  since: number;
  /** `it went 2 h forward`. */
  why: string;
  /** When it is believed again unless it jumps once more, by the clock as it goes now. */
  until: number;
}

/** What an agent or lane is told. */
export function sayDoubt({ why }: ClockDoubt): string {
  return `${why}; goes on after five quiet minutes, or when a person trusts the clock`;
}

export function doubtHold(doubt: ClockDoubt): { reason: HoldReason; sentence: string; until: number } {
  return { reason: 'clock_suspect', sentence: sentenceOf('clock_suspect', sayDoubt(doubt)), until: doubt.until };
}

/** Lanes in these states could open or pass something; others stand still, or take something back. */
const GOING: ReadonlySet<Lane['state']['name']> = new Set(['waiting', 'open', 'soaking', 'approval']);

/** What stands in the lane's way; undefined while the clock is sound, or where it holds nothing back. */
export function heldByClock({ snapshot, lane }: LaneInput): LaneStep | undefined {
  if (snapshot.clock === null || !GOING.has(lane.state.name)) return undefined;
  return { hold: doubtHold(snapshot.clock) };
}

/** In place of all that a lane is otherwise asked. */
export function planDoubted(input: LaneInput): LaneStep {
  return planAlarm(input) ?? heldByClock(input) ?? planLane(input);
}
