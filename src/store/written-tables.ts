// Which tables one SQLite connection has written to: as the texts of its statements say, and what other programs commit besides.

export interface WrittenTables {
  /** Another number after anything in these tables may have changed. */
  revisionOf(tables: readonly string[]): number;
  /** What a statement that may write is called by: every word of it, and so its tables among others. */
  note(words: readonly string[]): void;
  /** What was read may never have been: all tables count as written. */
  noteAll(): void;
}

/**
 * No table has triggers or keys that cascade: whatever a statement writes to stands in it. `foreignCommits` is a number
 * that moves when another connection has committed: a person's own shell, on the file of a server that runs.
 */
export function watchWrites(foreignCommits: () => number): WrittenTables {
  /** Of the tables that were ever asked about. */
  const revisions = new Map<string, number>();
  let all = 0;
  let seen: number | undefined;
  return {
    revisionOf(tables) {
      const found = foreignCommits();
      if (found !== seen) all += 1;
      seen = found;
      // Each of them only grows, so the sum stands still only when all do.
      let sum = all;
      for (const table of tables) {
        const revision = revisions.get(table);
        if (revision === undefined) revisions.set(table, 0);
        sum += revision ?? 0;
      }
      return sum;
    },
    note(words) {
      for (const word of words) {
        const revision = revisions.get(word);
        if (revision !== undefined) revisions.set(word, revision + 1);
      }
    },
    noteAll() {
      all += 1;
    },
  };
}

/** The words of a statement, each once, in lower case. */
export function wordsOf(text: string): string[] {
  return [...new Set(text.toLowerCase().match(/\w+/g))];
}
