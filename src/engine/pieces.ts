// Long work over a large fleet in pieces, so that check-ins are answered in between.
import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Yields after each piece. How much a piece is, is a number of agents and no time: the same fleet is always worked
 * through in the same pieces.
 */
export type Pieces<T> = Generator<undefined, T, undefined>;

/** Agents in a piece: a few milliseconds, whatever is done with each. */
const PIECE = 16_384;

/** All of it at once. */
export function finish<T>(pieces: Pieces<T>): T {
  for (;;) {
    const next = pieces.next();
    if (next.done === true) return next.value;
  }
}

/** Lets whatever waits have its turn after each piece. */
export async function inTurns<T>(pieces: Pieces<T>): Promise<T> {
  for (;;) {
    const next = pieces.next();
    if (next.done === true) return next.value;
    await nextTurn();
  }
}

/** Calls `visit` with 0 … length − 1; each stands for `agents` of them. */
export function* eachIndex(length: number, visit: (index: number) => void, agents = 1): Pieces<void> {
  yield* eachPiece(
    length,
    (from, to) => {
      for (let index = from; index < to; index += 1) visit(index);
    },
    agents,
  );
}

/** Calls `visit` with where each piece begins and, not included, ends: for loops that must not call anything. */
export function* eachPiece(length: number, visit: (from: number, to: number) => void, agents = 1): Pieces<void> {
  const step = PIECE / agents;
  for (let from = 0; from < length; from += step) {
    const to = Math.min(length, from + step);
    visit(from, to);
    if (to < length) yield;
  }
}
