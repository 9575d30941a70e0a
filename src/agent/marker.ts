// The trial marker: one small file in state/ whose NAME carries how the trial of a new version stands, because a rename
// is atomic and needs no free space. Shared by agent and launcher; only node:fs.
//
//   trial+3 → trial+2 → …   before each unproven start          (launcher)
//   trial+N → proven         the one commit point of success      (agent)
//   trial+N → undoing+cause → [current flipped back] → undone+cause  (launcher; the agent may ask with undoing+cause)
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere, syncDirectory, writeDurable } from './durable.ts';

/** At most so many starts of a version that is not proven. */
export const MAX_UNPROVEN_STARTS = 3;

/** Causes for which a trial is undone; part of a file name and of the report. */
export const UNDO_CAUSES = [
  'crash_loop',
  'exec_failed',
  'not_proven_in_time',
  'unhealthy',
  'network_down',
  'disk_failed',
] as const;
export type UndoCause = (typeof UNDO_CAUSES)[number];

/** Content of the marker, written once before `current` is flipped. */
export interface Trial {
  attempt: string;
  version: string;
  /** Version to go back to. */
  from: string;
  proveWithinMs: number;
  stableForMs: number;
}

export type Marker =
  | { kind: 'none' }
  | { kind: 'trial'; left: number; trial: Trial }
  | { kind: 'proven'; trial: Trial }
  | { kind: 'undoing'; cause: UndoCause; trial: Trial }
  | { kind: 'undone'; cause: UndoCause; trial: Trial };

const NAME = new RegExp(`^(?:trial\\+([0-9])|(proven)|(undoing|undone)\\+(${UNDO_CAUSES.join('|')}))$`);

/** A marker that cannot be read counts as none: the version that `current` names is then started as it is. */
export function readMarker(stateDir: string): Marker {
  const found = markerNames(stateDir).map((name) => readOne(stateDir, name));
  // Two can only stand together when a marker of an older attempt could not be removed: the one further on decides.
  const order = ['undoing', 'undone', 'proven', 'trial'] as const;
  for (const kind of order) {
    const marker = found.find((candidate) => candidate.kind === kind);
    if (marker !== undefined) return marker;
  }
  return { kind: 'none' };
}

export function writeTrial(stateDir: string, trial: Trial): void {
  removeMarkers(stateDir);
  writeDurable(join(stateDir, `trial+${MAX_UNPROVEN_STARTS}`), `${JSON.stringify(trial)}\n`);
}

export function removeMarkers(stateDir: string): void {
  const names = markerNames(stateDir);
  for (const name of names) rmSync(join(stateDir, name), { force: true });
  if (names.length > 0) syncDirectory(stateDir);
}

/** Moves the marker on by one rename. */
export function renameMarker(stateDir: string, from: Marker, to: string): void {
  renameSync(join(stateDir, nameOf(from)), join(stateDir, to));
  syncDirectory(stateDir);
}

export function nameOf(marker: Marker): string {
  switch (marker.kind) {
    case 'none':
      throw new Error('assertion failed: no marker to name');
    case 'trial':
      return `trial+${marker.left}`;
    case 'proven':
      return 'proven';
    default:
      return `${marker.kind}+${marker.cause}`;
  }
}

function markerNames(stateDir: string): string[] {
  try {
    return readdirSync(stateDir).filter((name) => NAME.test(name));
  } catch {
    return [];
  }
}

function readOne(stateDir: string, name: string): Marker {
  const match = NAME.exec(name);
  const trial = readTrial(readIfThere(join(stateDir, name)));
  if (match === null || trial === undefined) return { kind: 'none' };
  if (match[1] !== undefined) return { kind: 'trial', left: Number(match[1]), trial };
  if (match[2] !== undefined) return { kind: 'proven', trial };
  return { kind: match[3] as 'undoing' | 'undone', cause: match[4] as UndoCause, trial };
}

function readTrial(text: string | undefined): Trial | undefined {
  try {
    const value = JSON.parse(text ?? '') as Partial<Trial>;
    const { attempt, version, from, proveWithinMs, stableForMs } = value;
    if (typeof attempt !== 'string' || typeof version !== 'string' || typeof from !== 'string') return undefined;
    if (!isSafeName(version) || !isSafeName(from)) return undefined;
    if (!Number.isSafeInteger(proveWithinMs) || !Number.isSafeInteger(stableForMs)) return undefined;
    return { attempt, version, from, proveWithinMs: Number(proveWithinMs), stableForMs: Number(stableForMs) };
  } catch {
    return undefined;
  }
}

/** A version is also a directory's name. */
function isSafeName(version: string): boolean {
  return /^[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}$/.test(version);
}
