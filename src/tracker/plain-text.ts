// What others wrote, made fit for one line of a log, a message or a terminal.

/**
 * One line of at most `max` characters, without control characters (and so without terminal escapes) and without the
 * invisible marks that hide text or turn its direction.
 */
export function plainText(text: string, max: number): string {
  const shown = text
    .slice(0, 4 * max)
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  return shown.length > max ? `${shown.slice(0, max - 1).toWellFormed()}…` : shown;
}
