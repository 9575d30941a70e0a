// Epoch and sequence that must never decrease: two files written in turn, each with a generation and a checksum. The
// highest valid one counts; none valid means damage, and damage is refused, never read as zero.
import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';
import { readIfThere, writeDurable } from './durable.ts';
import type { Paths } from './paths.ts';

export interface Counters {
  epoch: number;
  sequence: number;
}

interface Generation extends Counters {
  generation: number;
}

/** Throws `state_damaged` when neither file is there and right. */
export function readCounters(paths: Paths): Counters {
  const { epoch, sequence } = newest(paths) ?? damaged(paths);
  return { epoch, sequence };
}

/** True when counters were ever written here, damaged or not. */
export function hasCounters(paths: Paths): boolean {
  return readIfThere(paths.countersA) !== undefined || readIfThere(paths.countersB) !== undefined;
}

/** Durable when it returns. A value lower than the stored one is a bug and throws. */
export function writeCounters(paths: Paths, counters: Counters): void {
  const stored = newest(paths);
  if (stored === undefined && hasCounters(paths)) damaged(paths);
  if (stored !== undefined && (counters.epoch < stored.epoch || counters.sequence < stored.sequence)) {
    throw new Error('assertion failed: a counter would decrease');
  }
  const generation = (stored?.generation ?? 0) + 1;
  const value = { generation, epoch: counters.epoch, sequence: counters.sequence };
  // The file that does not hold the newest value: if this write is torn, the newest is still there.
  const path = generation % 2 === 1 ? paths.countersA : paths.countersB;
  writeDurable(path, `${JSON.stringify({ ...value, checksum: checksumOf(value) })}\n`, 0o600);
}

function newest(paths: Paths): Generation | undefined {
  const [a, b] = [paths.countersA, paths.countersB].map(readOne);
  if (a === undefined || b === undefined) return a ?? b;
  return a.generation > b.generation ? a : b;
}

function readOne(path: string): Generation | undefined {
  try {
    const { generation, epoch, sequence, checksum } = JSON.parse(readIfThere(path) ?? '');
    const value = { generation, epoch, sequence };
    const sane = [generation, epoch, sequence].every((number) => Number.isSafeInteger(number) && number >= 0);
    return sane && checksum === checksumOf(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function checksumOf({ generation, epoch, sequence }: Generation): string {
  return createHash('sha256').update(`tidegate-counters-v1 ${generation} ${epoch} ${sequence}`).digest('hex');
}

function damaged(paths: Paths): never {
  throw new AppError('state_damaged', 'neither of the two counter files can be read', { where: paths.countersA });
}
