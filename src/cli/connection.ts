// From flags and environment to a client of the operator API: which server, which token, and whom to trust.
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { rootCertificates } from 'node:tls';
import type { Command } from 'commander';
import { AppError } from '../errors.ts';
import type { FetchLike } from '../protocol/agent-client.ts';
import type { OperatorClient } from '../protocol/operator-client.ts';

/** What the environment says; flags come before it. */
export interface ConnectionSettings {
  server: string | null;
  token: string | null;
  tokenFile: string | null;
  caFile: string | null;
}

export interface ConnectionFlags {
  server?: string;
  token?: string;
  tokenFile?: string;
  caFile?: string;
}

export function addConnectionFlags(command: Command): Command {
  return command
    .option('--server <url>', 'address of the server (TIDEGATE_SERVER)')
    .option('--token <token>', 'operator token (TIDEGATE_TOKEN)')
    .option('--token-file <file>', 'file that holds the operator token (TIDEGATE_TOKEN_FILE)')
    .option('--ca-file <file>', 'certificate authority to trust besides the public ones (TIDEGATE_CA_FILE)');
}

/** Throws `usage` without a server or for an address that is not allowed, `auth_missing` without a token. */
export async function openClient(
  flags: ConnectionFlags,
  settings: ConnectionSettings,
  signal?: AbortSignal,
): Promise<OperatorClient> {
  const baseUrl = checkServer(flags.server ?? settings.server);
  const token = readToken(flags, settings);
  const caFile = flags.caFile ?? settings.caFile;
  const fetch = caFile === null ? globalThis.fetch : await fetchTrusting(caFile);
  const options = { baseUrl, token, fetch: fetch as FetchLike };
  // Loaded now: the schemas take half of the start, and help and refused flags can do without.
  const { createOperatorClient } = await import('../protocol/operator-client.ts');
  return createOperatorClient(signal === undefined ? options : { ...options, signal });
}

/** The address as it was given, when a token may be sent there. */
export function checkServer(server: string | null): string {
  if (server === null) {
    throw new AppError('usage', 'no server is named', { hint: 'Set TIDEGATE_SERVER, or use --server URL.' });
  }
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new AppError('usage', `${server} is not the address of a server`, {
      hint: 'It looks like https://tidegate.example or http://127.0.0.1:8420.',
    });
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new AppError('usage', `the address holds more than a server: ${url.origin}`, {
      hint: 'Leave out user name, password, query and fragment.',
    });
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new AppError('usage', `plain http to ${url.host} would show the token to everybody on the way`, {
      hint: 'Use https, or a tunnel to this machine.',
    });
  }
  return server;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'));
}

/** A flag comes before the environment, the token itself before its file. */
function readToken(flags: ConnectionFlags, settings: ConnectionSettings): string {
  if (flags.token !== undefined) return checkToken(flags.token, '--token');
  if (flags.tokenFile !== undefined) return checkToken(readText(flags.tokenFile, 'auth_missing'), flags.tokenFile);
  if (settings.token !== null) return checkToken(settings.token, 'TIDEGATE_TOKEN');
  if (settings.tokenFile !== null) return checkToken(readText(settings.tokenFile, 'auth_missing'), settings.tokenFile);
  throw new AppError('auth_missing', 'no operator token is given', {
    hint: 'Set TIDEGATE_TOKEN or TIDEGATE_TOKEN_FILE; the first start leaves one in <dataDir>/operator.token.',
  });
}

function checkToken(text: string, where: string): string {
  const token = text.trim();
  if (/^tgo1\.[\x21-\x7e]{1,200}$/.test(token)) return token;
  throw new AppError('auth_invalid', 'this is not an operator token: those begin with tgo1.', { where });
}

/** Throws `code` when the file cannot be read. */
export function readText(file: string, code: 'auth_missing' | 'file_unusable'): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const what = missing ? `there is no file ${file}` : `cannot read ${file}: ${(error as Error).message}`;
    const hint = 'Check the path and the rights.';
    throw new AppError(code, what, { cause: error, hint });
  }
}

async function fetchTrusting(caFile: string): Promise<unknown> {
  const ca = [...rootCertificates, readText(caFile, 'file_unusable')];
  // Its own fetch: the global one does not go with this Agent.
  const { Agent, fetch } = await import('undici');
  const dispatcher = new Agent({ connect: { ca } });
  return (url: string, init: object) => fetch(url, { ...init, dispatcher });
}
