// The journal: each product's attempt as the machine left it, written before the effect that follows from it.
import { renameSync } from 'node:fs';
import { readIfThere, writeDurable } from './durable.ts';
import type { Log } from './log.ts';
import type { State } from './machine.ts';
import type { Paths } from './paths.ts';

/** By product; a product that is not there is idle. */
export type Journal = Record<string, State>;

const KINDS: readonly State['kind'][] = ['idle', 'staging', 'staged', 'activating', 'proving', 'judging', 'ended'];

/**
 * A journal that cannot be read is put aside and counts as empty: nothing is in progress then, a version on trial is
 * undone by the launcher, and the server books the attempt as lost. What must never be forgotten is not kept here.
 */
export function readJournal(paths: Paths, log: Log): Journal {
  const text = readIfThere(paths.journal);
  if (text === undefined) return {};
  const journal = parse(text);
  if (journal !== undefined) return journal;
  renameSync(paths.journal, `${paths.journal}.damaged`);
  log('error', 'the journal cannot be read and was put aside', { file: `${paths.journal}.damaged` });
  return {};
}

export function writeJournal(paths: Paths, journal: Journal): void {
  writeDurable(paths.journal, `${JSON.stringify({ format: 1, attempts: journal })}\n`);
}

function parse(text: string): Journal | undefined {
  try {
    const { format, attempts } = JSON.parse(text) as { format: unknown; attempts: Journal };
    const states = Object.values(attempts);
    const sane = format === 1 && states.every((state) => KINDS.includes(state.kind) && hasOrder(state));
    return sane ? attempts : undefined;
  } catch {
    return undefined;
  }
}

function hasOrder(state: State): boolean {
  return state.kind === 'idle' || (typeof state.order.attempt === 'string' && typeof state.order.version === 'string');
}
