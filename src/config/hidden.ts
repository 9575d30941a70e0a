// Characters that are not seen and change what is: control characters, terminal escapes, marks that turn or hide text.

/** Not among them: tab and line breaks, and the joiners that some scripts and pictographs need. */
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu;

/** Where they stand, at most `most` of them; `name` as in U+202E. */
export function findHidden(text: string, most: number): { offset: number; name: string }[] {
  const found: { offset: number; name: string }[] = [];
  for (const match of text.matchAll(HIDDEN)) {
    if (found.length >= most) break;
    found.push({ offset: match.index, name: nameOf(match[0]) });
  }
  return found;
}

/** The text with their names in their places, fit for a terminal. */
export function showHidden(text: string): string {
  return text.replaceAll(HIDDEN, (one) => `<${nameOf(one)}>`);
}

function nameOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
