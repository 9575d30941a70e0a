// Strict JSON for both ends of the wire: what one reader would see differently from another is refused.
import { AppError } from '../errors.ts';

const STRING = /"(?:[^"\\]|\\.)*"(\s*:)?/g;
const MAX_DEPTH = 32;
const COLON = 0x3a;

/**
 * Parses JSON text (RFC 8259) and refuses duplicate keys and nesting deeper than 32: the signature covers the bytes, so
 * every reader must see the same value in them. Throws `bad_request`.
 */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AppError('bad_request', `not JSON: ${(error as Error).message}`, { cause: error });
  }
  const keys = typeof value === 'object' && value !== null ? countKeys(value, 0) : 0;
  // Every key of the text brings a colon, and a duplicate leaves fewer keys in the value than in the text: with no more
  // colons than keys, which is how nearly every check-in looks, no key can stand twice.
  if (countColons(text) === keys) return value;
  // Else the keys are counted: each is one `"…":` token.
  let keysInText = 0;
  for (const match of text.matchAll(STRING)) if (match[1] !== undefined) keysInText += 1;
  if (keysInText !== keys) throw new AppError('bad_request', 'a key stands twice in one JSON object');
  return value;
}

/** Of an object or an array, with all that is in it. Throws `bad_request` where it is nested too deep. */
function countKeys(value: object, depth: number): number {
  if (depth > MAX_DEPTH) throw new AppError('bad_request', `JSON nested deeper than ${MAX_DEPTH}`);
  let sum = 0;
  // Entered for what can hold keys alone: most values are texts and numbers, and a call for each cost as much as the rest.
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object' && item !== null) sum += countKeys(item, depth + 1);
    return sum;
  }
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    sum += 1;
    if (typeof item === 'object' && item !== null) sum += countKeys(item, depth + 1);
  }
  return sum;
}

function countColons(text: string): number {
  let colons = 0;
  // Faster here than indexOf, which is called once for each.
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) === COLON) colons += 1;
  return colons;
}
