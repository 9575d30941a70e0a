// Collects everything that is wrong with a config, each with its place, so that a person mends it in one go.
import { type Document, isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml';
import { AppError } from '../errors.ts';
import { showHidden } from './hidden.ts';

/** From the root of the file, e.g. ['products', 0, 'accept']. */
export type Path = readonly (string | number)[];

export interface Report {
  /** Notes what is wrong at a path and how to mend it. Nothing is noted where something is wrong already. */
  add(path: Path, what: string, mend: string, on?: 'value' | 'key'): void;
  /** For what stands in the file without a path of its own. */
  addAt(offset: number, what: string, mend: string): void;
  /** For the value of an environment variable that replaces the one at `path`. */
  addEnv(path: Path, variable: string, what: string, mend: string): void;
  /** Marks a path as wrong without another line: something was said about it already. */
  spoil(path: Path): void;
  /** True when something is wrong at the path, above it or below it. */
  touches(path: Path): boolean;
  /** Line of the value at the path, from 1. */
  lineOf(path: Path): number;
  /** Throws `config_invalid` with all problems, in the order of the file, when there are any. */
  done(): void;
}

interface Problem {
  offset: number;
  text: string;
}

const MAX_SHOWN = 50;
/** More are not looked for: a file that is something else altogether would take minutes. */
const MAX_KEPT = 1000;

/** `file` is printed as given. */
export function createReport(file: string, document: Document, lines: LineCounter): Report {
  const problems: Problem[] = [];
  const spoilt: Path[] = [];

  function placed(offset: number, path: Path, what: string, mend: string): void {
    const { line, col } = lines.linePos(offset);
    const subject = path.length > 0 ? `${printPath(path)}: ` : '';
    problems.push({ offset, text: `${file}:${line}:${col}: ${showHidden(`${subject}${what}; ${mend}`)}` });
  }

  return {
    add(path, what, mend, on = 'value') {
      if (problems.length >= MAX_KEPT || spoilt.some((bad) => isPrefix(bad, path))) return;
      spoilt.push(path);
      placed(offsetOf(document, path, on), path, what, mend);
    },
    addAt(offset, what, mend) {
      if (problems.length < MAX_KEPT) placed(offset, [], what, mend);
    },
    addEnv(path, variable, what, mend) {
      spoilt.push(path);
      problems.push({ offset: -1, text: `environment ${variable}: ${what}; ${mend}` });
    },
    spoil: (path) => void spoilt.push(path),
    touches: (path) => spoilt.some((bad) => isPrefix(bad, path) || isPrefix(path, bad)),
    lineOf: (path) => lines.linePos(offsetOf(document, path, 'value')).line,
    done() {
      if (problems.length > 0) throw invalidConfig(file, problems);
    },
  };
}

function invalidConfig(file: string, problems: readonly Problem[]): AppError {
  const sorted = problems.toSorted((a, b) => a.offset - b.offset).map((problem) => problem.text);
  const least = sorted.length >= MAX_KEPT ? 'at least ' : '';
  const count = sorted.length === 1 ? '1 problem' : `${least}${sorted.length} problems`;
  const rest = sorted.length > MAX_SHOWN ? [`and ${sorted.length - MAX_SHOWN} more`] : [];
  const first = sorted[0] as string;
  return new AppError('config_invalid', [`${count} in ${file}:`, ...sorted.slice(0, MAX_SHOWN), ...rest].join('\n'), {
    where: first.startsWith(`${file}:`) ? first.slice(0, first.indexOf(': ')) : file,
  });
}

/** `products[0].accept`. */
export function printPath(path: Path): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('');
}

function isPrefix(shorter: Path, longer: Path): boolean {
  return shorter.length <= longer.length && shorter.every((part, index) => part === longer[index]);
}

/** Of the value (or its key) at the path, or of the nearest thing above that the file has. */
function offsetOf(document: Document, path: Path, on: 'value' | 'key'): number {
  let node: Node | null = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, part] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part);
      if (pair === undefined) return offset;
      const value = pair.value as Node | null;
      const key = startOf(pair.key as Node | null) ?? offset;
      const wantsKey = on === 'key' && depth === path.length - 1;
      // A value that is not there has a place behind its key, at the end of the line or later.
      const absent = value === null || (isScalar(value) && value.value === null);
      offset = wantsKey || absent ? key : (startOf(value) ?? key);
      node = value;
    } else if (isSeq(node) && typeof part === 'number') {
      node = (node.items[part] as Node | undefined) ?? null;
      offset = startOf(node) ?? offset;
    } else return offset;
  }
  return offset;
}

function startOf(node: Node | null): number | undefined {
  return node?.range?.[0];
}
