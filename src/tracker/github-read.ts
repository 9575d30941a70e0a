// Reads what GitHub answers into our own values, strictly: the edge where its JSON stops. No requests.
import { AppError } from '../errors.ts';
import type { SourceAsset, SourceRelease } from './source.ts';

const MAX_ASSETS = 1000;
const MAX_TEXT = 1024;

/** What was made before GitHub was, or after this century, has the date of a clock or a field that was never set. */
const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);

/**
 * One page of `GET /repos/{o}/{r}/releases?per_page={most}`. `where` names endpoint and page. Throws
 * `github_bad_response`.
 */
export function readReleasePage(data: unknown, most: number, where: string): SourceRelease[] {
  // The text itself stands for what cannot be read as JSON.
  if (typeof data === 'string') throw bad(where, `not JSON, or JSON that breaks off, of ${data.length} characters`);
  if (!Array.isArray(data)) throw bad(where, `a list was expected, it is ${kindOf(data)}`);
  if (data.length > most) throw bad(where, `${data.length} releases, where ${most} at most were asked for`);
  return data.map((item: unknown, index) => readRelease(item, `${where}, release ${index + 1}`));
}

/** The id of `GET /repos/{o}/{r}`, as text. Throws `github_bad_response`. */
export function readRepositoryId(data: unknown, where: string): string {
  return id(record(data, where), where);
}

/** The address of the next page, unchecked; undefined on the last one. RFC 8288, as GitHub writes it. */
export function nextLink(header: string | undefined): string | undefined {
  return /<([^<>]+)>;\s*rel="next"/.exec((header ?? '').slice(0, 8192))?.[1];
}

/** The number of the last page; undefined where the header names none. */
export function lastPage(header: string | undefined): number | undefined {
  const address = /<([^<>]+)>;\s*rel="last"/.exec((header ?? '').slice(0, 8192))?.[1] ?? '';
  const page = URL.canParse(address) ? Number(new URL(address).searchParams.get('page')) : Number.NaN;
  return Number.isSafeInteger(page) && page > 0 ? page : undefined;
}

function readRelease(value: unknown, where: string): SourceRelease {
  const release = record(value, where);
  const assets = release['assets'];
  if (!Array.isArray(assets) || assets.length > MAX_ASSETS) throw bad(where, 'assets is not a list of at most 1000');
  return {
    id: id(release, where),
    tag: text(release, 'tag_name', where),
    draft: flag(release, 'draft', where),
    prerelease: flag(release, 'prerelease', where),
    publishedAt: instant(release, 'published_at', where),
    targetCommitish: text(release, 'target_commitish', where),
    assets: assets.map((asset: unknown, index) => readAsset(asset, `${where}, asset ${index + 1}`)),
  };
}

function readAsset(value: unknown, where: string): SourceAsset {
  const asset = record(value, where);
  const size = asset['size'];
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw bad(where, 'size is not a whole number');
  return {
    id: id(asset, where),
    name: text(asset, 'name', where),
    size,
    state: text(asset, 'state', where),
    digest: digest(asset, where),
  };
}

/** A digest of another kind than SHA-256 counts as none; one that claims to be and is not, as a broken answer. */
function digest(asset: Record<string, unknown>, where: string): string | null {
  const value = asset['digest'];
  // GitHub Enterprise before 3.18 has no such field.
  if (value === null || value === undefined) return null;
  if (typeof value !== 'string') throw bad(where, `digest is ${kindOf(value)}`);
  const lower = value.slice(0, 100).toLowerCase();
  if (!lower.startsWith('sha256:')) return null;
  const hex = lower.slice('sha256:'.length);
  if (!/^[0-9a-f]{64}$/.test(hex)) throw bad(where, 'digest is not a SHA-256');
  return hex;
}

/** Beyond 2^53 two ids could read as one. */
function id(value: Record<string, unknown>, where: string): string {
  const found = value['id'];
  if (typeof found !== 'number' || !Number.isSafeInteger(found) || found <= 0) {
    throw bad(where, `id is ${typeof found === 'number' ? 'not a whole number above 0' : kindOf(found)}`);
  }
  return String(found);
}

function text(value: Record<string, unknown>, key: string, where: string): string {
  const found = value[key];
  if (typeof found !== 'string') throw bad(where, `${key} is ${kindOf(found)}`);
  if (found.length === 0 || found.length > MAX_TEXT) throw bad(where, `${key} has ${found.length} characters`);
  return found;
}

function flag(value: Record<string, unknown>, key: string, where: string): boolean {
  const found = value[key];
  if (typeof found !== 'boolean') throw bad(where, `${key} is ${kindOf(found)}`);
  return found;
}

/** Null for none, and for one that cannot be: the year 0 would make every release old enough to be let out. */
function instant(value: Record<string, unknown>, key: string, where: string): number | null {
  const found = value[key];
  if (found === null || found === undefined) return null;
  const ms = typeof found === 'string' ? Date.parse(found) : Number.NaN;
  if (Number.isNaN(ms)) throw bad(where, `${key} is not a time`);
  return ms >= EARLIEST && ms < LATEST ? ms : null;
}

function record(value: unknown, where: string): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw bad(where, `an object was expected, it is ${kindOf(value)}`);
  }
  return value as Record<string, unknown>;
}

function bad(where: string, what: string): AppError {
  return new AppError('github_bad_response', `GitHub’s answer cannot be read: ${where}: ${what}`, { where });
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'string' ? `text of ${value.length} characters` : `of type ${typeof value}`;
}
