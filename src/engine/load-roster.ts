// Fills the roster from the database when the server starts, and again when it is not known what was written last.
import { sumSpent } from '../domain/quarantine.ts';
import { loadAllAgents, loadSeen } from '../store/agents.ts';
import { liveAttempts, unsuccessfulAttempts } from '../store/attempts.ts';
import { listClearances } from '../store/clearances.ts';
import type { Db } from '../store/database.ts';
import { listPins } from '../store/pins.ts';
import { listStale } from '../store/stale-agents.ts';
import { listUnenrolled } from '../store/unenrolled-agents.ts';
import type { Roster } from './roster.ts';

const PAGE = 5_000;

/** Silence of those that the roster did not know is counted from now on. */
export async function loadRoster(db: Db, roster: Roster, observedMs: number): Promise<void> {
  for (let after = -1; ; ) {
    const page = await loadAllAgents(db, after, PAGE);
    for (const agent of page) roster.put(agent, observedMs);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) break;
    after = last.handle;
  }
  const seen = await loadSeen(db);
  const live = await liveAttempts(db);
  const pinned = Map.groupBy(await listPins(db), (pin) => pin.agentId);
  const stale = await listStale(db);
  const spent = Map.groupBy(await unsuccessfulAttempts(db), (attempt) => attempt.agentId);
  const clearances = Map.groupBy(await listClearances(db), (one) => one.agentId);
  const unenrolled = await listUnenrolled(db);
  // At once: no check-in sees half of it.
  roster.forgetBooks();
  for (const { handle, seenAt } of seen) if (roster.lastSeenAt(handle) === null) roster.setLastSeen(handle, seenAt);
  for (const attempt of live) withHandle(roster, attempt.agentId, (handle) => roster.setAttempt(handle, attempt));
  for (const [agentId, pins] of pinned) withHandle(roster, agentId, (handle) => roster.setPins(handle, pins));
  for (const agentId of stale) withHandle(roster, agentId, (handle) => roster.setStale(handle, true));
  for (const [agentId, attempts] of spent)
    withHandle(roster, agentId, (handle) => roster.setSpent(handle, sumSpent(attempts, clearances.get(agentId))));
  for (const agentId of unenrolled) withHandle(roster, agentId, (handle) => roster.retire(handle));
}

function withHandle(roster: Roster, agentId: string, act: (handle: number) => void): void {
  const handle = roster.handleOf(agentId);
  if (handle !== undefined) act(handle);
}
