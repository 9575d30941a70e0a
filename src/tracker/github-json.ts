// Reads the JSON of an answer within bounds of depth and number, before the parser spends memory and time on it.
import { AppError } from '../errors.ts';

/** GitHub's own answers are five deep. */
const MAX_DEPTH = 32;
/** A page of a hundred releases with a hundred assets each has 400,000. */
const MAX_VALUES = 1_000_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/**
 * The value; the text itself where it is not JSON. Throws `github_bad_response` for JSON that is nested too deeply or
 * has too many values: ten million brackets are a small body, and a gigabyte once they are parsed.
 */
export function readJson(text: string, where: string): unknown {
  const { depth, values } = measure(text);
  if (depth > MAX_DEPTH) throw tooMuch(where, `JSON nested more than ${MAX_DEPTH} deep`);
  if (values > MAX_VALUES) throw tooMuch(where, `JSON of more than ${MAX_VALUES} values`);
  try {
    // The parser of octokit reads every number a second time as text: seconds for a large page.
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Counts brackets and commas outside of strings, and stops where there are too many. */
function measure(text: string): { depth: number; values: number } {
  let level = 0;
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length && depth <= MAX_DEPTH && values <= MAX_VALUES; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === COMMA) values += 1;
    else if (code === 0x5b || code === 0x7b) {
      level += 1;
      values += 1;
      depth = Math.max(depth, level);
    } else if (code === 0x5d || code === 0x7d) level -= 1;
  }
  return { depth, values };
}

/** Of the string that begins at `start`; the end of the text where it does not end. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 1;
    else if (code === QUOTE) return at;
  }
  return text.length;
}

function tooMuch(where: string, what: string): AppError {
  return new AppError('github_bad_response', `GitHub’s answer cannot be read: ${where}: ${what}`, { where });
}
