// Remembers, by agent, the session token whose code was found right last: an agent sends the same one at every check-in.
import { timingSafeEqual } from 'node:crypto';

export interface KnownTokens {
  /** Whether this is the token that was remembered for the handle; takes as long whichever byte differs. */
  has(handle: number, token: string): boolean;
  /** For tokens of a right code only, so that there are never more than agents. Longer ones than usual, and very high handles, are left out. */
  remember(handle: number, token: string): void;
  /** Forgets all: what codes are made of has changed. */
  clear(): void;
}

/** A token of the longest handle and time: `tgs1.`, twice 11, 43 and two dots, and a byte that says how much of it is used. */
const WIDTH = 74;
const FIRST_CAPACITY = 1024;
/** Nearly 300 MB; beyond it codes are made anew. */
const MAX_HANDLE = 4_000_000;

/** 74 bytes an agent in one block, instead of a text and a place in a map for each. */
export function openKnownTokens(): KnownTokens {
  let block = Buffer.alloc(FIRST_CAPACITY * WIDTH);
  const given = Buffer.alloc(WIDTH);
  function write(token: string): void {
    given.fill(0);
    given[0] = token.length;
    given.write(token, 1, 'latin1');
  }
  return {
    has(handle, token) {
      // Not a number where the token was none.
      if (!(handle >= 0)) return false;
      const start = handle * WIDTH;
      if (start + WIDTH > block.length || token.length >= WIDTH) return false;
      write(token);
      return timingSafeEqual(given, block.subarray(start, start + WIDTH));
    },
    remember(handle, token) {
      if (token.length >= WIDTH || handle > MAX_HANDLE) return;
      const start = handle * WIDTH;
      if (start + WIDTH > block.length) {
        const larger = Buffer.alloc(Math.max(start + WIDTH, block.length * 2));
        block.copy(larger);
        block = larger;
      }
      write(token);
      given.copy(block, start);
    },
    clear: () => void block.fill(0),
  };
}
