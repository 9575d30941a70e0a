// Signed messages: Ed25519 over the exact payload bytes (DSSE v1 pre-authentication encoding), never over re-made JSON.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { type Static, Type } from 'typebox';
import { AppError } from '../errors.ts';

/** What the payload is; part of what is signed, so that one message can never pass for another. */
export const INSTRUCTION_TYPE = 'application/vnd.tidegate.instruction.v1+json';
export const IDENTITY_TYPE = 'application/vnd.tidegate.identity.v1+json';
export type PayloadType = typeof INSTRUCTION_TYPE | typeof IDENTITY_TYPE;

export const Envelope = Type.Object(
  {
    /** base64url of the exact signed bytes. */
    payload: Type.String({ minLength: 1, maxLength: 65_536, pattern: '^[A-Za-z0-9_-]+$' }),
    payloadType: Type.String({ maxLength: 100 }),
    /** Fingerprint of the key that signed. */
    keyId: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
    /** base64url, 64 bytes. */
    signature: Type.String({ pattern: '^[A-Za-z0-9_-]{86}$' }),
  },
  { additionalProperties: false },
);
export type Envelope = Static<typeof Envelope>;

/** An Ed25519 public key as it travels: base64url of the 32 raw bytes. */
export const PublicKeyText = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' });

// RFC 8032 encodings of the eight points of small order and their non-canonical forms (sign bit cleared): with one of
// them as key a single signature fits many messages. Node accepts them at import.
const SMALL_ORDER = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** Reads a public key; refuses what is not 32 bytes of Ed25519 and every key of small order. Throws `trust_failure`. */
export function readPublicKey(text: string): KeyObject {
  const raw = Buffer.from(text, 'base64url');
  if (raw.length !== 32 || raw.toString('base64url') !== text) {
    throw new AppError('trust_failure', 'a public key must be 32 bytes in base64url');
  }
  const masked = Buffer.from(raw);
  masked[31] = (masked[31] ?? 0) & 0x7f;
  if (SMALL_ORDER.has(masked.toString('hex')))
    throw new AppError('trust_failure', 'a public key of small order proves nothing');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: text }, format: 'jwk' });
}

export interface SigningKey {
  privateKey: KeyObject;
  /** base64url of the 32 raw bytes. */
  publicKey: string;
  /** `fingerprint(publicKey)`. */
  keyId: string;
}

export function generateSigningKey(): SigningKey {
  return fromPrivate(generateKeyPairSync('ed25519').privateKey);
}

/** Reads a key that `exportSigningKey` wrote (PKCS#8 PEM). */
export function importSigningKey(pem: string): SigningKey {
  const privateKey = createPrivateKey(pem);
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new AppError('trust_failure', 'the signing key is not Ed25519');
  return fromPrivate(privateKey);
}

export function exportSigningKey(key: SigningKey): string {
  return key.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function fromPrivate(privateKey: KeyObject): SigningKey {
  const publicKey = createPublicKey(privateKey).export({ format: 'jwk' }).x as string;
  return { privateKey, publicKey, keyId: fingerprint(publicKey) };
}

/** SHA-256 of the raw key bytes, base64url: what an enrolment token carries. */
export function fingerprint(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('base64url');
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Signs arbitrary bytes for a purpose, DSSE style. Returns base64url. */
export function signBytes(key: SigningKey, purpose: string, bytes: Uint8Array): string {
  return sign(null, encode(purpose, bytes), key.privateKey).toString('base64url');
}

/** True when the signature is right; never throws on malformed signatures. */
export function verifyBytes(publicKey: string, purpose: string, bytes: Uint8Array, signature: string): boolean {
  const raw = Buffer.from(signature, 'base64url');
  return raw.length === 64 && verify(null, encode(purpose, bytes), readPublicKey(publicKey), raw);
}

export function seal(key: SigningKey, payloadType: PayloadType, value: unknown): Envelope {
  const bytes = Buffer.from(JSON.stringify(value));
  return {
    payload: bytes.toString('base64url'),
    payloadType,
    keyId: key.keyId,
    signature: signBytes(key, payloadType, bytes),
  };
}

/**
 * Checks the signature against the trusted keys (base64url) and returns the payload's text, to be parsed once by
 * `parseJson`. Throws `trust_failure`.
 */
export function openEnvelope(envelope: Envelope, payloadType: PayloadType, trusted: readonly string[]): string {
  if (envelope.payloadType !== payloadType) {
    throw new AppError('trust_failure', `expected ${payloadType}, got ${envelope.payloadType.slice(0, 60)}`);
  }
  const key = trusted.find((candidate) => fingerprint(candidate) === envelope.keyId);
  if (key === undefined)
    throw new AppError('trust_failure', `signed by key ${envelope.keyId}, which this host does not trust`);
  const bytes = Buffer.from(envelope.payload, 'base64url');
  if (!verifyBytes(key, payloadType, bytes, envelope.signature))
    throw new AppError('trust_failure', 'the signature does not fit');
  return bytes.toString('utf8');
}

function encode(purpose: string, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(purpose)} ${purpose} ${bytes.length} `), bytes]);
}
