// The texts that a config is made of: durations, shares, addresses, secrets, zones; each reads one and says how to mend it.
import { isIP } from 'node:net';
import { validate as isCron } from 'node-cron';
import { type Parsed, pattern, type Textual, textual } from './spec.ts';
import { nearest } from './suggest.ts';

/** Names of products, regions and policies, as the wire takes them. */
export const NAME = pattern({
  expected: 'a name (lower-case letters, digits, . _ -, at most 64)',
  example: 'eu-west',
  pattern: '^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$',
});

/** `os-arch[-libc]`, as the wire takes it. */
export const PLATFORM = pattern({
  expected: 'a platform (os-arch or os-arch-libc)',
  example: 'linux-x64',
  pattern: '^[a-z0-9]{1,16}-[a-z0-9_]{1,16}(-[a-z0-9]{1,16})?$',
});

export const LABEL_NAME = pattern({
  expected: 'a label name (lower-case letters, digits, . _ -)',
  example: 'site',
  pattern: '^[a-z][a-z0-9_.-]{0,62}$',
});

export const LABEL_VALUE = pattern({
  expected: 'a label value (1 to 128 characters)',
  example: 'lab',
  pattern: '^[^\\u0000-\\u001f\\u007f]{1,128}$',
});

/** As agents report it. */
export const FACT_NAME = pattern({
  expected: 'the name of a fact (lower-case letters, digits, . _)',
  example: 'kernel',
  pattern: '^[a-z][a-z0-9_.]{0,62}$',
});

export const FACT_VALUE = pattern({
  expected: 'the value of a fact, in quotes (1 to 256 characters)',
  example: '"5.10"',
  pattern: '^[^\\u0000-\\u001f\\u007f]{1,256}$',
});

export const REPOSITORY = pattern({
  expected: 'a GitHub repository as owner/name',
  example: 'example/collector',
  pattern: '^(?!\\.)[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\\.{1,2}$)[A-Za-z0-9._-]{1,100}$',
});

export const TAG_PREFIX = pattern({
  expected: 'the text before the version in a tag, without blanks and braces',
  example: 'v',
  pattern: '^[!-z|~]{0,64}$',
});

export const ASSET = textual<string>({
  expected: 'a file name of the release, which may hold {version} and {tag}',
  example: 'collector-{version}-linux-x64.tar.gz',
  blank: '',
  schema: { pattern: '^[^/\\\\\\s]{1,255}$' },
  parse(text) {
    if (!/^[^/\\\s]{1,255}$/.test(text)) return { ok: false, mend: 'write the name of the asset alone' };
    const rest = text.replaceAll('{version}', '').replaceAll('{tag}', '');
    return /[{}]/.test(rest)
      ? { ok: false, mend: 'only {version} and {tag} are filled in' }
      : { ok: true, value: text };
  },
});

/** Read by the product's scheme later on. */
export const RANGE = pattern({ expected: 'a range of versions', example: '">=1.4 <3"', pattern: '^[ -~]{1,256}$' });

/** Read by the product's scheme later on. */
export const VERSION = pattern({
  expected: 'a version, in quotes',
  example: '"1.4.0"',
  pattern: '^[0-9A-Za-z][0-9A-Za-z.+_-]{0,127}$',
});

/** The first identifier of a prerelease: the `rc` of 2.0.0-rc.1. */
export const PRERELEASE = pattern({
  expected: 'the first identifier of a prerelease (letters, digits and hyphens, no dot)',
  example: 'rc',
  pattern: '^[0-9A-Za-z-]{1,32}$',
});

export const PATH = pattern({ expected: 'a path', example: './data', pattern: '^[^\\u0000\\r\\n]{1,1024}$' });

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `30s`, `5m`, `2h`, `7d`; a whole number and one unit. In milliseconds. */
export function duration(minMs: number, maxMs: number): Textual<number> {
  return textual<number>({
    expected: `a duration from ${printDuration(minMs)} to ${printDuration(maxMs)}`,
    example: '30s, 5m, 2h or 7d',
    blank: minMs,
    schema: { pattern: '^[0-9]{1,12}(ms|s|m|h|d)$' },
    parse(text) {
      const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
      if (match === null) return { ok: false, mend: 'write a whole number and one of ms, s, m, h, d, e.g. 30s' };
      const value = Number(match[1]) * (UNITS[match[2] as string] as number);
      return value >= minMs && value <= maxMs ? { ok: true, value } : { ok: false, mend: 'choose one within' };
    },
  });
}

/** With the largest unit that leaves a whole number: 90m, 1d. */
export function printDuration(ms: number): string {
  if (ms === 0) return '0s';
  const [unit, size] = Object.entries(UNITS).findLast(([, unitMs]) => ms % unitMs === 0) as [string, number];
  return `${ms / size}${unit}`;
}

/** `2%`, `0.25%`. An integer per 10,000. */
export function share(min: number, max: number): Textual<number> {
  return textual<number>({
    expected: `a share from ${min / 100}% to ${max / 100}%`,
    example: '2%',
    blank: min,
    schema: { pattern: '^[0-9]{1,3}(\\.[0-9]{1,2})?%$' },
    parse(text) {
      const match = /^(\d{1,3})(?:\.(\d{1,2}))?%$/.exec(text);
      if (match === null) return { ok: false, mend: 'write a percentage with at most two decimals, e.g. 2% or 0.5%' };
      const value = Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0'));
      return value >= min && value <= max ? { ok: true, value } : { ok: false, mend: 'choose one within' };
    },
  });
}

export interface Listen {
  host: string;
  port: number;
}

export const LISTEN = textual<Listen>({
  expected: 'an address and port',
  example: '127.0.0.1:8420 or [::1]:8420',
  blank: { host: '127.0.0.1', port: 0 },
  parse(text) {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]{1,253})):(\d{1,5})$/.exec(text);
    const host = match?.[1] ?? match?.[2] ?? '';
    const port = Number(match?.[3]);
    // A text of digits and dots that is no address would be looked up as a name.
    const sound = match?.[1] !== undefined ? isIP(host) === 6 : isIP(host) === 4 || /[A-Za-z]/.test(host);
    if (match === null || !sound || port > 65_535) {
      return { ok: false, mend: 'write address:port, e.g. 127.0.0.1:8420 or [::1]:8420' };
    }
    return { ok: true, value: { host, port } };
  },
});

/** True for what only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

export const API_URL = textual<string>({
  expected: 'the https URL of a GitHub API',
  example: 'https://api.github.com',
  blank: '',
  // A URL can hold a password.
  secret: true,
  parse(text) {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || text.length > 1024) return { ok: false, mend: 'write e.g. https://api.github.com' };
    if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
      return { ok: false, mend: 'leave out user, password, query and fragment; the token goes into github.token' };
    }
    const plain = url.protocol === 'http:' && isLoopback(url.hostname.replace(/^\[|\]$/g, ''));
    if (url.protocol !== 'https:' && !plain) return { ok: false, mend: 'use https; http is for this machine only' };
    return { ok: true, value: url.href.replace(/\/+$/, '') };
  },
});

const CRON_FIELDS: readonly [name: string, holds: string][] = [
  ['second', '0 to 59'],
  ['minute', '0 to 59'],
  ['hour', '0 to 23'],
  ['day of the month', '1 to 31'],
  ['month', '1 to 12 or jan to dec'],
  ['day of the week', '0 to 7 or sun to sat'],
];

/** Which of five or six fields cannot be read, as what is wrong and how to mend it; undefined: each alone can. */
export function wrongCronField(
  fields: readonly string[],
  isRight: (cron: string) => boolean,
): { what: string; mend: string } | undefined {
  const names = CRON_FIELDS.slice(-fields.length);
  for (const [index, field] of fields.entries()) {
    if (isRight(fields.map((_, at) => (at === index ? field : '*')).join(' '))) continue;
    const [name = '', holds = ''] = names[index] ?? [];
    return { what: `"${field}" is no ${name} of a cron expression`, mend: `write ${holds}, or e.g. * or */2` };
  }
  return undefined;
}

export const CRON = textual<string>({
  expected: 'a cron expression of five or six fields',
  example: '"*/5 * * * *"',
  blank: '',
  parse(text) {
    const fields = text.trim().split(/\s+/);
    const isCounted = text.length <= 128 && (fields.length === 5 || fields.length === 6);
    if (isCounted && isCron(text)) return { ok: true, value: text };
    const wrong = isCounted ? wrongCronField(fields, isCron) : undefined;
    return { ok: false, ...(wrong ?? { mend: 'write e.g. "*/5 * * * *" (every five minutes)' }) };
  },
});

export const TIME_ZONE = textual<string>({
  expected: 'an IANA time zone',
  example: 'Europe/Berlin',
  blank: 'UTC',
  parse(text) {
    // Offsets such as +01:00 are taken by Intl, but have no summer time.
    if (/^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/.test(text) && isKnownZone(text)) return { ok: true, value: text };
    const near = nearZones(text);
    return { ok: false, mend: near.length > 0 ? `did you mean ${near.join(' or ')}?` : 'write e.g. Europe/Berlin' };
  },
});

function isKnownZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** By the whole name and, for those who write only the city, by its last part. */
function nearZones(text: string): string[] {
  const zones = [...Intl.supportedValuesOf('timeZone'), 'UTC'];
  const whole = nearest(text, zones);
  if (whole !== undefined) return [whole];
  const words = text.replaceAll(' ', '_');
  const city = nearest(words.slice(words.lastIndexOf('/') + 1), zones.map(lastPart));
  return zones.filter((zone) => lastPart(zone) === city).slice(0, 3);
}

function lastPart(zone: string): string {
  return zone.slice(zone.lastIndexOf('/') + 1);
}

/** Where a secret stands; never the secret itself. */
export interface SecretRef {
  kind: 'env' | 'file';
  target: string;
}

export const SECRET = textual<SecretRef>({
  expected: 'env:NAME or file:path',
  example: 'env:GITHUB_TOKEN',
  blank: { kind: 'env', target: '' },
  schema: { pattern: '^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$' },
  secret: true,
  parse(text) {
    const value = readSecretRef(text);
    if (value !== undefined) return { ok: true, value };
    return { ok: false, mend: 'a secret must not stand in this file: write env:NAME or file:path' };
  },
});

export type DatabaseRef = { kind: 'sqlite'; path: string } | { kind: 'postgres'; url: string } | SecretRef;

export const DATABASE = textual<DatabaseRef>({
  expected: 'sqlite:path, postgres://…, env:NAME or file:path',
  example: 'sqlite:./data/tidegate.db',
  blank: { kind: 'sqlite', path: 'tidegate.db' },
  schema: { pattern: '^(sqlite:|postgres(ql)?://|env:|file:)' },
  secret: true,
  parse(text) {
    const secret = readSecretRef(text);
    if (secret !== undefined) return { ok: true, value: secret };
    const parsed = parseDatabaseUrl(text);
    if (!parsed.ok || parsed.value.kind !== 'postgres') return parsed;
    const url = new URL(parsed.value.url);
    if (url.password === '' && !url.searchParams.has('password')) return parsed;
    return {
      ok: false,
      what: 'a password stands in this file (not shown)',
      mend: 'write env:NAME or file:path, and put the whole postgres:// URL there',
    };
  },
});

/** The same without references, and with a password: for values that come from where secrets belong. */
export function parseDatabaseUrl(text: string): Parsed<Exclude<DatabaseRef, SecretRef>> {
  if (/^sqlite:[^\r\n]{1,1024}$/.test(text)) {
    const path = text.slice('sqlite:'.length);
    if (path.includes('\u0000') || path.startsWith(':memory:')) {
      return { ok: false, mend: 'write the path of a file: what Tidegate knows must outlive it' };
    }
    return { ok: true, value: { kind: 'sqlite', path } };
  }
  if (/^postgres(?:ql)?:\/\//.test(text) && text.length <= 1024 && URL.canParse(text)) {
    return { ok: true, value: { kind: 'postgres', url: text.replace(/^postgresql:/, 'postgres:') } };
  }
  return { ok: false, mend: 'write e.g. sqlite:./data/tidegate.db or postgres://user@host/name' };
}

function readSecretRef(text: string): SecretRef | undefined {
  const match = /^(?:(env):([A-Za-z_][A-Za-z0-9_]{0,127})|(file):(.{1,1024}))$/.exec(text);
  if (match === null) return undefined;
  return match[1] === 'env'
    ? { kind: 'env', target: match[2] as string }
    : { kind: 'file', target: match[4] as string };
}
