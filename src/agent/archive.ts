// Reads an artifact (tar.gz): a list pass and a write pass with the same code, so that they cannot see different things.
// One violation refuses the whole archive; the bytes as such have been checked by digest before.
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline, type Readable, Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { AppError } from '../errors.ts';
import { parseJson } from '../protocol/json.ts';
import { checkEntry, faultOfPath, foldPath, MAX_ENTRIES, type PlainEntry } from './archive-names.ts';
import { ENTRY, SEAL_FILE } from './paths.ts';
import type { SealedFile } from './sealed.ts';

/** All files of an artifact together, bytes. */
export const MAX_UNPACKED_BYTES = 1_073_741_824;
const MAX_RATIO = 200;
/** Below this many bytes no ratio is suspicious: tar pads with zeros. */
const RATIO_FREE_BYTES = 1_048_576;
const MAX_MANIFEST_BYTES = 524_288;
export const MANIFEST_FILE = 'manifest.json';

export interface Manifest {
  product: string;
  version: string;
  platform: string;
  entry: string;
  launcherContract: number;
  files: SealedFile[];
}

const manifestSchema = Compile(
  Type.Object(
    {
      product: Type.String({ maxLength: 64 }),
      version: Type.String({ maxLength: 128 }),
      platform: Type.String({ maxLength: 64 }),
      entry: Type.Literal(ENTRY),
      launcherContract: Type.Integer({ minimum: 1 }),
      files: Type.Array(
        Type.Object(
          {
            path: Type.String({ minLength: 1, maxLength: 200 }),
            size: Type.Integer({ minimum: 0, maximum: MAX_UNPACKED_BYTES }),
            sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
          },
          { additionalProperties: false },
        ),
        { minItems: 1, maxItems: MAX_ENTRIES },
      ),
    },
    { additionalProperties: false },
  ),
);

export interface UnpackOptions {
  /** Default and upper bound: MAX_UNPACKED_BYTES. */
  maxUnpackedBytes?: number;
}

export interface Unpacked {
  manifest: Manifest;
  /** What was written, the manifest included: the content of the seal. */
  files: SealedFile[];
}

/**
 * Checks the archive and writes its files into `dir`, which is made afresh and removed again on failure.
 * Throws `archive_rejected`; errors of the file system as they are.
 */
export async function unpackArtifact(file: string, dir: string, options: UnpackOptions = {}): Promise<Unpacked> {
  await readArchive(file, options, undefined);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  try {
    return await readArchive(file, options, dir);
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

type Entry = Readable & { header: Header };

interface Reading {
  /** Undefined until the first entry has been read. */
  manifest: Manifest | undefined;
  files: SealedFile[];
  declared: Map<string, SealedFile>;
  /** Directories that a declared file lies in. */
  parents: Set<string>;
  seen: Set<string>;
  entries: number;
  leftBytes: number;
  dir: string | undefined;
}

async function readArchive(file: string, options: UnpackOptions, dir: string | undefined): Promise<Unpacked> {
  const cap = Math.min(options.maxUnpackedBytes ?? MAX_UNPACKED_BYTES, MAX_UNPACKED_BYTES);
  const reading: Reading = {
    manifest: undefined,
    files: [],
    declared: new Map(),
    parents: new Set(),
    seen: new Set(),
    entries: 0,
    leftBytes: cap,
    dir,
  };
  const unpack = extract();
  // The callback must be there: a failure of any stage reaches the loop below through the last one.
  pipeline(createReadStream(file), createGunzip(), limitInflation(statSync(file).size, cap), unpack, () => {});
  try {
    for await (const entry of unpack) await readEntry(reading, entry as unknown as Entry);
  } catch (error) {
    if (error instanceof AppError || isSystemError(error)) throw error;
    throw new AppError('archive_rejected', `the archive cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const { manifest } = reading;
  if (manifest === undefined) return reject('the archive is empty');
  const missing = manifest.files.find((declared) => !reading.files.some((read) => read.path === declared.path));
  if (missing !== undefined) reject(`${JSON.stringify(missing.path)} is declared and not there`);
  return { manifest, files: reading.files };
}

async function readEntry(reading: Reading, entry: Entry): Promise<void> {
  reading.entries += 1;
  if (reading.entries > MAX_ENTRIES) reject(`more than ${MAX_ENTRIES} entries`);
  const { name, type, size = 0, mode = 0o644 } = entry.header;
  const { pax } = entry.header as { pax?: Record<string, string> };
  const plain = checkEntry({ name, type, size, mode, pax });
  if (typeof plain === 'string') return reject(plain);
  remember(reading, plain.path);
  if (reading.manifest === undefined) return readManifest(reading, plain, entry);
  if (plain.kind === 'directory') {
    if (!reading.parents.has(plain.path)) reject(`${JSON.stringify(plain.path)} is not in the manifest`);
    entry.resume();
    if (reading.dir !== undefined) mkdirSync(join(reading.dir, plain.path), { recursive: true, mode: 0o755 });
    return;
  }
  const declared = reading.declared.get(plain.path);
  if (declared === undefined) return reject(`${JSON.stringify(plain.path)} is not in the manifest`);
  if (plain.size !== declared.size) reject(`${JSON.stringify(plain.path)} is not as long as declared`);
  const read = await readFileEntry(reading, plain, entry);
  if (read.sha256 !== declared.sha256) reject(`${JSON.stringify(plain.path)} is not what the manifest says`);
}

/** Every entry once, also for file systems that fold case or normalise. */
function remember(reading: Reading, path: string): void {
  const folded = foldPath(path);
  if (reading.seen.has(folded)) reject(`${JSON.stringify(path)} stands twice`);
  reading.seen.add(folded);
}

async function readManifest(reading: Reading, plain: PlainEntry, entry: Entry): Promise<void> {
  if (plain.path !== MANIFEST_FILE || plain.kind !== 'file') reject(`the first entry must be ${MANIFEST_FILE}`);
  if (plain.size > MAX_MANIFEST_BYTES) reject('the manifest is too large');
  const chunks: Buffer[] = [];
  await readFileEntry(reading, plain, entry, (chunk) => chunks.push(chunk));
  let value: unknown;
  try {
    value = parseJson(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    return reject(`the manifest: ${(error as Error).message}`);
  }
  if (!manifestSchema.Check(value)) {
    const first = manifestSchema.Errors(value)[0];
    return reject(`the manifest: ${first?.instancePath} ${first?.message}`);
  }
  for (const declared of value.files) declare(reading, declared);
  if (!reading.declared.has(ENTRY)) reject(`the manifest does not declare ${ENTRY}`);
  for (const parent of reading.parents) {
    if (reading.declared.has(parent)) reject(`the manifest: ${JSON.stringify(parent)} is a file and a directory`);
  }
  reading.manifest = value;
}

function declare(reading: Reading, declared: SealedFile): void {
  const { path } = declared;
  const reserved = path === SEAL_FILE || path === MANIFEST_FILE ? 'is a reserved name' : undefined;
  const fault = faultOfPath(path) ?? reserved ?? (reading.declared.has(path) ? 'stands twice' : undefined);
  if (fault !== undefined) reject(`the manifest: ${JSON.stringify(path)} ${fault}`);
  reading.declared.set(path, declared);
  const segments = path.split('/').slice(0, -1);
  for (let depth = 1; depth <= segments.length; depth += 1) reading.parents.add(segments.slice(0, depth).join('/'));
}

async function readFileEntry(
  reading: Reading,
  plain: PlainEntry,
  entry: Entry,
  onChunk?: (chunk: Buffer) => void,
): Promise<SealedFile> {
  if (plain.size > reading.leftBytes) reject('the files are larger than allowed together');
  reading.leftBytes -= plain.size;
  const hash = createHash('sha256');
  const fd = reading.dir === undefined ? undefined : createFile(join(reading.dir, plain.path), plain.executable);
  let size = 0;
  try {
    for await (const chunk of entry as AsyncIterable<Buffer>) {
      size += chunk.length;
      hash.update(chunk);
      onChunk?.(chunk);
      if (fd !== undefined) for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
    }
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  if (size !== plain.size) reject(`${JSON.stringify(plain.path)} is cut off`);
  const read = { path: plain.path, size, sha256: hash.digest('hex') };
  reading.files.push(read);
  return read;
}

function createFile(path: string, executable: boolean): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  return openSync(path, 'wx', executable ? 0o755 : 0o644);
}

/** Ends the stream as soon as it has become too large for what was compressed. */
function limitInflation(compressedBytes: number, cap: number): Transform {
  // Headers and padding come on top of the files: 1 KiB an entry at most, and the end of the archive.
  const most = Math.min(cap + MAX_ENTRIES * 2048, Math.max(RATIO_FREE_BYTES, compressedBytes * MAX_RATIO));
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > most) done(new AppError('archive_rejected', 'the archive inflates beyond what is allowed'));
      else done(null, chunk);
    },
  });
}

function isSystemError(error: unknown): boolean {
  const { syscall } = error as NodeJS.ErrnoException;
  return typeof syscall === 'string';
}

function reject(why: string): never {
  throw new AppError('archive_rejected', why);
}
