// A set of agent handles as bits, the form in which a step's members are stored.

import { eachIndex, type Pieces } from './pieces.ts';

export type Bitset = Uint8Array;

export function newBitset(): Bitset {
  return new Uint8Array(0);
}

/** Sets the bit in place where there is room, else in a larger copy: use the returned set. */
export function setBit(set: Bitset, bit: number): Bitset {
  const byte = bit >>> 3;
  let target = set;
  if (byte >= set.length) {
    target = new Uint8Array(Math.max(byte + 1, set.length * 2));
    target.set(set);
  }
  target[byte] = (target[byte] as number) | (1 << (bit & 7));
  return target;
}

/** In place; a bit beyond the set is clear already. */
export function clearBit(set: Bitset, bit: number): void {
  const byte = bit >>> 3;
  if (byte < set.length) set[byte] = (set[byte] as number) & ~(1 << (bit & 7));
}

export function hasBit(set: Bitset, bit: number): boolean {
  return (((set[bit >>> 3] ?? 0) >>> (bit & 7)) & 1) === 1;
}

/** Calls `visit` for each bit that is set, ascending. */
export function forEachBit(set: Bitset, visit: (bit: number) => void): void {
  for (let byte = 0; byte < set.length; byte += 1) visitByte(set, byte, visit);
}

/** The same in pieces. */
export function eachBit(set: Bitset, visit: (bit: number) => void): Pieces<void> {
  return eachIndex(set.length, (byte) => visitByte(set, byte, visit), 8);
}

function visitByte(set: Bitset, byte: number, visit: (bit: number) => void): void {
  let value = set[byte] as number;
  while (value !== 0) {
    const low = value & -value;
    visit(byte * 8 + (31 - Math.clz32(low)));
    value ^= low;
  }
}
