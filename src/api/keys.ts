// The server's own secrets, one file each under <dataDir>/keys: the director's two signing keys and the session secret.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { AppError } from '../errors.ts';
import { exportSigningKey, generateSigningKey, importSigningKey, type SigningKey } from '../protocol/envelope.ts';

export interface ServerKeys {
  /** Signs instructions and identities. */
  current: SigningKey;
  /** Known to every agent, so that it can take over. */
  next: SigningKey;
  /** 32 bytes, for session tokens and challenges. */
  sessionSecret: Buffer;
}

const SESSION_SECRET_BYTES = 32;

/**
 * Reads the keys, or makes those that are missing (mode 0600, synced before it returns). Throws `config_invalid` when
 * others may read a file, `state_damaged` when one is not what it should be.
 */
export function openServerKeys(dataDir: string): ServerKeys {
  const dir = join(dataDir, 'keys');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const currentFile = join(dir, 'director-current.pem');
  const nextFile = join(dir, 'director-next.pem');
  if (!existsSync(currentFile) && existsSync(nextFile)) {
    throw damaged(currentFile, 'is gone although the next key is there');
  }
  return {
    current: readSigningKey(currentFile),
    next: readSigningKey(nextFile),
    sessionSecret: readSessionSecret(join(dir, 'session.key')),
  };
}

/** Writes a new file that only the owner may read; false when there was one already. Durable when it returns. */
export function createSecretFile(file: string, content: Buffer | string): boolean {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.new`;
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    fchmodSync(fd, 0o600);
    writeSync(fd, Buffer.from(content));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  try {
    // A link fails where a rename would replace: of two servers that start at once, one key wins.
    linkSync(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    unlinkSync(temporary);
    syncDirectory(dirname(file));
  }
  return true;
}

function readSigningKey(file: string): SigningKey {
  const pem = readOrCreate(file, () => exportSigningKey(generateSigningKey())).toString('utf8');
  try {
    return importSigningKey(pem);
  } catch (error) {
    throw damaged(file, 'does not hold an Ed25519 private key', error);
  }
}

function readSessionSecret(file: string): Buffer {
  const secret = readOrCreate(file, () => randomBytes(SESSION_SECRET_BYTES));
  if (secret.length !== SESSION_SECRET_BYTES) throw damaged(file, `does not hold ${SESSION_SECRET_BYTES} bytes`);
  return secret;
}

function readOrCreate(file: string, make: () => Buffer | string): Buffer {
  if (!existsSync(file)) createSecretFile(file, make());
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) !== 0) {
    throw new AppError('config_invalid', `others may read ${file} (mode ${mode.toString(8)})`, {
      where: file,
      hint: `Run chmod 600 ${file}, and replace the key if somebody may have read it.`,
    });
  }
  return readFileSync(file);
}

function damaged(file: string, says: string, cause?: unknown): AppError {
  return new AppError('state_damaged', `${file} ${says}`, {
    cause,
    where: file,
    hint: 'Put the file back from a backup; agents trust no other key.',
  });
}

function syncDirectory(dir: string): void {
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
