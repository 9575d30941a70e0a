// Text for terminals: what others wrote made harmless, durations and ages for people, tables and paragraphs in a width.
import { stripVTControlCharacters } from 'node:util';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const UNPRINTABLE = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/gu;

/** One line without terminal escapes, control characters and marks that turn the direction of writing. */
export function clean(text: string): string {
  return stripVTControlCharacters(text).replace(UNPRINTABLE, ' ').trim();
}

/** Two units at most: `45s`, `2m 5s`, `3h 20m`, `12d 4h`. */
export function duration(ms: number): string {
  const whole = Math.max(0, Math.round(ms / SECOND)) * SECOND;
  if (whole < MINUTE) return `${whole / SECOND}s`;
  if (whole < HOUR) return pair(whole, MINUTE, 'm', SECOND, 's');
  if (whole < DAY) return pair(whole, HOUR, 'h', MINUTE, 'm');
  return pair(whole, DAY, 'd', HOUR, 'h');
}

function pair(ms: number, big: number, bigName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % big) / small);
  return rest === 0 ? `${Math.floor(ms / big)}${bigName}` : `${Math.floor(ms / big)}${bigName} ${rest}${smallName}`;
}

/** `12s ago`, `now`, `in 5m`; `never` for null. */
export function age(then: number | null, now: number): string {
  if (then === null) return 'never';
  const ms = now - then;
  if (Math.abs(ms) < SECOND) return 'now';
  return ms > 0 ? `${duration(ms)} ago` : `in ${duration(-ms)}`;
}

/** `since 25s`: what has been going on so long. */
export function since(then: number, now: number): string {
  return `since ${duration(now - then)}`;
}

/** `2026-01-05 12:00:00Z`. */
export function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `1 agent`, `2 agents`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Accepts what `duration` prints in one unit: `90s`, `30m`, `24h`, `7d`. Milliseconds; undefined for anything else. */
export function readDuration(text: string): number | undefined {
  const match = /^([1-9]\d{0,6})(s|m|h|d)$/.exec(text);
  if (match === null) return undefined;
  const unit = { s: SECOND, m: MINUTE, h: HOUR, d: DAY }[match[2] as 's' | 'm' | 'h' | 'd'];
  return Number(match[1]) * unit;
}

/** The state of a lane in words that follow “is”. */
export function stateWords(state: string): string {
  return state === 'approval' ? 'waiting for approval' : state.replaceAll('_', ' ');
}

/** As a shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** `[####----]`, so many of `whole`; empty for nothing of nothing. */
export function bar(part: number, whole: number, width = 10): string {
  const filled = whole <= 0 ? 0 : Math.min(width, Math.floor((part / whole) * width));
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}]`;
}

/** Columns that the text takes on a terminal. */
export function columns(text: string): number {
  let width = 0;
  for (const char of text) width += columnsOf(char);
  return width;
}

// Wide by Unicode's East Asian Width (UAX #11) in the ranges that occur, and pictographs.
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

function columnsOf(char: string): number {
  if (char < '\u0300') return 1;
  if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(char)) return 0;
  return WIDE.test(char) ? 2 : 1;
}

/** Cut to so many columns; what was cut shows as `...`. */
export function fit(text: string, width: number): string {
  if (columns(text) <= width) return text;
  const dots = '.'.repeat(Math.min(3, Math.max(0, width)));
  let kept = '';
  let used = dots.length;
  for (const char of text) {
    used += columnsOf(char);
    if (used > width) break;
    kept += char;
  }
  return kept + dots;
}

/** Words in lines of at most `width` columns, later lines indented; a longer word is cut into pieces. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of clean(text).split(/\s+/)) {
    for (const piece of pieces(word, Math.max(8, width - columns(indent)))) {
      if (line.trim() !== '' && columns(line) + 1 + columns(piece) > width) {
        lines.push(line);
        line = indent + piece;
      } else {
        line = line.trim() === '' ? line + piece : `${line} ${piece}`;
      }
    }
  }
  return [...lines, line];
}

function pieces(word: string, width: number): string[] {
  const result: string[] = [];
  let piece = '';
  for (const char of word) {
    if (columns(piece) + columnsOf(char) > width) {
      result.push(piece);
      piece = '';
    }
    piece += char;
  }
  return [...result, piece];
}

/**
 * Left-aligned columns with two spaces between, the last one cut where the line ends. When the others alone are too wide,
 * the widest gives way.
 */
export function table(rows: readonly (readonly string[])[], width: number, indent = '  '): string[] {
  const cells = rows.map((row) => row.map(clean));
  const size = Math.max(0, ...cells.map((row) => row.length));
  const widths = Array.from({ length: size }, (_, index) =>
    Math.max(0, ...cells.map((row) => columns(row[index] ?? ''))),
  );
  shrink(widths, width - columns(indent) - 2 * Math.max(0, size - 1));
  return cells.map((row) => {
    const padded = row.map((cell, index) => pad(fit(cell, widths[index] ?? 0), widths[index] ?? 0));
    return `${indent}${padded.join('  ')}`.trimEnd();
  });
}

const LEAST_COLUMN = 6;

function shrink(widths: number[], room: number): void {
  let over = widths.reduce((sum, one) => sum + one, 0) - room;
  const last = widths.length - 1;
  if (over > 0 && last >= 0) {
    const given = Math.min(over, Math.max(0, (widths[last] ?? 0) - 3 * LEAST_COLUMN));
    widths[last] = (widths[last] ?? 0) - given;
    over -= given;
  }
  while (over > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= LEAST_COLUMN) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over -= 1;
  }
}

export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - columns(text)));
}

/** JSON for people and pipes; characters that a terminal would act on are escaped. */
export function json(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return text.replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
