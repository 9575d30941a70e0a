// The `numeric` scheme: one to six dotted numbers (3.3.1611.0), no prereleases, with ranges of its own.
import { assert } from '../../errors.ts';
import type { Jump, Range, Scheme, Version } from './scheme.ts';
import { MAX_RANGE_LENGTH, MAX_VERSION_LENGTH, numberKey } from './sort-key.ts';

/** Missing parts count as 0 in the order: 3.1 and 3.1.0 are of equal precedence, but two texts. */
export const numericScheme: Scheme = { name: 'numeric', parse, compare, jump, range };

const MAX_PARTS = 6;
const VERSION = /^(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){0,5}$/;
const COMPARATOR = /(>=|<=|>|<|=|~|\^)?\s*([0-9x*][0-9x*.]*)(?=\s|$)\s*/y;

/** From `low` (inside) to `high` (outside; null: no end). Always six parts. */
interface Span {
  low: number[];
  high: number[] | null;
}

function parse(text: string): Version | undefined {
  const parts = read(text);
  if (parts === undefined) return undefined;
  return { text, prerelease: false, sortKey: pad(parts).map(numberKey).join('') };
}

function compare(a: string, b: string): number {
  return order(must(a), must(b));
}

/** The first part that differs: first → major, second → minor, any later → patch. */
function jump(from: string, to: string): Jump {
  const [a, b] = [must(from), must(to)];
  const sign = order(a, b);
  if (sign > 0) return 'downgrade';
  if (sign === 0) return 'none';
  const index = a.findIndex((part, at) => part !== b[at]);
  if (index === 0) return 'major';
  return index === 1 ? 'minor' : 'patch';
}

/**
 * Comparators joined by blanks (and) and `||` (or): `>=3.1 <4`, `>`, `<`, `<=`, `>=`, `=`, a bare version (equal in the
 * order, so `3.1` is 3.1.0 alone), `3.x` and `*`.
 * `~` holds the second part: `~3.1` = `>=3.1 <3.2`, `~3.1.2.5` = `>=3.1.2.5 <3.2`, `~3` = `>=3 <4`.
 * `^` holds the first part that is not 0, as npm does: `^3.1` = `>=3.1 <4`, `^0.3.1` = `>=0.3.1 <0.4`.
 */
function range(text: string): Range | undefined {
  if (text.length > MAX_RANGE_LENGTH) return undefined;
  const spans = text.split('||').map(readAlternative);
  if (spans.some((span) => span === undefined)) return undefined;
  const filled = (spans as Span[]).filter(({ low, high }) => high === null || order(low, high) < 0);
  if (filled.length === 0) return undefined;
  return {
    text,
    includes(version) {
      const parts = must(version);
      return filled.some(({ low, high }) => order(low, parts) <= 0 && (high === null || order(parts, high) < 0));
    },
  };
}

function readAlternative(text: string): Span | undefined {
  const source = text.trim();
  if (source === '') return undefined;
  const comparator = new RegExp(COMPARATOR);
  let whole: Span = { low: pad([]), high: null };
  while (comparator.lastIndex < source.length) {
    const match = comparator.exec(source);
    if (match === null) return undefined;
    const span = readComparator(match[1] ?? '', match[2] as string);
    if (span === undefined) return undefined;
    whole = intersect(whole, span);
  }
  return whole;
}

function readComparator(operator: string, text: string): Span | undefined {
  const fixed = text.replace(/(?:^|\.)[x*](?:\.[x*])*$/, '');
  const open = fixed !== text;
  const parts = fixed === '' ? [] : read(fixed);
  // `>3.x` and the like read differently to different people; only the forms that cannot be misread take an x.
  if (parts === undefined || (open && !['', '=', '~', '^'].includes(operator))) return undefined;
  if (open && text.split('.').length > MAX_PARTS) return undefined;
  const low = pad(parts);
  switch (operator) {
    case '>=':
      return { low, high: null };
    case '>':
      return { low: next(low, MAX_PARTS - 1), high: null };
    case '<':
      return { low: pad([]), high: low };
    case '<=':
      return { low: pad([]), high: next(low, MAX_PARTS - 1) };
    case '~':
      return { low, high: parts.length === 0 ? null : next(low, Math.min(1, parts.length - 1)) };
    case '^':
      return { low, high: parts.length === 0 ? null : next(low, caretIndex(parts)) };
    default: {
      const last = open ? parts.length - 1 : MAX_PARTS - 1;
      return { low, high: last < 0 ? null : next(low, last) };
    }
  }
}

function caretIndex(parts: readonly number[]): number {
  const index = parts.findIndex((part) => part > 0);
  return index === -1 ? parts.length - 1 : index;
}

/** The lowest version whose parts up to `index` are above these. */
function next(parts: readonly number[], index: number): number[] {
  return pad([...parts.slice(0, index), (parts[index] as number) + 1]);
}

function intersect(a: Span, b: Span): Span {
  const low = order(a.low, b.low) >= 0 ? a.low : b.low;
  if (a.high === null || b.high === null) return { low, high: a.high ?? b.high };
  return { low, high: order(a.high, b.high) <= 0 ? a.high : b.high };
}

function read(text: string): number[] | undefined {
  if (text.length > MAX_VERSION_LENGTH || !VERSION.test(text)) return undefined;
  const parts = text.split('.').map(Number);
  return parts.every(Number.isSafeInteger) ? parts : undefined;
}

function must(text: string): number[] {
  const parts = read(text);
  assert(parts !== undefined, `not a numeric version: ${JSON.stringify(text.slice(0, MAX_VERSION_LENGTH))}`);
  return pad(parts);
}

function pad(parts: readonly number[]): number[] {
  return Array.from({ length: MAX_PARTS }, (_, index) => parts[index] ?? 0);
}

/** Both padded. */
function order(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < MAX_PARTS; index += 1) {
    const difference = (a[index] as number) - (b[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
