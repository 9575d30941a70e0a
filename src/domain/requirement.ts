// What a release requires of a host, by the facts that its agent reports: versions, sizes and texts compared as a person would.
import type { SchemeName } from './version/scheme.ts';
import { schemeOf } from './version/schemes.ts';

/** `atLeast`, `atMost`: numbers, versions or sizes; `equals`, `oneOf`: texts. */
export type RequirementRule = 'atLeast' | 'atMost' | 'equals' | 'oneOf';

export interface Requirement {
  /** Range of the product's scheme that the release is in; null: every version. */
  versions: string | null;
  /** Name of the fact, e.g. `kernel`. */
  fact: string;
  rule: RequirementRule;
  /** One, except for `oneOf`. */
  wanted: readonly string[];
  /** Why, in the owner's words; null: not said. */
  reason: string | null;
}

export type Facts = Readonly<Record<string, string>>;

/** Those that a release of this version has to meet. */
export function requirementsFor(
  requirements: readonly Requirement[],
  scheme: SchemeName,
  version: string,
): Requirement[] {
  return requirements.filter(({ versions }) => versions === null || inRange(scheme, versions, version));
}

/**
 * The first that the host does not meet, as one sentence that names fact, wanted and found; undefined when it meets all.
 * `facts`: null when the agent has not reported any yet.
 */
export function unmetOf(requirements: readonly Requirement[], facts: Facts | null): string | undefined {
  for (const requirement of requirements) {
    const found = facts !== null && Object.hasOwn(facts, requirement.fact) ? facts[requirement.fact] : undefined;
    if (found !== undefined && found !== '' && isMet(requirement, found)) continue;
    const what = found === undefined || found === '' ? 'not reported' : `found ${shown(found)}`;
    const why = requirement.reason === null ? '' : ` (${requirement.reason})`;
    return `${requirement.fact}: wanted ${wantedOf(requirement)}, ${what}${why}`;
  }
  return undefined;
}

/** `at least 5.10`, `debian or ubuntu`. */
export function wantedOf({ rule, wanted }: Pick<Requirement, 'rule' | 'wanted'>): string {
  if (rule === 'atLeast') return `at least ${wanted[0]}`;
  if (rule === 'atMost') return `at most ${wanted[0]}`;
  return wanted.join(' or ');
}

/** `2 Gibibyte` and `16 gigs`: begins like a number, and would be compared as one with no fact that is a size. */
export function hasUnknownUnit(text: string): boolean {
  return /^\s*\d+(\.\d+)?\s+[A-Za-z]+\s*$/.test(text) && readSize(text) === undefined;
}

/** Whether `atLeast` and `atMost` can be asked of it: a number, dotted numbers, or a size. */
export function isComparable(text: string): boolean {
  return readSize(text) !== undefined || readNumbers(text) !== undefined;
}

/** True when no value of the fact meets both: who must meet both is stranded. */
export function exclude(a: Requirement, b: Requirement): boolean {
  if (a.fact !== b.fact) return false;
  if (isText(a)) return !a.wanted.some((value) => isMet(b, value));
  if (isText(b)) return !b.wanted.some((value) => isMet(a, value));
  if (a.rule === b.rule) return false;
  const [low, high] = a.rule === 'atLeast' ? [a, b] : [b, a];
  const order = compareFacts(low.wanted[0] as string, high.wanted[0] as string);
  return order === undefined || order > 0;
}

function isText({ rule }: Requirement): boolean {
  return rule === 'equals' || rule === 'oneOf';
}

function isMet({ rule, wanted }: Requirement, found: string): boolean {
  if (rule === 'equals' || rule === 'oneOf') return wanted.includes(found);
  const order = compareFacts(found, wanted[0] as string);
  if (order === undefined) return false;
  return rule === 'atLeast' ? order >= 0 : order <= 0;
}

/**
 * Sizes by their bytes where both are sizes, else by the numbers that the texts begin with, as far as the wanted one says:
 * `5.10.0-21-amd64` is at least and at most 5.10. Undefined where one of them is neither.
 */
function compareFacts(found: string, wanted: string): number | undefined {
  const sizes = [readSize(found), readSize(wanted)] as const;
  if (sizes[0] !== undefined && sizes[1] !== undefined) return sizes[0] - sizes[1];
  const [a, b] = [readNumbers(found), readNumbers(wanted)];
  // A size and a bare number are not of one kind: 10 GiB is no 10.
  if (a === undefined || b === undefined || sizes[0] !== undefined || sizes[1] !== undefined) return undefined;
  for (const [index, part] of b.entries()) {
    const order = (a[index] ?? 0) - part;
    if (order !== 0) return order;
  }
  return 0;
}

const UNITS: Record<string, number> = {
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** Bytes of `10 GiB`, `512MiB`, `1.5 GB`; undefined for what has no unit. */
function readSize(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,6})?) ?([kKMGT]?i?B)$/.exec(text);
  const unit = UNITS[match?.[2] ?? ''];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** The numbers that it begins with: those of `5.10.0-21-amd64` are 5, 10 and 0. */
function readNumbers(text: string): number[] | undefined {
  const match = /^v?(\d{1,12}(?:\.\d{1,12}){0,7})(?!\.?\d)/.exec(text);
  return match?.[1]?.split('.').map(Number);
}

function inRange(scheme: SchemeName, text: string, version: string): boolean {
  return schemeOf(scheme).range(text)?.includes(version) === true;
}

const MAX_SHOWN = 80;

/** Hosts write facts as they like; this goes into one line for people. */
function shown(value: string): string {
  const line = value.replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ');
  return line.length <= MAX_SHOWN ? line : `${line.slice(0, MAX_SHOWN - 1).toWellFormed()}…`;
}
