// The host owner's file `agent.json`, read once and checked; what it says always wins over the server.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { AppError } from '../errors.ts';
import { readEnrolToken } from '../protocol/agent.ts';
import { parseJson } from '../protocol/json.ts';
import { readIfThere } from './durable.ts';
import type { DeclaredFact } from './facts.ts';
import type { HostPolicy } from './instruction.ts';
import { isLoopback } from './loopback.ts';

const MAX_ARTIFACT_BYTES = 2_147_483_648;

const FactName = Type.String({ pattern: '^[a-z][a-z0-9_.]{0,62}$' });
const FactValue = Type.String({ minLength: 1, maxLength: 256 });

export const AgentFile = Type.Object(
  {
    server: Type.String({ minLength: 1, maxLength: 2048 }),
    product: Type.String({ pattern: '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$' }),
    scheme: Type.Optional(Type.Enum(['semver', 'numeric'])),
    enrolToken: Type.Optional(Type.String({ minLength: 1, maxLength: 300 })),
    enrolTokenFile: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    caFile: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    name: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9._-]{1,253}$' })),
    /** What the owner declares of the host: a text, or a file whose first line it is. */
    facts: Type.Optional(
      Type.Record(
        FactName,
        Type.Union([
          FactValue,
          Type.Object({ file: Type.String({ minLength: 1, maxLength: 4096 }) }, { additionalProperties: false }),
        ]),
        { additionalProperties: false, maxProperties: 32 },
      ),
    ),
    /** Where the cloud's metadata service is asked for, e.g. http://169.254.169.254. */
    metadataService: Type.Optional(Type.String({ pattern: '^https?://[^/?#\\s@]{1,253}$' })),
    /** Facts that must be so; else the agent reports itself unhealthy. */
    prerequisites: Type.Optional(Type.Record(FactName, FactValue, { additionalProperties: false, maxProperties: 32 })),
    policy: Type.Optional(
      Type.Object(
        {
          hold: Type.Optional(Type.Boolean()),
          pin: Type.Optional(Type.String({ pattern: '^[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}$' })),
          allowDowngrade: Type.Optional(Type.Boolean()),
          allowedHosts: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 253 }), { maxItems: 64 })),
          maxArtifactBytes: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_ARTIFACT_BYTES })),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type AgentFile = Static<typeof AgentFile>;
const agentFile = Compile(AgentFile);

export interface AgentConfig {
  server: string;
  product: string;
  scheme: 'semver' | 'numeric';
  /**
   * Read when it is needed: the file may be brought later. Undefined when neither is given. Throws `file_unusable` for a file
   * that is missing or cannot be read, `auth_invalid` for what is no enrolment token.
   */
  readEnrolToken(): string | undefined;
  /** PEM of a private CA that is trusted beside the public ones. */
  ca: string | undefined;
  name: string;
  /** Files by absolute path. */
  facts: Readonly<Record<string, DeclaredFact>>;
  /** Null: not asked. */
  metadataService: string | null;
  prerequisites: Readonly<Record<string, string>>;
  policy: HostPolicy;
  /** Host names (with port where it is not the scheme's own) that bytes may come from; null: any. */
  allowedHosts: readonly string[] | null;
}

/** Throws `config_missing` and `config_invalid` with the place. */
export function readAgentConfig(file: string): AgentConfig {
  const text = readIfThere(file);
  if (text === undefined) throw new AppError('config_missing', 'there is no agent.json', { where: file, hint: HINT });
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new AppError('config_invalid', (error as Error).message, { where: file, hint: HINT });
  }
  return checkAgentFile(value, file);
}

/** Checks a value as it stands in agent.json; `file` is what relative paths and messages refer to. */
export function checkAgentFile(value: unknown, file: string): AgentConfig {
  if (!agentFile.Check(value)) {
    const first = agentFile.Errors(value)[0];
    const where = `${file}#${first?.instancePath}`;
    throw new AppError('config_invalid', `agent.json: ${first?.message}`, { where, hint: HINT });
  }
  const policy = value.policy ?? {};
  return {
    server: checkServer(value.server, file),
    product: value.product,
    scheme: value.scheme ?? 'semver',
    readEnrolToken: () => readToken(value, file),
    ca: value.caFile === undefined ? undefined : readCa(resolve(dirname(file), value.caFile), file),
    name: value.name ?? (hostname().replace(/[^A-Za-z0-9._-]/g, '-') || 'host'),
    facts: Object.fromEntries(
      Object.entries(value.facts ?? {}).map(([name, fact]) => [
        name,
        typeof fact === 'string' ? fact : { file: resolve(dirname(file), fact.file) },
      ]),
    ),
    metadataService: value.metadataService ?? null,
    prerequisites: value.prerequisites ?? {},
    policy: {
      hold: policy.hold ?? false,
      pin: policy.pin ?? null,
      allowDowngrade: policy.allowDowngrade ?? false,
      maxArtifactBytes: policy.maxArtifactBytes ?? MAX_ARTIFACT_BYTES,
    },
    allowedHosts: policy.allowedHosts ?? null,
  };
}

const HINT = 'Mend agent.json in the agent’s root.';

function checkServer(text: string, file: string): string {
  const url = URL.parse(text);
  const where = `${file}#/server`;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new AppError('config_invalid', `${JSON.stringify(text)} is not an https URL`, { where, hint: HINT });
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new AppError('config_invalid', 'plain http is allowed to this machine only', { where, hint: HINT });
  }
  if (url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new AppError('config_invalid', 'the server’s URL must be scheme, host and path', { where, hint: HINT });
  }
  return url.href.replace(/\/+$/, '');
}

function readToken(value: AgentFile, file: string): string | undefined {
  if (value.enrolToken !== undefined) return checkToken(value.enrolToken, `${file}#/enrolToken`);
  if (value.enrolTokenFile === undefined) return undefined;
  const path = resolve(dirname(file), value.enrolTokenFile);
  return checkToken(readTokenFile(path).trim(), path);
}

function readTokenFile(path: string): string {
  let text: string | undefined;
  try {
    text = readIfThere(path);
  } catch (error) {
    const why = `the file with the enrolment token cannot be read: ${(error as Error).message}`;
    throw new AppError('file_unusable', why, { where: path, hint: TOKEN_HINT, cause: error });
  }
  if (text !== undefined) return text;
  throw new AppError('file_unusable', 'the file with the enrolment token is missing', {
    where: path,
    hint: TOKEN_HINT,
  });
}

const TOKEN_HINT = 'Create a token with `tidegate enrol-token create --region R`, and put it alone into this file.';

function checkToken(text: string, where: string): string {
  if (readEnrolToken(text) !== undefined) return text;
  const hint = 'Create one with `tidegate enrol-token create --region R`, and copy it whole.';
  throw new AppError('auth_invalid', 'this is not an enrolment token: those begin with tge1.', { where, hint });
}

function readCa(path: string, file: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new AppError('config_invalid', `the CA file cannot be read: ${(error as Error).message}`, {
      where: `${file}#/caFile`,
      hint: HINT,
      cause: error,
    });
  }
}
