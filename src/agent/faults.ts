// From what the system or our own code throws to the closed list of causes that a report may name.
import { AppError } from '../errors.ts';
import type { OutcomeCause } from '../protocol/agent.ts';
import type { Fault } from './host.ts';

const MAX_DETAIL = 500;

/** One printable line, bounded, as the wire's `detail` wants it. */
export function toDetail(text: string): string {
  let line = '';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    line += isUnprintable(code) ? ' ' : character;
    if (line.length >= MAX_DETAIL) break;
  }
  return line.replace(/ +/g, ' ').trim().slice(0, MAX_DETAIL);
}

export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
}

/** The fault that an error of the disk or of a check stands for; anything else is a bug and is thrown on. */
export function faultOf(error: unknown): Fault {
  if (error instanceof AppError) {
    const cause = CAUSES[error.code];
    if (cause !== undefined) return { cause, detail: toDetail(error.message) };
  }
  if (!isSystemError(error)) throw error;
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return { cause: full ? 'disk_full' : 'disk_failed', detail: toDetail(error.message) };
}

const CAUSES: Partial<Record<AppError['code'], OutcomeCause>> = {
  archive_rejected: 'archive_rejected',
  digest_mismatch: 'digest_mismatch',
  state_damaged: 'disk_failed',
};

/** C0, C1, surrogate halves, and what turns the direction of text. */
function isUnprintable(code: number): boolean {
  return (
    code < 0x20 ||
    (code >= 0x7f && code <= 0x9f) ||
    (code >= 0xd800 && code <= 0xdfff) ||
    code === 0x200e ||
    code === 0x200f ||
    (code >= 0x202a && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069)
  );
}
