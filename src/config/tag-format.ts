// The patterns by which a product's tags are read: each a text with one {version}; reads them and says how to mend them.
import { isSeq } from 'yaml';
import { listOf, type Parsed, type Spec, textual } from './spec.ts';

const EXAMPLE = '"v{version}"';
const MAX_PATTERNS = 16;

const TAG_PATTERN = textual<string>({
  expected: 'a tag with {version} in it, in quotes',
  example: EXAMPLE,
  blank: '',
  schema: { pattern: '^[!-z|~]{0,64}\\{version\\}[!-z|~]{0,64}$' },
  parse: readPattern,
});

const SEVERAL = listOf(TAG_PATTERN, 'tag patterns', { min: 1, max: MAX_PATTERNS });

/** One pattern, or a list of which the first that fits counts. Always a list. */
export const TAGS: Spec<string[]> = {
  blank: [],
  schema: { anyOf: [TAG_PATTERN.schema, SEVERAL.schema] },
  read(node, path, report) {
    // Without quotes {version} is a map: what is no list is told what a pattern looks like.
    return isSeq(node) ? SEVERAL.read(node, path, report) : [TAG_PATTERN.read(node, path, report)];
  },
};

function readPattern(text: string): Parsed<string> {
  const parts = text.split('{version}');
  const [before = '', after = ''] = parts;
  if (parts.length !== 2) {
    const what = parts.length === 1 ? 'the pattern has no {version}' : 'the pattern has {version} twice';
    return { ok: false, what, mend: `write e.g. ${EXAMPLE}` };
  }
  if (/[{}]/.test(before + after)) {
    return { ok: false, what: 'the pattern has other braces', mend: 'only {version} is filled in' };
  }
  const sound = [before, after].every((part) => /^[!-~]{0,64}$/.test(part));
  return sound
    ? { ok: true, value: text }
    : { ok: false, mend: 'use no blanks and at most 64 characters on each side' };
}
