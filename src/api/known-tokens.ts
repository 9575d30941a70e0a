// Remembers, by agent, the session token whose code was found right last: an agent sends the same one at every check-in.

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
  return {
    has(handle, token) {
      // Not a number where the token was none.
      if (!(handle >= 0)) return false;
      const start = handle * WIDTH;
      if (start + WIDTH > block.length || token.length >= WIDTH) return false;
      return isSame(block, start, token);
    },
    remember(handle, token) {
      if (token.length >= WIDTH || handle > MAX_HANDLE) return;
      const start = handle * WIDTH;
      if (start + WIDTH > block.length) {
        const larger = Buffer.alloc(Math.max(start + WIDTH, block.length * 2));
        block.copy(larger);
        block = larger;
      }
      block[start] = token.length;
      block.write(token, start + 1, 'latin1');
    },
    clear: () => void block.fill(0),
  };
}

/**
 * Every character is looked at, whichever differs, so that the time does not tell how much of a token was right. By hand:
 * to copy it into bytes for `timingSafeEqual` costs far more than to compare it.
 */
function isSame(block: Buffer, start: number, token: string): boolean {
  let differing = (block[start] as number) ^ token.length;
  for (let at = 0; at < token.length; at += 1) differing |= (block[start + 1 + at] as number) ^ token.charCodeAt(at);
  return differing === 0;
}
