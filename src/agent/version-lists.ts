// Two lists per product that outlive attempts: digests that were rolled back here, and versions proven here.
// Losing one makes the host more careful or lets the server try again; so damage reads as empty and is mended by use.
import { readIfThere, writeDurable } from './durable.ts';
import type { KnownGood } from './host.ts';
import type { Paths } from './paths.ts';

/** Newest last; older entries fall out. */
const MAX_ENTRIES = 200;

export function readSkipped(paths: Paths, product: string): string[] {
  return read(paths.skip, product).filter((digest) => typeof digest === 'string');
}

export function addSkipped(paths: Paths, product: string, digest: string): void {
  const skipped = readSkipped(paths, product);
  if (!skipped.includes(digest)) write(paths.skip, product, [...skipped, digest]);
}

/** A version that was proven after all need not be skipped. */
export function removeSkipped(paths: Paths, product: string, digest: string): void {
  const skipped = readSkipped(paths, product);
  if (skipped.includes(digest)) {
    write(
      paths.skip,
      product,
      skipped.filter((other) => other !== digest),
    );
  }
}

export function readKnownGood(paths: Paths, product: string): KnownGood[] {
  return read(paths.knownGood, product).filter(isKnownGood);
}

export function addKnownGood(paths: Paths, product: string, good: KnownGood): void {
  const known = readKnownGood(paths, product);
  if (known.some(({ version, digest }) => version === good.version && digest === good.digest)) return;
  write(paths.knownGood, product, [...known, good]);
}

function isKnownGood(value: unknown): value is KnownGood {
  const { version, digest } = (value ?? {}) as Partial<KnownGood>;
  return typeof version === 'string' && typeof digest === 'string';
}

function readAll(file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readIfThere(file) ?? '{}');
    return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function read(file: string, product: string): unknown[] {
  const all = readAll(file);
  const list = Object.hasOwn(all, product) ? all[product] : [];
  return Array.isArray(list) ? list : [];
}

function write(file: string, product: string, list: unknown[]): void {
  const entries = Object.entries(readAll(file)).filter(([name]) => name !== product);
  const all = Object.fromEntries([...entries, [product, list.slice(-MAX_ENTRIES)]]);
  writeDurable(file, `${JSON.stringify(all)}\n`);
}
