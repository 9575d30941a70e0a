// Chooses the lines for which a screen has room: those of the lowest rank, in their order.

export interface Ranked<V> {
  /** The lower, the longer it stays. */
  rank: number;
  group?: string;
  /** What the line stands for: where that is left out of a group, it is accounted for below the last line of the group. */
  row?: V;
}

/** At most `rows` lines. `noteOf` makes the line for what was left out of a group. */
export function fitRows<V, L extends Ranked<V>>(
  lines: readonly L[],
  rows: number,
  noteOf: (group: string, left: readonly V[]) => L,
): L[] {
  const byRank = lines
    .map(({ rank }, index) => ({ rank, index }))
    .toSorted((a, b) => a.rank - b.rank || a.index - b.index);
  // Each note takes a line that another may have had, which may call for a note more; there are no more than groups.
  for (let notes = 0; ; notes += 1) {
    const kept = new Set(byRank.slice(0, Math.max(0, rows - notes)).map(({ index }) => index));
    const left = lines.flatMap(({ group, row }, index) =>
      group === undefined || row === undefined || kept.has(index) ? [] : [{ group, row }],
    );
    const missing = Map.groupBy(left, ({ group }) => group);
    if (missing.size > notes) continue;
    const noteAt = new Map(
      [...missing].map(([group, list]) => [
        lastOf(lines, group),
        noteOf(
          group,
          list.map(({ row }) => row),
        ),
      ]),
    );
    return lines
      .flatMap((line, index) => [
        ...(kept.has(index) ? [line] : []),
        ...(noteAt.has(index) ? [noteAt.get(index) as L] : []),
      ])
      .slice(0, rows);
  }
}

function lastOf(lines: readonly Ranked<unknown>[], group: string): number {
  return lines.findLastIndex((line) => line.group === group);
}
