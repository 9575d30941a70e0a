// The flags that rehearsal and back-test share, and how shares and durations of theirs are read.
import type { Command } from 'commander';
import { AppError } from '../errors.ts';
import { readDuration } from './render.ts';

export interface ModelFlags {
  product: string;
  approveAfter?: string;
  availableAfter?: string;
  stage?: string;
  activate?: string;
  seed?: string;
  json?: true;
}

export function addModelFlags(command: Command): Command {
  return command
    .option('--approve-after <time>', 'when a person promotes what waits for that, e.g. 2h, or never; default: at once')
    .option('--available-after <time>', 'from the publication to when every region has it, e.g. 6h; default: at once')
    .option('--stage <time>', 'what an agent takes to download and verify; default 1m')
    .option('--activate <time>', 'from the grant to the proof; default 15s and the policy’s stableFor')
    .option('--seed <number>', 'another number, other hosts go first; default 1')
    .option('--json', 'as the server sent it');
}

export function readModelFlags({ product, approveAfter, availableAfter, stage, activate, seed }: ModelFlags) {
  return {
    product,
    ...(approveAfter === undefined
      ? {}
      : { approveAfterMs: approveAfter === 'never' ? null : ms(approveAfter, '--approve-after') }),
    ...(availableAfter === undefined ? {} : { availabilityDelayMs: ms(availableAfter, '--available-after') }),
    ...(stage === undefined ? {} : { stageMs: ms(stage, '--stage') }),
    ...(activate === undefined ? {} : { activateMs: ms(activate, '--activate') }),
    ...(seed === undefined ? {} : { seed: whole(seed, '--seed', 4_294_967_295) }),
  };
}

/** Milliseconds. Throws `usage`. */
export function ms(text: string, flag: string): number {
  if (/^0[smhd]?$/.test(text)) return 0;
  const found = readDuration(text);
  if (found !== undefined) return found;
  throw new AppError('usage', `${flag} ${text} is not a time`, { hint: 'Write e.g. 90s, 30m, 24h, 7d.' });
}

/** 0–1. Throws `usage`. */
export function share(text: string, flag: string): number {
  const match = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(text);
  const found = Number(match?.[1]) / 100;
  if (match !== null && found <= 1) return found;
  throw new AppError('usage', `${flag} ${text} is not a share`, { hint: 'Write e.g. 1%, 0.5%, 100%.' });
}

export function whole(text: string, flag: string, max: number): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= max) return Number(text);
  throw new AppError('usage', `${flag} ${text} is not a number up to ${max}`);
}
