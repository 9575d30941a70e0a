// Randomness from a seed: the same seed gives the same numbers, and a fork by name does not shift those of the others.

export interface Random {
  /** 0 ≤ x < 1. */
  next(): number;
  /** 0 … n − 1. */
  upTo(n: number): number;
  /** Both inclusive. */
  between(low: number, high: number): number;
  /** 0 ≤ percent ≤ 100. */
  chance(percent: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** By weight; weights of 0 are never taken. */
  weighted<T>(entries: readonly (readonly [number, T])[]): T;
  shuffle<T>(list: readonly T[]): T[];
  /** Lower-case hex digits. */
  hex(digits: number): string;
  fork(name: string): Random;
}

export function randomOf(seed: number | string): Random {
  const next = generator(hash32(String(seed)));
  const random: Random = {
    next,
    upTo: (n) => Math.floor(next() * n),
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    chance: (percent) => next() * 100 < percent,
    pick: (list) => list[random.upTo(list.length)] as (typeof list)[number],
    weighted(entries) {
      let left = next() * entries.reduce((sum, [weight]) => sum + weight, 0);
      const found = entries.find(([weight]) => {
        left -= weight;
        return left < 0;
      });
      return (found ?? (entries.findLast(([weight]) => weight > 0) as (typeof entries)[number]))[1];
    },
    shuffle(list) {
      const mixed = [...list];
      for (let at = mixed.length - 1; at > 0; at -= 1) {
        const other = random.upTo(at + 1);
        [mixed[at], mixed[other]] = [mixed[other] as (typeof mixed)[number], mixed[at] as (typeof mixed)[number]];
      }
      return mixed;
    },
    hex: (digits) => Array.from({ length: digits }, () => random.upTo(16).toString(16)).join(''),
    fork: (name) => randomOf(`${seed}/${name}`),
  };
  return random;
}

/** FNV-1a with a last mix; good enough to spread seeds that differ in one digit. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** mulberry32, public domain, by Tommy Ettinger. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
