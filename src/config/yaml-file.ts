// Reads a config file into YAML nodes and refuses the parts of YAML that make one text mean two things.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { type Document, isScalar, Lexer, LineCounter, type Node, parseDocument, visit, type YAMLMap } from 'yaml';
import { AppError } from '../errors.ts';
import { findHidden } from './hidden.ts';
import { createReport, type Report } from './report.ts';

const MAX_BYTES = 1_048_576;
/** A thousand regions and a thousand products have a quarter of it. The parser takes up to 50 µs for each. */
const MAX_TOKENS = 450_000;
const MAX_HIDDEN = 20;
/** One mistake in YAML makes the parser complain many times over: the first of a line, and the first few lines, say it. */
const MAX_SYNTAX_PROBLEMS = 5;

export interface YamlFile {
  root: Node | null;
  report: Report;
}

/**
 * YAML 1.2 core schema, one document of at most 1 MiB in UTF-8. Aliases, anchors, tags and directives are noted in the
 * report, as are keys that stand twice (the first counts), and escapes for characters that are not seen. Throws
 * `config_missing`, and `config_invalid` for what is not YAML, or has such characters itself.
 */
export function readYamlFile(file: string): YamlFile {
  const text = readText(file);
  refuseTooMuch(file, text);
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    // Duplicates are looked for below, to name both lines.
    uniqueKeys: false,
    // The pretty form quotes the file, and with it a secret that should not be there.
    prettyErrors: false,
    lineCounter: lines,
  });
  const report = createReport(file, document, lines);
  const hidden = findHidden(text, MAX_HIDDEN);
  for (const { offset, name } of hidden) {
    report.addAt(offset, `the character ${name} stands here, which is not seen and can hide or turn text`, 'remove it');
  }
  const byLine = Map.groupBy(document.errors, (error) => lines.linePos(error.pos[0]).line);
  for (const [error] of [...byLine.values()].slice(0, MAX_SYNTAX_PROBLEMS)) {
    if (error === undefined) continue;
    report.addAt(error.pos[0], describeSyntax(error.code, error.message), mendSyntax(error.message));
  }
  report.done();
  refuseSurprises(document, lines, report);
  return { root: document.contents, report };
}

function readText(file: string): string {
  const bytes = readBytes(file);
  if (bytes.length > MAX_BYTES) {
    const hint = 'Name the config; a thousand regions and products need half of that.';
    throw new AppError('config_invalid', `${file} is larger than 1 MiB`, { where: file, hint });
  }
  try {
    // A text of another width has zeros in it, or bytes that UTF-8 has not.
    if (bytes.includes(0)) throw new TypeError('there are NUL bytes in it');
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const hint = 'Save the file as UTF-8.';
    throw new AppError('config_invalid', `${file} is not UTF-8 text`, { where: file, cause: error, hint });
  }
}

/** At most one byte more than may be: some files say that they are empty and have no end. */
function readBytes(file: string): Buffer {
  let descriptor: number | undefined;
  try {
    // A named pipe without a writer would be waited for.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) {
      const hint = 'Name the file itself, not a directory, pipe or device.';
      throw new AppError('config_missing', `${file} is not a file`, { where: file, hint });
    }
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    let size = 0;
    for (let read = 1; read > 0 && size < bytes.length; size += read) {
      read = readSync(descriptor, bytes, size, bytes.length - size, null);
    }
    return bytes.subarray(0, size);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw unreadable(file, error as NodeJS.ErrnoException);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

const UNREADABLE: Record<string, { why: string; hint?: string }> = {
  ENOENT: { why: 'there is no such file' },
  EACCES: { why: 'this user may not read it', hint: 'Let the user that runs Tidegate read the file.' },
  ELOOP: { why: 'its links lead in a circle', hint: 'Make the link lead to the file.' },
};

function unreadable(file: string, cause: NodeJS.ErrnoException): AppError {
  const { why, hint } = UNREADABLE[cause.code ?? ''] ?? { why: cause.message };
  return new AppError('config_missing', `cannot read the config ${file}: ${why}`, {
    where: file,
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Before the parser spends its time: a megabyte of commas takes it most of a minute. */
function refuseTooMuch(file: string, text: string): void {
  let left = MAX_TOKENS;
  for (const _token of new Lexer().lex(text)) {
    left -= 1;
    if (left > 0) continue;
    const message = `${file} has more than ${MAX_TOKENS} words and signs`;
    throw new AppError('config_invalid', message, { where: file, hint: 'See that it is the config that you mean.' });
  }
}

function describeSyntax(code: string, message: string): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here';
  if (code === 'RESOURCE_EXHAUSTION') return 'nested too deeply';
  if (message.startsWith('The : indicator')) return 'a key is longer than 1024 characters';
  // What follows a colon quotes the file.
  return `not YAML: ${message.replace(/[:;] .*$/s, '')}`;
}

function mendSyntax(message: string): string {
  if (message.includes('alias') || message.includes('cannot start with'))
    return 'put a text that begins with * & ! % @ or ` in quotes';
  if (message.includes('Nested mappings')) return 'put a text that holds ": " in quotes';
  if (message.includes('multiple documents')) return 'one file holds one config: remove the line "---"';
  if (message.includes('Tabs')) return 'indent with blanks';
  return 'check indentation, quotes and brackets around this place';
}

function refuseSurprises(document: Document, lines: LineCounter, report: Report): void {
  if (document.directives?.yaml.explicit === true || document.warnings.some((one) => one.message.includes('directive')))
    report.addAt(0, 'YAML directives (%) are not read here', 'remove the lines that begin with %');
  visit(document, {
    Alias(_key, alias) {
      report.addAt(startOf(alias), 'aliases (*) are not read here', 'write the value out, or in quotes');
    },
    Value(_key, node) {
      if (node.anchor !== undefined)
        report.addAt(startOf(node), 'anchors (&) are not read here', 'write each value where it is used');
      if (node.tag !== undefined) report.addAt(startOf(node), 'tags (!) are not read here', 'remove the tag');
      refuseEscapes(node, report);
    },
    Map(_key, map) {
      refuseBadKeys(map, lines, report);
    },
  });
}

/** `"\\u202e"`: the file itself is free of such characters. */
function refuseEscapes(node: Node, report: Report): void {
  const [hidden] = isScalar(node) && typeof node.value === 'string' ? findHidden(node.value, 1) : [];
  if (hidden === undefined) return;
  const what = `this text has the character ${hidden.name}, which is not seen and can hide or turn text`;
  report.addAt(startOf(node), what, 'remove it');
}

function refuseBadKeys(map: YAMLMap, lines: LineCounter, report: Report): void {
  const seen = new Map<string, number>();
  for (const { key } of map.items) {
    const offset = startOf(key as Node | null);
    if (!isScalar(key)) {
      report.addAt(offset, 'a key must be a plain word', 'write `key: value`');
      continue;
    }
    const name = String(key.value);
    const { line } = lines.linePos(offset);
    const first = seen.get(name);
    if (first === undefined) seen.set(name, line);
    else
      report.addAt(offset, `the key "${name.slice(0, 64)}" stands twice, in lines ${first} and ${line}`, 'remove one');
  }
}

function startOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}
