// What the demo tells: each scene on a line with the seconds since the start, wrapped for a terminal of 80 columns.

const WIDTH = 80;
const INDENT = 9;

export type Say = (text: string) => void;

export function createNarrator(print: (text: string) => void): Say {
  const startedAt = performance.now();
  return (text) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
    const [first, ...rest] = wrapWords(text, WIDTH - INDENT);
    print([`${seconds} s  ${first}`, ...rest.map((line) => `${' '.repeat(INDENT)}${line}`), ''].join('\n'));
  };
}

/** At spaces; a word that is longer than a line keeps its length, so that it can be copied. */
function wrapWords(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
