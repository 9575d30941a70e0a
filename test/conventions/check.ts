// The checker behind conventions.test.ts: takes source files as values, returns every offence with file and line.
import { posix } from 'node:path';
import { maskSource } from './mask.ts';
import { isAllowedPackage, isBin, ROOMS, roomOf } from './rooms.ts';

export interface SourceFile {
  /** From the root of the repository, with slashes. */
  path: string;
  text: string;
}

interface Import {
  line: number;
  specifier: string;
  /** Path of the imported file; undefined for packages. */
  target: string | undefined;
}

const MAX_BIN_LINES = 40;

/** `path:line: what is wrong`, in the order of the files. Empty when all is well. */
export function findOffences(files: readonly SourceFile[]): string[] {
  return [...files.flatMap(checkFile), ...findRoomCycles(files)];
}

function checkFile(file: SourceFile): string[] {
  const code = maskSource(file.text);
  return [
    ...checkForm(file),
    ...checkImports(file, importsOf(file, code)),
    ...BANS.flatMap((ban) => (ban.applies(file.path) ? findAll(file.path, code, ban.pattern, ban.why) : [])),
  ];
}

function checkForm({ path, text }: SourceFile): string[] {
  const lines = text.trimEnd().split('\n');
  const first = lines[0]?.startsWith('#!') ? 1 : 0;
  const offences: string[] = [];
  if (!/^\/\/ \S/.test(lines[first] ?? '')) {
    offences.push(`${path}:${first + 1}: does not begin with a comment line that says what the file is for`);
  }
  if (/(?:^|\/)index\.[a-z]+$/.test(path)) offences.push(`${path}:1: a barrel: name the file after what it exports`);
  if (isBin(path) && lines.length > MAX_BIN_LINES) {
    offences.push(`${path}:${MAX_BIN_LINES + 1}: a bin has at most ${MAX_BIN_LINES} lines, this has ${lines.length}`);
  }
  return offences;
}

function checkImports({ path }: SourceFile, imports: readonly Import[]): string[] {
  const room = roomOf(path);
  const rule = room === undefined ? undefined : ROOMS[room];
  if (rule === undefined) return [`${path}:1: stands in no room of the table in test/conventions/rooms.ts`];
  return imports.flatMap(({ line, specifier, target }) => {
    if (specifier.startsWith('node:') && isPure(path)) return [`${path}:${line}: ${specifier} in a file that decides`];
    if (target === undefined) {
      return isAllowedPackage(rule, specifier) ? [] : [`${path}:${line}: ${room} may not import ${specifier}`];
    }
    const other = roomOf(target);
    if (other === room || rule.rooms.includes(other ?? '')) return [];
    return [`${path}:${line}: ${room} may not import from ${other ?? 'outside of the rooms'} (${specifier})`];
  });
}

/** Static, side-effect, re-exporting, dynamic and type imports alike. */
function importsOf({ path, text }: SourceFile, code: string): Import[] {
  return [...code.matchAll(/\b(?:from\s*|import\s*\(?\s*)(['"])/g)].map((match) => {
    const start = match.index + match[0].length;
    const specifier = text.slice(start, code.indexOf(match[1] as string, start));
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined;
    return { line: lineAt(code, match.index), specifier, target };
  });
}

interface Ban {
  applies(path: string): boolean;
  pattern: RegExp;
  why: string;
}

const BANS: readonly Ban[] = [
  ban(isPure, /\bDate\.now\b|\bnew Date\(\s*\)|(?<!new )\bDate\(\s*\)|\bTemporal\.Now\b/g, 'reads a clock: pass now'),
  ban(isPure, /\bperformance\s*\.\s*\w+/g, 'reads a clock: pass now'),
  ban(isPure, /\bMath\.random\b|\bcrypto\s*\.\s*\w+/g, 'is random: pass what is needed'),
  ban(isPure, /\bset(?:Timeout|Interval|Immediate)\b|\bfetch\(/g, 'acts: decide here, act elsewhere'),
  ban(isPure, /\basync\b|\bawait\b/g, 'waits: decide here, act elsewhere'),
  ban(isPure, /\bprocess\s*[.[]/g, 'looks at the process'),
  ban(
    mayNotReadEnv,
    // Handing the whole of it on to a child process is not reading it.
    /(?<!\.\.\.)\bprocess\s*\.\s*env\b|\bprocess\s*\[|=\s*process\s*;/g,
    'only src/config.ts and bins read the environment',
  ),
  ban(isAny, /\bexport\s+default\b|\bas\s+default\b/g, 'no default exports'),
  ban(isAny, /\bexport\s*\*/g, 'no barrels: export where it is declared'),
  ban(isAny, /\bimport\s*\(\s*[^'"\s]/g, 'an import whose target cannot be read here'),
];

function ban(applies: (path: string) => boolean, pattern: RegExp, why: string): Ban {
  return { applies, pattern, why };
}

function isAny(): boolean {
  return true;
}

/** The files that decide: domain, and the agent's machines. */
function isPure(path: string): boolean {
  return path.startsWith('src/domain/') || /^src\/agent\/(?:.*\/)?[^/]*machine\.ts$/.test(path);
}

function mayNotReadEnv(path: string): boolean {
  return !/^src\/(?:config\.ts|config\/.*|(?:server|agent|launcher|cli)\.ts)$/.test(path);
}

function findAll(path: string, code: string, pattern: RegExp, why: string): string[] {
  return [...code.matchAll(pattern)].map((match) => {
    return `${path}:${lineAt(code, match.index)}: ${match[0].replace(/\s+/g, ' ').trim()}: ${why}`;
  });
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

interface Edge {
  from: string;
  to: string;
  /** Where the first import of this edge stands. */
  where: string;
}

/** Every arrow that is part of a ring of rooms. */
function findRoomCycles(files: readonly SourceFile[]): string[] {
  const edges = new Map<string, Edge>();
  for (const file of files) {
    for (const { target, line } of importsOf(file, maskSource(file.text))) {
      const [from, to] = [roomOf(file.path), target === undefined ? undefined : roomOf(target)];
      if (from === undefined || to === undefined || from === to || edges.has(`${from} ${to}`)) continue;
      edges.set(`${from} ${to}`, { from, to, where: `${file.path}:${line}` });
    }
  }
  const all = [...edges.values()];
  return all
    .filter(({ from, to }) => reaches(all, to, from))
    .map(({ from, to, where }) => `${where}: ${from} imports from ${to}, which leads back to ${from}`);
}

function reaches(edges: readonly Edge[], from: string, to: string): boolean {
  const seen = new Set([from]);
  // A set yields what is added while it is walked.
  for (const room of seen) {
    for (const edge of edges) if (edge.from === room) seen.add(edge.to);
  }
  return seen.has(to);
}
