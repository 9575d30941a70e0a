// The one table from a scheme's name to how it reads and orders versions.
import { numericScheme } from './numeric.ts';
import type { Scheme, SchemeName } from './scheme.ts';
import { semverScheme } from './semver.ts';

const SCHEMES: Record<SchemeName, Scheme> = { semver: semverScheme, numeric: numericScheme };

export const SCHEME_NAMES = Object.keys(SCHEMES) as SchemeName[];

export function schemeOf(name: SchemeName): Scheme {
  return SCHEMES[name];
}
