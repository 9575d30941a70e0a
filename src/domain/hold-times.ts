// Since when an agent is held as it is, and until when at the most, where anybody knows: for people who ask.
import { fullCeiling } from './ceilings.ts';
import type { Brake, Directive } from './directives.ts';
import type { HoldReason } from './holds.ts';
import type { Pin } from './pin.ts';

export interface HoldTimes {
  /** Milliseconds since the epoch; null: not known. */
  since: number | null;
  until: number | null;
}

/** What is known of the hold besides the directive. */
export interface HoldContext {
  brake: Brake | undefined;
  pin: Pin | undefined;
  /** What holds the lane that the agent follows, by the last plan. */
  lane: { reason: HoldReason; since: number; until: number | null } | undefined;
  /** Since when the host, by its facts and health, stands against what goes out; null: longer than the server has known. */
  hostSince: number | null;
  /** When it ended its latest attempt without a success; null: not known. */
  spentAt: number | null;
}

const UNKNOWN: HoldTimes = { since: null, until: null };

/** `directive` is that of the agent's product and region; undefined where there is none. */
export function holdTimes(
  reason: HoldReason,
  directive: Directive | undefined,
  context: HoldContext,
  now: number,
): HoldTimes {
  const { brake, pin, lane, hostSince, spentAt } = context;
  // The lane is held by the same: it has been so for as long.
  const same = lane?.reason === reason ? { since: lane.since, until: lane.until } : UNKNOWN;
  switch (reason) {
    case 'braked':
      return { since: brake?.at ?? null, until: null };
    case 'pinned':
      return { since: pin?.at ?? null, until: null };
    case 'clock_suspect':
      return { since: directive?.clock?.since ?? null, until: directive?.clock?.until ?? null };
    case 'outside_window':
    case 'frozen':
      return { since: same.since, until: directive?.opensAgainAt ?? null };
    case 'ceiling':
      return { since: same.since, until: fullCeiling(directive?.occupied.ceilings ?? [], now)?.until ?? null };
    case 'unhealthy':
    case 'requirement_unmet':
      return { since: hostSince, until: null };
    case 'quarantined':
      return { since: spentAt, until: null };
    case 'not_in_step':
      // What the lane waits for is what the agent waits for.
      return lane === undefined ? UNKNOWN : { since: lane.since, until: lane.until };
    default:
      return same;
  }
}
