// An agent's place in the order of one rollout: another order for every rollout, so that not the same hosts go first.

/**
 * 32-bit FNV-1a over UTF-16 units, finished with murmur3's mixer. Part of the data format (thresholds are stored):
 * it must never change.
 */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return fmix32(hash);
}

// Ids are lower-case hex and dashes: all of them sort before a tilde.
/** Inside whatever the rank: what a step of 100 % reaches, and every newcomer with it. */
export const EVERYBODY = { threshold: 0xffffffff, thresholdId: '~' };

/** murmur3's finalizer: a bijection on 32 bits. */
export function fmix32(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** `agentHash` is `hash32(agent id)`; 0 … 2^32−1, uniform. */
export function rank(agentHash: number, seed: number): number {
  return fmix32((agentHash ^ seed) >>> 0);
}

/** Ties of equal rank are broken by id. */
export function isBefore(rankA: number, idA: string, rankB: number, idB: string): boolean {
  return rankA < rankB || (rankA === rankB && idA < idB);
}
