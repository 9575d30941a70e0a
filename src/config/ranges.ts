// Whether two ranges of a scheme have a version in common.
import type { SchemeName } from '../domain/version/scheme.ts';
import { schemeOf } from '../domain/version/schemes.ts';

/** Both are ranges of the scheme. In every scheme comparators side by side must all hold, and `||` stands between ways. */
export function haveCommon(scheme: SchemeName, one: string, other: string): boolean {
  const { range } = schemeOf(scheme);
  return waysOf(one).some((a) => waysOf(other).some((b) => range(`${a} ${b}`) !== undefined));
}

/** `1.2 - 2.3` is written out, since nothing may stand beside it: npm reads both in the same way. */
function waysOf(text: string): string[] {
  return text.split('||').map((way) => way.trim().replace(/^(\S+)\s+-\s+(\S+)$/, '>=$1 <=$2'));
}
