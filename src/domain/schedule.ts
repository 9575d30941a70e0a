// Scheduled rollouts: when the next run of a cron expression is due, as a pure function of stored instants.
import { Cron } from 'croner';
import type { Consideration, ProductRules } from './snapshot.ts';

export interface Schedule {
  /** Five fields: minute, hour, day of month, month, day of week. */
  cron: string;
  /** IANA zone in which the fields are read. */
  timeZone: string;
}

/**
 * The first run after `afterMs`; null when there is none any more. Where the clocks go forward over a run it is taken at
 * the first instant after the gap, where they go back a daily run is taken once.
 */
export function nextRun(schedule: Schedule, afterMs: number): number | null {
  return cronOf(schedule).nextRun(new Date(afterMs))?.getTime() ?? null;
}

/** The same text for the same runs. */
export function scheduleKey({ cron, timeZone }: Schedule): string {
  return `${timeZone} ${cron}`;
}

// What an expression means never changes, and to read it is dear: every plan asks.
const crons = new Map<string, Cron>();
const MAX_CRONS = 1_000;

function cronOf(schedule: Schedule): Cron {
  const { cron, timeZone } = schedule;
  const key = scheduleKey(schedule);
  const known = crons.get(key);
  if (known !== undefined) return known;
  if (crons.size >= MAX_CRONS) crons.clear();
  // Paused: it only computes, nothing ticks.
  const read = new Cron(cron, { timezone: timeZone, paused: true });
  crons.set(key, read);
  return read;
}

/**
 * Whether a run was missed since the product's schedules were looked at last. One that the config did not have then has
 * missed none: else an edited schedule would begin a rollout at once, at a time that no schedule names.
 */
export function isMissed(schedule: Schedule, considered: Consideration | undefined, nowMs: number): boolean {
  if (considered === undefined || considered.schedules?.includes(scheduleKey(schedule)) === false) return false;
  return isDue(schedule, considered.at, nowMs);
}

/** Of all of the product's policies, in an order of their own. */
export function schedulesOf({ policy, policies }: Pick<ProductRules, 'policy' | 'policies'>): string[] {
  const all = [policy, ...Object.values(policies)].flatMap(({ schedule }) => schedule ?? []);
  return [...new Set(all.map(scheduleKey))].sort();
}

/** Whether at least one run lies in (consideredMs, nowMs]; however many were missed, they are one. */
export function isDue(schedule: Schedule, consideredMs: number, nowMs: number): boolean {
  const next = nextRun(schedule, consideredMs);
  return next !== null && next <= nowMs;
}
