// The facts that the agent reports of its host: what the system says, how much disk is left, what the owner has declared.
import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, release, totalmem } from 'node:os';
import { readIfThere } from './durable.ts';
import type { MetadataService } from './metadata-service.ts';

/** A text, or a file whose first line it is. */
export type DeclaredFact = string | { file: string };

export interface FactSources {
  /** What is known of the agent itself. */
  own: Readonly<Record<string, string>>;
  /** By the owner; an owner's word comes before the system's. File paths are absolute. */
  declared: Readonly<Record<string, DeclaredFact>>;
  /** A directory of the file system that updates are written to. */
  dir: string;
  metadata: MetadataService | null;
}

/** As many as a check-in holds, and as long. */
const MAX_FACTS = 64;
const MAX_LENGTH = 256;

/** Reads what does not change once; what may change, each time that it is asked. */
export function createFacts(sources: FactSources): () => Record<string, string> {
  const system = { ...sources.own, ...systemFacts() };
  let freeBytes: number | undefined;
  return () => {
    freeBytes = settledSize(freeSpace(sources.dir), freeBytes);
    const facts = {
      ...system,
      ...(freeBytes === undefined ? {} : { 'disk.free': printSize(freeBytes) }),
      ...sources.metadata?.facts(),
      ...declaredFacts(sources.declared),
    };
    return Object.fromEntries(Object.entries(facts).slice(0, MAX_FACTS));
  };
}

function systemFacts(): Record<string, string> {
  const os = readOsRelease(readIfThere('/etc/os-release') ?? '');
  const libc = libcFacts();
  return {
    'os.platform': process.platform,
    'os.arch': process.arch,
    'node.version': process.version,
    os: os['ID'] ?? process.platform,
    ...(os['VERSION_ID'] === undefined ? {} : { 'os.version': factValue(os['VERSION_ID']) }),
    kernel: factValue(release()),
    cpus: String(availableParallelism()),
    memory: printSize(settledSize(totalmem(), undefined) ?? 0),
    ...libc,
  };
}

/** The keys of an os-release file (freedesktop.org: os-release), without quotes; lines that are none are left out. */
export function readOsRelease(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of text.split('\n').slice(0, 200)) {
    const match = /^([A-Z][A-Z0-9_]{0,63})=(?:"([^"]*)"|'([^']*)'|(\S*))\s*$/.exec(line);
    const value = match?.[2] ?? match?.[3] ?? match?.[4];
    if (match !== null && value !== undefined) found[match[1] as string] = factValue(value);
  }
  return found;
}

function libcFacts(): Record<string, string> {
  if (process.platform !== 'linux') return {};
  // Else it would look up the name of every peer that it is connected to.
  Object.assign(process.report, { excludeNetwork: true });
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: unknown } };
  const version = header?.glibcVersionRuntime;
  if (typeof version === 'string') return { libc: 'glibc', 'libc.version': factValue(version) };
  const isMusl = existsSync('/lib') && readdirSync('/lib').some((name) => name.startsWith('ld-musl-'));
  return isMusl ? { libc: 'musl' } : {};
}

function freeSpace(dir: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/**
 * Rounded down by at most an eighth, and as it was while little has changed: a fact that changed with every check-in
 * would cost the server a write each time. Bytes.
 */
export function settledSize(bytes: number | undefined, before: number | undefined): number | undefined {
  if (bytes === undefined) return undefined;
  if (before !== undefined && bytes >= before * 0.95 && bytes < before * 1.25) return before;
  if (bytes < 1024 ** 2) return 0;
  const unit = 2 ** (Math.floor(Math.log2(bytes)) - 3);
  return Math.floor(bytes / unit) * unit;
}

/** `15 GiB`, `1152 MiB`; whole numbers, rounded down. */
export function printSize(bytes: number): string {
  const gib = bytes / 1024 ** 3;
  return gib >= 1 && Number.isInteger(gib) ? `${gib} GiB` : `${Math.floor(bytes / 1024 ** 2)} MiB`;
}

/** A file that is not there, or holds nothing, is no fact. */
function declaredFacts(declared: FactSources['declared']): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, fact] of Object.entries(declared)) {
    const value = factValue(typeof fact === 'string' ? fact : firstLine(fact.file));
    if (value !== '') found[name] = value;
  }
  return found;
}

function firstLine(file: string): string {
  try {
    return (
      readFileSync(file, 'utf8')
        .slice(0, 4 * MAX_LENGTH)
        .split('\n', 1)[0] ?? ''
    ).trim();
  } catch {
    return '';
  }
}

/** One printable line. */
function factValue(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
    .slice(0, MAX_LENGTH)
    .toWellFormed();
}

/** What the owner has made a prerequisite, as one sentence when it is missing; undefined when all are there. */
export function missingOf(
  prerequisites: Readonly<Record<string, string>>,
  facts: Readonly<Record<string, string>>,
): string | undefined {
  for (const [name, wanted] of Object.entries(prerequisites)) {
    const found = Object.hasOwn(facts, name) ? facts[name] : undefined;
    if (found !== wanted) return `${name}: wanted ${wanted}, ${found === undefined ? 'not known' : `found ${found}`}`;
  }
  return undefined;
}
