// Seeds that have found a bug once: they run in every `npm test`, whatever the range is.

export const REGRESSION_SEEDS: readonly { seed: number; found: string }[] = [
  { seed: 11, found: 'after the wall clock was put back a new rollout was superseded by an old one' },
];
