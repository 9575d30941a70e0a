// Numbers and times as words in the sentences of a rehearsal.

const UNITS = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
] as const;

/** Two units at most: `1m 15s`, `4h`, `2d 3h`; `0s` for less than a second. */
export function hours(ms: number): string {
  const parts: string[] = [];
  let left = ms;
  for (const [unit, name] of UNITS) {
    const whole = Math.floor(left / unit);
    left -= whole * unit;
    if (whole > 0) parts.push(`${whole}${name}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join(' ') || '0s';
}

/** `2.5 %` of 0.025. */
export function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}

/** `1 agent`, `2 agents`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
