// One gate of a lane, once it was asked: what people read of it, and what the plan does because of it.
import { type HoldReason, sentenceOf } from './holds.ts';
import type { LaneStep } from './plan-lane.ts';
import type { Action } from './snapshot.ts';

export interface Gate {
  gate: string;
  /** `fail`: it does not pass by itself, somebody has to do something. */
  result: 'pass' | 'wait' | 'fail';
  /** Null where it passes, and where it waits for what goes on by itself: that is no hold. */
  reason: HoldReason | null;
  /** For a person; ends in what makes it pass, where that is known. */
  sentence: string;
  /** Milliseconds since the epoch: when the result is expected to change. */
  until: number | null;
}

/** `step`: what the lane does because of this gate; null: the next gate is asked. */
export interface AskedGate extends Gate {
  step: LaneStep | null;
}

/** Asked only when the plan comes to it: some gates are dear, and those behind the first that stops it do not matter. */
export type AskGate = () => AskedGate;

export function pass(gate: string, sentence: string, until: number | null = null): AskedGate {
  return { gate, result: 'pass', reason: null, sentence, until, step: null };
}

/** A gate that needs nobody, and at which something is done. */
export function act(gate: string, result: 'pass' | 'wait', sentence: string, action: Action): AskedGate {
  return { gate, result, reason: null, sentence, until: null, step: { action } };
}

/** Something is in progress, or not counted yet: the lane goes no further, and nothing holds it. */
export function pend(gate: string, sentence: string): AskedGate {
  return { gate, result: 'wait', reason: null, sentence, until: null, step: { hold: null } };
}

export interface HeldBy {
  reason: HoldReason;
  detail?: string;
  until?: number | null;
  /** What makes the gate pass. */
  remedy: string;
}

export function wait(gate: string, { reason, detail, until = null, remedy }: HeldBy): AskedGate {
  const step = hold(reason, detail, until);
  const sentence = `${sentenceOf(reason, detail)}; ${remedy}`;
  return { gate, result: 'wait', reason, sentence, until, step };
}

export function fail(gate: string, held: HeldBy): AskedGate {
  return { ...wait(gate, held), result: 'fail' };
}

export function hold(reason: HoldReason, detail?: string, until: number | null = null): LaneStep {
  return { hold: { reason, sentence: sentenceOf(reason, detail), until } };
}

/** `2026-01-05 12:00:00Z`. */
export function instantOf(ms: number): string {
  if (ms !== lastInstant.ms) lastInstant = { ms, text: textOf(ms) };
  return lastInstant.text;
}

/** Gates of many lanes name the same instant one after the other, and its text costs more than the gate. */
let lastInstant = { ms: 0, text: textOf(0) };

function textOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `1 agent`, `2 agents`. */
export function numberOf(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
