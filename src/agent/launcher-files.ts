// Small files that the launcher writes as well as it can: whom it started, and how a version on trial died. Only node:*.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readIfThere } from './durable.ts';
import type { Log } from './log.ts';
import type { Paths } from './paths.ts';

const LEFTOVER_GRACE_MS = 2000;
const LEFTOVER_POLL_MS = 20;

/** For the report; a full disk must not keep the launcher from its work. */
export function writeLastCrash(paths: Paths, text: string): void {
  try {
    writeFileSync(paths.lastCrash, stripControls(text), { mode: 0o600 });
  } catch {
    // The report then comes without its evidence.
  }
}

/** Remembers the child, so that the next launcher can end it should this one be killed. */
export function writeChild(paths: Paths, pid: number | undefined, log: Log): void {
  const startedAt = pid === undefined ? undefined : startTimeOf(pid);
  if (startedAt === undefined) return;
  try {
    writeFileSync(paths.launcherChild, JSON.stringify({ pid, startedAt }), { mode: 0o600 });
  } catch (error) {
    log('warn', 'the child could not be noted', { error: (error as Error).message });
  }
}

export function clearChild(paths: Paths): void {
  try {
    rmSync(paths.launcherChild, { force: true });
  } catch {
    // It names a process that is gone, which the next launcher finds out by its start time.
  }
}

/**
 * Ends the agent that a killed launcher left behind, so that there are never two. A healthy agent ends by itself when
 * its stdin closes; one that hangs is killed. Identified by process id and start time, since ids are used again.
 */
export async function endLeftover(paths: Paths, log: Log): Promise<void> {
  const left = readChild(paths);
  if (left === undefined) return;
  for (let waited = 0; isAlive(left); waited += LEFTOVER_POLL_MS) {
    if (waited === LEFTOVER_GRACE_MS) {
      log('warn', 'killing the agent that an earlier launcher left behind', { pid: left.pid });
      process.kill(left.pid, 'SIGKILL');
    }
    if (waited > 2 * LEFTOVER_GRACE_MS) return;
    await sleep(LEFTOVER_POLL_MS);
  }
  clearChild(paths);
}

interface Child {
  pid: number;
  startedAt: string;
}

function readChild(paths: Paths): Child | undefined {
  try {
    const { pid, startedAt } = JSON.parse(readIfThere(paths.launcherChild) ?? '') as Partial<Child>;
    return Number.isSafeInteger(pid) && typeof startedAt === 'string' ? { pid: Number(pid), startedAt } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(child: Child): boolean {
  return startTimeOf(child.pid) === child.startedAt;
}

/**
 * Which boot, and field 22 of /proc/<pid>/stat: when the process was started, in ticks since that boot. Undefined where
 * there is no such process (or it has ended and only waits for its parent), or no /proc.
 */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may hold anything, so the rest is read from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`;
  } catch {
    return undefined;
  }
}

function stripControls(text: string): string {
  return [...text].filter((character) => character >= ' ' || character === '\n').join('');
}
