// What happened, line by line: a running hash over all of it, and the last lines for whoever has to read a failure.
import { createHash } from 'node:crypto';

export interface Trace {
  /** `at`: milliseconds since the world began. */
  line(at: number, text: string): void;
  /** Of everything so far; 16 hex digits. */
  hash(): string;
  /** The last lines, oldest first. */
  tail(count: number): string[];
  readonly length: number;
}

const KEPT = 400;

export function createTrace(print?: (line: string) => void): Trace {
  const hash = createHash('sha256');
  const ring: string[] = [];
  let length = 0;
  return {
    line(at, text) {
      const line = `${clockOf(at)} ${text}`;
      hash.update(line).update('\n');
      ring[length % KEPT] = line;
      length += 1;
      print?.(line);
    },
    hash: () => hash.copy().digest('hex').slice(0, 16),
    tail(count) {
      const first = Math.max(0, length - Math.min(count, KEPT));
      return Array.from({ length: length - first }, (_, at) => ring[(first + at) % KEPT] as string);
    },
    get length() {
      return length;
    },
  };
}

/** `  3:07:12.250`: hours, minutes, seconds since the world began. */
function clockOf(ms: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const rest = String(Math.floor(ms % 1000)).padStart(3, '0');
  return `${String(Math.floor(ms / 3_600_000)).padStart(3)}:${two((ms / 60_000) % 60)}:${two((ms / 1000) % 60)}.${rest}`;
}
