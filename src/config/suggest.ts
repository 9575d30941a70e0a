// "Did you mean …?": the name of a list that is nearest to what was written.

/** Undefined when nothing is near enough to be what was meant. Upper and lower case count as the same. */
export function nearest(written: string, names: readonly string[]): string | undefined {
  const wanted = written.slice(0, 64).toLowerCase();
  let best: { name: string; distance: number } | undefined;
  for (const name of names) {
    const distance = editDistance(wanted, name.toLowerCase());
    if (best === undefined || distance < best.distance) best = { name, distance };
  }
  return best !== undefined && best.distance <= Math.max(1, Math.floor(wanted.length / 3)) ? best.name : undefined;
}

/** Half a sentence that says how to mend a name: the nearest one, else a short list. */
export function didYouMean(written: string, names: readonly string[]): string {
  const near = nearest(written, names);
  const unique = [...new Set(names)];
  if (near !== undefined) return `did you mean "${near}"?`;
  if (names.length === 0) return 'there is none yet';
  const more = unique.length > 12 ? `, and ${unique.length - 12} more` : '';
  return `one of: ${unique.slice(0, 12).join(', ')}${more}`;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(at(row, j - 1) + 1, at(last, j) + 1, at(last, j - 1) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, at(beforeLast, j - 2) + 1);
      }
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] as number;
}
