// Strict JSON for both ends of the wire: what one reader would see differently from another is refused.
import { AppError } from '../errors.ts';

const STRING = /"(?:[^"\\]|\\.)*"(\s*:)?/g;
const MAX_DEPTH = 32;

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
  // First: what comes after it recurses.
  checkDepth(value, 0);
  // As JSON.stringify writes it, which is how nearly everybody sends it, no key can stand twice.
  if (JSON.stringify(value) === text) return value;
  // Every key of the text is one `"…":` token; a duplicate leaves fewer keys in the value than in the text.
  let keysInText = 0;
  for (const match of text.matchAll(STRING)) if (match[1] !== undefined) keysInText += 1;
  if (keysInText !== countKeys(value)) throw new AppError('bad_request', 'a key stands twice in one JSON object');
  return value;
}

function checkDepth(value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw new AppError('bad_request', `JSON nested deeper than ${MAX_DEPTH}`);
  if (value === null || typeof value !== 'object') return;
  if (Array.isArray(value)) for (const item of value) checkDepth(item, depth + 1);
  else for (const key in value) checkDepth((value as Record<string, unknown>)[key], depth + 1);
}

function countKeys(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0;
  let sum = Array.isArray(value) ? 0 : Object.keys(value).length;
  for (const item of Object.values(value)) sum += countKeys(item);
  return sum;
}
