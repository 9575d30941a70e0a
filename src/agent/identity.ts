// identity.json: the host's own key and what it was told at enrolment. Written as a whole, readable by its owner only.
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { AppError } from '../errors.ts';
import { PublicKeyText } from '../protocol/envelope.ts';
import { readIfThere, writeDurable } from './durable.ts';
import type { Paths } from './paths.ts';

export interface Enrolled {
  agent: string;
  region: string;
  directorKeys: { current: string; next: string };
  sessionToken: string;
}

export interface StoredIdentity {
  /** PKCS#8 PEM. Made and stored before the first request, so that a lost reply enrols the same key again. */
  privateKey: string;
  /** Null until the server has answered the enrolment. */
  enrolled: Enrolled | null;
}

const schema = Compile(
  Type.Object(
    {
      privateKey: Type.String({ maxLength: 1000 }),
      enrolled: Type.Union([
        Type.Null(),
        Type.Object(
          {
            agent: Type.String({ maxLength: 64 }),
            region: Type.String({ maxLength: 64 }),
            directorKeys: Type.Object({ current: PublicKeyText, next: PublicKeyText }, { additionalProperties: false }),
            sessionToken: Type.String({ maxLength: 300 }),
          },
          { additionalProperties: false },
        ),
      ]),
    },
    { additionalProperties: false },
  ),
);

/** Undefined before the first start. Throws `state_damaged` when the file is there and cannot be read. */
export function readIdentity(paths: Paths): StoredIdentity | undefined {
  const text = readIfThere(paths.identity);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (schema.Check(value)) return value;
  } catch {
    // Said below: what exactly is wrong with the text helps nobody, and it holds a key.
  }
  throw new AppError('state_damaged', 'identity.json cannot be read', { where: paths.identity });
}

export function writeIdentity(paths: Paths, identity: StoredIdentity): void {
  writeDurable(paths.identity, `${JSON.stringify(identity)}\n`, 0o600);
}
