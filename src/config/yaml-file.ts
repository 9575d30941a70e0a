// Reads a config file into YAML nodes and refuses the parts of YAML that make one text mean two things.
import { readFileSync, statSync } from 'node:fs';
import { type Document, isScalar, LineCounter, type Node, parseDocument, visit, type YAMLMap } from 'yaml';
import { AppError } from '../errors.ts';
import { createReport, type Report } from './report.ts';

const MAX_BYTES = 1_048_576;
/** One mistake in YAML makes the parser complain many times over: the first of a line, and the first few lines, say it. */
const MAX_SYNTAX_PROBLEMS = 5;

export interface YamlFile {
  root: Node | null;
  report: Report;
}

/**
 * YAML 1.2 core schema, one document of at most 1 MiB. Aliases, anchors, tags and directives are noted in the report,
 * as are keys that stand twice (the first counts). Throws `config_missing`, and `config_invalid` for what is not YAML.
 */
export function readYamlFile(file: string): YamlFile {
  const text = readText(file);
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
  try {
    const stat = statSync(file);
    if (!stat.isFile()) throw new AppError('config_missing', `${file} is not a file`, { where: file });
    if (stat.size > MAX_BYTES) throw tooLarge(file);
    const bytes = readFileSync(file);
    if (bytes.length > MAX_BYTES) throw tooLarge(file);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (error instanceof TypeError) {
      throw new AppError('config_invalid', `${file} is not UTF-8 text`, { where: file, cause: error });
    }
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? 'there is no such file' : (error as Error).message;
    throw new AppError('config_missing', `cannot read the config ${file}: ${why}`, { where: file, cause: error });
  }
}

function tooLarge(file: string): AppError {
  return new AppError('config_invalid', `${file} is larger than 1 MiB`, { where: file });
}

function describeSyntax(code: string, message: string): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here';
  if (code === 'RESOURCE_EXHAUSTION') return 'nested too deeply';
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
    },
    Map(_key, map) {
      refuseBadKeys(map, lines, report);
    },
  });
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
