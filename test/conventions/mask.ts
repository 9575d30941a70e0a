// Blanks comments and the insides of texts in TypeScript source, so that rules about code see code alone.

/** As long as the source, line by line; quotes stay, what they hold becomes blanks. No JSX. */
export function maskSource(source: string): string {
  const mask = new Mask(source);
  while (mask.index < source.length) mask.step();
  return mask.text();
}

/** After one of these words a slash begins a regular expression. */
const BEFORE_REGEX = /(?:^|[^\w$.])(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield)$/;

class Mask {
  readonly source: string;
  readonly out: string[] = [];
  index = 0;
  /** Open braces inside each `${` that is open. */
  readonly templates: number[] = [];

  constructor(source: string) {
    this.source = source;
  }

  text(): string {
    return this.out.join('');
  }

  step(): void {
    const char = this.source[this.index] as string;
    const next = this.source[this.index + 1];
    if (char === '/' && next === '/') this.blankUntil(this.lineEnd());
    else if (char === '/' && next === '*') this.blankUntil(this.after('*/', this.index + 2));
    else if (char === '/' && this.beginsRegex()) this.quoted(this.regexEnd());
    else if (char === "'" || char === '"') this.quoted(this.stringEnd(char));
    else if (char === '`') this.template();
    else if (char === '}' && this.templates.at(-1) === 0) {
      this.templates.pop();
      this.template();
    } else {
      const depth = this.templates.length - 1;
      if (depth >= 0 && char === '{') this.templates[depth] = (this.templates[depth] as number) + 1;
      if (depth >= 0 && char === '}') this.templates[depth] = (this.templates[depth] as number) - 1;
      this.out.push(char);
      this.index += 1;
    }
  }

  beginsRegex(): boolean {
    const before = this.out.slice(-200).join('').trimEnd();
    return before === '' || /[(,=:[!&|?{};+\-*%~^<>]$/.test(before) || BEFORE_REGEX.test(before);
  }

  /** From a backtick, or from the brace that ends a `${…}`, to the next `${` or the closing backtick. */
  template(): void {
    let end = this.index + 1;
    while (end < this.source.length && this.source[end] !== '`' && !this.source.startsWith('${', end)) {
      end += this.source[end] === '\\' ? 2 : 1;
    }
    const opens = this.source[end] === '$';
    if (opens) this.templates.push(0);
    this.quoted(Math.min(end + (opens ? 2 : 1), this.source.length));
  }

  stringEnd(quote: string): number {
    let end = this.index + 1;
    while (end < this.source.length && this.source[end] !== quote && this.source[end] !== '\n') {
      end += this.source[end] === '\\' ? 2 : 1;
    }
    return Math.min(end + 1, this.source.length);
  }

  regexEnd(): number {
    let end = this.index + 1;
    let inClass = false;
    while (end < this.source.length && this.source[end] !== '\n') {
      const char = this.source[end];
      if (char === '\\') end += 1;
      else if (char === '[') inClass = true;
      else if (char === ']') inClass = false;
      else if (char === '/' && !inClass) return end + 1;
      end += 1;
    }
    return end;
  }

  /** Keeps the first and the last character. */
  quoted(end: number): void {
    this.out.push(this.source[this.index] as string);
    this.index += 1;
    this.blankUntil(end - 1);
    if (this.index < end) this.out.push(this.source[this.index] as string);
    this.index = end;
  }

  blankUntil(end: number): void {
    for (; this.index < end; this.index += 1) this.out.push(this.source[this.index] === '\n' ? '\n' : ' ');
  }

  lineEnd(): number {
    const end = this.source.indexOf('\n', this.index);
    return end === -1 ? this.source.length : end;
  }

  after(text: string, from: number): number {
    const end = this.source.indexOf(text, from);
    return end === -1 ? this.source.length : end + text.length;
  }
}
