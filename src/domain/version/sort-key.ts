// What the schemes share: bounds of their texts, and numbers as text that sorts like the numbers.

/** As much as the wire carries. */
export const MAX_VERSION_LENGTH = 128;
export const MAX_RANGE_LENGTH = 256;

/**
 * A letter for the number of digits, then the digits: `9` → `a9`, `10` → `b10`. Takes 0 … 2^53 (`a` to `p`). Keys made
 * of these, digits and hex hold no upper case, no punctuation and no two letters in a row, so databases of every
 * collation sort them alike. Part of the data format (it is stored): it must never change.
 */
export function numberKey(value: number): string {
  const digits = String(value);
  return `${String.fromCharCode(96 + digits.length)}${digits}`;
}
