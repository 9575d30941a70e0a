// The one table from a scheme's name to how it reads and orders versions.
import { numericScheme } from './numeric.ts';
import type { Scheme, SchemeName, Version } from './scheme.ts';
import { semverScheme } from './semver.ts';
import { MAX_VERSION_LENGTH } from './sort-key.ts';

/** A fleet runs few versions and asks about them at every check-in. */
const MAX_REMEMBERED = 4096;
const SCHEMES: Record<SchemeName, Scheme> = { semver: remembering(semverScheme), numeric: remembering(numericScheme) };

export const SCHEME_NAMES = Object.keys(SCHEMES) as SchemeName[];

export function schemeOf(name: SchemeName): Scheme {
  return SCHEMES[name];
}

/** Answers the same, and reads each version once. */
function remembering(scheme: Scheme): Scheme {
  const known = new Map<string, Version | undefined>();
  function parse(text: string): Version | undefined {
    const found = known.get(text);
    if (found !== undefined || known.has(text)) return found;
    const version = scheme.parse(text);
    if (text.length > MAX_VERSION_LENGTH) return version;
    if (known.size >= MAX_REMEMBERED) known.clear();
    known.set(text, version);
    return version;
  }
  function compare(a: string, b: string): number {
    const [left, right] = [parse(a), parse(b)];
    if (left === undefined || right === undefined) return scheme.compare(a, b);
    if (left.sortKey === right.sortKey) return 0;
    return left.sortKey < right.sortKey ? -1 : 1;
  }
  return { ...scheme, parse, compare };
}
