// The launcher's real machine on a modelled host: it starts versions, counts unproven starts and goes back.
import {
  LAUNCHER_START,
  type LauncherEffect,
  type LauncherEvent,
  type LauncherState,
  launcherStep,
  launcherWakeAt,
  trialLimitMs,
} from '../../src/agent/launcher-machine.ts';
import type { UndoCause } from '../../src/agent/marker.ts';
import { type Disk, isOnTrial } from './sim-host.ts';

export interface LauncherWorld {
  /** In the host's time. */
  nowMs(): number;
  /** Calls back at that instant of the host's time, and forgets the call before. */
  wakeAt(instant: number | null, run: () => void): void;
  startProcess(from: 'current' | 'previous' | 'origin'): void;
  endProcess(): void;
  wentBack(attempt: string): void;
  lastStart(): void;
}

export interface SimLauncher {
  begin(): void;
  exited(code: number | null): void;
}

export function createSimLauncher(disk: Disk, world: LauncherWorld): SimLauncher {
  let state: LauncherState = LAUNCHER_START;
  const queue: LauncherEvent[] = [];
  let isHandling = false;

  function handle(event: LauncherEvent): void {
    queue.push(event);
    if (isHandling) return;
    isHandling = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const step = launcherStep(state, next);
      state = step.state;
      perform(step.effect);
    }
    isHandling = false;
    world.wakeAt(launcherWakeAt(state), () => handle({ kind: 'tick', onTrial: isTrial(disk), nowMs: world.nowMs() }));
  }

  function perform(effect: LauncherEffect): void {
    switch (effect.kind) {
      case 'none':
      case 'close':
        return;
      case 'look':
        handle({ kind: 'looked', look: lookAt(disk), nowMs: world.nowMs() });
        return;
      case 'start':
        if (effect.counted && !countDown(disk, world)) handle({ kind: 'notCounted', nowMs: world.nowMs() });
        else world.startProcess(effect.from);
        return;
      case 'undo':
        undo(disk, effect.cause, world);
        handle({ kind: 'undone', done: true, nowMs: world.nowMs() });
        return;
      case 'terminate':
      case 'kill':
        world.endProcess();
        return;
    }
  }

  return {
    begin: () => perform({ kind: 'look' }),
    exited: (code) => handle({ kind: 'exited', code, onTrial: isTrial(disk), nowMs: world.nowMs() }),
  };
}

function lookAt(disk: Disk) {
  const { marker } = disk;
  const trial =
    marker.kind === 'undoing'
      ? ({ kind: 'undoing', cause: marker.cause } as const)
      : marker.kind === 'trial' && isOnTrial(disk, marker.trial.version)
        ? ({ kind: 'trial', left: marker.left, limitMs: trialLimitMs(marker.trial) } as const)
        : ({ kind: 'none' } as const);
  return { trial, currentSound: true, previousSound: true };
}

function isTrial(disk: Disk): boolean {
  return lookAt(disk).trial.kind === 'trial';
}

function countDown(disk: Disk, world: LauncherWorld): boolean {
  const { marker } = disk;
  if (marker.kind !== 'trial') return false;
  disk.marker = { ...marker, left: marker.left - 1 };
  if (marker.left === 1) world.lastStart();
  return true;
}

function undo(disk: Disk, cause: UndoCause, world: LauncherWorld): void {
  const { marker } = disk;
  if (marker.kind !== 'trial' && marker.kind !== 'undoing') return;
  const { trial } = marker;
  const slot = disk.slots.get(disk.trialProduct);
  if (slot?.current === trial.version && slot.sealed.has(trial.from)) slot.current = trial.from;
  disk.marker = { kind: 'undone', cause: marker.kind === 'undoing' ? marker.cause : cause, trial };
  world.wentBack(trial.attempt);
}
