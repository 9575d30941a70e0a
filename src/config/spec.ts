// Small typed readers for YAML nodes, from which the table of all keys is put together; each also says its JSON schema.
import { isAlias, isMap, isScalar, isSeq, type Node } from 'yaml';
import type { Path, Report } from './report.ts';
import { didYouMean } from './suggest.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Spec<T> {
  /** Stands in for a refused value, so that the other checks can go on. */
  blank: T;
  schema: JsonSchema;
  /** Notes what is wrong and returns `blank` then. */
  read(node: Node | null, path: Path, report: Report): T;
}

export interface Key<T> {
  spec: Spec<T>;
  required: boolean;
  /** Of a key that is not there, or has no value. */
  fallback: T;
  note: string;
}

type Keys = Record<string, Key<unknown>>;
type Values<S extends Keys> = { [K in keyof S]: S[K] extends Key<infer T> ? T : never };

export function required<T>(spec: Spec<T>, note: string): Key<T> {
  return { spec, required: true, fallback: spec.blank, note };
}

/** A key without a value counts as not there. */
export function optional<T, F extends T | null>(spec: Spec<T>, fallback: F, note: string): Key<T | F> {
  return { spec, required: false, fallback, note };
}

/** A map with these keys and no others. */
export function object<S extends Keys>(keys: S): Spec<Values<S>> {
  const entries = Object.entries(keys);
  return {
    blank: Object.fromEntries(entries.map(([name, key]) => [name, key.fallback])) as Values<S>,
    schema: {
      type: 'object',
      additionalProperties: false,
      required: entries.filter(([, key]) => key.required).map(([name]) => name),
      properties: Object.fromEntries(
        entries.map(([name, key]) => [name, { description: key.note, ...key.spec.schema }]),
      ),
    },
    read(node, path, report) {
      if (!isMap(node)) return refuse(this.blank, node, path, report, 'a map', `write keys: ${list(keys)}`);
      const values = readPairs(node.items, path, report, keys);
      return Object.fromEntries(
        entries.map(([name, key]) => {
          const value = values.get(name);
          const absent = value === undefined || isNothing(value);
          if (!absent || (key.required && value !== undefined)) {
            return [name, key.spec.read(value, [...path, name], report)];
          }
          if (key.required) report.add([...path, name], 'this key is missing', `add it: ${key.note}`);
          return [name, key.fallback];
        }),
      ) as Values<S>;
    },
  };
}

type Items = readonly { key: unknown; value: unknown }[];

/** The first value of each known key; says which keys are unknown. */
function readPairs(items: Items, path: Path, report: Report, keys: Keys): Map<string, Node | null> {
  const values = new Map<string, Node | null>();
  for (const { key, value } of items) {
    if (!isScalar(key)) continue;
    const name = String(key.value);
    if (!Object.hasOwn(keys, name)) {
      report.add([...path, name.slice(0, 64)], 'unknown key', didYouMean(name, Object.keys(keys)), 'key');
    } else if (!values.has(name)) values.set(name, value as Node | null);
  }
  return values;
}

/** A map from names to values of one kind. */
export function record<T>(name: Textual<string>, spec: Spec<T>, max: number): Spec<Record<string, T>> {
  return {
    blank: {},
    schema: {
      type: 'object',
      propertyNames: name.schema,
      additionalProperties: spec.schema,
      maxProperties: max,
    },
    read(node, path, report) {
      if (!isMap(node)) return refuse({}, node, path, report, 'a map from names', 'write `name: value`');
      if (node.items.length > max) report.add(path, `more than ${max} entries`, 'remove some');
      const values = new Map<string, T>();
      for (const { key, value } of node.items) {
        if (!isScalar(key) || values.has(String(key.value))) continue;
        const text = String(key.value);
        const parsed = name.parse(text);
        if (parsed.ok) values.set(text, spec.read(value as Node | null, [...path, text], report));
        else report.add([...path, text], `expected ${name.expected}, got ${quote(text)}`, parsed.mend, 'key');
      }
      return Object.fromEntries(values);
    },
  };
}

export function listOf<T>(spec: Spec<T>, what: string, bounds: { min: number; max: number }): Spec<T[]> {
  return {
    blank: [],
    schema: { type: 'array', items: spec.schema, minItems: bounds.min, maxItems: bounds.max },
    read(node, path, report) {
      if (!isSeq(node)) return refuse([], node, path, report, `a list of ${what}`, 'begin each entry with "- "');
      const { length } = node.items;
      if (length < bounds.min) report.add(path, `the list of ${what} is empty`, `add at least ${bounds.min}`);
      if (length > bounds.max) report.add(path, `more than ${bounds.max} ${what}`, 'remove some');
      return node.items.slice(0, bounds.max).map((item, index) => spec.read(item as Node, [...path, index], report));
    },
  };
}

export function integer(min: number, max: number): Spec<number> {
  return {
    blank: min,
    schema: { type: 'integer', minimum: min, maximum: max },
    read(node, path, report) {
      if (isScalar(node) && Number.isSafeInteger(node.value)) {
        const value = node.value as number;
        if (value >= min && value <= max) return value;
      }
      return refuse(min, node, path, report, `a whole number from ${min} to ${max}`, `write e.g. ${min}`);
    },
  };
}

export const boolean = flag('true or false', 'write true or false, without quotes');

/** True or false, where more may be meant than the two words. */
export function flag(expected: string, mend: string): Spec<boolean> {
  return {
    blank: false,
    schema: { type: 'boolean' },
    read(node, path, report) {
      if (isScalar(node) && typeof node.value === 'boolean') return node.value;
      return refuse(false, node, path, report, expected, mend);
    },
  };
}

/** One value, or a map or list in its place. */
export function either<A, B>(one: Spec<A>, several: Spec<B>): Spec<A | B> {
  return {
    blank: one.blank,
    schema: { anyOf: [one.schema, several.schema] },
    read: (node, path, report) => (isMap(node) || isSeq(node) ? several : one).read(node, path, report),
  };
}

/** A map of one of two shapes: of the other one where it has the key. */
export function unlessKey<A, B>(key: string, usual: Spec<A>, other: Spec<B>): Spec<A | B> {
  return {
    blank: usual.blank,
    schema: { anyOf: [usual.schema, other.schema] },
    read: (node, path, report) => (isMap(node) && node.has(key) ? other : usual).read(node, path, report),
  };
}

/** `what` replaces the usual "expected …, got …". */
export type Parsed<T> = { ok: true; value: T } | { ok: false; what?: string; mend: string };

export interface Textual<T> extends Spec<T> {
  /** Half a sentence: "a duration". */
  expected: string;
  parse(text: string): Parsed<T>;
}

interface TextRule<T> {
  expected: string;
  example: string;
  blank: T;
  schema?: JsonSchema;
  /** What is written there is never printed. */
  secret?: boolean;
  parse(text: string): Parsed<T>;
}

/** A text that `parse` reads. */
export function textual<T>(rule: TextRule<T>): Textual<T> {
  const mendType = `write e.g. ${rule.example}`;
  return {
    blank: rule.blank,
    expected: rule.expected,
    schema: { type: 'string', ...rule.schema },
    parse: rule.parse,
    read(node, path, report) {
      if (!isScalar(node) || typeof node.value !== 'string') {
        if (rule.secret === true && isScalar(node) && !isNothing(node)) {
          report.add(path, `expected ${rule.expected}, got something else (not shown)`, mendType);
          return rule.blank;
        }
        return refuse(rule.blank, node, path, report, rule.expected, mendUnquoted(node, rule) ?? mendType);
      }
      const parsed = rule.parse(node.value);
      if (parsed.ok) return parsed.value;
      const got = rule.secret === true ? 'something else (not shown)' : quote(node.value);
      report.add(path, parsed.what ?? `expected ${rule.expected}, got ${got}`, parsed.mend);
      return rule.blank;
    },
  };
}

/** A number such as 1.10 would lose its last digit: it must be quoted to be a text. */
function mendUnquoted(node: Node | null, rule: TextRule<unknown>): string | undefined {
  if (!isScalar(node) || node.source === undefined || isNothing(node)) return undefined;
  return rule.parse(node.source).ok ? `put it in quotes: "${node.source.slice(0, 40)}"` : undefined;
}

export function oneOf<const T extends string>(values: readonly T[]): Textual<T> {
  const expected = `one of ${values.join(', ')}`;
  return textual<T>({
    expected,
    example: values[0] as T,
    blank: values[0] as T,
    schema: { enum: values },
    parse(text) {
      const value = values.find((one) => one === text);
      return value === undefined ? { ok: false, mend: didYouMean(text, values) } : { ok: true, value };
    },
  });
}

/** Text of one pattern; both bounds are part of it. */
export function pattern(rule: { expected: string; example: string; pattern: string }): Textual<string> {
  const regex = new RegExp(rule.pattern);
  return textual<string>({
    expected: rule.expected,
    example: rule.example,
    blank: '',
    schema: { pattern: rule.pattern },
    parse: (text) => (regex.test(text) ? { ok: true, value: text } : { ok: false, mend: `write e.g. ${rule.example}` }),
  });
}

function refuse<T>(blank: T, node: Node | null, path: Path, report: Report, expected: string, mend: string): T {
  // An alias was named already, when the file was read.
  if (isAlias(node)) report.spoil(path);
  else report.add(path, `expected ${expected}, got ${describe(node)}`, mend);
  return blank;
}

function describe(node: Node | null): string {
  if (isMap(node)) return 'a map';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node) || isNothing(node)) return 'nothing';
  if (typeof node.value === 'string') return `the text ${quote(node.value)}`;
  return `${typeof node.value === 'number' ? 'the number ' : ''}${(node.source ?? String(node.value)).slice(0, 40)}`;
}

export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function isNothing(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

function list(keys: Keys): string {
  return Object.keys(keys).join(', ');
}
