// Rows of short cells with a text behind them, which is never cut: it goes on in its own column, or below the row.
import { columns, pad, table, wrap } from './render.ts';

/** Less room than this is too little for a sentence: it stands below. */
const LEAST_ROOM = 24;

export interface TextRow {
  cells: readonly string[];
  /** Empty: nothing. */
  text: string;
}

/** The lines of each row; none is wider than `width` columns. */
export function textRows(rows: readonly TextRow[], width: number, indent = '  '): string[][] {
  const heads = table(
    rows.map((row) => row.cells),
    width,
    indent,
  );
  const widest = Math.max(0, ...heads.map(columns));
  const room = width - widest - 2;
  return rows.map(({ text }, index) => {
    const head = heads[index] ?? '';
    if (text === '') return [head];
    if (room < LEAST_ROOM) {
      const below = `${indent}  `;
      return [head, ...wrap(text, width - below.length).map((line) => below + line)];
    }
    const [first = '', ...more] = wrap(text, room);
    return [`${pad(head, widest)}  ${first}`, ...more.map((line) => ' '.repeat(widest + 2) + line)];
  });
}
