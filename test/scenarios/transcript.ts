// A scenario file as text: comments, command lines that begin with `> `, and below each what it printed.

export interface Entry {
  /** Comment and blank lines before the command, as they stand. */
  before: string[];
  command: string;
  output: string[];
}

/** A line that begins with `#` is a comment; blank lines are kept where a comment or command follows. */
export function parseTranscript(text: string): Entry[] {
  const entries: Entry[] = [];
  let before: string[] = [];
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('> ')) {
      entries.push({ before, command: line.slice(2), output: [] });
      before = [];
    } else if (line.trim() === '' || line.startsWith('#')) before.push(line);
    else if (before.length === 0) entries.at(-1)?.output.push(line);
    else throw new Error(`neither comment nor command: ${line}`);
  }
  return entries;
}

export function renderTranscript(entries: readonly Entry[]): string {
  const lines = entries.flatMap(({ before, command, output }) => [...before, `> ${command}`, ...output]);
  return `${lines.join('\n')}\n`;
}
