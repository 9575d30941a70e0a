// Hard ceilings: how many grants the fleet gets within any hour and any 24 hours, over all rollouts and products.
import { type AskedGate, instantOf, pass, wait } from './gate.ts';

export type CeilingName = 'hour' | 'day';

export const CEILING_MS: Readonly<Record<CeilingName, number>> = { hour: 3_600_000, day: 86_400_000 };

/** One sliding window, as of one moment. */
export interface Ceiling {
  window: CeilingName;
  max: number;
  /** Grants in the window; not counted beyond `max`. */
  count: number;
  /** When the oldest of those counted leaves the window, milliseconds since the epoch; null when there is none. */
  leavesAt: number | null;
}

/** The ceilings that are set, with nothing used of them. */
export function emptyCeilings({ perHour, perDay }: { perHour: number | null; perDay: number | null }): Ceiling[] {
  const ceilings: Ceiling[] = [];
  if (perHour !== null) ceilings.push({ window: 'hour', max: perHour, count: 0, leavesAt: null });
  if (perDay !== null) ceilings.push({ window: 'day', max: perDay, count: 0, leavesAt: null });
  return ceilings;
}

/** The one that allows no other grant now, and until when; the one that holds longest where there are two. */
export function fullCeiling(
  ceilings: readonly Ceiling[],
  now: number,
): { detail: string; until: number; window: CeilingName } | undefined {
  let full: { detail: string; until: number; window: CeilingName } | undefined;
  for (const { window, max, count, leavesAt } of ceilings) {
    if (count < max || leavesAt === null || leavesAt <= now || leavesAt <= (full?.until ?? 0)) continue;
    full = { detail: `${count} of ${max} within ${WORDS[window]}`, until: leavesAt, window };
  }
  return full;
}

/** As of the moment of the count: a grant may have left since. */
export function isUsedUp({ count, max }: Ceiling): boolean {
  return count >= max;
}

/** With one more grant at `now`. */
export function withGrant(ceilings: readonly Ceiling[], now: number): Ceiling[] {
  return ceilings.map((one) => ({
    ...one,
    count: Math.min(one.max, one.count + 1),
    leavesAt: one.leavesAt ?? now + CEILING_MS[one.window],
  }));
}

/** For a lane that could go on granting; nothing to ask where no ceiling is set. */
export function ceilingGates(ceilings: readonly Ceiling[], now: number): (() => AskedGate)[] {
  return ceilings.length === 0 ? [] : [() => ceilingGate(ceilings, now)];
}

function ceilingGate(ceilings: readonly Ceiling[], now: number): AskedGate {
  const full = fullCeiling(ceilings, now);
  if (full === undefined) return pass('ceiling', usedOf(ceilings));
  const { detail, until, window } = full;
  const remedy = `passes when the oldest of these updates is more than ${WORDS[window]} ago`;
  return wait('ceiling', { reason: 'ceiling', detail, until, remedy });
}

/** `12 of 200 updates within an hour and 40 of 1000 within 24 hours have been let go`. */
export function usedOf(ceilings: readonly Ceiling[]): string {
  const parts = ceilings.map(({ window, max, count }, index) => {
    return `${count} of ${max}${index === 0 ? ' updates' : ''} within ${WORDS[window]}`;
  });
  return `${parts.join(' and ')} have been let go`;
}

/** For an agent, who is told no instant beside the sentence. */
export function sayFull({ detail, until }: { detail: string; until: number }): string {
  return `${detail}; the next one may go at ${instantOf(until)}`;
}

const WORDS: Readonly<Record<CeilingName, string>> = { hour: 'an hour', day: '24 hours' };
