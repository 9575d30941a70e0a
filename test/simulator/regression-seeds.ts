// Seeds that have found a bug once: they run in every `npm test`, whatever the range is.

export const REGRESSION_SEEDS: readonly { seed: number; found: string }[] = [
  { seed: 11, found: 'after the wall clock was put back a new rollout was superseded by an old one' },
  { seed: 27, found: 'a full disk at the start of the old version: it proved the new one, which had been undone' },
];
