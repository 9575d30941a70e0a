// The launcher: starts `current`, counts the starts of a version on trial, and goes back without network, without free
// space and without any code of the version that failed. No packages, only node:*; the deciding is launcher-machine.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { AppError } from '../errors.ts';
import { linkDurable, readLink, renameDurable } from './durable.ts';
import { clearChild, endLeftover, writeChild, writeLastCrash } from './launcher-files.ts';
import {
  LAUNCHER_START,
  type LauncherEffect,
  type LauncherEvent,
  type LauncherState,
  type Look,
  launcherStep,
  launcherWakeAt,
  trialLimitMs,
} from './launcher-machine.ts';
import { takeLock } from './lock.ts';
import { createLog, type Log } from './log.ts';
import { readMarker, renameMarker, type Trial, type UndoCause } from './marker.ts';
import { ENTRY, EXIT_RESTART, type Paths, pathsOf } from './paths.ts';
import { isEntrySound } from './sealed.ts';
import { keepTail } from './tail.ts';

/** Another launcher holds this root. */
const EXIT_CONFLICT = 5;
const STDERR_GRACE_MS = 500;

/** Runs until SIGTERM or SIGINT; resolves to the exit code of the launcher. Throws `file_unusable` where no agent is installed. */
export async function runLauncher(root: string): Promise<number> {
  const paths = pathsOf(resolve(root));
  const log = createLog('launcher');
  process.stderr.on('error', () => {});
  if (!existsSync(paths.versions)) {
    throw new AppError('file_unusable', 'no agent is installed here', {
      where: paths.root,
      hint: 'Name the root that it was installed in, or install one with `tidegate agent install`.',
    });
  }
  using lock = await takeLock(paths.root, 'launcher');
  if (lock === undefined) {
    log('error', 'another launcher runs under this root', { root: paths.root });
    return EXIT_CONFLICT;
  }
  await endLeftover(paths, log);
  return await new Promise((done) => createLauncher(paths, log, done).begin());
}

function createLauncher(paths: Paths, log: Log, done: (code: number) => void) {
  let state: LauncherState = LAUNCHER_START;
  let child: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  const queue: LauncherEvent[] = [];
  let isHandling = false;

  function begin(): void {
    process.on('SIGTERM', tell);
    process.on('SIGINT', tell);
    perform({ kind: 'look' });
  }

  function tell(): void {
    handle({ kind: 'told', nowMs: performance.now() });
  }

  /** Effects give events in turn; they are taken one after the other, never inside one another. */
  function handle(event: LauncherEvent): void {
    queue.push(event);
    if (isHandling) return;
    isHandling = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { state: after, effect } = launcherStep(state, next);
      state = after;
      perform(effect);
    }
    isHandling = false;
    arm();
  }

  function arm(): void {
    clearTimeout(timer);
    const at = launcherWakeAt(state);
    if (at === null) return;
    const pause = Math.min(Math.max(at - performance.now(), 10), 2_147_483_647);
    timer = setTimeout(() => handle({ kind: 'tick', onTrial: isOnTrial(paths), nowMs: performance.now() }), pause);
  }

  function perform(effect: LauncherEffect): void {
    switch (effect.kind) {
      case 'none':
        return;
      case 'look':
        handle({ kind: 'looked', look: lookAround(paths), nowMs: performance.now() });
        return;
      case 'start':
        start(effect.from, effect.counted);
        return;
      case 'undo':
        handle({ kind: 'undone', done: undo(paths, effect.cause, log), nowMs: performance.now() });
        return;
      case 'terminate':
        child?.kill('SIGTERM');
        return;
      case 'kill':
        child?.kill('SIGKILL');
        return;
      case 'close':
        clearTimeout(timer);
        process.off('SIGTERM', tell);
        process.off('SIGINT', tell);
        done(0);
        return;
    }
  }

  function start(from: 'current' | 'previous' | 'origin', counted: boolean): void {
    if (counted && !countDown(paths, log)) {
      handle({ kind: 'notCounted', nowMs: performance.now() });
      return;
    }
    const dir = directoryOf(paths, from);
    if (from !== 'current') log('error', 'the current version cannot be started, another one is', { from, dir });
    log('info', 'starting', { dir, onTrial: counted });
    const env = { ...process.env, TIDEGATE_ROOT: paths.root, TIDEGATE_LAUNCHED: '1' };
    const started = spawn(process.execPath, [join(dir, ENTRY)], {
      cwd: paths.root,
      env,
      stdio: ['pipe', 'inherit', 'pipe'],
    });
    child = started;
    // Held open and never written to: its end tells the agent that the launcher is gone.
    started.stdin?.on('error', () => {});
    const tail = keepTail(started.stderr, (chunk) => void process.stderr.write(chunk));
    writeChild(paths, started.pid, log);
    started.once('error', (error) => {
      log('error', 'the version could not be started', { error: error.message });
      if (started.pid === undefined) ended(null, null);
    });
    started.once('exit', (code, signal) => {
      // What it said last may still be in the pipe; what it has started itself must not hold us up.
      const late = setTimeout(() => ended(code, signal), STDERR_GRACE_MS);
      started.once('close', () => {
        clearTimeout(late);
        ended(code, signal);
      });
    });

    function ended(code: number | null, signal: NodeJS.Signals | null): void {
      if (child !== started) return;
      child = undefined;
      clearChild(paths);
      const onTrial = isOnTrial(paths);
      log(code === 0 || code === EXIT_RESTART ? 'info' : 'warn', 'the version has ended', {
        dir,
        code,
        signal,
        onTrial,
      });
      if (onTrial && code !== EXIT_RESTART) writeLastCrash(paths, tail());
      handle({ kind: 'exited', code, onTrial, nowMs: performance.now() });
    }
  }

  return { begin };
}

/** The real directory, so that the process keeps its own files when `current` is flipped under it. */
function directoryOf(paths: Paths, from: 'current' | 'previous' | 'origin'): string {
  const marker = from === 'origin' ? readMarker(paths.state) : undefined;
  if (marker !== undefined && marker.kind !== 'none') return join(paths.versions, marker.trial.from);
  const link = from === 'previous' ? paths.previous : paths.current;
  try {
    return realpathSync(link);
  } catch {
    return link;
  }
}

function lookAround(paths: Paths): Look {
  return {
    trial: lookAtTrial(paths),
    currentSound: isEntrySound(paths.current),
    previousSound: isEntrySound(paths.previous),
  };
}

/** A marker whose version is not what `current` names was made for a flip that never happened: no trial. */
function lookAtTrial(paths: Paths): Look['trial'] {
  const marker = readMarker(paths.state);
  if (marker.kind === 'undoing') return { kind: 'undoing', cause: marker.cause };
  if (marker.kind !== 'trial' || !isCurrent(paths, marker.trial.version)) return { kind: 'none' };
  return { kind: 'trial', left: marker.left, limitMs: trialLimitMs(marker.trial) };
}

function isOnTrial(paths: Paths): boolean {
  return lookAtTrial(paths).kind === 'trial';
}

function isCurrent(paths: Paths, version: string): boolean {
  const target = readLink(paths.current);
  return target !== undefined && basename(target) === version;
}

function countDown(paths: Paths, log: Log): boolean {
  const marker = readMarker(paths.state);
  if (marker.kind !== 'trial') return false;
  try {
    renameMarker(paths.state, marker, `trial+${marker.left - 1}`);
    return true;
  } catch (error) {
    log('error', 'the start could not be counted', { error: (error as Error).message });
    return false;
  }
}

/**
 * Three renames: the marker says that the way back has begun, `current` goes back, the marker says that it is done. A
 * crash in between is finished at the next look. True also when there is nothing to undo any more.
 */
function undo(paths: Paths, cause: UndoCause, log: Log): boolean {
  try {
    let marker = readMarker(paths.state);
    if (marker.kind === 'trial') {
      renameMarker(paths.state, marker, `undoing+${cause}`);
      marker = readMarker(paths.state);
    }
    if (marker.kind !== 'undoing') return true;
    log('warn', 'going back', { cause: marker.cause, version: marker.trial.version, to: marker.trial.from });
    goBack(paths, marker.trial);
    renameMarker(paths.state, marker, `undone+${marker.cause}`);
    return true;
  } catch (error) {
    log('error', 'going back was not possible, the disk takes no rename', { error: (error as Error).message });
    return false;
  }
}

function goBack(paths: Paths, trial: Trial): void {
  const target = join('versions', trial.from);
  if (readLink(paths.current) === target) return;
  // The link was made before the flip, because a rename needs no space and making one may.
  if (readLink(paths.rollback) === target) renameDurable(paths.rollback, paths.current);
  else linkDurable(paths.current, target);
}
