// The body of a check-in, and how long to wait before the next one. Pure.
import type { AttemptReport, CheckInRequest } from '../protocol/agent.ts';
import type { Counters } from './counters.ts';
import { toDetail } from './faults.ts';
import type { Host } from './host.ts';
import { reportOf, type State, wakeAt } from './machine.ts';

/** How long a long poll is asked for, seconds. */
const WAIT_SECONDS = 25;
const MIN_DELAY_MS = 200;
const MIN_DUE_MS = 20;
const MAX_DELAY_MS = 86_400_000;
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 300_000;
/** A version on trial has no time for long pauses. */
const MAX_TRIAL_BACKOFF_MS = 5000;

export interface BodyInput {
  host: Pick<Host, 'platform' | 'running' | 'facts'>;
  nonce: string;
  boot: string;
  counters: Counters;
  fault: string | undefined;
  states: Iterable<State>;
  withFacts: boolean;
}

export function checkInBody(input: BodyInput): CheckInRequest {
  const { host, nonce, boot, counters, fault } = input;
  return {
    nonce,
    boot,
    platform: host.platform,
    ...counters,
    products: host.running(),
    health: fault === undefined ? { status: 'ok' } : { status: 'unhealthy', reason: toDetail(fault) },
    ...(input.withFacts ? { facts: host.facts() } : {}),
    attempts: reportsOf(input.states),
  };
}

export function reportsOf(states: Iterable<State>): AttemptReport[] {
  return [...states].map(reportOf).filter((report) => report !== undefined);
}

/** Only an agent that has nothing to say and nothing to prove may let the server keep it waiting. */
export function waitSecondsFor(states: Iterable<State>, isFirst: boolean): number {
  const calm = [...states].every(({ kind }) => kind === 'idle' || kind === 'staging' || kind === 'staged');
  return calm && !isFirst ? WAIT_SECONDS : 0;
}

/** After a reply: what the server said, less where the machine must look again before; milliseconds. */
export function delayAfterReply(nextInMs: number, states: Iterable<State>, nowMs: number): number {
  return Math.min(clamp(nextInMs), dueIn(states, nowMs));
}

/** After the n-th failure in a row (from 1): exponential with full jitter over the upper half; `random` is 0–1. */
export function delayAfterFailure(
  failures: number,
  retryAfterMs: number | undefined,
  states: Iterable<State>,
  random: number,
): number {
  const onTrial = [...states].some(({ kind }) => kind === 'proving' || kind === 'judging');
  const most = onTrial ? MAX_TRIAL_BACKOFF_MS : MAX_BACKOFF_MS;
  const backoff = Math.min(most, FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 20));
  return clamp(Math.max(backoff * (0.5 + random / 2), retryAfterMs ?? 0));
}

/** How soon some state must be looked at; Infinity for never. What is due already is looked at at every turn anyway. */
export function dueIn(states: Iterable<State>, nowMs: number): number {
  const times = [...states].map(wakeAt).filter((time): time is number => time !== null && time > nowMs);
  return Math.max(MIN_DUE_MS, Math.min(...times) - nowMs);
}

function clamp(ms: number): number {
  return Math.min(Math.max(ms, MIN_DELAY_MS), MAX_DELAY_MS);
}
