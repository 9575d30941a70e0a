// Since when an agent is held for what it is, or for what it has used up: from the roster's memory, and from the rows.
import { sumSpent } from '../domain/quarantine.ts';
import { attemptsOfAgentsInRollouts } from '../store/attempts.ts';
import type { Db } from '../store/database.ts';

export interface HostTimes {
  /** Milliseconds since the epoch. */
  now: number;
  /** Observed time for which the host has been as it reports itself. */
  unchangedMs: number;
  /** Observed time for which this server has been up: what was before, nobody has told it. */
  upMs: number;
  /** When the rollout began that the agent follows; undefined: it follows none. */
  begunAt: number | undefined;
}

/** Since when the host, as it is, has stood against what goes out; null where that was before this server's life. */
export function hostHeldSince({ now, unchangedMs, upMs, begunAt }: HostTimes): number | null {
  if (unchangedMs < upMs) return Math.max(now - unchangedMs, begunAt ?? 0);
  return begunAt !== undefined && begunAt >= now - upMs ? begunAt : null;
}

/** When the agent ended its latest attempt at the rollout's release without a success; null where it had none. */
export async function spentAt(db: Db, agentId: string, rolloutId: string): Promise<number | null> {
  const attempts = await attemptsOfAgentsInRollouts(db, [agentId], [rolloutId]);
  const spent = attempts.flatMap((one) => (sumSpent([one]).length > 0 && one.endedAt !== null ? [one.endedAt] : []));
  return spent.length === 0 ? null : Math.max(...spent);
}
