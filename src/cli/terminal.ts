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
  /** True where the cursor can be moved: a terminal that is not a dumb one. */
  canDraw: boolean;
  /** Columns and rows as they are now, without the bounds of `width`. */
  size(): Size;
  /** Calls back when the size has changed, until what is returned is called. */
  onResize(listener: () => void): () => void;
  paint(colour: Colour, text: string): string;
}

export interface Size {
  width: number;
  rows: number;
}

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim';

const CODES: Record<Colour, number> = { red: 31, green: 32, yellow: 33, cyan: 36, bold: 1, dim: 2 };
const DEFAULT_WIDTH = 80;
const DEFAULT_ROWS = 24;
const LEAST_WIDTH = 40;
const MOST_WIDTH = 120;

export interface Out {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
  on?(event: 'resize', listener: () => void): unknown;
  off?(event: 'resize', listener: () => void): unknown;
}

/** `dumb`: the terminal only takes lines one below the other. */
export function createTerminal(out: Out, err: Out, noColor: boolean, dumb = false): Terminal {
  const isTerminal = out.isTTY === true;
  const colour = isTerminal && !noColor && !dumb;
  const width = isTerminal ? Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, out.columns ?? DEFAULT_WIDTH)) : DEFAULT_WIDTH;
  return {
    print: (lines) => void out.write(text(lines)),
    warn: (lines) => void err.write(text(lines)),
    write: (raw) => void out.write(raw),
    width,
    rows: isTerminal ? (out.rows ?? 24) : Number.POSITIVE_INFINITY,
    isTerminal,
    canDraw: isTerminal && !dumb,
    // A terminal that does not know its size says 0.
    size: () => ({ width: out.columns || DEFAULT_WIDTH, rows: out.rows || DEFAULT_ROWS }),
    onResize(listener) {
      out.on?.('resize', listener);
      return () => void out.off?.('resize', listener);
    },
    paint: (name, painted) => (colour ? `\u001b[${CODES[name]}m${painted}\u001b[0m` : painted),
  };
}

function text(lines: readonly string[] | string): string {
  const list = typeof lines === 'string' ? [lines] : lines;
  return list.map((line) => `${line}\n`).join('');
}
