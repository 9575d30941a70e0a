// Which names and kinds of entries an artifact may hold: an allow-list over one entry's header. Pure.

export const MAX_ENTRIES = 2000;
export const MAX_DEPTH = 12;
const MAX_NAME_BYTES = 200;

export interface EntryHeader {
  name: string;
  type: string | null | undefined;
  size: number;
  mode: number;
  /** Extended header, as far as the reader shows it. */
  pax: Record<string, string> | undefined;
}

export interface PlainEntry {
  /** Relative, with `/`, without a slash at the end. */
  path: string;
  kind: 'file' | 'directory';
  size: number;
  executable: boolean;
}

/** The entry as it may be written, or one sentence with what is wrong about it. */
export function checkEntry(header: EntryHeader): PlainEntry | string {
  const shown = JSON.stringify(header.name.slice(0, 80));
  const kind = header.type;
  if (kind !== 'file' && kind !== 'directory') return `${shown} is a ${kind ?? 'thing of unknown kind'}`;
  // An extended header could give another reader another name or size than ours.
  const odd = Object.keys(header.pax ?? {}).find((key) => !/^(mtime|atime|ctime)$/.test(key));
  if (odd !== undefined) return `${shown} has an extended header ${JSON.stringify(odd.slice(0, 40))}`;
  if ((header.mode & 0o7000) !== 0) return `${shown} has setuid, setgid or sticky bits`;
  const path = kind === 'directory' ? header.name.replace(/\/$/, '') : header.name;
  const fault = faultOfPath(path);
  if (fault !== undefined) return `${shown} ${fault}`;
  if (kind === 'directory' && header.size !== 0) return `${shown} is a directory with content`;
  return { path, kind, size: header.size, executable: (header.mode & 0o111) !== 0 };
}

/** Two names that some file system takes for one. */
export function foldPath(path: string): string {
  return path.normalize('NFC').toLowerCase().toUpperCase().normalize('NFC');
}

/** Undefined for a path that may be written below any directory. */
export function faultOfPath(path: string): string | undefined {
  if (path.length === 0) return 'has no name';
  if (Buffer.byteLength(path) > MAX_NAME_BYTES) return `is longer than ${MAX_NAME_BYTES} bytes`;
  if (path.startsWith('/')) return 'is absolute';
  if (hasForbiddenCharacter(path)) return 'has a backslash, colon or control character';
  if (path !== path.normalize('NFC')) return 'is not in normal form (NFC)';
  const segments = path.split('/');
  if (segments.length > MAX_DEPTH) return `is deeper than ${MAX_DEPTH}`;
  if (segments.includes('..')) return 'climbs out with ..';
  if (segments.includes('.') || segments.includes('')) return 'has an empty segment or .';
  return undefined;
}

function hasForbiddenCharacter(path: string): boolean {
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f) || character === '\\' || character === ':' || code === 0xfffd) {
      return true;
    }
  }
  return false;
}
