// Fills in what stands outside the file: environment overrides, secrets by reference, and paths beside the file.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  API_URL,
  type DatabaseRef,
  isLoopback,
  LISTEN,
  type Listen,
  PATH,
  parseDatabaseUrl,
  type SecretRef,
} from './formats.ts';
import type { Path, Report } from './report.ts';
import type { RawConfig } from './shape.ts';
import type { Parsed } from './spec.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Resolved {
  server: {
    host: string;
    port: number;
    tls: { certFile: string; keyFile: string } | null;
    dataDir: string;
    behindProxy: boolean;
  };
  database: string;
  apiUrl: string;
  token: string | null;
  metricsToken: string | null;
}

interface Sources {
  env: Environment;
  /** Absolute; relative paths of the file are relative to it. Those of the environment are to the working directory. */
  directory: string;
  report: Report;
}

/** More than any secret needs. */
const MAX_SECRET_BYTES = 16_384;

/** Notes what is wrong in the report. */
export function resolveSettings(raw: RawConfig, sources: Sources): Resolved {
  const dataDir = readEnv(sources, 'TIDEGATE_DATA_DIR', ['server', 'dataDir'], PATH.parse);
  const absoluteDataDir = dataDir === undefined ? resolve(sources.directory, raw.server.dataDir) : resolve(dataDir);
  return {
    server: resolveServer(raw, sources, absoluteDataDir),
    database: resolveDatabase(raw.database, sources, absoluteDataDir),
    apiUrl: readEnv(sources, 'TIDEGATE_GITHUB_API', ['github', 'apiUrl'], API_URL.parse) ?? raw.github.apiUrl,
    token: raw.github.token === null ? null : readSecret(raw.github.token, ['github', 'token'], sources),
    metricsToken: raw.metrics?.token == null ? null : readSecret(raw.metrics.token, ['metrics', 'token'], sources),
  };
}

function resolveServer(raw: RawConfig, sources: Sources, dataDir: string): Resolved['server'] {
  const { report, directory } = sources;
  const path = ['server', 'listen'];
  const override = readEnv(sources, 'TIDEGATE_LISTEN', path, LISTEN.parse);
  const { host, port }: Listen = override ?? raw.server.listen;
  const { behindProxy } = raw.server;
  const tls = raw.server.tls && {
    certFile: existing(resolve(directory, raw.server.tls.certFile), ['server', 'tls', 'certFile'], report),
    keyFile: existing(resolve(directory, raw.server.tls.keyFile), ['server', 'tls', 'keyFile'], report),
  };
  if (tls === null && !behindProxy && !isLoopback(host) && !report.touches(['server', 'tls'])) {
    const what = `${host} can be reached from other machines, but there is no TLS`;
    const mend = 'add server.tls, or server.behindProxy: true when TLS is ended before the server';
    if (override === undefined) report.add(path, what, mend);
    else report.addEnv(path, 'TIDEGATE_LISTEN', what, mend);
  }
  return { host, port, tls, dataDir, behindProxy };
}

function existing(file: string, path: Path, report: Report): string {
  if (!report.touches(path) && !existsSync(file)) report.add(path, `there is no file ${file}`, 'check the path');
  return file;
}

function resolveDatabase(raw: DatabaseRef | null, sources: Sources, dataDir: string): string {
  const path = ['database'];
  const override = readEnv(sources, 'TIDEGATE_DATABASE', path, parseDatabaseUrl);
  if (override !== undefined) return printDatabase(override, process.cwd());
  if (raw === null) return `sqlite:${resolve(dataDir, 'tidegate.db')}`;
  if (raw.kind === 'sqlite' || raw.kind === 'postgres') return printDatabase(raw, sources.directory);
  const parsed = parseDatabaseUrl(readSecret(raw, path, sources) ?? '');
  if (parsed.ok) return printDatabase(parsed.value, sources.directory);
  sources.report.add(path, `${raw.kind}:${raw.target} does not hold a database (not shown)`, parsed.mend);
  return '';
}

function printDatabase(database: Exclude<DatabaseRef, SecretRef>, directory: string): string {
  return database.kind === 'postgres' ? database.url : `sqlite:${resolve(directory, database.path)}`;
}

/** Undefined when the variable is not set, or empty. */
function readEnv<T>(sources: Sources, name: string, path: Path, parse: (text: string) => Parsed<T>): T | undefined {
  const text = sources.env[name];
  if (text === undefined || text === '') return undefined;
  const parsed = parse(text);
  if (parsed.ok) return parsed.value;
  sources.report.addEnv(path, name, parsed.what ?? 'its value is refused (not shown)', parsed.mend);
  return undefined;
}

/** The secret itself; it never gets into a message. */
function readSecret(ref: SecretRef, path: Path, sources: Sources): string | null {
  const { report } = sources;
  if (report.touches(path)) return null;
  const name = `${ref.kind}:${ref.target}`;
  let text: string;
  if (ref.kind === 'env') {
    text = sources.env[ref.target] ?? '';
    if (text === '') {
      report.add(path, `the environment variable ${ref.target} is not set`, 'set it, or remove this key');
      return null;
    }
  } else {
    try {
      const file = resolve(sources.directory, ref.target);
      const stat = statSync(file);
      if (!stat.isFile() || stat.size > MAX_SECRET_BYTES) throw new Error('not a small file');
      text = readFileSync(file, 'utf8');
    } catch (error) {
      report.add(path, `cannot read ${name}: ${(error as Error).message}`, 'check the path and the rights');
      return null;
    }
  }
  const secret = text.trim();
  if (/^[!-~]+$/.test(secret)) return secret;
  report.add(path, `${name} is empty, or holds blanks or other characters that no token has`, 'write the token alone');
  return null;
}
