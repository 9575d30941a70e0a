// Where the CLI writes: its width, whether it is a terminal, and colour only where one is wanted.

export interface Terminal {
  /** Writes lines to standard output. */
  print(lines: readonly string[] | string): void;
  /** Writes to standard error. */
  warn(lines: readonly string[] | string): void;
  /** Writes to standard output as it is, without a line end. */
  write(text: string): void;
  /** Columns to fill at most. */
  width: number;
  /** Rows of the terminal; unlimited when it is none. */
  rows: number;
  isTerminal: boolean;
  paint(colour: Colour, text: string): string;
}

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim';

const CODES: Record<Colour, number> = { red: 31, green: 32, yellow: 33, cyan: 36, bold: 1, dim: 2 };
const DEFAULT_WIDTH = 80;
const LEAST_WIDTH = 40;
const MOST_WIDTH = 120;

export interface Out {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

export function createTerminal(out: Out, err: Out, noColor: boolean): Terminal {
  const isTerminal = out.isTTY === true;
  const colour = isTerminal && !noColor;
  const width = isTerminal ? Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, out.columns ?? DEFAULT_WIDTH)) : DEFAULT_WIDTH;
  return {
    print: (lines) => void out.write(text(lines)),
    warn: (lines) => void err.write(text(lines)),
    write: (raw) => void out.write(raw),
    width,
    rows: isTerminal ? (out.rows ?? 24) : Number.POSITIVE_INFINITY,
    isTerminal,
    paint: (name, painted) => (colour ? `\u001b[${CODES[name]}m${painted}\u001b[0m` : painted),
  };
}

function text(lines: readonly string[] | string): string {
  const list = typeof lines === 'string' ? [lines] : lines;
  return list.map((line) => `${line}\n`).join('');
}
