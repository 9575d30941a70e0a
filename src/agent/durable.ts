// Writes that survive a power cut: temporary file, fsync, rename, fsync of the directory. Only node:fs.
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Replaces the file as a whole: after a crash it holds the old bytes or the new ones. */
export function writeDurable(path: string, text: string, mode = 0o644): void {
  const temporary = join(dirname(path), `.${basename(path)}.tmp`);
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', mode);
  try {
    const bytes = Buffer.from(text);
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameDurable(temporary, path);
}

export function renameDurable(from: string, to: string): void {
  renameSync(from, to);
  syncDirectory(dirname(to));
}

/** Points the link at `target` (relative to the link's directory); it is never absent in between. */
export function linkDurable(path: string, target: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.tmp`);
  rmSync(temporary, { force: true });
  symlinkSync(target, temporary);
  renameDurable(temporary, path);
}

export function removeDurable(path: string): void {
  rmSync(path, { recursive: true, force: true });
  syncDirectory(dirname(path));
}

export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Undefined when the file is not there; other failures throw. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What the link says; undefined when there is no link. */
export function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
