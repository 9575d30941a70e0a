// A sealed version directory: the files of one verified artifact and `.sealed`, written last, which says what they are.
// Shared by agent and launcher; only node:*.
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, lstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { syncDirectory, writeDurable } from './durable.ts';
import { ENTRY, SEAL_FILE } from './paths.ts';

export interface SealedFile {
  /** Relative, with `/`. */
  path: string;
  size: number;
  sha256: string;
}

export interface Seal {
  product: string;
  version: string;
  /** Of the artifact that the files come from. */
  digest: string;
  platform: string;
  files: SealedFile[];
}

/** Undefined when the directory is not sealed or the seal cannot be read. */
export function readSeal(dir: string): Seal | undefined {
  try {
    const value = JSON.parse(readFileSync(join(dir, SEAL_FILE), 'utf8')) as Partial<Seal>;
    const texts = [value.product, value.version, value.digest, value.platform];
    if (!texts.every((text) => typeof text === 'string') || !Array.isArray(value.files)) return undefined;
    return value.files.every(isSealedFile) ? (value as Seal) : undefined;
  } catch {
    return undefined;
  }
}

/** True when the entry that is about to be started is the sealed one. Cheap: hashes one file. */
export function isEntrySound(dir: string): boolean {
  const entry = readSeal(dir)?.files.find((file) => file.path === ENTRY);
  return entry !== undefined && findFault(dir, [entry]) === undefined;
}

/** Hashes every file again and looks for files that do not belong; undefined when all is as sealed, else one sentence. */
export function faultOfSealed(dir: string): string | undefined {
  const seal = readSeal(dir);
  if (seal === undefined) return 'the directory is not sealed';
  const expected = new Set([SEAL_FILE, ...seal.files.map((file) => file.path)]);
  const stranger = listFiles(dir).find((path) => !expected.has(path));
  if (stranger !== undefined) return `${stranger} does not belong to the artifact`;
  return findFault(dir, seal.files);
}

/** Makes the files durable, then writes the seal; after a crash in between the directory is garbage, not a version. */
export function sealDirectory(dir: string, seal: Seal): void {
  const directories = new Set([dir]);
  for (const file of seal.files) {
    syncFile(join(dir, file.path));
    const parts = file.path.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth += 1) directories.add(join(dir, ...parts.slice(0, depth)));
  }
  for (const directory of directories) syncDirectory(directory);
  writeDurable(join(dir, SEAL_FILE), `${JSON.stringify(seal)}\n`);
}

function isSealedFile(file: unknown): file is SealedFile {
  const { path, size, sha256 } = (file ?? {}) as Partial<SealedFile>;
  return typeof path === 'string' && Number.isSafeInteger(size) && typeof sha256 === 'string';
}

function findFault(dir: string, files: readonly SealedFile[]): string | undefined {
  for (const file of files) {
    try {
      const stat = lstatSync(join(dir, file.path));
      if (!stat.isFile() || stat.size !== file.size) return `${file.path} is not the file that was sealed`;
      if (hashFile(join(dir, file.path)) !== file.sha256) return `${file.path} has changed since it was sealed`;
    } catch (error) {
      return `${file.path} cannot be read: ${(error as NodeJS.ErrnoException).code}`;
    }
  }
  return undefined;
}

function listFiles(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

function hashFile(path: string): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(262_144);
  const fd = openSync(path, 'r');
  try {
    for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer)) hash.update(buffer.subarray(0, read));
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}

function syncFile(path: string): void {
  const fd = openSync(path, 'r+');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
